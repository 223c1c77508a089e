"""The single write path, over documents: what the typed client and every front call.

Order of a write: authorize, decode, default, mutate (admission), validate, store (compare-and-swap), publish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

import attrs

from orchestra.api.codec import decode
from orchestra.api.object import Object, ResourceInfo
from orchestra.api.schema import undeclared_fields
from orchestra.apiserver import metadata, refusals
from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core
from orchestra.apiserver.defaults.canonical import pruned
from orchestra.apiserver.deletion import completes
from orchestra.apiserver.interface import Admission, AdmissionRequest, Document, Strategy
from orchestra.apiserver.keys import object_key
from orchestra.apiserver.namespace_limits import StandardAdmission
from orchestra.apiserver.ownership import created, has_owners, tracked, writer_of
from orchestra.apiserver.patch_faults import in_patch_order
from orchestra.apiserver.record import Record, Remembered, SharedSpecs, decode_sharing
from orchestra.apiserver.validation.fields import FieldError, to_invalid
from orchestra.apiserver.writes import Call, NamespaceMovedError, TakenError, Target, Writes
from orchestra.errors import AlreadyExists, APIError, DecodeError
from orchestra.store import Compare

WRITE_ATTEMPTS: Final = 16
"""How often a write is tried again because somebody else wrote in between, before it ends with Conflict."""

NAME_ATTEMPTS: Final = 8
"""How many names are generated for one object before the server gives up (as Kubernetes does)."""

R = TypeVar("R")
Change = Callable[[Record], Document]
Assignment = Callable[[Record], tuple[Document, Object]]

_WRONG_SHAPE = (TypeError, AttributeError, KeyError, IndexError, ValueError)
"""What a rule raises when it meets a value of the wrong type; the codec then says which one it is."""

_TIMES = ("creationTimestamp", "deletionTimestamp")

_RAISING = frozenset({"", "scale", "resize", "ephemeralcontainers"})
"""Ways of writing that can raise the generation."""


class Registry:
    """Creates and changes single objects of any kind."""

    def __init__(self, core: Core, writes: Writes, *, admission: Sequence[Admission]) -> None:
        self._core = core
        self._writes = writes
        self._admission = tuple(admission)
        self._standard = StandardAdmission(core, writes)
        self._specs = SharedSpecs()
        self._clean = Remembered()

    async def read(self, target: Target) -> Record:
        """Return the newest state of an object; raises NotFound."""
        record = await self._core.feed.current(target.info, target.namespace, target.name)
        if record is None:
            raise refusals.not_found(target.info, target.name)
        return record

    async def create(self, target: Target, document: Document, call: Call) -> Record:
        """Store a new object and return it; a target without name takes one from the document's generateName."""
        info = target.info
        strategy = self._core.strategy(info)
        self._check_kind(info, document)
        document = {"apiVersion": info.api_version, "kind": info.kind, **document}
        if not call.applies:
            document = self.known_fields(info, document, call)
        given = metadata.meta_of(document)
        self._check_dropped(info, given)
        if metadata.condition_of(document):
            raise refusals.create_with_revision()

        def prepare() -> Document:
            defaulted = strategy.default(document)
            if self._core.rules.own_every_write and not call.applies:
                writer = writer_of(info, call.options.field_manager, "", self._core.clock.now())
                defaulted = created(self._core.scheme.type_of(info), defaulted, writer)
            return strategy.prepare_create(defaulted)

        prepared = self._shaped(info, document, prepare)
        fresh = metadata.for_create(
            prepared,
            namespace=target.namespace,
            uid=self._core.clock.uid(),
            now=self._core.clock.now(),
            generation=0 if strategy.generation is None else 1,
        )
        base = given.get("generateName") if not target.name else None
        if not base:
            return await self._create(strategy, target, fresh, call)
        for _ in range(NAME_ATTEMPTS):
            name = metadata.generated_name(base, self._core.clock.random)
            try:
                return await self._create(strategy, attrs.evolve(target, name=name), metadata.named(fresh, name), call)
            except AlreadyExists:
                continue
        raise refusals.generate_name_conflict(info, name)

    async def modify(self, target: Target, change: Change, call: Call, *, revision: str = "") -> Record:
        """Change an object by a function of its present state, again and again until nobody wrote in between.

        With `revision` (a resourceVersion) the first strange write is a Conflict. `change` must be pure; the document
        that it returns passes through the kind's update rules before it is stored.
        """
        for _ in range(WRITE_ATTEMPTS):
            old = await self.read(target)
            if revision and revision != str(old.revision):
                raise refusals.conflict(target.info, target.name)
            stored = await self._try_update(target, old, change(old), call)
            if stored is not None:
                return stored
        raise refusals.conflict(target.info, target.name)

    async def assign(self, target: Target, change: Assignment, call: Call) -> Record:
        """Change an object as `modify` does, where `change` also makes the typed view, of the parts of the known one.

        Only for what the server itself adds to an object: no rule has anything to say of that.
        """
        cached = self._core.feed.known(target.info, target.namespace, target.name)
        if cached is not None and not self._admission and not call.options.dry_run:
            try:
                new, obj = change(cached)
            except APIError:  # perhaps only because the caches are behind
                return await self.modify(target, lambda record: change(record)[0], call)
            if not has_owners(cached.document, new):
                await self._writes.prepare(target.info)
                plan = self._writes.plan(target.info, new, cached.document)
                stored = await self._writes.replace(target, cached, plan, obj, call)
                if stored is not None:
                    return stored
        return await self.modify(target, lambda record: change(record)[0], call)

    def known_fields(
        self, info: ResourceInfo, document: Document, call: Call, old: Document | None = None, *, patched: bool = False
    ) -> Document:
        """Return a document with the fields that its kind has, and say of the others what the writer wishes to hear.

        Fields that nobody declares are dropped from built-in kinds, as Kubernetes drops them, and carried by a user's.
        Parts that are those of `old` are known already. Raises BadRequest under strict field validation.
        """
        unknown = self._unknown(info, document, old)
        if not unknown and not call.faults:
            return document
        self._check_shape(info, document)  # a wrong type is told alone: who reads it stops there
        ordered = in_patch_order(unknown) if patched else unknown
        texts = [*call.faults, *(f'unknown field "{path}"' for path in ordered)]
        if call.options.field_validation == "Strict":
            raise refusals.strict_decoding(info, texts)
        call.tell(texts)
        if not unknown:
            return document
        # Only the kinds of this package name the module that they come from.
        return cast("Document", pruned(document, self._core.scheme.type_of(info))) if info.module else document

    def _unknown(self, info: ResourceInfo, document: Document, old: Document | None) -> tuple[str, ...]:
        cls = self._core.scheme.type_of(info)
        fresh = document
        if old is not None:
            fresh = {name: value for name, value in document.items() if value is not old.get(name)}
        spec = fresh.get("spec")
        if info.group_kind != "Pod" or not spec:
            return undeclared_fields(fresh, cls)
        key = dumps(spec)
        if self._clean.knows(key):
            return undeclared_fields({name: value for name, value in fresh.items() if name != "spec"}, cls)
        unknown = undeclared_fields(fresh, cls)
        if not unknown:
            self._clean.learn(key)
        return unknown

    def _decoded(self, info: ResourceInfo, plan: Plan, *known: tuple[Document, Object]) -> tuple[Plan, Object]:
        """Return the plan and the typed view of its document; Pods share the specs that they have in common."""
        document = plan.document
        if info.group_kind != "Pod" or any(old.get("spec") is document.get("spec") for old, _ in known):
            return plan, self.decoded(info, document, *known)
        shared, twin = self._specs.known(document)
        if twin is not None:
            return attrs.evolve(plan, document=shared), self.decoded(info, shared, twin, *known)
        obj = self.decoded(info, document, *known)
        self._specs.learn(document, obj)
        return plan, obj

    def decoded(self, info: ResourceInfo, document: Document, *known: tuple[Document, Object]) -> Object:
        """Return the typed view; raises BadRequest naming the field that does not fit."""
        try:
            return decode_sharing(document, self._core.scheme.type_of(info), *known)
        except DecodeError as error:
            raise refusals.cannot_decode(info, error) from error

    async def _create(self, strategy: Strategy, target: Target, document: Document, call: Call) -> Record:
        info = strategy.info
        home = await self._home(target, fresh=False)
        document = self._shaped(info, document, lambda: strategy.finish_create(document))
        document = await self._mutated(target, document, None, call)
        errors = self._shaped(info, document, lambda: strategy.validate(document))
        if errors:
            self._refuse(info, document, target.name, errors)
        await self._standard.check(target, document, None, call)
        self._warn(strategy, document, None, call)
        taken: frozenset[bytes] = frozenset()
        await self._writes.prepare(info)
        for _ in range(WRITE_ATTEMPTS):
            plan = self._writes.plan(info, document, None, taken)
            plan, obj = self._decoded(info, plan, *(() if call.typed is None else (call.typed,)))
            if call.options.dry_run:
                return await self._dry_create(target, plan.document, obj)
            try:
                record = await self._writes.insert(target, plan, obj, home, call)
                await self._standard.settle(info)
                return record
            except NamespaceMovedError:
                home = await self._home(target, fresh=True)
            except TakenError as error:
                taken |= error.keys
                await self._core.feed.catch_up()
        raise refusals.conflict(info, target.name)

    async def _dry_create(self, target: Target, document: Document, obj: Object) -> Record:
        there = await self._core.feed.current(target.info, target.namespace, target.name)
        if there is not None:
            raise refusals.already_exists(target.info, target.name, deleting=metadata.deleting(there.document))
        record = Record(type(obj), target.namespace, target.name, 0, b"")
        record.know(document, obj)
        return record

    async def _try_update(self, target: Target, old: Record, given: Document, call: Call) -> Record | None:
        """Write one changed state; None when somebody else wrote in between."""
        info, before = target.info, old.document
        strategy = self._core.strategy(info)
        new = self._updated(strategy, target, old, given, call)
        new = await self._mutated(target, new, before, call)
        self._validate_update(strategy, target, new, before)
        await self._standard.check(target, new, before, call)
        if target.subresource == "":
            self._warn(strategy, new, before, call)
        await self._writes.prepare(info)
        plan = self._writes.plan(info, new, before)
        new = plan.document
        if new is before or new == before:
            return old
        rises = strategy.generation
        if rises is not None and target.subresource in _RAISING and rises(new, before):
            new = metadata.raised(new)
        known = [(before, old.object)]
        if call.typed is not None:
            known.append(call.typed)
        plan, obj = self._decoded(info, attrs.evolve(plan, document=new), *known)
        new = plan.document
        if call.options.dry_run:
            return _shown(old, old.revision, new, obj)
        if completes(strategy, new):
            gone = await self._writes.remove(target, old, call)
            # What is shown is the state that was never stored, under the revision of the one that was.
            return None if gone is None else _shown(old, old.revision, new, obj)
        stored = await self._writes.replace(target, old, plan, obj, call)
        await self._standard.settle(info)
        return stored

    def _check_kind(self, info: ResourceInfo, document: Document) -> None:
        version, kind = document.get("apiVersion", info.api_version), document.get("kind", info.kind)
        if version != info.api_version or kind != info.kind:
            known = any(each.api_version == version and each.kind == kind for each in self._core.scheme)
            raise refusals.other_kind(info, str(version), str(kind), known=known)

    def _check_dropped(self, info: ResourceInfo, given: Document) -> None:
        """Refuse a malformed time also where the server is about to write its own."""
        times = {name: given[name] for name in _TIMES if given.get(name) is not None}
        if times:
            self._check_shape(info, {"metadata": times})

    def _updated(self, strategy: Strategy, target: Target, old: Record, given: Document, call: Call) -> Document:
        before = old.document
        if given is before:
            return given
        self._check_kind(target.info, given)
        self._check_dropped(target.info, metadata.meta_of(given))
        uid = metadata.meta_of(given).get("uid")
        actual = before["metadata"]["uid"]
        if uid and uid != actual and not call.applies:
            raise refusals.uid_conflict(target.info, old.namespace, old.name, wanted=uid, actual=actual)

        def prepare() -> Document:
            new = metadata.for_update(given, before)
            if "kind" not in new or "apiVersion" not in new:
                new = {"apiVersion": target.info.api_version, "kind": target.info.kind, **new}
            part = strategy.parts.get(target.subresource)
            if target.subresource == "" or part is not None:
                told = metadata.meta_of(new).get("managedFields")
                new = strategy.default(new)
                if told is not None and "managedFields" not in new["metadata"]:  # an empty list ends all ownership
                    new = metadata.with_meta(new, managedFields=told)
            if not call.applies and target.subresource != "binding" and has_owners(before, new):
                writer = writer_of(target.info, call.options.field_manager, target.subresource, self._core.clock.now())
                new = tracked(old.cls, before, new, writer)
            if target.subresource == "status":
                return strategy.prepare_status_update(new, before)
            if target.subresource == "":
                return strategy.prepare_update(new, before)
            return new if part is None else part.prepare(new, before)

        return self._shaped(target.info, given, prepare)

    def _validate_update(self, strategy: Strategy, target: Target, new: Document, old: Document) -> None:
        part = strategy.parts.get(target.subresource)
        if target.subresource not in ("", "status", "scale") and part is None:
            return
        rule = strategy.validate_status_update if target.subresource == "status" else strategy.validate_update
        if part is not None:
            rule = part.validate
        errors = self._shaped(target.info, new, lambda: rule(new, old))
        if errors:
            self._refuse(target.info, new, target.name, errors)

    async def _mutated(self, target: Target, document: Document, old: Document | None, call: Call) -> Document:
        document = await self._standard.admit(target, document, old)
        for hook in self._admission:
            request = AdmissionRequest(
                user=call.user,
                operation="CREATE" if old is None else "UPDATE",
                info=target.info,
                namespace=target.namespace,
                name=target.name,
                subresource=target.subresource,
                document=document,
                old=old,
                dry_run=call.options.dry_run,
            )
            changed = await hook.admit(request)
            document = document if changed is None else changed
        return document

    async def _home(self, target: Target, *, fresh: bool) -> Compare | None:
        """Check the namespace of a new object; the compare makes sure that it has not changed when the txn runs."""
        info, namespace = target.info, target.namespace
        if not info.namespaced:
            return None
        spaces = self._core.scheme.info("v1", "Namespace")
        home = None if fresh else self._core.feed.cache(spaces).get("", namespace)
        if home is None or metadata.deleting(home.document):
            home = await self._core.feed.current(spaces, "", namespace)
        if home is None:
            raise refusals.not_found(spaces, namespace)
        if metadata.deleting(home.document):
            raise refusals.namespace_terminating(info, target.name, namespace)
        return Compare(object_key(spaces, "", namespace), "mod_revision", "=", home.revision)

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
        raise to_invalid(info, name, errors)

    def _warn(self, strategy: Strategy, document: Document, old: Document | None, call: Call) -> None:
        if call.options.on_warning is not None:
            for warning in self._shaped(strategy.info, document, lambda: strategy.warnings(document, old)):
                call.options.on_warning(warning)


def _shown(old: Record, revision: int, document: Document, obj: Object) -> Record:
    """Return a state that is not stored: of a dry run, or the last one of an object that went with its last update."""
    record = Record(old.cls, old.namespace, old.name, revision, dumps(document))
    record.know(document, obj)
    return record
