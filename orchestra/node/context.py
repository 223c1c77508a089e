"""What the worker of a Pod is given: the node's parts, and reads of what a Pod refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from orchestra._log import Logger
from orchestra.api.core import ConfigMap, Pod, Secret, Service
from orchestra.api.object import Object
from orchestra.api.quantity import Quantity
from orchestra.client.interface import Client
from orchestra.clock import Clock
from orchestra.controller.interface import Events, Lister
from orchestra.cri import Runtime
from orchestra.errors import NotFound
from orchestra.node.environment import Place, Sources
from orchestra.node.model import Refusal
from orchestra.node.probes import Prober
from orchestra.node.volumes import Volumes

if TYPE_CHECKING:
    from orchestra.api.core import Container


@attrs.frozen(kw_only=True)
class NodeContext:
    """The parts of one node that its Pod workers share."""

    name: str
    host_ip: str
    client: Client
    clock: Clock
    runtime: Runtime
    runtime_name: str
    prober: Prober
    events: Events
    volumes: Volumes
    log_root: str
    services: Lister[Service]
    allocatable: Mapping[str, Quantity]
    log: Logger
    admit: Callable[[Pod], Refusal | None]
    """Says why the node does not take a Pod on; a Pod that it takes on counts as present from then on."""

    def place(self, ip: str) -> Place:
        """Return where a Pod with address `ip` runs."""
        return Place(pod_ip=ip, host_ip=self.host_ip, node_name=self.name)

    async def sources(self, pod: Pod) -> Sources:
        """Read the ConfigMaps, Secrets and Services that a Pod refers to, as they are now."""
        config_maps, secrets = references(pod)
        namespace = pod.metadata.namespace
        found_maps = {name: await self._find(ConfigMap, name, namespace) for name in config_maps}
        found_secrets = {name: await self._find(Secret, name, namespace) for name in secrets}
        return Sources(
            config_maps={name: item for name, item in found_maps.items() if isinstance(item, ConfigMap)},
            secrets={name: item for name, item in found_secrets.items() if isinstance(item, Secret)},
            services=self.services.list(namespace) if pod.spec.enable_service_links is not False else (),
            allocatable=self.allocatable,
        )

    async def _find(self, kind: type[Object], name: str, namespace: str) -> Object | None:
        try:
            return await self.client.get(kind, name, namespace=namespace)
        except NotFound:
            return None


def references(pod: Pod) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the ConfigMaps and of the Secrets that a Pod refers to, each once."""
    config_maps: list[str | None] = []
    secrets: list[str | None] = []
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        _of_container(container, config_maps, secrets)
    for volume in pod.spec.volumes:
        if volume.config_map is not None:
            config_maps.append(volume.config_map.name)
        if volume.secret is not None:
            secrets.append(volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map is not None:
                config_maps.append(source.config_map.name)
            if source.secret is not None:
                secrets.append(source.secret.name)
    return tuple(dict.fromkeys(n for n in config_maps if n)), tuple(dict.fromkeys(n for n in secrets if n))


def _of_container(container: Container, config_maps: list[str | None], secrets: list[str | None]) -> None:
    for source in container.env_from:
        if source.config_map_ref is not None:
            config_maps.append(source.config_map_ref.name)
        if source.secret_ref is not None:
            secrets.append(source.secret_ref.name)
    for variable in container.env:
        value = variable.value_from
        if value is not None and value.config_map_key_ref is not None:
            config_maps.append(value.config_map_key_ref.name)
        if value is not None and value.secret_key_ref is not None:
            secrets.append(value.secret_key_ref.name)
