"""The garbage collector: deletes what has no owner left, and lets go of owners that wait. The driver of `ownership.py`.

The caches of all kinds are its graph: an index finds the dependents of an owner, the reference itself says where an
owner must be. That an owner is absent is believed only after asking the server.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import attrs

from orchestra._log import get_logger
from orchestra.api.codec import encode
from orchestra.api.object import Object, OwnerReference
from orchestra.backoff import Backoff
from orchestra.client.interface import DeleteOptions, Patch, PatchType, Preconditions, WriteOptions
from orchestra.controller.interface import Change, Index, Informer, Key, Surroundings, key_of
from orchestra.controller.workers import Workers
from orchestra.errors import Conflict, NotFound, OrchestraError
from orchestra.lifecycle import ownership
from orchestra.lifecycle.kinds import stored_kinds
from orchestra.lifecycle.ownership import OwnerState

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

OWNERS = "owners"
WORKERS = 8
MAX_ABSENT = 4096
"""How many uids are remembered as those of absent owners."""

CATCH_UP_SECONDS = 5.0
NEW_KINDS_SECONDS = 30.0
"""How often the scheme is searched for kinds that were registered at run time."""

_RETRY = Backoff(initial_seconds=0.01, max_seconds=60.0)
_IGNORED = frozenset({("", "Event")})
"""Events are written often, own nothing and expire by themselves."""


class Item(NamedTuple):
    """One object of one kind."""

    kind: type[Object]
    key: Key


def _owner_uids(obj: Object) -> tuple[str, ...]:
    return tuple(owner.uid for owner in obj.metadata.owner_references)


class GarbageCollector:
    """A `Part` of the manager."""

    name = "garbage-collector"

    def __init__(self) -> None:
        self.removed = 0
        """How many objects it has deleted."""
        self._informers: dict[type[Object], Informer[Any]] = {}
        self._kinds: dict[tuple[str, str], type[Object]] = {}
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._log = get_logger("garbage-collector")

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Collect until cancelled; ready when all caches are."""
        self._env = surroundings
        self._events = surroundings.recorder.events("garbage-collector-controller")
        self._workers: Workers[Item] = Workers(self.name, _RETRY, surroundings.clock)
        self._informers.clear()
        subscriptions = [informer.subscribe(self._handler(informer)) for informer in await self._new_kinds()]
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(functools.partial(self._workers.run, self._work, tasks=WORKERS))
                task_status.started()
                while True:
                    await anyio.sleep(NEW_KINDS_SECONDS)
                    fresh = await self._new_kinds()
                    subscriptions += [informer.subscribe(self._handler(informer)) for informer in fresh]
        finally:
            for unsubscribe in subscriptions:
                unsubscribe()

    async def _new_kinds(self) -> list[Informer[Any]]:
        scheme = self._env.client.scheme
        fresh: list[Informer[Any]] = []
        for info in stored_kinds(scheme):
            if (info.group, info.kind) in _IGNORED:
                continue
            kind = self._kinds[info.group, info.kind] = scheme.type_of(info)
            if kind not in self._informers:
                informer = self._informers[kind] = self._env.informers.informer(kind)
                informer.add_index(Index(OWNERS, kind, _owner_uids))
                fresh.append(informer)
        for informer in fresh:
            await informer.wait_synced()
        return fresh

    def _handler(self, informer: Informer[Any]) -> Any:
        kind = informer.kind

        def on_batch(changes: tuple[Change[Any], ...]) -> None:
            for change in changes:
                self._on_change(kind, change)
            self._workers.wake()

        return on_batch

    def _on_change(self, kind: type[Object], change: Change[Any]) -> None:
        old, new = change
        if new is None:
            self._on_gone(change.object)
            return
        if old is not None and old.metadata.uid != new.metadata.uid:
            self._on_gone(old)
            old = None
        before = old.metadata if old is not None else None
        after = new.metadata
        moved = before is None or before.owner_references != after.owner_references
        leaving = after.deletion_timestamp is not None and (
            before is None or before.deletion_timestamp is None or before.finalizers != after.finalizers
        )
        if (moved and after.owner_references) or (leaving and after.finalizers):
            self._workers.queue.add(Item(kind, key_of(new)))
        if leaving and ownership.waits_for_dependents(new):
            self._look_at(self._dependents(after.uid))
        if moved and old is not None:
            self._look_at_owners(old)
        if moved or leaving:
            self._look_at_owners(new)

    def _on_gone(self, obj: Object) -> None:
        self._remember_absent(obj.metadata.uid)
        self._look_at(self._dependents(obj.metadata.uid))
        self._look_at_owners(obj)

    def _look_at(self, objects: tuple[Object, ...]) -> None:
        for obj in objects:
            self._workers.queue.add(Item(type(obj), key_of(obj)))

    def _look_at_owners(self, obj: Object) -> None:
        """Owners that wait for their dependents may have one less, or one more, to wait for."""
        for reference in obj.metadata.owner_references:
            owner = self._cached_owner(obj, reference)
            if owner is not None and ownership.waits_for_dependents(owner):
                self._workers.queue.add(Item(type(owner), key_of(owner)))

    def _dependents(self, uid: str) -> tuple[Object, ...]:
        found: list[Object] = []
        for informer in self._informers.values():
            found += informer.lister.by_index(OWNERS, uid)
        return tuple(found)

    def _owner_kind(self, reference: OwnerReference) -> type[Object] | None:
        return self._kinds.get((reference.api_version.rpartition("/")[0], reference.kind))

    def _cached_owner(self, obj: Object, reference: OwnerReference) -> Object | None:
        kind = self._owner_kind(reference)
        if kind is None:
            return None
        namespace = obj.metadata.namespace if kind.resource_info.namespaced else ""
        owner: Object | None = self._informers[kind].lister.get(namespace, reference.name)
        return owner if owner is not None and owner.metadata.uid == reference.uid else None

    def _remember_absent(self, uid: str) -> None:
        self._absent[uid] = None
        if len(self._absent) > MAX_ABSENT:
            self._absent.popitem(last=False)

    async def _work(self, item: Item) -> None:
        queue = self._workers.queue
        try:
            await self._attend(item)
        except NotFound:
            queue.forget(item)
        except OrchestraError as error:
            delay = queue.retry(item, self._env.clock.monotonic(), chance=self._env.clock.random)
            if not isinstance(error, Conflict):
                kind = item.kind.resource_info.kind
                self._log.warning("not collected", kind=kind, object=str(item.key), error=str(error), retry=delay)
        else:
            queue.forget(item)

    async def _attend(self, item: Item) -> None:
        cached = self._informers[item.kind].lister.get(*item.key)
        if cached is None or self._is_settled(cached):
            return
        obj = await self._env.client.get(item.kind, item.key.name, namespace=item.key.namespace)
        dependents = self._dependents(obj.metadata.uid)
        states = [] if ownership.is_leaving(obj) else [await self._state(obj, owner) for owner in _owners(obj)]
        action = ownership.decide(obj, states, dependents)
        match action:
            case ownership.SetOwners(owners):
                await self._set_owners(obj, owners)
            case ownership.DropFinalizer(finalizer):
                await self._drop_finalizer(obj, finalizer)
            case ownership.Remove(policy, unblock):
                await self._remove(obj, policy, unblock=unblock)
            case ownership.LookAt(holding):
                self._look_at(holding)
            case ownership.Disown():
                await self._catch_up(int(obj.metadata.resource_version))
                left = self._dependents(obj.metadata.uid)
                for dependent in left:
                    await self._disown(dependent, obj.metadata.uid)
                await self._drop_finalizer(obj, ownership.ORPHAN)

    async def _catch_up(self, revision: int) -> None:
        """Wait until the caches know every dependent that was there when the owner was deleted."""
        with anyio.move_on_after(CATCH_UP_SECONDS):
            async with anyio.create_task_group() as tasks:
                for informer in self._informers.values():
                    tasks.start_soon(informer.wait_revision, revision)

    def _is_settled(self, cached: Object) -> bool:
        """Say whether the caches alone show that there is nothing to do: the usual case, and the cheapest."""
        if ownership.is_leaving(cached):
            return False
        for reference in cached.metadata.owner_references:
            owner = self._cached_owner(cached, reference)
            if owner is None or ownership.waits_for_dependents(owner):
                return False
        return True

    async def _state(self, obj: Object, reference: OwnerReference) -> OwnerState:
        owner = self._cached_owner(obj, reference)
        if owner is None:
            owner = await self._asked_owner(obj, reference)
        if owner is None:
            return OwnerState.ABSENT
        return OwnerState.WAITING if ownership.waits_for_dependents(owner) else OwnerState.SOLID

    async def _asked_owner(self, obj: Object, reference: OwnerReference) -> Object | None:
        """Return the owner as the server has it; None means absent. What cannot be judged counts as there."""
        kind = self._owner_kind(reference)
        namespace = obj.metadata.namespace
        if kind is None:
            return obj  # a kind that nobody knows here: whoever made it may come back
        if kind.resource_info.namespaced and not namespace:
            self._report_invalid_namespace(obj, reference)
            return obj  # an object of the whole cluster cannot belong to a namespace, but it is not ours to delete
        if reference.uid in self._absent:
            return None
        try:
            owner = await self._env.client.get(kind, reference.name, namespace=namespace)
        except NotFound:
            owner = None
        if owner is not None and owner.metadata.uid == reference.uid:
            return owner
        lives = [o for o in self._informers[kind].lister.list() if o.metadata.uid == reference.uid]
        if any(o.metadata.namespace != namespace for o in lives if kind.resource_info.namespaced):
            self._report_invalid_namespace(obj, reference)
        elif not lives:
            self._remember_absent(reference.uid)
        return None

    def _report_invalid_namespace(self, obj: Object, reference: OwnerReference) -> None:
        namespace = obj.metadata.namespace
        coordinates = (
            f"[{reference.api_version}/{reference.kind}, namespace: {namespace}, "
            f"name: {reference.name}, uid: {reference.uid}]"
        )
        message = f'ownerRef {coordinates} does not exist in namespace "{namespace}"'
        self._events.warning(obj, "OwnerRefInvalidNamespace", message)

    async def _patch(self, obj: Object, metadata: dict[str, Any]) -> None:
        meta = obj.metadata
        body = {"metadata": {**metadata, "uid": meta.uid, "resourceVersion": meta.resource_version}}
        await self._env.client.patch(
            type(obj),
            meta.name,
            Patch(PatchType.MERGE, body),
            namespace=meta.namespace,
            options=WriteOptions(field_manager="garbage-collector", fence=self._env.fence),
        )

    async def _set_owners(self, obj: Object, owners: tuple[OwnerReference, ...]) -> None:
        await self._patch(obj, {"ownerReferences": [encode(owner) for owner in owners] or None})

    async def _drop_finalizer(self, obj: Object, finalizer: str) -> None:
        left = [name for name in obj.metadata.finalizers if name != finalizer]
        await self._patch(obj, {"finalizers": left or None})

    async def _disown(self, dependent: Object, owner_uid: str) -> None:
        try:
            meta = dependent.metadata
            newest = await self._env.client.get(type(dependent), meta.name, namespace=meta.namespace)
            if newest.metadata.uid == meta.uid and ownership.reference_to(newest, owner_uid) is not None:
                await self._set_owners(newest, tuple(o for o in _owners(newest) if o.uid != owner_uid))
        except NotFound:
            self._log.debug("dependent is gone", dependent=dependent.key)

    async def _remove(self, obj: Object, policy: ownership.Policy, *, unblock: bool) -> None:
        if unblock:
            owners = tuple(attrs.evolve(owner, block_owner_deletion=False) for owner in _owners(obj))
            await self._set_owners(obj, owners)
        meta = obj.metadata
        # Whoever adopted the object meanwhile changed its revision: then it is looked at again.
        version = "" if unblock else meta.resource_version
        options = DeleteOptions(
            propagation_policy=policy,
            preconditions=Preconditions(uid=meta.uid, resource_version=version),
            fence=self._env.fence,
        )
        await self._env.client.delete(type(obj), meta.name, namespace=meta.namespace, options=options)
        self.removed += 1
        self._log.debug("collected", kind=obj.resource_info.kind, object=obj.key, policy=policy)


def _owners(obj: Object) -> tuple[OwnerReference, ...]:
    return obj.metadata.owner_references
