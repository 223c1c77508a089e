"""Containers, as `describe` shows them in Pods and in templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestra.api.core.container import Container, EnvVar
from orchestra.api.core.container_status import ContainerState, ContainerStatus
from orchestra.api.core.probe import Probe
from orchestra.cli.describe.sheet import Sheet, long_time, yes

Resolve = Callable[[str], str]


def describe_containers(
    sheet: Sheet,
    title: str,
    containers: Sequence[Container],
    *,
    statuses: Sequence[ContainerStatus] = (),
    resolve: Resolve | None = None,
    space: str = "",
) -> None:
    """Write containers below a title; `resolve` gives the value of a field of the Pod, where there is one."""
    by_name = {status.name: status for status in statuses}
    sheet.line(0, f"{space}{title}:")
    for container in containers:
        sheet.line(1, f"{' ' if space else ''}{container.name}:")
        status = by_name.get(container.name)
        _basics(sheet, container, status)
        _command(sheet, container)
        if status is not None:
            _state(sheet, "State", status.state)
            if status.last_state.terminated is not None:
                _state(sheet, "Last State", status.last_state)
            sheet.line(2, f"Ready:\t{yes(status.ready)}")
            sheet.line(2, f"Restart Count:\t{status.restart_count}")
        _resources(sheet, container)
        _probes(sheet, container)
        _environment(sheet, container, resolve)
        _mounts(sheet, container)


def _basics(sheet: Sheet, container: Container, status: ContainerStatus | None) -> None:
    if status is not None:
        sheet.line(2, f"Container ID:\t{status.container_id}")
    sheet.line(2, f"Image:\t{container.image}")
    if status is not None:
        sheet.line(2, f"Image ID:\t{status.image_id}")
    ports = container.ports
    many = "s" if len(ports) > 1 else ""
    named = [f"{p.container_port}/{p.protocol}" + (f" ({p.name})" if p.name else "") for p in ports]
    sheet.line(2, f"Port{many}:\t{', '.join(named) or '<none>'}")
    hosts = [f"{p.host_port}/{p.protocol}" + (f" ({p.name})" if p.name else "") for p in ports]
    sheet.line(2, f"Host Port{many}:\t{', '.join(hosts) or '<none>'}")


def _command(sheet: Sheet, container: Container) -> None:
    for title, words in (("Command", container.command), ("Args", container.args)):
        if words:
            sheet.line(2, f"{title}:")
            for word in words:
                for part in word.split("\n"):
                    sheet.line(3, part)


def _state(sheet: Sheet, title: str, state: ContainerState) -> None:
    if state.running is not None:
        sheet.line(2, f"{title}:\tRunning")
        sheet.line(3, f"Started:\t{long_time(state.running.started_at)}")
    elif state.terminated is not None:
        ended = state.terminated
        sheet.line(2, f"{title}:\tTerminated")
        if ended.reason:
            sheet.line(3, f"Reason:\t{ended.reason}")
        if ended.message:
            sheet.line(3, f"Message:\t{ended.message.rstrip()}")
        sheet.line(3, f"Exit Code:\t{ended.exit_code}")
        if ended.signal > 0:
            sheet.line(3, f"Signal:\t{ended.signal}")
        sheet.line(3, f"Started:\t{long_time(ended.started_at)}")
        sheet.line(3, f"Finished:\t{long_time(ended.finished_at)}")
    else:
        sheet.line(2, f"{title}:\tWaiting")
        if state.waiting is not None and state.waiting.reason:
            sheet.line(3, f"Reason:\t{state.waiting.reason}")


def _resources(sheet: Sheet, container: Container) -> None:
    asked = container.resources
    for title, values in (("Limits", asked.limits), ("Requests", asked.requests)):
        if values:
            sheet.line(2, f"{title}:")
            for name in sorted(values):
                sheet.line(3, f"{name}:\t{values[name]}")


def _probes(sheet: Sheet, container: Container) -> None:
    probes: Mapping[str, Probe | None] = {
        "Liveness": container.liveness_probe,
        "Readiness": container.readiness_probe,
        "Startup": container.startup_probe,
    }
    for title, probe in probes.items():
        if probe is not None:
            sheet.line(2, f"{title}:\t{probe_text(probe)}")


def probe_text(probe: Probe) -> str:
    """Return a probe in a line."""
    times = (
        f"delay={probe.initial_delay_seconds}s timeout={probe.timeout_seconds}s period={probe.period_seconds}s "
        f"#success={probe.success_threshold} #failure={probe.failure_threshold}"
    )
    if probe.exec is not None:
        return f"exec [{' '.join(probe.exec.command)}] {times}"
    if probe.http_get is not None:
        get = probe.http_get
        path = get.path if get.path.startswith("/") else f"/{get.path}"
        return f"http-get {get.scheme.lower() or 'http'}://{get.host}:{get.port}{path} {times}"
    if probe.tcp_socket is not None:
        return f"tcp-socket {probe.tcp_socket.host}:{probe.tcp_socket.port} {times}"
    if probe.grpc is not None:
        return f"grpc <pod>:{probe.grpc.port} {probe.grpc.service or ''} {times}"
    return f"unknown {times}"


def _environment(sheet: Sheet, container: Container, resolve: Resolve | None) -> None:
    if container.env_from:
        sheet.line(2, "Environment Variables from:")
        for source in container.env_from:
            prefix = f" with prefix '{source.prefix}'" if source.prefix else ""
            ref = source.config_map_ref or source.secret_ref
            if ref is not None:
                kind = "ConfigMap" if source.config_map_ref is not None else "Secret"
                sheet.line(3, f"{ref.name}\t{kind}{prefix}\tOptional: {str(bool(ref.optional)).lower()}")
    sheet.line(2, "Environment:" if container.env else "Environment:\t<none>")
    for variable in container.env:
        for index, part in enumerate(_value(variable, resolve).split("\n")):
            sheet.line(3, f"\t{part}" if index else f"{variable.name}:\t{part}")


def _value(variable: EnvVar, resolve: Resolve | None) -> str:
    source = variable.value_from
    if source is None:
        return variable.value
    if source.field_ref is not None:
        path = source.field_ref.field_path
        known = resolve(path) if resolve is not None else ""
        return f"{known} ({source.field_ref.api_version}:{path})"
    if source.resource_field_ref is not None:
        return f" ({source.resource_field_ref.resource})"
    if source.secret_key_ref is not None:
        secret = source.secret_key_ref
        optional = str(bool(secret.optional)).lower()
        return f"<set to the key '{secret.key}' in secret '{secret.name}'>\tOptional: {optional}"
    if source.config_map_key_ref is not None:
        config = source.config_map_key_ref
        optional = str(bool(config.optional)).lower()
        return f"<set to the key '{config.key}' of config map '{config.name}'>\tOptional: {optional}"
    return ""


def _mounts(sheet: Sheet, container: Container) -> None:
    sheet.line(2, "Mounts:" if container.volume_mounts else "Mounts:\t<none>")
    for mount in sorted(container.volume_mounts, key=lambda m: m.mount_path):
        flags = "ro" if mount.read_only else "rw"
        if mount.sub_path:
            flags += f',path="{mount.sub_path}"'
        sheet.line(3, f"{mount.mount_path} from {mount.name} ({flags})")
