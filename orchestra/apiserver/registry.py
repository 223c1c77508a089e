"""The single write path, over documents: what the typed client and every front call.

Order of a write: authorize, decode, default, mutate (admission), validate, store (compare-and-swap), publish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import attrs
import orjson

from orchestra.api.codec import decode
from orchestra.api.object import Object, ResourceInfo
from orchestra.apiserver import metadata, refusals
from orchestra.apiserver.companions import Companion, Plan
from orchestra.apiserver.core import Core, store_fence
from orchestra.apiserver.deletion import completes
from orchestra.apiserver.interface import Admission, AdmissionRequest, Document, Strategy, User
from orchestra.apiserver.keys import object_key
from orchestra.apiserver.ownership import has_owners, tracked, writer_of
from orchestra.apiserver.record import Record, decode_sharing
from orchestra.apiserver.unknown_fields import unknown_fields
from orchestra.apiserver.validation.fields import FieldError
from orchestra.client.interface import WriteOptions
from orchestra.errors import AlreadyExists, DecodeError
from orchestra.store import Compare, Delete, Op, Put, Range, RangeResult, Txn

WRITE_ATTEMPTS: Final = 16
"""How often a write is tried again because somebody else wrote in between, before it ends with Conflict."""

NAME_ATTEMPTS: Final = 8
"""How many names are generated for one object before the server gives up (as Kubernetes does)."""

R = TypeVar("R")
Change = Callable[[Record], Document]

_WRONG_SHAPE = (TypeError, AttributeError, KeyError, IndexError, ValueError)
"""What a rule raises when it meets a value of the wrong type; the codec then says which one it is."""


@attrs.frozen(kw_only=True)
class Call:
    """Who writes, and what goes with the write."""

    user: User
    options: WriteOptions = WriteOptions()
    typed: tuple[Document, Object] | None = None
    """The document and the object that a typed caller gave: unchanged parts need not be decoded."""
    applies: bool = False
    """Whether the document comes from server-side apply, which has settled who owns what."""


class _NamespaceMoved(Exception):
    """The namespace changed while something was being created in it: look again."""


class _Taken(Exception):
    """Somebody else has reserved these keys in the meantime: choose others."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        super().__init__()
        self.keys = keys


class Registry:
    """Creates and changes single objects of any kind."""

    def __init__(self, core: Core, *, admission: Sequence[Admission], companions: dict[str, Companion]) -> None:
        self._core = core
        self._admission = tuple(admission)
        self._companions = companions

    async def read(self, info: ResourceInfo, namespace: str, name: str) -> Record:
        """Return the newest state of an object; raises NotFound."""
        record = await self._core.feed.current(info, namespace, name)
        if record is None:
            raise refusals.not_found(info, name)
        return record

    async def create(self, info: ResourceInfo, document: Document, namespace: str, call: Call) -> Record:
        """Store a new object and return it; `namespace` is empty for cluster-scoped kinds."""
        strategy = self._core.strategy(info)
        if not call.applies:
            self.check_fields(info, document, call)
        given = metadata.meta_of(document)
        if given.get("resourceVersion"):
            raise refusals.create_with_revision()
        prepared = self._shaped(info, document, lambda: strategy.prepare_create(strategy.default(document)))
        fresh = metadata.for_create(
            prepared,
            namespace=namespace,
            uid=self._core.clock.uid(),
            now=self._core.clock.now(),
            generation=0 if strategy.generation is None else 1,
        )
        base = given.get("generateName") if not given.get("name") else None
        if not base:
            return await self._create(strategy, fresh, namespace, given.get("name") or "", call)
        for _ in range(NAME_ATTEMPTS):
            name = metadata.generated_name(base, self._core.clock.random)
            try:
                return await self._create(strategy, metadata.named(fresh, name), namespace, name, call)
            except AlreadyExists:
                continue
        raise refusals.generate_name_conflict(info, name)

    async def modify(
        self,
        info: ResourceInfo,
        namespace: str,
        name: str,
        change: Change,
        call: Call,
        *,
        subresource: str = "",
        revision: str = "",
    ) -> Record:
        """Change an object by a function of its present state, again and again until nobody wrote in between.

        With `revision` (a resourceVersion) the first strange write is a Conflict. `change` must be pure; the document
        that it returns has passed through the kind's update rules before it is stored.
        """
        for _ in range(WRITE_ATTEMPTS):
            old = await self.read(info, namespace, name)
            if revision and revision != str(old.revision):
                raise refusals.conflict(info, name)
            stored = await self._try_update(old, change, call, subresource)
            if stored is not None:
                return stored
        raise refusals.conflict(info, name)

    def check_fields(self, info: ResourceInfo, document: Document, call: Call) -> None:
        """Refuse fields that the kind does not have, or warn of them, as the writer wishes."""
        options = call.options
        if options.field_validation == "Ignore":
            return
        if options.field_validation == "Warn" and options.on_warning is None:
            return
        unknown = unknown_fields(document, self._core.scheme.type_of(info))
        if unknown and options.field_validation == "Strict":
            raise refusals.strict_decoding(info, unknown)
        if options.on_warning is not None:
            for warning in unknown:
                options.on_warning(warning)

    def decoded(self, info: ResourceInfo, document: Document, *known: tuple[Document, Object]) -> Object:
        """Return the typed view; raises BadRequest naming the field that does not fit."""
        try:
            return decode_sharing(document, self._core.scheme.type_of(info), *known)
        except DecodeError as error:
            raise refusals.cannot_decode(info, error) from error

    async def _create(self, strategy: Strategy, document: Document, namespace: str, name: str, call: Call) -> Record:
        info = strategy.info
        document = await self._mutated(strategy, document, None, call, "")
        errors = self._shaped(info, document, lambda: strategy.validate(document))
        if errors:
            self._refuse(info, document, name, errors)
        self._warn(strategy, document, None, call)
        taken: frozenset[bytes] = frozenset()
        fresh = False
        companion = self._companions.get(info.group_kind)
        if companion is not None:
            await companion.prepare()
        for _ in range(WRITE_ATTEMPTS):
            home = await self._home(info, namespace, name, fresh=fresh)
            plan = self.plan(info, document, None, taken)
            known = () if call.typed is None else (call.typed,)
            obj = self.decoded(info, plan.document, *known)
            if call.options.dry_run:
                return await self._dry_create(info, namespace, name, plan.document, obj)
            try:
                return await self._insert(info, namespace, name, plan, obj, home, call)
            except _NamespaceMoved:
                fresh = True
            except _Taken as error:
                taken |= error.keys
        raise refusals.conflict(info, name)

    async def _dry_create(
        self, info: ResourceInfo, namespace: str, name: str, document: Document, obj: Object
    ) -> Record:
        there = await self._core.feed.current(info, namespace, name)
        if there is not None:
            raise refusals.already_exists(info, name, deleting=metadata.deleting(there.document))
        record = Record(type(obj), namespace, name, 0, b"", document)
        record.adopt(obj)
        return record

    async def _insert(
        self, info: ResourceInfo, namespace: str, name: str, plan: Plan, obj: Object, home: Compare | None, call: Call
    ) -> Record:
        key = object_key(info, namespace, name)
        value = orjson.dumps(plan.document)
        compares = [Compare(key, "mod_revision", "=", 0)]
        reads: list[Op] = [Range(key)]
        if home is not None:
            compares.append(home)
        for reservation, _ in plan.reserve:
            compares.append(Compare(reservation, "mod_revision", "=", 0))
            reads.append(Range(reservation, keys_only=True))
        puts = (Put(key, value, lease=plan.lease), *(Put(k, owner) for k, owner in plan.reserve))
        txn = Txn(tuple(compares), puts, tuple(reads), fence=store_fence(call.options))
        result = await self._core.commit(info, name, txn)
        if result.succeeded:
            return self._publish(info, namespace, name, result.revision, value, plan.document, obj)
        mine, *others = (r for r in result.results if isinstance(r, RangeResult))
        if mine.kvs:
            there = self._core.feed.record(info, namespace, name, mine.kvs[0])
            raise refusals.already_exists(info, name, deleting=metadata.deleting(there.document))
        found = frozenset(r.kvs[0].key for r in others if r.kvs)
        if found:
            raise _Taken(found)
        raise _NamespaceMoved

    async def _try_update(self, old: Record, change: Change, call: Call, subresource: str) -> Record | None:
        """Write one changed state; None when somebody else wrote in between."""
        info = old.cls.resource_info
        strategy = self._core.strategy(info)
        new = self._updated(strategy, old, change(old), subresource)
        new = await self._mutated(strategy, new, old.document, call, subresource)
        rule = strategy.validate_status_update if subresource == "status" else strategy.validate_update
        if subresource in ("", "status", "scale"):
            errors = self._shaped(info, new, lambda: rule(new, old.document))
            if errors:
                self._refuse(info, new, old.name, errors)
        if subresource == "":
            self._warn(strategy, new, old.document, call)
        companion = self._companions.get(info.group_kind)
        if companion is not None:
            await companion.prepare()
        plan = self.plan(info, new, old.document)
        new = plan.document
        if not call.applies and has_owners(old.document, new):
            writer = writer_of(info, call.options.field_manager, subresource, self._core.clock.now())
            new = tracked(old.cls, old.document, new, writer)
        if new is old.document or new == old.document:
            return old
        if subresource in ("", "scale") and strategy.generation is not None and strategy.generation(new, old.document):
            new = metadata.raised(new)
        return await self._replace(strategy, old, attrs.evolve(plan, document=new), call)

    async def _replace(self, strategy: Strategy, old: Record, plan: Plan, call: Call) -> Record | None:
        info, new = strategy.info, plan.document
        known = [(old.document, old.object)]
        if call.typed is not None:
            known.append(call.typed)
        obj = self.decoded(info, new, *known)
        leaves = completes(strategy, new)
        key = object_key(info, old.namespace, old.name)
        value = orjson.dumps(new)
        if call.options.dry_run:
            record = Record(old.cls, old.namespace, old.name, old.revision, value, new)
            record.adopt(obj)
            return record
        compares = [Compare(key, "mod_revision", "=", old.revision)]
        compares += [Compare(reservation, "mod_revision", "=", 0) for reservation, _ in plan.reserve]
        release = self.plan(info, None, new).release if leaves else plan.release
        writes: list[Op] = [Delete(k) for k in release]
        writes.append(Delete(key) if leaves else Put(key, value, lease=plan.lease))
        if not leaves:
            writes += [Put(k, owner) for k, owner in plan.reserve]
        result = await self._core.commit(
            info, old.name, Txn(tuple(compares), tuple(writes), fence=store_fence(call.options))
        )
        if not result.succeeded:
            if plan.reserve:
                await self._core.feed.catch_up()
            return None
        if leaves:
            record = Record(old.cls, old.namespace, old.name, result.revision, value, new)
            record.adopt(obj)
            return record
        return self._publish(info, old.namespace, old.name, result.revision, value, new, obj)

    def _publish(
        self,
        info: ResourceInfo,
        namespace: str,
        name: str,
        revision: int,
        value: bytes,
        document: Document,
        obj: Object,
    ) -> Record:
        record = Record(type(obj), namespace, name, revision, value, document)
        record.adopt(obj)
        self._core.feed.wrote(object_key(info, namespace, name), record)
        return record

    def _updated(self, strategy: Strategy, old: Record, given: Document, subresource: str) -> Document:
        info = strategy.info
        uid = metadata.meta_of(given).get("uid")
        actual = old.document["metadata"]["uid"]
        if uid and uid != actual:
            raise refusals.uid_conflict(info, old.namespace, old.name, wanted=uid, actual=actual)
        if given is old.document:
            return given

        def prepare() -> Document:
            new = metadata.for_update(given, old.document)
            if subresource == "status":
                return strategy.prepare_status_update(new, old.document)
            if subresource == "":
                return strategy.prepare_update(strategy.default(new), old.document)
            return new

        return self._shaped(info, given, prepare)

    async def _mutated(
        self, strategy: Strategy, document: Document, old: Document | None, call: Call, subresource: str
    ) -> Document:
        if not self._admission:
            return document
        meta = document["metadata"]
        for hook in self._admission:
            request = AdmissionRequest(
                user=call.user,
                operation="CREATE" if old is None else "UPDATE",
                info=strategy.info,
                namespace=meta.get("namespace", ""),
                name=meta.get("name", ""),
                subresource=subresource,
                document=document,
                old=old,
                dry_run=call.options.dry_run,
            )
            changed = await hook.admit(request)
            document = document if changed is None else changed
        return document

    async def _home(self, info: ResourceInfo, namespace: str, name: str, *, fresh: bool) -> Compare | None:
        """Check the namespace of a new object; the compare makes sure that it has not changed when the txn runs."""
        if not info.namespaced:
            return None
        spaces = self._core.scheme.info("v1", "Namespace")
        home = None if fresh else self._core.feed.cache(spaces).get("", namespace)
        if home is None or metadata.deleting(home.document):
            home = await self._core.feed.current(spaces, "", namespace)
        if home is None:
            raise refusals.not_found(spaces, namespace)
        if metadata.deleting(home.document):
            raise refusals.namespace_terminating(info, name, namespace)
        return Compare(object_key(spaces, "", namespace), "mod_revision", "=", home.revision)

    def plan(
        self, info: ResourceInfo, new: Document | None, old: Document | None, taken: frozenset[bytes] = frozenset()
    ) -> Plan:
        """Return what is to be written along with an object; `new` None means that the object goes."""
        companion = self._companions.get(info.group_kind)
        if companion is None:
            return Plan(new if new is not None else {})
        return companion.plan(new, old, taken)

    def _shaped(self, info: ResourceInfo, document: Document, work: Callable[[], R]) -> R:
        """Run rules over a document; where they stumble over a wrong type, say which field has it."""
        try:
            return work()
        except _WRONG_SHAPE:
            self._check_shape(info, document)
            raise

    def _check_shape(self, info: ResourceInfo, document: Document) -> None:
        try:
            decode(document, self._core.scheme.type_of(info))
        except DecodeError as error:
            raise refusals.cannot_decode(info, error) from error

    def _refuse(self, info: ResourceInfo, document: Document, name: str, errors: list[FieldError]) -> None:
        # A wrong type comes first: what the rules say of such a value would only mislead.
        self._check_shape(info, document)
        raise refusals.invalid(info, name, (error.to_cause() for error in errors))

    def _warn(self, strategy: Strategy, document: Document, old: Document | None, call: Call) -> None:
        if call.options.on_warning is not None:
            for warning in self._shaped(strategy.info, document, lambda: strategy.warnings(document, old)):
                call.options.on_warning(warning)
