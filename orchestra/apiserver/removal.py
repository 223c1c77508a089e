"""Deleting: the driver around `deletion.decide`."""

from __future__ import annotations

from typing import Final

import attrs
import orjson

from orchestra.api.object import ResourceInfo
from orchestra.apiserver import refusals
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core, store_fence
from orchestra.apiserver.deletion import Decision, check, decide
from orchestra.apiserver.interface import Admission, AdmissionRequest, Document, User
from orchestra.apiserver.keys import object_key
from orchestra.apiserver.record import Record
from orchestra.apiserver.registry import WRITE_ATTEMPTS, Registry
from orchestra.client.interface import DeleteOptions
from orchestra.errors import Cause, Invalid
from orchestra.store import Compare, Delete, Op, Put, Txn

IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that cannot be deleted (admission plugin NamespaceLifecycle)."""

_POLICIES = ("Foreground", "Background", "Orphan", "nil")


@attrs.frozen
class Removed:
    """What a deletion left: the object, the revision of the write, and whether the object is gone."""

    record: Record
    revision: int
    gone: bool


class Remover:
    """Deletes objects of any kind, or begins to."""

    def __init__(self, core: Core, registry: Registry, *, admission: tuple[Admission, ...]) -> None:
        self._core = core
        self._registry = registry
        self._admission = admission

    async def delete(
        self, info: ResourceInfo, namespace: str, name: str, options: DeleteOptions, user: User
    ) -> Removed:
        """Delete an object, or mark it as deleted while finalizers or a grace period keep it."""
        _check_options(options)
        if info.group_kind == "Namespace" and name in IMMORTAL:
            raise refusals.forbidden(info, name, "this namespace may not be deleted")
        strategy = self._core.strategy(info)
        for _ in range(WRITE_ATTEMPTS):
            old = await self._registry.read(info, namespace, name)
            check(strategy, old.document, old.revision, options.preconditions)
            await self._admitted(info, old, options, user)
            decision = decide(strategy, old.document, options, self._core.clock.now())
            if options.dry_run:
                return Removed(self._shown(old, decision.document, old.revision), old.revision, decision.gone)
            if decision.document is old.document and not decision.gone:
                return Removed(old, old.revision, gone=False)
            done = await self._write(info, old, decision, options)
            if done is not None:
                return done
        raise refusals.conflict(info, name)

    async def _write(
        self, info: ResourceInfo, old: Record, decision: Decision, options: DeleteOptions
    ) -> Removed | None:
        key = object_key(info, old.namespace, old.name)
        compare = (Compare(key, "mod_revision", "=", old.revision),)
        fence = store_fence(options)
        if decision.gone:
            plan = self._registry.plan(info, None, old.document)
            writes: tuple[Op, ...] = (Delete(key), *(Delete(other) for other in plan.release))
            result = await self._core.commit(info, old.name, Txn(compare, writes, fence=fence))
            if not result.succeeded:
                return None
            last = (
                old.at(result.revision)
                if not self._marks(info)
                else self._shown(old, decision.document, result.revision)
            )
            return Removed(last, result.revision, gone=True)
        plan = Plan(decision.document)
        obj = self._registry.decoded(info, plan.document, (old.document, old.object))
        value = orjson.dumps(plan.document)
        result = await self._core.commit(info, old.name, Txn(compare, (Put(key, value),), fence=fence))
        if not result.succeeded:
            return None
        record = Record(old.cls, old.namespace, old.name, result.revision, value, plan.document)
        record.adopt(obj)
        self._core.feed.wrote(key, record)
        return Removed(record, result.revision, gone=False)

    def _marks(self, info: ResourceInfo) -> bool:
        """Whether the answer shows the deletion time of an object that went at once, as it does for Pods."""
        return self._core.strategy(info).grace_seconds is not None

    def _shown(self, old: Record, document: Document, revision: int) -> Record:
        if document is old.document:
            return old.at(revision)
        record = Record(old.cls, old.namespace, old.name, revision, b"", document)
        record.adopt(self._registry.decoded(old.cls.resource_info, document, (old.document, old.object)))
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


def _check_options(options: DeleteOptions) -> None:
    policy = options.propagation_policy
    if policy is None or policy in _POLICIES[:-1]:
        return
    known = ", ".join(f'"{name}"' for name in _POLICIES)
    text = f'Unsupported value: "{policy}": supported values: {known}'
    cause = Cause(reason="FieldValueNotSupported", message=text, field="propagationPolicy")
    message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {text}'
    raise Invalid(message, kind="DeleteOptions", group="meta.k8s.io", causes=(cause,))
