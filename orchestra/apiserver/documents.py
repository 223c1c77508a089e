"""Every verb over documents and records: what the typed client in process and each remote front call.

Here a request is authorized, its place (namespace, name, subresource) is worked out, and the parts that do the work are
called. Nothing here knows a transport.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from orchestra.api.builtin import EVICTION, POD, SCALE
from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import Object, ResourceInfo
from orchestra.apiserver import metadata, refusals, subresources
from orchestra.apiserver.bodies import json_patch_faults
from orchestra.apiserver.bounds import refuse_unencodable
from orchestra.apiserver.core import Core
from orchestra.apiserver.deletion import warn
from orchestra.apiserver.diagnoses import Diagnoses
from orchestra.apiserver.eviction import Evictor
from orchestra.apiserver.interface import Document, User
from orchestra.apiserver.keys import fence_key
from orchestra.apiserver.option_rules import check_log_options, check_write_options
from orchestra.apiserver.ownership import applied, writer_of
from orchestra.apiserver.patch_faults import misfit
from orchestra.apiserver.patching import patched
from orchestra.apiserver.reading import Page, Query, Reader
from orchestra.apiserver.record import Record
from orchestra.apiserver.registry import WRITE_ATTEMPTS, Registry
from orchestra.apiserver.removal import Removed, Remover
from orchestra.apiserver.routes import OF_SUBRESOURCE
from orchestra.apiserver.sessions import Sessions
from orchestra.apiserver.store_errors import translated
from orchestra.apiserver.watching import CacheWatch
from orchestra.apiserver.writes import Call, Target
from orchestra.client.interface import DeleteOptions, DiagnosisReport, Fence, LogOptions, Patch, PatchType
from orchestra.errors import AlreadyExists, BadRequest, Conflict, NotFound
from orchestra.store import Compare, Put, Txn

FENCE_ATTEMPTS: Final = 16
"""How often a term of leadership is begun anew because somebody else began one at the same moment."""


@attrs.frozen
class Documents:
    """The verbs of the `Client` contract, with documents in place of typed objects and records as answers."""

    core: Core
    registry: Registry
    remover: Remover
    reader: Reader
    sessions: Sessions
    diagnoses: Diagnoses
    evictor: Evictor

    async def get(self, info: ResourceInfo, name: str, namespace: str, user: User, subresource: str = "") -> Record:
        """Return the newest state of an object, or what a subresource shows of it."""
        namespace = namespace if info.namespaced else ""
        await self.core.enter(user, "get", info, namespace, name, subresource)
        if subresource:
            _check_subresource(info, subresource, "GET")
        return subresources.view(await self.registry.read(Target(info, namespace, name)), subresource)

    async def list(self, query: Query, user: User) -> Page:
        """Return one page of a list."""
        await self.core.enter(user, "list", query.info, query.namespace or "", "")
        return await self.reader.list(query)

    @asynccontextmanager
    async def watch(self, query: Query, user: User, *, bookmarks: bool = False) -> AsyncIterator[CacheWatch]:
        """Open a watch."""
        await self.core.enter(user, "watch", query.info, query.namespace or "", "")
        async with self.reader.watch(query, bookmarks=bookmarks) as watch:
            yield watch

    @refuse_unencodable
    async def create(self, info: ResourceInfo, document: Document, namespace: str, call: Call) -> Record:
        """Store a new object. `namespace` is where the request is addressed; the document may not name another one."""
        check_write_options("CreateOptions", call.options)
        namespace = _place(info, document, namespace)
        meta = metadata.meta_of(document)
        name = meta.get("name") or ""
        if not name and not meta.get("generateName") and info.group_kind == "LimitRange":
            name = self.core.clock.uid()  # one without any name is called by such an id (core/limitrange strategy)
            document = {**document, "metadata": {**meta, "name": name}}
        if info.group_kind == "Binding":
            return await self._create_binding(document, namespace, call)
        if info.group_kind == "Eviction.policy":
            return await self.evict("", document, namespace, call)
        await self.core.enter(call.user, "create", info, namespace, name)
        return await self.registry.create(Target(info, namespace, name), document, call)

    @refuse_unencodable
    async def update(
        self, info: ResourceInfo, document: Document, namespace: str, call: Call, *, subresource: str = ""
    ) -> Record:
        """Replace an object, or the part of it that a subresource covers."""
        check_write_options("UpdateOptions", call.options)
        namespace = _place(info, document, namespace)
        meta = metadata.meta_of(document)
        name = meta.get("name") or ""
        _check_subresource(info, subresource, "PUT")
        await self.core.enter(call.user, "update", info, namespace, name, subresource)
        if not name:
            raise refusals.name_required(info)
        strategy = self.core.strategy(info)
        revision = metadata.condition_of(document)

        if subresource != "scale":
            known = self.core.feed.known(info, namespace, name)
            document = self.registry.known_fields(info, document, call, None if known is None else known.document)

        def change(old: Record) -> Document:
            if not revision and not strategy.unconditional_update and subresource in ("", "status"):
                raise refusals.revision_required(info, name)
            if subresource == "scale":
                subresources.check_scale(old, document, self.core.scheme)
                return subresources.scaled(old.document, document)
            if subresource == "finalize":
                spec = {
                    **(old.document.get("spec") or {}),
                    "finalizers": (document.get("spec") or {}).get("finalizers"),
                }
                return {**old.document, "spec": {key: value for key, value in spec.items() if value}}
            return document

        try:
            target = Target(info, namespace, name, subresource)
            return await self.registry.modify(target, change, call, revision=revision)
        except NotFound as error:
            if error.kind != info.plural or subresource or not strategy.create_on_update:
                raise
            if meta.get("uid"):
                raise refusals.uid_conflict(info, namespace, name, wanted=meta["uid"], actual="") from error
            await self.core.enter(call.user, "create", info, namespace, name)
            fresh = metadata.with_meta(document, resourceVersion=None)
            return await self.registry.create(Target(info, namespace, name), fresh, call)

    @refuse_unencodable
    async def patch(
        self, info: ResourceInfo, name: str, namespace: str, patch: Patch, call: Call, *, subresource: str = ""
    ) -> Record:
        """Change parts of the newest state of an object."""
        check_write_options("PatchOptions", call.options)
        namespace = namespace if info.namespaced else ""
        _check_subresource(info, subresource, "PATCH")
        await self.core.enter(call.user, "patch", info, namespace, name, subresource)
        cls = self.core.scheme.type_of(info)

        if patch.type is PatchType.JSON:
            call = attrs.evolve(call, faults=(*call.faults, *json_patch_faults(patch.body)))
        states: list[tuple[Document, Document]] = []

        def change(old: Record) -> Document:
            shown = old.wire_document if subresource != "scale" else subresources.scale_of(old)
            new = patched(shown, patch, None if subresource == "scale" else cls)
            states[:] = [(shown, new)]
            _check_patched(info, old, shown, new)
            if subresource == "scale":
                return subresources.scaled(old.document, new)
            return self.registry.known_fields(info, new, call, old.document, patched=True)

        try:
            return await self.registry.modify(Target(info, namespace, name, subresource), change, call)
        except refusals.Misfit as error:
            before, after = states[-1]
            shape = self.core.scheme.type_of(SCALE) if subresource == "scale" else cls
            raise misfit(patch, before, after, shape, error.why) from error

    @refuse_unencodable
    async def apply(
        self, document: Document, call: Call, *, namespace: str = "", subresource: str = "", force: bool = False
    ) -> Record:
        """Server-side apply: create the object, or make the given fields so and own them."""
        check_write_options("PatchOptions", call.options)
        version, kind = document.get("apiVersion") or "", document.get("kind") or ""
        if not version or not kind or not isinstance(version, str) or not isinstance(kind, str):
            raise BadRequest(f"invalid object type: {version if '/' in str(version) else f'/{version}'}, Kind={kind}")
        info = self.core.scheme.info(document["apiVersion"], document["kind"])
        namespace = _place(info, document, namespace)
        name = metadata.meta_of(document).get("name") or ""
        call.judge_applied()
        _check_subresource(info, subresource, "PATCH")
        await self.core.enter(call.user, "patch", info, namespace, name, subresource)
        cls = self.core.scheme.type_of(info)
        writer = writer_of(info, call.options.field_manager, subresource, self.core.clock.now())
        call = attrs.evolve(call, applies=True)

        def change(old: Record) -> Document:
            return applied(cls, old, document, writer, force=force)

        for _ in range(WRITE_ATTEMPTS):
            try:
                return await self.registry.modify(Target(info, namespace, name, subresource), change, call)
            except NotFound as error:
                if subresource or error.kind != info.plural or metadata.meta_of(document).get("uid"):
                    raise
            await self.core.enter(call.user, "create", info, namespace, name)
            try:
                fresh = applied(cls, None, document, writer, force=force)
                return await self.registry.create(Target(info, namespace, name), fresh, call)
            except AlreadyExists as error:
                if error.message.startswith("object is being deleted"):
                    raise
        raise refusals.conflict(info, name)

    async def delete(
        self, info: ResourceInfo, name: str, namespace: str, options: DeleteOptions, user: User
    ) -> Removed:
        """Delete an object, or begin to."""
        namespace = namespace if info.namespaced else ""
        await self.core.enter(user, "delete", info, namespace, name)
        warn(self.core.strategy(info), options)
        return await self.remover.delete(Target(info, namespace, name), options, user)

    async def delete_collection(self, query: Query, options: DeleteOptions, user: User) -> tuple[Removed, ...]:
        """Delete every object that a query means, one after the other; what is gone already is left out."""
        await self.core.enter(user, "deletecollection", query.info, query.namespace or "", "")
        warn(self.core.strategy(query.info), options)
        page = await self.reader.list(query)
        removed = []
        for record in page.records:
            try:
                target = Target(query.info, record.namespace, record.name)
                done = await self.remover.delete(target, options, user)
            except NotFound:
                continue
            removed.append(done)
        return tuple(removed)

    async def bind(
        self, pod: str, node: str, namespace: str, uid: str, call: Call, binding: Document | None = None
    ) -> Record:
        """Assign a Pod to a node."""
        info = self.core.scheme.info("v1", "Pod")
        nodes = self.core.feed.cache(self.core.scheme.info("v1", "Node"))
        await self.core.enter(call.user, "create", info, namespace, pod, "binding")
        if not node:
            raise BadRequest("target.name: Required value")

        def change(old: Record) -> tuple[Document, Object]:
            actual = old.document["metadata"]["uid"]
            if uid and uid != actual:
                raise refusals.uid_conflict(info, namespace, pod, wanted=uid, actual=actual)
            given = subresources.given_by(binding, nodes.get("", node))
            return subresources.bound(old, node, self.core.clock.now(), given)

        return await self.registry.assign(Target(info, namespace, pod, "binding"), change, call)

    async def bind_by(self, pod: str, binding: Document, namespace: str, call: Call) -> Record:
        """Assign a Pod to a node as a Binding says; an empty `pod` takes its name from there."""
        meta, target = metadata.meta_of(binding), binding.get("target") or {}
        name = meta.get("name") or ""
        if pod and name and pod != name:
            raise BadRequest("name in URL does not match name in Binding object")
        if target.get("kind") not in (None, "", "Node"):
            raise BadRequest(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"')
        return await self.bind(pod or name, target.get("name") or "", namespace, meta.get("uid") or "", call, binding)

    async def evict(self, pod: str, eviction: Document, namespace: str, call: Call) -> Record:
        """Delete a Pod as far as its disruption budget allows; an empty `pod` takes its name from the Eviction."""
        name = pod or metadata.meta_of(eviction).get("name") or ""
        check_write_options("CreateOptions", call.options)
        await self.core.enter(call.user, "create", POD, namespace, name, "eviction")
        await self.evictor.evict(pod, eviction, namespace, call)
        return Record(self.core.scheme.type_of(EVICTION), namespace, name, 0, b"", eviction)

    @asynccontextmanager
    async def logs(
        self, pod: str, namespace: str, options: LogOptions, user: User
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a container's log from the node that runs it."""
        info = self.core.scheme.info("v1", "Pod")
        await self.core.enter(user, "get", info, namespace, pod, "log")
        record = await self.registry.read(Target(info, namespace, pod))
        check_log_options(pod, options)
        chunks = self.sessions.logs(record.document, options)
        try:
            yield chunks
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def diagnosis(self, pod: str, namespace: str, user: User) -> PodDiagnosis | None:
        """Return what a scheduler said of a Pod; None when there is nothing."""
        info = self.core.scheme.info("v1", "Pod")
        await self.core.enter(user, "get", info, namespace, pod, "diagnosis")
        record = await self.registry.read(Target(info, namespace, pod))
        return self.diagnoses.get(record.document["metadata"]["uid"])

    async def report_diagnoses(self, reports: Iterable[DiagnosisReport], user: User) -> None:
        """Keep what a scheduler says of Pods that there are."""
        info = self.core.scheme.info("v1", "Pod")
        pods = self.core.feed.cache(info)
        allowed: set[str] = set()
        for report in reports:
            if report.namespace not in allowed:
                await self.core.enter(user, "update", info, report.namespace, report.pod, "diagnosis")
                allowed.add(report.namespace)
            known = pods.get(report.namespace, report.pod)
            if known is None:
                try:  # the caches may be behind
                    known = await self.registry.read(Target(info, report.namespace, report.pod))
                except NotFound:
                    continue
            if known.document["metadata"]["uid"] == report.uid:
                self.diagnoses.put(report)

    async def acquire_fence(self, name: str, holder: str, user: User) -> Fence:
        """Begin a term of leadership: the key is made anew, so every older term's revision is stale."""
        lease = self.core.scheme.info("coordination.k8s.io/v1", "Lease")
        await self.core.enter(user, "update", lease, "", name)
        key = fence_key(name)
        for _ in range(FENCE_ATTEMPTS):
            with translated():
                await self.core.store.delete(key)
            txn = Txn((Compare(key, "mod_revision", "=", 0),), (Put(key, holder.encode()),))
            result = await self.core.commit(lease, name, txn)
            if result.succeeded:
                return Fence(name=name, revision=result.revision)
        raise Conflict(f'the leadership of "{name}" is being fought over')

    async def _create_binding(self, document: Document, namespace: str, call: Call) -> Record:
        bound = await self.bind_by("", document, namespace, call)
        info = self.core.scheme.info("v1", "Binding")
        return Record(self.core.scheme.type_of(info), namespace, bound.name, bound.revision, b"", document)


def _place(info: ResourceInfo, document: Document, namespace: str) -> str:
    """Return the namespace of a write; raises BadRequest when document and request disagree."""
    if not info.namespaced:
        return ""
    given: Any = metadata.meta_of(document).get("namespace")
    if given and namespace and given != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    return str(given or namespace or "default")


def _check_subresource(info: ResourceInfo, subresource: str, method: str) -> None:
    if not subresource:
        return
    if subresource not in info.subresources:
        raise refusals.no_resource()
    if method not in OF_SUBRESOURCE.get(subresource, ()):
        raise refusals.method_not_allowed()


def _check_patched(info: ResourceInfo, old: Record, shown: Document, new: Document) -> None:
    version, kind = new.get("apiVersion"), new.get("kind")
    if (version, kind) != (shown["apiVersion"], shown["kind"]):
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise refusals.Misfit(info, why)
    meta = metadata.meta_of(new)
    revision = meta.get("resourceVersion")
    if revision and revision != str(old.revision):
        raise refusals.conflict(info, old.name)
    if meta.get("name", old.name) != old.name:
        raise BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({old.name})")
    if info.namespaced and meta.get("namespace", old.namespace) != old.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
