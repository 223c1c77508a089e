"""What a runtime knows of its sandboxes and containers: records, names, look-ups, filters, messages. Pure.

Configurations are kept as the messages that the caller passed; nobody may change them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.addresses import AddressPool
from orchestra.cri.images import ImageRecord, ImageTable
from orchestra.errors import RuntimeServiceError


@attrs.define(eq=False, kw_only=True)
class Sandbox:
    """One sandbox; times are nanoseconds since 1970. `ip` is empty on the host's network and after the stop."""

    id: str
    config: pb.PodSandboxConfig
    handler: str
    created_at: int
    ip: str
    ready: bool = True
    containers: dict[str, Container] = attrs.field(factory=dict, repr=False)
    fixed_status: pb.PodSandboxStatus | None = attrs.field(default=None, repr=False)
    """The part of the status that never changes, once it was needed."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What names the sandbox on its node."""
        metadata = self.config.metadata
        return (metadata.namespace, metadata.name, metadata.uid, metadata.attempt)

    @property
    def state(self) -> pb.PodSandboxState.ValueType:
        """The CRI's word for `ready`."""
        return pb.SANDBOX_READY if self.ready else pb.SANDBOX_NOTREADY


@attrs.define(eq=False, kw_only=True)
class Container:
    """One container; times are nanoseconds since 1970 and 0 for what has not happened."""

    id: str
    sandbox: Sandbox = attrs.field(repr=False)
    config: pb.ContainerConfig
    image: ImageRecord
    created_at: int
    log_path: str = ""
    state: pb.ContainerState.ValueType = pb.CONTAINER_CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    user: pb.ContainerUser | None = None
    stop_signal: pb.Signal.ValueType = pb.SIGNAL_RUNTIME_DEFAULT
    resources: pb.LinuxContainerResources | None = None
    driver: Any = attrs.field(default=None, repr=False)
    """What the runtime itself hangs on the container."""
    fixed_status: pb.ContainerStatus | None = attrs.field(default=None, repr=False)
    """The part of the status that never changes, once it was needed."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the container on its node."""
        return (self.sandbox.id, self.config.metadata.name, self.config.metadata.attempt)


def fill_sandbox_status(status: pb.PodSandboxStatus, sandbox: Sandbox) -> None:
    """Write a sandbox's status into an empty message.

    What never changes is built once and copied, which is much faster than passing every field.
    """
    if sandbox.fixed_status is None:
        config = sandbox.config
        options = config.linux.security_context.namespace_options
        sandbox.fixed_status = pb.PodSandboxStatus(
            id=sandbox.id,
            metadata=config.metadata,
            created_at=sandbox.created_at,
            linux=pb.LinuxPodSandboxStatus(namespaces=pb.Namespace(options=options)),
            labels=config.labels,
            annotations=config.annotations,
            runtime_handler=sandbox.handler,
        )
    status.CopyFrom(sandbox.fixed_status)
    status.state = sandbox.state
    status.network.ip = sandbox.ip


def fill_container_status(status: pb.ContainerStatus, container: Container) -> None:
    """Write a container's status into an empty message; see `fill_sandbox_status`."""
    if container.fixed_status is None:
        config = container.config
        user_specified = config.image.user_specified_image
        container.fixed_status = pb.ContainerStatus(
            id=container.id,
            metadata=config.metadata,
            created_at=container.created_at,
            image=pb.ImageSpec(image=container.image.reference, user_specified_image=user_specified),
            image_ref=container.image.digest_reference,
            image_id=container.image.id,
            labels=config.labels,
            annotations=config.annotations,
            mounts=config.mounts,
            log_path=container.log_path,
            user=container.user,
            stop_signal=container.stop_signal,
        )
    status.CopyFrom(container.fixed_status)
    status.state = container.state
    status.started_at = container.started_at
    if container.finished_at:
        status.finished_at = container.finished_at
        status.exit_code = container.exit_code
        status.reason = container.reason
        status.message = container.message
    if container.resources is not None:
        status.resources.linux.CopyFrom(container.resources)


def list_item(container: Container) -> pb.Container:
    """Return a container as lists show it."""
    config = container.config
    return pb.Container(
        id=container.id,
        pod_sandbox_id=container.sandbox.id,
        metadata=config.metadata,
        image=config.image,
        image_ref=container.image.digest_reference,
        image_id=container.image.id,
        state=container.state,
        created_at=container.created_at,
        labels=config.labels,
        annotations=config.annotations,
    )


def sandbox_item(sandbox: Sandbox) -> pb.PodSandbox:
    """Return a sandbox as lists show it."""
    config = sandbox.config
    return pb.PodSandbox(
        id=sandbox.id,
        metadata=config.metadata,
        state=sandbox.state,
        created_at=sandbox.created_at,
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=sandbox.handler,
    )


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Say whether `labels` has every pair of `selector`."""
    return all(labels.get(key) == value for key, value in selector.items())


class Book:
    """The sandboxes, containers, addresses and images of one runtime.

    `images_have_commands`: whether a container without a command of its own has its image's.
    """

    def __init__(self, *, images_have_commands: bool) -> None:
        self._images_have_commands = images_have_commands
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self.addresses = AddressPool()
        self.images = ImageTable()
        self._sandbox_names: dict[tuple[str, str, str, int], str] = {}
        self._container_names: dict[tuple[str, str, int], str] = {}

    def sandbox(self, sandbox_id: str) -> Sandbox:
        """Return a sandbox; raises `RuntimeServiceError` (NotFound)."""
        sandbox = self.sandboxes.get(sandbox_id)
        if sandbox is None:
            raise RuntimeServiceError(
                f'an error occurred when try to find sandbox "{sandbox_id}": not found', code="NotFound"
            )
        return sandbox

    def container(self, container_id: str) -> Container:
        """Return a container; raises `RuntimeServiceError` (NotFound)."""
        container = self.containers.get(container_id)
        if container is None:
            raise RuntimeServiceError(
                f'an error occurred when try to find container "{container_id}": not found', code="NotFound"
            )
        return container

    def new_sandbox(self, config: pb.PodSandboxConfig, handler: str, sandbox_id: str, created_at: int) -> Sandbox:
        """Check a configuration and return a sandbox with its address, which `add_sandbox` makes known."""
        metadata = config.metadata
        if not metadata.name or not metadata.namespace or not metadata.uid:
            raise RuntimeServiceError("sandbox config must include name, namespace and uid", code="InvalidArgument")
        _check_name(metadata.name, metadata.namespace, metadata.uid)
        if config.log_directory and not config.log_directory.startswith("/"):
            raise RuntimeServiceError(f"log directory {config.log_directory!r} is not absolute", code="InvalidArgument")
        sandbox = Sandbox(id=sandbox_id, config=config, handler=handler, created_at=created_at, ip="")
        owner = self._sandbox_names.get(sandbox.key)
        if owner is not None:
            text = f'failed to reserve sandbox name "{"_".join(map(str, sandbox.key))}": name is reserved for "{owner}"'
            raise RuntimeServiceError(text, code="AlreadyExists")
        if config.linux.security_context.namespace_options.network != pb.NODE:
            sandbox.ip = self.addresses.allocate()
        return sandbox

    def add_sandbox(self, sandbox: Sandbox) -> None:
        """Make a sandbox known."""
        self.sandboxes[sandbox.id] = sandbox
        self._sandbox_names[sandbox.key] = sandbox.id

    def forget_sandbox(self, sandbox: Sandbox) -> None:
        """Forget a sandbox and give back its address."""
        self.release_address(sandbox)
        self.sandboxes.pop(sandbox.id, None)
        self._sandbox_names.pop(sandbox.key, None)

    def release_address(self, sandbox: Sandbox) -> None:
        """Give back a sandbox's address; it has none from now on."""
        self.addresses.release(sandbox.ip)
        sandbox.ip = ""

    def new_container(
        self, sandbox: Sandbox, config: pb.ContainerConfig, container_id: str, created_at: int
    ) -> Container:
        """Check a configuration and return a container, which `add_container` makes known."""
        if not sandbox.ready:
            raise RuntimeServiceError(f'sandbox "{sandbox.id}" is not running', code="FailedPrecondition")
        if not config.metadata.name:
            raise RuntimeServiceError("container config must include name", code="InvalidArgument")
        _check_name(config.metadata.name)
        if not (config.command or config.args or self._images_have_commands):
            text = f'failed to generate container "{container_id}" spec: failed to generate spec: no command specified'
            raise RuntimeServiceError(text, code="InvalidArgument", reason="CreateContainerError")
        image = self.images.find(config.image.image)
        if image is None:
            text = f'failed to resolve image "{config.image.image}": not found'
            raise RuntimeServiceError(text, code="NotFound", reason="CreateContainerError")
        container = Container(
            id=container_id,
            sandbox=sandbox,
            config=config,
            image=image,
            created_at=created_at,
            log_path=log_path(sandbox.config, config),
            stop_signal=config.stop_signal or pb.SIGNAL_SIGTERM,
            resources=config.linux.resources if config.linux.HasField("resources") else None,
        )
        owner = self._container_names.get(container.key)
        if owner is not None:
            text = f'failed to reserve container name "{config.metadata.name}": name is reserved for "{owner}"'
            raise RuntimeServiceError(text, code="AlreadyExists")
        return container

    def add_container(self, container: Container) -> None:
        """Make a container known."""
        self.containers[container.id] = container
        self._container_names[container.key] = container.id
        container.sandbox.containers[container.id] = container

    def forget_container(self, container: Container) -> None:
        """Forget a container; one that is unknown is fine."""
        self.containers.pop(container.id, None)
        self._container_names.pop(container.key, None)
        container.sandbox.containers.pop(container.id, None)

    def matching_sandboxes(self, wanted: pb.PodSandboxFilter) -> Iterator[Sandbox]:
        """Yield the sandboxes that match every given field."""
        state = wanted.state.state if wanted.HasField("state") else None
        selector = dict(wanted.label_selector)
        if wanted.id:
            found = self.sandboxes.get(wanted.id)
            candidates = [] if found is None else [found]
        else:
            candidates = list(self.sandboxes.values())
        for sandbox in candidates:
            if (state is None or sandbox.state == state) and (not selector or selects(selector, sandbox.config.labels)):
                yield sandbox

    def matching_containers(self, wanted: pb.ContainerFilter | pb.ContainerStatsFilter) -> Iterator[Container]:
        """Yield the containers that match every given field."""
        state = wanted.state.state if isinstance(wanted, pb.ContainerFilter) and wanted.HasField("state") else None
        selector = dict(wanted.label_selector)
        if wanted.id:
            found = self.containers.get(wanted.id)
            candidates = [] if found is None else [found]
        elif wanted.pod_sandbox_id:
            sandbox = self.sandboxes.get(wanted.pod_sandbox_id)
            candidates = [] if sandbox is None else list(sandbox.containers.values())
        else:
            candidates = list(self.containers.values())
        for container in candidates:
            if wanted.pod_sandbox_id and container.sandbox.id != wanted.pod_sandbox_id:
                continue
            if (state is None or container.state == state) and (
                not selector or selects(selector, container.config.labels)
            ):
                yield container


def log_path(sandbox: pb.PodSandboxConfig, container: pb.ContainerConfig) -> str:
    """Return where a container's log goes, empty for nowhere; raises for a path that leaves the log directory."""
    if not sandbox.log_directory or not container.log_path:
        return ""
    parts = container.log_path.split("/")
    if container.log_path.startswith("/") or ".." in parts or "\0" in container.log_path or not parts[-1]:
        raise RuntimeServiceError(
            f"log path {container.log_path!r} is not a file below the log directory", code="InvalidArgument"
        )
    return f"{sandbox.log_directory.rstrip('/')}/{container.log_path}"


def _check_name(*names: str) -> None:
    for name in names:
        if len(name) > 253 or "\0" in name or "/" in name:
            raise RuntimeServiceError(f"invalid name {name[:64]!r} in the metadata", code="InvalidArgument")
