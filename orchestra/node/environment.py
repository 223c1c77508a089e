"""The environment, command and arguments of a container.

Pure: ConfigMaps, Secrets and Services come in as they are now. The rules are those of the Kubernetes documentation
("Define Environment Variables for a Container", "Define Dependent Environment Variables") and of its API reference
for EnvVar: `$(NAME)` is replaced by an earlier variable, an unknown one stays as it is, `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from orchestra.api.core import ConfigMap, Pod, Secret, Service
from orchestra.errors import OrchestraError
from orchestra.node.downward import field_value, resource_value

if TYPE_CHECKING:
    from orchestra.api.core import Container, EnvVar

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


class ContainerConfigError(OrchestraError):
    """Something that a container's configuration refers to is not there: `CreateContainerConfigError`."""


@attrs.frozen(kw_only=True)
class Sources:
    """What a Pod's environment and volumes refer to, by name; a missing object has no entry.

    `allocatable` is the node's, for limits that a container leaves open.
    """

    config_maps: Mapping[str, ConfigMap] = attrs.field(factory=dict)
    secrets: Mapping[str, Secret] = attrs.field(factory=dict)
    services: tuple[Service, ...] = ()
    allocatable: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Place:
    """Where a Pod runs: its own address and the node's."""

    pod_ip: str
    host_ip: str
    node_name: str


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` of a known variable in `text`, and `$$` by `$`."""

    def replacement(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        name: str = match.group(1)
        return variables.get(name, match.group())

    return _REFERENCE.sub(replacement, text)


def environment(pod: Pod, container: Container, sources: Sources, place: Place) -> dict[str, str]:
    """Return the variables of a container in order: services, `envFrom`, `env`; later ones win.

    Raises ContainerConfigError when a ConfigMap, Secret or key that is not optional is missing.
    """
    result: dict[str, str] = {}
    for source in container.env_from:
        for key, value in _from_source(source, sources):
            result[(source.prefix or "") + key] = value
    services = service_variables(pod, sources.services)
    for variable in container.env:
        resolved = _value(pod, container, variable, sources, place, {**services, **result})
        if resolved is not None:
            result[variable.name] = resolved
    return {**{k: v for k, v in services.items() if k not in result}, **result}


def command_line(container: Container, variables: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the expanded command and arguments of a container."""
    return [expand(part, variables) for part in container.command], [expand(part, variables) for part in container.args]


def service_variables(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """Return the variables that tell a container of the Services of its namespace.

    Names follow the Kubernetes documentation ("Service", discovering services by environment variables).
    """
    if pod.spec.enable_service_links is False:
        return {}
    result: dict[str, str] = {}
    for service in services:
        address = service.spec.cluster_ip if service.spec else None
        if not address or address == "None" or service.metadata.namespace != pod.metadata.namespace:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        ports = service.spec.ports if service.spec else ()
        result[f"{prefix}_SERVICE_HOST"] = address
        for index, port in enumerate(ports):
            if index == 0:
                result[f"{prefix}_SERVICE_PORT"] = str(port.port)
            if port.name:
                result[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        for index, port in enumerate(ports):
            protocol = (port.protocol or "TCP").lower()
            url = f"{protocol}://{address}:{port.port}"
            base = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
            if index == 0:
                result[f"{prefix}_PORT"] = url
            result |= {base: url, f"{base}_PROTO": protocol, f"{base}_PORT": str(port.port), f"{base}_ADDR": address}
    return result


def _from_source(source: object, sources: Sources) -> Iterable[tuple[str, str]]:
    config_map = getattr(source, "config_map_ref", None)
    secret = getattr(source, "secret_ref", None)
    if config_map is not None:
        found = sources.config_maps.get(config_map.name or "")
        if found is not None:
            return tuple(found.data.items())
        if not config_map.optional:
            raise ContainerConfigError(f'configmap "{config_map.name}" not found')
    if secret is not None:
        kept = sources.secrets.get(secret.name or "")
        if kept is not None:
            return tuple((key, secret_text(kept, key)) for key in kept.data)
        if not secret.optional:
            raise ContainerConfigError(f'secret "{secret.name}" not found')
    return ()


def secret_text(secret: Secret, key: str) -> str:
    """Return one value of a Secret as an environment holds it."""
    return secret.data[key].decode("utf-8", "surrogateescape")


def _value(
    pod: Pod, container: Container, variable: EnvVar, sources: Sources, place: Place, known: Mapping[str, str]
) -> str | None:
    """Return the value of one variable; None when an optional source has none."""
    source = variable.value_from
    if source is None:
        return expand(variable.value or "", known)
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, place.pod_ip, place.host_ip)
    if source.resource_field_ref is not None:
        return resource_value(pod, container, source.resource_field_ref, sources.allocatable)
    if source.config_map_key_ref is not None:
        reference = source.config_map_key_ref
        found = sources.config_maps.get(reference.name or "")
        if found is not None and reference.key in found.data:
            return found.data[reference.key]
        _check_optional("configmap", "ConfigMap", reference, pod, found is not None)
        return None
    if source.secret_key_ref is not None:
        secret_reference = source.secret_key_ref
        kept = sources.secrets.get(secret_reference.name or "")
        if kept is not None and secret_reference.key in kept.data:
            return secret_text(kept, secret_reference.key)
        _check_optional("secret", "Secret", secret_reference, pod, kept is not None)
        return None
    return ""


def _check_optional(word: str, kind: str, reference: object, pod: Pod, exists: bool) -> None:
    name, key = getattr(reference, "name", ""), getattr(reference, "key", "")
    if getattr(reference, "optional", None):
        return
    if exists:
        raise ContainerConfigError(f"couldn't find key {key} in {kind} {pod.metadata.namespace}/{name}")
    raise ContainerConfigError(f'{word} "{name}" not found')
