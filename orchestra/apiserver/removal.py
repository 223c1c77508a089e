"""Deleting: the driver around `deletion.decide`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.apiserver import refusals
from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core
from orchestra.apiserver.defaults.admission import SYSTEM_PRIORITIES
from orchestra.apiserver.deletion import Decision, check, decide
from orchestra.apiserver.interface import Admission, AdmissionRequest, Document, User
from orchestra.apiserver.metadata import deleting, with_meta
from orchestra.apiserver.option_rules import check_delete_options
from orchestra.apiserver.record import Record
from orchestra.apiserver.registry import WRITE_ATTEMPTS, Registry
from orchestra.apiserver.writes import Call, Target, Writes
from orchestra.client.interface import DeleteOptions, WriteOptions

IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that cannot be deleted (admission plugin NamespaceLifecycle)."""


@attrs.frozen
class Removed:
    """What a deletion left: the object, the revision of the write, and whether the object is gone."""

    record: Record
    revision: int
    gone: bool
    before: Record
    """The object as it was: what an answer to the deletion of many shows."""


class Remover:
    """Deletes objects of any kind, or begins to."""

    def __init__(self, core: Core, registry: Registry, writes: Writes, *, admission: Sequence[Admission]) -> None:
        self._core = core
        self._registry = registry
        self._writes = writes
        self._admission = tuple(admission)

    async def delete(self, target: Target, options: DeleteOptions, user: User) -> Removed:
        """Delete an object, or mark it as deleted while finalizers or a grace period keep it."""
        check_delete_options(options)
        info = target.info
        if info.group_kind == "Namespace" and target.name in IMMORTAL:
            raise refusals.forbidden(info, target.name, "this namespace may not be deleted")
        if info.group_kind == "PriorityClass.scheduling.k8s.io" and target.name in SYSTEM_PRIORITIES:
            raise refusals.forbidden(info, target.name, "this is a system priority class and cannot be deleted")
        strategy = self._core.strategy(info)
        for _ in range(WRITE_ATTEMPTS):
            old = await self._registry.read(target)
            check(strategy, old.document, old.revision, options.preconditions)
            await self._admitted(info, old, options, user)
            decision = decide(strategy, old.document, options, self._core.clock.now())
            if options.dry_run:
                return Removed(self._shown(old, decision.document, old.revision), old.revision, decision.gone, old)
            if decision.document is old.document and not decision.gone:
                return Removed(old, old.revision, gone=False, before=old)
            call = Call(user=user, options=WriteOptions(fence=options.fence))
            done = await self._write(target, old, decision, call)
            if done is not None:
                return done
        raise refusals.conflict(info, target.name)

    async def _write(self, target: Target, old: Record, decision: Decision, call: Call) -> Removed | None:
        info = target.info
        if decision.gone and self._marks(info) and not deleting(old.document):
            # Watchers are told that it goes before it is gone, also when both happen at once.
            marked = await self._replace(target, old, decision, call)
            if marked is None:
                return None
            revision = await self._writes.remove(target, marked, call)
            return None if revision is None else Removed(marked.at(revision), revision, gone=True, before=old)
        if decision.gone:
            revision = await self._writes.remove(target, old, call)
            if revision is None:
                return None
            last = self._shown(old, _last(old, decision), revision) if self._marks(info) else old.at(revision)
            return Removed(last, revision, gone=True, before=old)
        record = await self._replace(target, old, decision, call)
        return None if record is None else Removed(record, record.revision, gone=False, before=old)

    async def _replace(self, target: Target, old: Record, decision: Decision, call: Call) -> Record | None:
        obj = self._registry.decoded(target.info, decision.document, (old.document, old.object))
        return await self._writes.replace(target, old, Plan(decision.document), obj, call)

    def _marks(self, info: ResourceInfo) -> bool:
        """Whether the answer shows the deletion time of an object that went at once, as it does for Pods."""
        return self._core.strategy(info).grace_seconds is not None

    def _shown(self, old: Record, document: Document, revision: int) -> Record:
        if document is old.document:
            return old.at(revision)
        record = Record(old.cls, old.namespace, old.name, revision, dumps(document))
        record.know(document, self._registry.decoded(old.cls.resource_info, document, (old.document, old.object)))
        return record

    async def _admitted(self, info: ResourceInfo, old: Record, options: DeleteOptions, user: User) -> None:
        for hook in self._admission:
            request = AdmissionRequest(
                user=user,
                operation="DELETE",
                info=info,
                namespace=old.namespace,
                name=old.name,
                old=old.document,
                dry_run=options.dry_run,
            )
            await hook.admit(request)


def _last(old: Record, decision: Decision) -> Document:
    """Return what is shown of an object that goes: one that was on its way already keeps its finalizers."""
    if not deleting(old.document):
        return decision.document
    return with_meta(decision.document, finalizers=old.document["metadata"].get("finalizers"))
