"""The endpoints controller: keeps the EndpointSlices of every Service that selects Pods."""

from __future__ import annotations

from collections.abc import Iterable

from orchestra.api.core import Node, Pod, Service
from orchestra.api.discovery import EndpointSlice
from orchestra.controller.interface import Change, Context, Controller, Index, Listers, Result
from orchestra.errors import AlreadyExists, NotFound
from orchestra.network import slices

BY_SERVICE: Index[EndpointSlice] = Index(
    "service",
    EndpointSlice,
    lambda one: (f"{one.metadata.namespace}/{one.metadata.labels.get(slices.SERVICE_NAME, '')}",),
)
"""Slices by the Service that they belong to."""

SELECTING: Index[Service] = Index(
    "selecting",
    Service,
    lambda service: (service.metadata.namespace,) if service.spec.selector else (),
)
"""Services that select Pods, by namespace."""


def endpoints_controller(*, workers: int = 4) -> Controller[Service]:
    """Return the controller that keeps EndpointSlices."""
    return Controller(
        name="endpointslice",
        for_=Service,
        reconcile=reconcile,
        owns=(EndpointSlice,),
        watches={Pod: _services_of},
        reads=(Node,),
        predicates={Pod: _matters},
        indexes=(BY_SERVICE, SELECTING),
        workers=workers,
        component="endpoint-slice-controller",
    )


def _services_of(pod: Pod, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the Services that select a Pod."""
    labels = pod.metadata.labels
    return tuple(
        (service.metadata.namespace, service.metadata.name)
        for service in caches.lister(Service).by_index(SELECTING, pod.metadata.namespace)
        if service.spec.selector.items() <= labels.items()
    )


def _matters(change: Change[Pod]) -> bool:
    """Say whether a change of a Pod can change what stands behind a Service."""
    old, new = change.old, change.new
    if old is None or new is None:
        return True
    return (
        old.status.pod_ip != new.status.pod_ip
        or old.status.conditions != new.status.conditions
        or old.status.phase != new.status.phase
        or old.metadata.labels != new.metadata.labels
        or old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
    )


async def reconcile(service: Service, ctx: Context) -> Result | None:
    """Make the slices of a Service list its Pods; one without a selector is left to whoever writes its slices."""
    meta, selector = service.metadata, service.spec.selector
    if not selector or service.spec.type == "ExternalName" or meta.deletion_timestamp is not None:
        return None
    pods = [pod for pod in ctx.lister(Pod).list(meta.namespace) if selector.items() <= pod.metadata.labels.items()]
    nodes = {node.metadata.name: node for node in ctx.lister(Node).list()}
    present = [
        one
        for one in ctx.lister(EndpointSlice).by_index(BY_SERVICE, f"{meta.namespace}/{meta.name}")
        if one.metadata.labels.get(slices.MANAGED_BY) == slices.CONTROLLER and one.metadata.deletion_timestamp is None
    ]
    wanted = slices.changes(service, pods, nodes, present)
    for one in wanted.create:
        try:
            await ctx.client.create(one)
        except AlreadyExists:
            return ctx.requeue(after=0)
    for one in wanted.update:
        await ctx.client.update(one)
    for one in wanted.delete:
        try:
            await ctx.client.delete(EndpointSlice, one.metadata.name, namespace=meta.namespace)
        except NotFound:
            continue
    return None
