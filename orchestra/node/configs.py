"""CRI configurations from a Pod: what the runtime is told to make. Pure translations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.node.actions import container_hash
from orchestra.node.environment import ContainerConfigError, command_line
from orchestra.node.model import (
    CONTAINER_HASH_ANNOTATION,
    CONTAINER_NAME_LABEL,
    GRACE_ANNOTATION,
    POD_NAME_LABEL,
    POD_NAMESPACE_LABEL,
    POD_UID_LABEL,
    TERMINATION_LOG_ANNOTATION,
)

if TYPE_CHECKING:
    from orchestra.api.core import Container

_IMAGE = re.compile(
    r"^(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[\w][\w.-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?$"
)
_MIN_SHARES = 2


def sandbox_config(pod: Pod, attempt: int, log_directory: str) -> pb.PodSandboxConfig:
    """Return the configuration of a Pod's sandbox number `attempt`."""
    meta, spec = pod.metadata, pod.spec
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=meta.name, uid=meta.uid, namespace=meta.namespace, attempt=attempt),
        hostname="" if spec.host_network else (spec.hostname or meta.name)[:63].rstrip("-."),
        log_directory=log_directory,
        labels=dict(meta.labels) | _labels(pod),
        annotations=dict(meta.annotations),
        port_mappings=_host_ports(pod),
        linux=pb.LinuxPodSandboxConfig(
            security_context=pb.LinuxSandboxSecurityContext(namespace_options=_namespaces(pod))
        ),
    )


def _namespaces(pod: Pod) -> pb.NamespaceOption:
    """Return what the containers share with each other, and with the host where the Pod asks for that."""
    spec = pod.spec
    own_pid = pb.POD if spec.share_process_namespace else pb.CONTAINER
    return pb.NamespaceOption(
        network=pb.NODE if spec.host_network else pb.POD,
        pid=pb.NODE if spec.host_pid else own_pid,
        ipc=pb.NODE if spec.host_ipc else pb.POD,
    )


def _host_ports(pod: Pod) -> list[pb.PortMapping]:
    if pod.spec.host_network:
        return []
    return [
        pb.PortMapping(
            protocol=pb.Protocol.Value(port.protocol or "TCP"),
            container_port=port.container_port,
            host_port=port.host_port,
            host_ip=port.host_ip,
        )
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for port in container.ports
        if port.host_port
    ]


def container_config(
    pod: Pod,
    container: Container,
    *,
    attempt: int,
    variables: Mapping[str, str],
    mounts: Sequence[pb.Mount],
    image: str,
) -> pb.ContainerConfig:
    """Return the configuration of run number `attempt` of a container."""
    command, arguments = command_line(container, variables)
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=container.name, attempt=attempt),
        image=pb.ImageSpec(image=image, user_specified_image=container.image or ""),
        command=command,
        args=arguments,
        working_dir=container.working_dir or "",
        envs=[pb.KeyValue(key=k, value=v.encode("utf-8", "surrogateescape")) for k, v in variables.items()],
        mounts=list(mounts),
        labels=_labels(pod) | {CONTAINER_NAME_LABEL: container.name},
        annotations={
            CONTAINER_HASH_ANNOTATION: container_hash(container),
            GRACE_ANNOTATION: str(pod.spec.termination_grace_period_seconds or 0),
            TERMINATION_LOG_ANNOTATION: container.termination_message_path or "",
        },
        log_path=f"{container.name}/{attempt}.log",
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdin_once),
        tty=bool(container.tty),
        linux=pb.LinuxContainerConfig(resources=_resources(container), security_context=_security(pod, container)),
    )


def check_image(image: str) -> None:
    """Raise ContainerConfigError when an image reference can never be right (reason `InvalidImageName`)."""
    if not _IMAGE.match(image):
        raise ContainerConfigError(
            f'Failed to apply default image tag "{image}": '
            f'couldn\'t parse image name "{image}": invalid reference format'
        )


def _labels(pod: Pod) -> dict[str, str]:
    meta = pod.metadata
    return {POD_NAME_LABEL: meta.name, POD_NAMESPACE_LABEL: meta.namespace, POD_UID_LABEL: meta.uid}


def _resources(container: Container) -> pb.LinuxContainerResources:
    """Return the limits in cgroup terms: shares of 1,024 a CPU, quota in periods of 100 ms."""
    limits, requests = container.resources.limits, container.resources.requests
    cpu_request, cpu_limit = requests.get("cpu") or limits.get("cpu"), limits.get("cpu")
    memory = limits.get("memory")
    return pb.LinuxContainerResources(
        cpu_shares=max(cpu_request.milli_value() * 1024 // 1000, _MIN_SHARES) if cpu_request else _MIN_SHARES,
        cpu_quota=max(cpu_limit.milli_value() * 100, 1000) if cpu_limit else 0,
        cpu_period=100_000 if cpu_limit else 0,
        memory_limit_in_bytes=memory.value() if memory else 0,
    )


def _security(pod: Pod, container: Container) -> pb.LinuxContainerSecurityContext:
    own, shared = container.security_context, pod.spec.security_context
    user = own.run_as_user if own and own.run_as_user is not None else shared.run_as_user if shared else None
    group = own.run_as_group if own and own.run_as_group is not None else shared.run_as_group if shared else None
    non_root = (
        own.run_as_non_root if own and own.run_as_non_root is not None else shared.run_as_non_root if shared else None
    )
    if non_root and user == 0:
        raise ContainerConfigError("container's runAsUser breaks non-root policy")
    extra = list(shared.supplemental_groups) if shared else []
    if shared and shared.fs_group is not None:
        extra.append(shared.fs_group)
    return pb.LinuxContainerSecurityContext(
        run_as_user=pb.Int64Value(value=user) if user is not None else None,
        run_as_group=pb.Int64Value(value=group) if group is not None else None,
        privileged=bool(own and own.privileged),
        readonly_rootfs=bool(own and own.read_only_root_filesystem),
        no_new_privs=bool(own and own.allow_privilege_escalation is False),
        supplemental_groups=extra,
    )
