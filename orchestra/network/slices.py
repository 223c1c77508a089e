"""Which addresses stand behind a Service: EndpointSlices from Pods. Pure.

Source: Kubernetes documentation, "EndpointSlices" (conditions, at most 100 endpoints in a slice, one set of slices
for each set of port numbers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from orchestra.api.core import Node, ObjectReference, Pod, Service, ServicePort
from orchestra.api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from orchestra.api.object import ObjectMeta
from orchestra.api.rules import is_ready, is_terminal, owner_reference

MAX_ENDPOINTS = 100
"""How many endpoints one slice holds at the most."""

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"

Ports = tuple[EndpointPort, ...]


@attrs.frozen(kw_only=True)
class SliceChanges:
    """What to write so that the slices of a Service are right."""

    create: tuple[EndpointSlice, ...] = ()
    update: tuple[EndpointSlice, ...] = ()
    delete: tuple[EndpointSlice, ...] = ()


def endpoint_of(pod: Pod, service: Service, nodes: Mapping[str, Node]) -> Endpoint | None:
    """Return how a Pod stands behind a Service; None when it has no address or has come to its end."""
    if not pod.status.pod_ip or is_terminal(pod):
        return None
    terminating = pod.metadata.deletion_timestamp is not None
    serving = is_ready(pod)
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    node = nodes.get(pod.spec.node_name)
    meta = pod.metadata
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return Endpoint(
        addresses=(pod.status.pod_ip,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=pod.spec.hostname if named else None,
        target_ref=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        node_name=pod.spec.node_name or None,
        zone=node.metadata.labels.get(ZONE) if node is not None else None,
    )


def ports_of(pod: Pod, service: Service) -> Ports:
    """Return the ports of a Service as they are on this Pod; a name that the Pod does not have is left out."""
    result = []
    for port in service.spec.ports:
        number = _number(pod, port)
        if number is not None:
            result.append(
                EndpointPort(
                    name=port.name, protocol=port.protocol or "TCP", port=number, app_protocol=port.app_protocol
                )
            )
    return tuple(result)


def _number(pod: Pod, port: ServicePort) -> int | None:
    target = port.target_port
    if target is None or target == 0 or target == "":
        return port.port
    if isinstance(target, int):
        return target
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        for declared in container.ports:
            if declared.name == target and (declared.protocol or "TCP") == (port.protocol or "TCP"):
                return declared.container_port
    return None


def changes(
    service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node], existing: Sequence[EndpointSlice]
) -> SliceChanges:
    """Return what makes the slices of a Service right: as few writes as possible, full slices left alone."""
    wanted: dict[Ports, dict[str, Endpoint]] = {}
    for pod in pods:
        endpoint = endpoint_of(pod, service, nodes)
        if endpoint is not None:
            wanted.setdefault(ports_of(pod, service), {})[_identity(endpoint)] = endpoint
    present: dict[Ports, list[EndpointSlice]] = {}
    for one in existing:
        present.setdefault(tuple(one.ports), []).append(one)
    writes = _Writes(service)
    for ports, endpoints in wanted.items():
        writes.fit(ports, endpoints, present.pop(ports, []))
    spare = [one for rest in present.values() for one in rest]
    if not wanted and spare:
        writes.empty(spare[0])  # an empty Service keeps one slice, so that readers know it is known
        spare = spare[1:]
    elif not wanted:
        writes.create.append(new_slice(service, (), ()))
    writes.delete += spare
    return writes.result()


def _identity(endpoint: Endpoint) -> str:
    return endpoint.target_ref.uid if endpoint.target_ref is not None else endpoint.addresses[0]


class _Writes:
    """Collects what has to be written for one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._labels = slice_labels(service)
        self.create: list[EndpointSlice] = []
        self.update: list[EndpointSlice] = []
        self.delete: list[EndpointSlice] = []

    def empty(self, one: EndpointSlice) -> None:
        """Leave a slice without endpoints and ports."""
        self._set(one, (), ())

    def fit(self, ports: Ports, wanted: Mapping[str, Endpoint], held: Sequence[EndpointSlice]) -> None:
        """Fill the slices of one set of ports: correct what they hold, then add what is missing where there is room."""
        left = dict(wanted)
        contents = [[left.pop(key) for e in one.endpoints if (key := _identity(e)) in left] for one in held]
        missing = list(left.values())
        for kept in sorted(contents, key=len, reverse=True):
            room = MAX_ENDPOINTS - len(kept)
            kept.extend(missing[:room])
            missing = missing[room:]
        for one, kept in zip(held, contents, strict=True):
            if kept:
                self._set(one, tuple(kept), one.ports)
            else:
                self.delete.append(one)
        self.create.extend(
            new_slice(self._service, ports, missing[begin : begin + MAX_ENDPOINTS])
            for begin in range(0, len(missing), MAX_ENDPOINTS)
        )

    def result(self) -> SliceChanges:
        """Return the writes; slices that would go are filled with what new ones would hold.

        That is one write instead of two, and readers see no gap.
        """
        count = min(len(self.create), len(self.delete))
        for new, old in zip(self.create[:count], self.delete[:count], strict=True):
            self._set(old, new.endpoints, new.ports)
        return SliceChanges(
            create=tuple(self.create[count:]), update=tuple(self.update), delete=tuple(self.delete[count:])
        )

    def _set(self, one: EndpointSlice, endpoints: tuple[Endpoint, ...], ports: Ports) -> None:
        same = tuple(one.endpoints) == endpoints and tuple(one.ports) == tuple(ports)
        if same and dict(one.metadata.labels) == self._labels:
            return
        meta = attrs.evolve(one.metadata, labels=self._labels)
        self.update.append(attrs.evolve(one, endpoints=endpoints, ports=ports, metadata=meta))


def new_slice(service: Service, ports: Ports, endpoints: Iterable[Endpoint]) -> EndpointSlice:
    """Return a slice to create; the server chooses the end of its name."""
    return EndpointSlice(
        metadata=ObjectMeta(
            generate_name=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=slice_labels(service),
            owner_references=(owner_reference(service),),
        ),
        address_type="IPv4",
        endpoints=tuple(endpoints),
        ports=ports,
    )


def slice_labels(service: Service) -> dict[str, str]:
    """Return the labels of a Service's slices: the Service's own, its name, and who manages them."""
    own = {key: value for key, value in service.metadata.labels.items() if key not in {SERVICE_NAME, MANAGED_BY}}
    headless = {HEADLESS: ""} if service.spec.cluster_ip == "None" else {}
    return {**own, SERVICE_NAME: service.metadata.name, MANAGED_BY: CONTROLLER, **headless}
