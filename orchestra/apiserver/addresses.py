"""Addresses and node ports of Services: one key of the store for each, made in the same txn as the Service.

Because a key can be made only once, no two Services ever own one address, whichever server allocates it. What is known
of the reservations is only a hint for choosing; a key that turns out to exist is avoided the next time.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from typing import Any, Final

import attrs

from orchestra._log import get_logger
from orchestra.api import builtin
from orchestra.apiserver import refusals
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core
from orchestra.apiserver.feed import Feed
from orchestra.apiserver.interface import Document
from orchestra.apiserver.keys import RANGES
from orchestra.errors import Cause, ConfigurationError, InternalError, Invalid
from orchestra.store import Compare, Delete, Put, Txn

DEFAULT_SERVICE_CIDR: Final = "10.96.0.0/16"
DEFAULT_NODE_PORTS: Final = (30000, 32767)
ADDRESSES: Final = RANGES + b"serviceips/"
PORTS: Final = RANGES + b"servicenodeports/"

RANDOM_TRIES: Final = 32
"""How often chance is asked for a free number before every number is tried in turn."""

_EXTERNAL = "ExternalName"
_HEADLESS = "None"

log = get_logger("apiserver")


@attrs.frozen
class _Band:
    """Numbers from `first` to `last`; those below `dynamic` are left to people who name theirs, until nothing else is
    free (Kubernetes' ServiceIPStaticSubrange)."""

    first: int
    last: int

    @property
    def dynamic(self) -> int:
        size = self.last - self.first + 1
        return self.first + min(max(16, size // 16), 256, size // 2)

    def candidates(self, chance: random.Random) -> Iterator[int]:
        for _ in range(RANDOM_TRIES):
            yield chance.randint(self.dynamic, self.last)
        yield from range(self.dynamic, self.last + 1)
        yield from range(self.first, self.dynamic)


class ServiceAddresses:
    """Allocates for Services; a `Companion`."""

    def __init__(self, feed: Feed, chance: random.Random, *, cidr: str, node_ports: tuple[int, int]) -> None:
        try:
            self._network = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise ConfigurationError(f"service_cidr: {error}") from error
        if self._network.num_addresses < 8:
            raise ConfigurationError(f"service_cidr: {cidr} is too small: it must hold at least 8 addresses")
        self._feed = feed
        self._chance = chance
        base = int(self._network.network_address)
        # The first address is the API server's own, as in Kubernetes; the last one of IPv4 is for broadcast.
        self._addresses = _Band(base + 2, base + self._network.num_addresses - 2)
        self._own = str(self._network.network_address + 1)
        self._ports = _Band(*node_ports)

    async def prepare(self) -> None:
        """See all reservations that have been made and given back until now."""
        await self._feed.catch_up()

    def plan(self, new: Document | None, old: Document | None, taken: frozenset[bytes]) -> Plan:
        """Return the Service with its addresses and ports, and which reservations to make and to give back."""
        held = set(_keys(old)) if old is not None else set()
        if new is None:
            return Plan({}, release=tuple(sorted(held)))
        meta = new["metadata"]
        owner = f"{meta['namespace']}/{meta['name']}".encode()
        document = self._with_ports(self._with_address(new, taken), held, taken)
        wanted = list(dict.fromkeys(_keys(document)))
        reserve = [key for key in wanted if key not in held]
        asked = set(_keys(new))
        for key in reserve:
            if key in asked and (key in taken or self._feed.is_reserved(key)):
                raise _refusal(document, [_taken_cause(new, key)])
        kept = set(wanted)
        return Plan(document, tuple((key, owner) for key in reserve), tuple(sorted(held - kept)))

    async def repair(self, core: Core) -> None:
        """Make the reservations equal to what the Services say, for a store that was written by other hands."""
        info = core.scheme.info("v1", "Service")
        owned: dict[bytes, bytes] = {}
        for record in core.feed.cache(info).records():
            for key in _keys(record.document):
                owned.setdefault(key, f"{record.namespace}/{record.name}".encode())
        known = dict(core.feed.reserved(ADDRESSES)) | dict(core.feed.reserved(PORTS))
        for key, owner in owned.items():
            if key not in known:
                log.warning("reservation was missing", key=key.decode(), owner=owner.decode())
                await core.store.txn(Txn((Compare(key, "mod_revision", "=", 0),), (Put(key, owner),)))
        for key in sorted(known.keys() - owned.keys()):
            log.warning("reservation had no Service", key=key.decode(), owner=known[key].decode())
            await core.store.txn(Txn((Compare(key, "value", "=", known[key]),), (Delete(key),)))

    def _with_address(self, document: Document, taken: frozenset[bytes]) -> Document:
        spec = document.get("spec") or {}
        if spec.get("type", "ClusterIP") == _EXTERNAL:
            return document
        given = spec.get("clusterIP") or ""
        if given == _HEADLESS:
            dual = not spec.get("selector")
            return _with_spec(document, **_families(spec, dual=dual), clusterIPs=spec.get("clusterIPs") or [_HEADLESS])
        address = given or self._free_address(document, taken)
        if given:
            self._check_address(document, given)
        return _with_spec(document, clusterIP=address, clusterIPs=[address], **_families(spec, dual=False))

    def _with_ports(self, document: Document, held: set[bytes], taken: frozenset[bytes]) -> Document:
        spec = document.get("spec") or {}
        kind = spec.get("type", "ClusterIP")
        if kind not in ("NodePort", "LoadBalancer"):
            return document
        automatic = kind == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        chosen: dict[int, int] = {}
        used: set[int] = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        ports, changed = [], False
        for index, port in enumerate(spec.get("ports") or ()):
            number = port.get("nodePort")
            if number:
                self._check_port(document, index, number, held)
            elif automatic:
                # One number serves the same port under several protocols.
                number = chosen.get(port["port"]) or self._free_port(document, used, taken)
                used.add(number)
                port, changed = {**port, "nodePort": number}, True
            if number:
                chosen.setdefault(port["port"], number)
            ports.append(port)
        if changed:
            document = _with_spec(document, ports=ports)
        local = kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        if local and not spec.get("healthCheckNodePort"):
            document = _with_spec(document, healthCheckNodePort=self._free_port(document, used, taken))
        return document

    def _check_address(self, document: Document, address: str) -> None:
        try:
            number = int(ipaddress.ip_address(address))
        except ValueError:
            return  # Validation has said so already.
        why = ""
        if address == self._own:
            why = "provided IP is already allocated"
        elif not self._addresses.first <= number <= self._addresses.last:
            why = "the provided network does not match the current range"
        if why:
            raise _refusal(document, [_address_cause(address, why)])

    def _check_port(self, document: Document, index: int, number: int, held: set[bytes]) -> None:
        low, high = self._ports.first, self._ports.last
        if not low <= number <= high and _port_key(number) not in held:
            why = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
            raise _refusal(document, [refusals.field_invalid(f"spec.ports[{index}].nodePort", number, why)])

    def _free_address(self, document: Document, taken: frozenset[bytes]) -> str:
        for number in self._addresses.candidates(self._chance):
            address = str(type(self._network.network_address)(number))
            key = _address_key(address)
            if key not in taken and not self._feed.is_reserved(key):
                return address
        name = document["metadata"]["name"]
        raise InternalError(f'failed to allocate a serviceIP: range is full (Service "{name}", {self._network})')

    def _free_port(self, document: Document, used: set[int], taken: frozenset[bytes]) -> int:
        for number in self._ports.candidates(self._chance):
            key = _port_key(number)
            if number not in used and key not in taken and not self._feed.is_reserved(key):
                return number
        name = document["metadata"]["name"]
        raise InternalError(f'failed to allocate a nodePort: range is full (Service "{name}")')


def _families(spec: Document, *, dual: bool) -> Document:
    return {
        "ipFamilies": spec.get("ipFamilies") or (["IPv4", "IPv6"] if dual else ["IPv4"]),
        "ipFamilyPolicy": spec.get("ipFamilyPolicy") or ("RequireDualStack" if dual else "SingleStack"),
    }


def _with_spec(document: Document, **changes: Any) -> Document:
    spec = document.get("spec") or {}
    if all(spec.get(key) == value for key, value in changes.items()):
        return document
    return {**document, "spec": {**spec, **changes}}


def _keys(document: Document) -> Iterator[bytes]:
    spec = document.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    if kind == _EXTERNAL:
        return
    for address in spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []):
        if address and address != _HEADLESS:
            yield _address_key(address)
    if kind in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                yield _port_key(port["nodePort"])
        if spec.get("healthCheckNodePort"):
            yield _port_key(spec["healthCheckNodePort"])


def _address_key(address: str) -> bytes:
    return ADDRESSES + address.encode()


def _port_key(number: int) -> bytes:
    return PORTS + str(number).encode()


def _address_cause(address: str, why: str) -> Cause:
    return refusals.field_invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}")


def _taken_cause(document: Document, key: bytes) -> Cause:
    value = key.rpartition(b"/")[2].decode()
    if key.startswith(ADDRESSES):
        return _address_cause(value, "provided IP is already allocated")
    for index, port in enumerate(document["spec"].get("ports") or ()):
        if str(port.get("nodePort")) == value:
            field = f"spec.ports[{index}].nodePort"
            return refusals.field_invalid(field, int(value), "provided port is already allocated")
    return refusals.field_invalid("spec.healthCheckNodePort", int(value), "provided port is already allocated")


def _refusal(document: Document, causes: list[Cause]) -> Invalid:
    return refusals.invalid(builtin.SERVICE, document["metadata"]["name"], causes)
