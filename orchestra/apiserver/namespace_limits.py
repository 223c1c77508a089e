"""What a namespace lets its objects use: the driver of LimitRanges, ResourceQuotas and default storage classes.

Source: the admission plugins LimitRanger, ResourceQuota, DefaultStorageClass and PersistentVolumeClaimResize. A quota
is charged by compare-and-swap of its status before the object is stored, so that objects that are made at one moment,
on several servers too, never exceed it together. When the object is not stored after all, the quota stays charged until
it is counted again, as it does in Kubernetes.
"""

from __future__ import annotations

from typing import Any, Final

import anyio

from orchestra.api.codec import decode
from orchestra.api.object import ResourceInfo
from orchestra.api.quantity import Quantity
from orchestra.apiserver import limit_ranger, quota_usage, refusals
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core
from orchestra.apiserver.interface import Document
from orchestra.apiserver.priorities import Priorities
from orchestra.apiserver.record import Record, decode_sharing
from orchestra.apiserver.writes import Call, Target, Writes
from orchestra.errors import InternalError

CHARGE_ATTEMPTS: Final = 64
"""How often a quota is charged anew because somebody else did at the same moment."""

_SETTLING: Final = frozenset({"ResourceQuota", "LimitRange", "StorageClass.storage.k8s.io"})
_DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_CANNOT_GROW: Final = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class StandardAdmission:
    """What every server admits and refuses by itself, whatever else it was composed with."""

    def __init__(self, core: Core, writes: Writes) -> None:
        self._core = core
        self._writes = writes
        self._priorities = Priorities(core)
        info = core.scheme.info
        self._quotas = info("v1", "ResourceQuota")
        self._ranges = info("v1", "LimitRange")
        self._classes = info("storage.k8s.io/v1", "StorageClass")
        self._charging: dict[str, anyio.Lock] = {}
        """Who charges the quotas of a namespace; one at a time, for the others would only fail."""

    async def admit(self, target: Target, document: Document, old: Document | None) -> Document:
        """Return an object with what its cluster and its namespace give it; raises Forbidden."""
        document = await self._priorities.admit(target, document, old)
        kind = target.info.group_kind
        if old is not None or target.subresource:
            return document
        if kind == "Pod":
            return limit_ranger.with_defaults(document, self._of(self._ranges, target.namespace))
        return self._with_class(document) if kind == "PersistentVolumeClaim" else document

    async def check(self, target: Target, document: Document, old: Document | None, call: Call) -> None:
        """Refuse a valid object that is out of its namespace's bounds, and charge quotas for one that is not."""
        kind, info = target.info.group_kind, target.info
        if kind == "Pod" and (target.subresource == "resize" if old is not None else target.subresource == ""):
            for each in self._of(self._ranges, target.namespace):
                self._refuse(target, limit_ranger.pod_faults(document, self._typed(info, document), each))
        elif kind == "PersistentVolumeClaim" and target.subresource == "":
            for each in self._of(self._ranges, target.namespace):
                self._refuse(target, limit_ranger.claim_faults(document, each))
            if old is not None:
                self._check_growth(target, document, old)
        if self._of(self._quotas, target.namespace) and quota_usage.is_charged(
            info, creates=old is None, subresource=target.subresource
        ):
            await self._charge(target, document, old, call)

    async def settle(self, info: ResourceInfo) -> None:
        """After a write of what governs others, wait until it governs them."""
        await self._priorities.settle(info)
        if info.group_kind in _SETTLING:
            await self._core.feed.catch_up()

    def _of(self, info: ResourceInfo, namespace: str) -> list[Document]:
        if not namespace:
            return []
        records = self._core.feed.cache(info).records(namespace)
        return [record.document for record in sorted(records, key=lambda record: record.name)]

    def _typed(self, info: ResourceInfo, document: Document) -> Any:
        return decode(document, self._core.scheme.type_of(info))

    def _refuse(self, target: Target, faults: list[str]) -> None:
        if faults:
            why = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
            raise refusals.forbidden(target.info, target.name, why)

    def _with_class(self, claim: Document) -> Document:
        """Return a claim of the newest default class, if it names none."""
        spec = claim.get("spec") or {}
        annotations = (claim.get("metadata") or {}).get("annotations") or {}
        if spec.get("storageClassName") is not None or _OLD_CLASS in annotations:
            return claim
        found = [each.document["metadata"] for each in self._core.feed.cache(self._classes).records()]
        found = [m for m in found if any((m.get("annotations") or {}).get(name) == "true" for name in _DEFAULT_CLASS)]
        if not found:
            return claim
        newest = max(each.get("creationTimestamp") or "" for each in found)
        name = min(each["name"] for each in found if (each.get("creationTimestamp") or "") == newest)
        return {**claim, "spec": {**spec, "storageClassName": name}}

    def _check_growth(self, target: Target, document: Document, old: Document) -> None:
        if _asked(document) <= _asked(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refusals.forbidden(target.info, target.name, "Only bound persistent volume claims can be expanded")
        name = (document.get("spec") or {}).get("storageClassName") or ""
        of_claim = self._core.feed.cache(self._classes).get("", name)
        if of_claim is None or not of_claim.document.get("allowVolumeExpansion"):
            raise refusals.forbidden(target.info, target.name, _CANNOT_GROW)

    async def _charge(self, target: Target, document: Document, old: Document | None, call: Call) -> None:
        lock = self._charging.setdefault(target.namespace, anyio.Lock())
        try:
            async with lock:
                for record in self._core.feed.cache(self._quotas).records(target.namespace):
                    await self._charge_one(record.name, target, document, old, call)
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._charging.pop(target.namespace, None)

    async def _charge_one(
        self, name: str, target: Target, document: Document, old: Document | None, call: Call
    ) -> None:
        at = Target(self._quotas, target.namespace, name, "status")
        for _ in range(CHARGE_ATTEMPTS):
            record = await self._core.feed.current(self._quotas, target.namespace, name)
            if record is None:
                return
            charged = self._charged(record.document, target, document, old)
            if charged is None or call.options.dry_run or await self._stored(at, record, charged, call):
                return
        raise InternalError(f'the quota "{name}" is being fought over')

    def _charged(self, quota: Document, target: Target, document: Document, old: Document | None) -> Document | None:
        info = target.info
        used = quota_usage.usage(info, document, lambda pod: self._typed(info, pod))
        names = quota_usage.counted_by(quota, info, document, used)
        if not names:
            return None
        told = quota_usage.missing(document, names) if info.group_kind == "Pod" else ""
        if told:
            raise refusals.forbidden(info, target.name, f"failed quota: {quota['metadata']['name']}: {told}")
        if old is not None:
            before = quota_usage.usage(info, old, lambda pod: self._typed(info, pod))
            if quota_usage.counted_by(quota, info, old, before):
                used = quota_usage.growth(used, before)
        try:
            return quota_usage.charge(quota, names, used)
        except quota_usage.ExceededError as error:
            raise refusals.forbidden(info, target.name, str(error)) from error

    async def _stored(self, at: Target, record: Record, charged: Document, call: Call) -> bool:
        obj = decode_sharing(charged, record.cls, (record.document, record.object))
        return await self._writes.replace(at, record, Plan(charged), obj, call) is not None


def _asked(claim: Document) -> Quantity:
    return Quantity((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage") or "0")
