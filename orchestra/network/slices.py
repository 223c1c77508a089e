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
    create: list[EndpointSlice] = []
    update: list[EndpointSlice] = []
    delete: list[EndpointSlice] = []
    for ports, endpoints in wanted.items():
        held = present.pop(ports, [])
        _fit(service, ports, endpoints, held, create, update, delete)
    spare = [one for rest in present.values() for one in rest]
    if not wanted and spare:
        _empty(service, spare[0], update)  # an empty Service keeps one slice, so that readers know it is known
        spare = spare[1:]
    elif not wanted:
        create.append(new_slice(service, (), ()))
    delete.extend(spare)
    return _recycled(create, update, delete)


def _recycled(create: list[EndpointSlice], update: list[EndpointSlice], delete: list[EndpointSlice]) -> SliceChanges:
    """Fill slices that would go with what new ones would hold: one write instead of two, and readers see no gap."""
    count = min(len(create), len(delete))
    reused = [
        attrs.evolve(
            old,
            endpoints=new.endpoints,
            ports=new.ports,
            metadata=attrs.evolve(old.metadata, labels=new.metadata.labels),
        )
        for new, old in zip(create[:count], delete[:count], strict=True)
    ]
    return SliceChanges(create=tuple(create[count:]), update=(*update, *reused), delete=tuple(delete[count:]))


def _empty(service: Service, one: EndpointSlice, update: list[EndpointSlice]) -> None:
    labels = slice_labels(service)
    if one.endpoints or one.ports or dict(one.metadata.labels) != labels:
        meta = attrs.evolve(one.metadata, labels=labels)
        update.append(attrs.evolve(one, endpoints=(), ports=(), metadata=meta))


def _identity(endpoint: Endpoint) -> str:
    return endpoint.target_ref.uid if endpoint.target_ref is not None else endpoint.addresses[0]


def _fit(
    service: Service,
    ports: Ports,
    wanted: dict[str, Endpoint],
    held: list[EndpointSlice],
    create: list[EndpointSlice],
    update: list[EndpointSlice],
    delete: list[EndpointSlice],
) -> None:
    """Fill the slices of one set of ports: correct what they hold, then add what is missing where there is room."""
    labels = slice_labels(service)
    left = dict(wanted)
    contents: list[list[Endpoint]] = []
    for one in held:
        kept = [left.pop(key) for e in one.endpoints if (key := _identity(e)) in left]
        contents.append(kept)
    missing = list(left.values())
    for kept in sorted(contents, key=len, reverse=True):
        room = MAX_ENDPOINTS - len(kept)
        kept.extend(missing[:room])
        missing = missing[room:]
    for one, kept in zip(held, contents, strict=True):
        if not kept:
            delete.append(one)
        elif tuple(kept) != tuple(one.endpoints) or dict(one.metadata.labels) != labels:
            meta = attrs.evolve(one.metadata, labels=labels)
            update.append(attrs.evolve(one, endpoints=tuple(kept), metadata=meta))
    create.extend(
        new_slice(service, ports, missing[begin : begin + MAX_ENDPOINTS])
        for begin in range(0, len(missing), MAX_ENDPOINTS)
    )


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
