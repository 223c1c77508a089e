"""How planned writes reach the store: one compare-and-swap txn each, and the record that comes of it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from orchestra.api.object import Object, ResourceInfo
from orchestra.apiserver import metadata, refusals
from orchestra.apiserver.bodies import warning_texts
from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.companions import Companion, Plan
from orchestra.apiserver.core import Core, store_fence
from orchestra.apiserver.interface import Document, User
from orchestra.apiserver.keys import object_key
from orchestra.apiserver.record import Record
from orchestra.client.interface import WriteOptions
from orchestra.errors import BadRequest
from orchestra.store import Compare, Delete, Op, Put, Range, RangeResult, Txn


@attrs.frozen
class Target:
    """What a request is about: an object, by its kind, namespace (empty for cluster-scoped kinds) and name."""

    info: ResourceInfo
    namespace: str
    name: str
    subresource: str = ""

    @property
    def key(self) -> bytes:
        """Where the object lies in the store."""
        return object_key(self.info, self.namespace, self.name)


@attrs.frozen(kw_only=True)
class Call:
    """Who writes, and what goes with the write."""

    user: User
    options: WriteOptions = WriteOptions()
    typed: tuple[Document, Object] | None = None
    """The document and the object that a typed caller gave: unchanged parts need not be decoded."""
    applies: bool = False
    """Whether the document comes from server-side apply, which has settled who owns what."""
    faults: tuple[str, ...] = ()
    """What the decoder of the request's body found doubtful, such as a key that comes twice."""

    def tell(self, faults: Iterable[str]) -> None:
        """Warn the writer of faults, if that is wished."""
        options = self.options
        if options.field_validation == "Warn" and options.on_warning is not None:
            for text in warning_texts(faults):
                options.on_warning(text)

    def judge_applied(self) -> None:
        """Refuse, or warn of, what the decoder found doubtful about a document that is applied."""
        if self.faults and self.options.field_validation == "Strict":
            raise BadRequest(f"error strict decoding YAML: {self.faults[0]}")
        self.tell(self.faults)


class NamespaceMovedError(Exception):
    """The namespace changed while something was being created in it: look again."""


class TakenError(Exception):
    """Somebody else has reserved these keys in the meantime: choose others."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        super().__init__()
        self.keys = keys


class Writes:
    """Builds and runs the txns of objects, with what their companions add."""

    def __init__(self, core: Core, companions: dict[str, Companion]) -> None:
        self._core = core
        self._companions = companions

    async def prepare(self, info: ResourceInfo) -> None:
        """Let the kind's companion do what must wait, before `plan`."""
        companion = self._companions.get(info.group_kind)
        if companion is not None:
            await companion.prepare()

    def plan(
        self, info: ResourceInfo, new: Document | None, old: Document | None, taken: frozenset[bytes] = frozenset()
    ) -> Plan:
        """Return what is to be written along with an object; `new` None means that the object goes."""
        companion = self._companions.get(info.group_kind)
        if companion is None:
            return Plan(new if new is not None else {})
        return companion.plan(new, old, taken)

    async def insert(self, target: Target, plan: Plan, obj: Object, home: Compare | None, call: Call) -> Record:
        """Write a new object; `home` is what must hold of its namespace.

        Raises AlreadyExists, `TakenError` when a reservation exists, `NamespaceMovedError` when `home` does not hold.
        """
        key, value = target.key, dumps(plan.document)
        compares = [Compare(key, "mod_revision", "=", 0)]
        reads: list[Op] = [Range(key)]
        if home is not None:
            compares.append(home)
        for reservation, _ in plan.reserve:
            compares.append(Compare(reservation, "mod_revision", "=", 0))
            reads.append(Range(reservation, keys_only=True))
        puts = (Put(key, value, lease=plan.lease), *(Put(k, owner) for k, owner in plan.reserve))
        txn = Txn(tuple(compares), puts, tuple(reads), fence=store_fence(call.options))
        result = await self._core.commit(target.info, target.name, txn)
        if result.succeeded:
            return self._publish(
                target, Record(type(obj), target.namespace, target.name, result.revision, value), plan, obj
            )
        mine, *others = (r for r in result.results if isinstance(r, RangeResult))
        if mine.kvs:
            there = self._core.feed.record(target.info, target.namespace, target.name, mine.kvs[0])
            raise refusals.already_exists(target.info, target.name, deleting=metadata.deleting(there.document))
        found = frozenset(r.kvs[0].key for r in others if r.kvs)
        if found:
            raise TakenError(found)
        raise NamespaceMovedError

    async def replace(self, target: Target, old: Record, plan: Plan, obj: Object, call: Call) -> Record | None:
        """Write a changed object; None when it, or a reservation, is not as it was expected."""
        key, value = target.key, dumps(plan.document)
        compares = [Compare(key, "mod_revision", "=", old.revision)]
        compares += [Compare(reservation, "mod_revision", "=", 0) for reservation, _ in plan.reserve]
        writes: list[Op] = [Delete(k) for k in plan.release]
        writes.append(Put(key, value, lease=plan.lease))
        writes += [Put(k, owner) for k, owner in plan.reserve]
        txn = Txn(tuple(compares), tuple(writes), fence=store_fence(call.options))
        result = await self._core.commit(target.info, target.name, txn)
        if not result.succeeded:
            if plan.reserve:
                await self._core.feed.catch_up()
            return None
        return self._publish(target, Record(old.cls, old.namespace, old.name, result.revision, value), plan, obj)

    async def remove(self, target: Target, old: Record, call: Call) -> int | None:
        """Delete an object and what was reserved for it; returns the revision, None when it is not as expected."""
        plan = self.plan(target.info, None, old.document)
        compare = (Compare(target.key, "mod_revision", "=", old.revision),)
        writes: tuple[Op, ...] = (Delete(target.key), *(Delete(other) for other in plan.release))
        txn = Txn(compare, writes, fence=store_fence(call.options))
        result = await self._core.commit(target.info, target.name, txn)
        return result.revision if result.succeeded else None

    def _publish(self, target: Target, record: Record, plan: Plan, obj: Object) -> Record:
        record.know(plan.document, obj)
        self._core.feed.wrote(target.key, record)
        return record
