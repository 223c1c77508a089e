"""Keeps the status of ResourceQuotas. The driver of `quotas.py`.

Admission charges what is created; here that is counted anew, and what ends or goes is given back.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from orchestra.api.core import Pod, Service
from orchestra.api.core.persistentvolume import PersistentVolumeClaim
from orchestra.api.core.quota import ResourceQuota
from orchestra.api.object import Object
from orchestra.api.rules import is_terminal
from orchestra.controller.interface import Change, Context, Controller, Listers, Result
from orchestra.errors import NotFound
from orchestra.lifecycle import quotas
from orchestra.lifecycle.kinds import stored_kinds

WATCHED = (Pod, Service, PersistentVolumeClaim)
"""Kinds whose changes are seen at once; objects of other kinds are counted at the next look."""

RECOUNT_SECONDS = 1.0
"""How often a quota on objects of other kinds is counted anew."""


async def _reconcile(quota: ResourceQuota, ctx: Context) -> Result | None:
    namespace = quota.metadata.namespace
    objects: list[Object] = []
    polled = False
    scheme = ctx.client.scheme
    for info in quotas.counted_kinds(quota.spec.hard, stored_kinds(scheme)):
        kind = scheme.type_of(info)
        if kind in WATCHED or kind is ResourceQuota:
            objects += ctx.lister(kind).list(namespace)
        else:
            objects += (await ctx.client.list(kind, namespace=namespace)).items
            polled = True
    status = quotas.status_of(quota, objects)
    if status != quota.status:
        try:
            await ctx.client.update(attrs.evolve(quota, status=status), subresource="status")
        except NotFound:
            return None
    return ctx.requeue(after=RECOUNT_SECONDS) if polled else None


def _quotas_of(obj: Object, caches: Listers) -> Iterable[tuple[str, str]]:
    namespace = obj.metadata.namespace
    return tuple((namespace, quota.metadata.name) for quota in caches.lister(ResourceQuota).list(namespace))


def _pod_counts(change: Change[Pod]) -> bool:
    """A Pod counts for more or less when it comes, ends or goes, or asks for other resources."""
    old, new = change.old, change.new
    if old is None or new is None:
        return True
    return is_terminal(old) != is_terminal(new) or old.spec != new.spec


def _more_than_status(change: Change[Service]) -> bool:
    return change.old is None or change.new is None or change.old.spec != change.new.spec


def resourcequota_controller(*, workers: int = 2) -> Controller[ResourceQuota]:
    """Return the controller that says what is used of every ResourceQuota."""
    return Controller(
        name="resourcequota",
        for_=ResourceQuota,
        reconcile=_reconcile,
        watches=dict.fromkeys((*WATCHED, ResourceQuota), _quotas_of),
        predicates={Pod: _pod_counts, Service: _more_than_status, PersistentVolumeClaim: _more_than_status},
        workers=workers,
    )
