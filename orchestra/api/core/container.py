"""Containers as a Pod declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api.core.resources import ResourceRequirements
from orchestra.api.object import Struct, declared, freeze_fields, int32, list_map, list_set, omit_empty

if TYPE_CHECKING:
    from orchestra.api.core.probe import Lifecycle, Probe
    from orchestra.api.core.reference import (
        ConfigMapKeySelector,
        FileKeySelector,
        ObjectFieldSelector,
        ResourceFieldSelector,
        SecretKeySelector,
    )
    from orchestra.api.core.resources import ContainerResizePolicy
    from orchestra.api.core.security import SecurityContext


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerPort(Struct):
    """A port that a container listens on."""

    name: str = omit_empty()
    host_port: int = omit_empty(0, int32=True)
    container_port: int = int32(0)
    protocol: str = omit_empty(go="v1.Protocol")
    host_ip: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMapEnvSource(Struct):
    """A ConfigMap whose every key becomes an environment variable."""

    name: str = omit_empty()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecretEnvSource(Struct):
    """A Secret whose every key becomes an environment variable."""

    name: str = omit_empty()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EnvFromSource(Struct):
    """Environment variables taken from a whole ConfigMap or Secret."""

    prefix: str = omit_empty()
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EnvVarSource(Struct):
    """Where the value of an environment variable comes from; exactly one field is set."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None
    file_key_ref: FileKeySelector | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EnvVar(Struct):
    """An environment variable; `$(NAME)` in `value` refers to variables that were declared before."""

    name: str = ""
    value: str = omit_empty()
    value_from: EnvVarSource | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeMount(Struct):
    """Where in a container a volume of the Pod appears."""

    name: str = ""
    read_only: bool = omit_empty(False)
    recursive_read_only: str | None = declared(go="v1.RecursiveReadOnlyMode")
    mount_path: str = ""
    sub_path: str = omit_empty()
    mount_propagation: str | None = declared(go="v1.MountPropagationMode")
    sub_path_expr: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeDevice(Struct):
    """Where in a container a raw block volume appears."""

    name: str = ""
    device_path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerRestartRuleOnExitCodes(Struct):
    """Exit codes that a rule is about: In or NotIn `values`."""

    operator: str = omit_empty(go="v1.ContainerRestartRuleOnExitCodesOperator")
    values: tuple[int, ...] = list_set(int32=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerRestartRule(Struct):
    """What happens after certain exits of a container, before its restart policy is asked."""

    action: str = omit_empty(go="v1.ContainerRestartRuleAction")
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Container(Struct):
    """One program of a Pod: image, command, environment, resources, probes."""

    name: str = ""
    image: str = omit_empty()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = omit_empty()
    ports: tuple[ContainerPort, ...] = list_map("containerPort", "protocol", key_defaults={"protocol": "TCP"})
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = list_map("name")
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = declared(go="v1.ContainerRestartPolicy")
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = list_map("mountPath")
    volume_devices: tuple[VolumeDevice, ...] = list_map("devicePath")
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = omit_empty()
    termination_message_policy: str = omit_empty(go="v1.TerminationMessagePolicy")
    image_pull_policy: str = omit_empty(go="v1.PullPolicy")
    security_context: SecurityContext | None = None
    stdin: bool = omit_empty(False)
    stdin_once: bool = omit_empty(False)
    tty: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EphemeralContainer(Container):
    """A container added to a running Pod for debugging; it is never restarted."""

    target_container_name: str = omit_empty()
