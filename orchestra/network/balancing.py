"""Which endpoint a connection goes to. Pure.

Source: Kubernetes documentation, "Virtual IPs and Service Proxies" (ready endpoints first, those that are terminating
but serve when there are no others; session affinity by client address).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import attrs

from orchestra.api.core import Service
from orchestra.api.discovery import EndpointSlice

AFFINITY_SECONDS = 10800.0
"""How long a client that is silent keeps its endpoint when the Service does not say."""
MAX_AFFINITIES = 10_000
"""How many clients of sticky Services are remembered; the longest silent one is forgotten."""


class Chance(Protocol):
    """Chance, as `clock.random` gives it."""

    def randrange(self, stop: int, /) -> int:
        """Return a number from 0 on, below `stop`."""
        ...


@attrs.frozen
class Place:
    """An address and port to listen on."""

    host: str
    port: int


@attrs.frozen
class Frontend:
    """A port of a Service; `sticky_seconds` is 0 when any endpoint will do for any client."""

    namespace: str
    service: str
    port_name: str
    sticky_seconds: float = 0.0


@attrs.frozen
class Backend:
    """One endpoint."""

    host: str
    port: int


def frontends(service: Service) -> dict[Place, Frontend]:
    """Return where a Service listens; only TCP is carried."""
    spec, meta = service.spec, service.metadata
    result: dict[Place, Frontend] = {}
    if spec.type == "ExternalName" or not spec.cluster_ip or spec.cluster_ip == "None":
        return result
    sticky = _sticky_seconds(service)
    for port in spec.ports:
        if (port.protocol or "TCP") != "TCP":
            continue
        frontend = Frontend(meta.namespace, meta.name, port.name, sticky)
        for host in (spec.cluster_ip, *spec.external_ips):
            result[Place(host, port.port)] = frontend
        if port.node_port:
            result[Place("127.0.0.1", port.node_port)] = frontend
    return result


def _sticky_seconds(service: Service) -> float:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0.0
    config = spec.session_affinity_config
    given = config.client_ip.timeout_seconds if config is not None and config.client_ip is not None else None
    return float(given) if given else AFFINITY_SECONDS


def backends(slices: Sequence[EndpointSlice], port_name: str) -> tuple[Backend, ...]:
    """Return the endpoints to use: the ready ones, or else those that still serve while they are ending."""
    ready: list[Backend] = []
    ending: list[Backend] = []
    for one in slices:
        number = next((p.port for p in one.ports if (p.name or "") == port_name), None)
        if number is None:
            continue
        for endpoint in one.endpoints:
            found = [Backend(address, number) for address in endpoint.addresses]
            if endpoint.conditions.ready is not False:
                ready += found
            elif endpoint.conditions.serving and endpoint.conditions.terminating:
                ending += found
    return tuple(ready or ending)


class Balancer:
    """Chooses in turn, beginning anywhere; a client of a sticky Service stays with its endpoint while that is there."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._turns: dict[Frontend, int] = {}
        self._affinities: OrderedDict[tuple[Frontend, str], tuple[Backend, float]] = OrderedDict()

    def order(self, frontend: Frontend, choices: Sequence[Backend], client: str, now: float) -> list[Backend]:
        """Return the endpoints in the order in which to try them; `now` is the time in seconds."""
        if not choices:
            return []
        start = self._turns.get(frontend)
        if start is None:
            start = self._chance.randrange(len(choices))
        self._turns[frontend] = (start + 1) % len(choices)
        start %= len(choices)
        ordered = [*choices[start:], *choices[:start]]
        kept = self._affinities.get((frontend, client)) if frontend.sticky_seconds else None
        if kept is not None and now - kept[1] < frontend.sticky_seconds and kept[0] in ordered:
            ordered.remove(kept[0])
            ordered.insert(0, kept[0])
        return ordered

    def connected(self, frontend: Frontend, backend: Backend, client: str, now: float) -> None:
        """Remember where a client of a sticky Service went."""
        if not frontend.sticky_seconds:
            return
        self._affinities[frontend, client] = (backend, now)
        self._affinities.move_to_end((frontend, client))
        if len(self._affinities) > MAX_AFFINITIES:
            self._affinities.popitem(last=False)

    def forget(self, frontend: Frontend) -> None:
        """Forget whose turn it is at a Service port that is gone."""
        self._turns.pop(frontend, None)
