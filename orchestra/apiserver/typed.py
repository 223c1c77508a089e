"""The `Client` contract in process: typed objects in, shared typed objects out, nothing in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import ListMeta, Object
from orchestra.api.scheme import Scheme
from orchestra.apiserver.documents import Documents
from orchestra.apiserver.interface import User
from orchestra.apiserver.reading import Query
from orchestra.apiserver.record import encode_sharing
from orchestra.apiserver.writes import Call
from orchestra.client.interface import (
    Deleted,
    DeleteOptions,
    DiagnosisReport,
    Fence,
    LogOptions,
    NodeHandler,
    ObjectList,
    Patch,
    Watch,
    WriteOptions,
)
from orchestra.client.verbs import ClientVerbs

if TYPE_CHECKING:
    from orchestra.api.autoscaling import Scale

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
Document = dict[str, Any]


class InProcessClient(ClientVerbs):
    """The server as one user in the same process sees it. Objects are shared with the server's caches."""

    def __init__(self, documents: Documents, user: User) -> None:
        self._documents = documents
        self._user = user

    @property
    def scheme(self) -> Scheme:
        """The kinds that the server serves."""
        return self._documents.core.scheme

    async def get(self, kind: type[O], name: str, *, namespace: str = "default") -> O:
        """See `Client.get`."""
        record = await self._documents.get(kind.resource_info, name, namespace, self._user)
        return cast("O", record.object)

    async def get_scale(self, kind: type[Object], name: str, *, namespace: str = "default") -> Scale:
        """See `Client.get_scale`."""
        record = await self._documents.get(kind.resource_info, name, namespace, self._user, "scale")
        return cast("Scale", record.object)

    async def list(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
        resource_version_match: Literal["", "Exact", "NotOlderThan"] = "",
    ) -> ObjectList[O]:
        """See `Client.list`."""
        query = Query(
            info=kind.resource_info,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_=continue_,
            resource_version=resource_version,
            resource_version_match=resource_version_match,
        )
        page = await self._documents.list(query, self._user)
        meta = ListMeta(
            resource_version=str(page.revision), continue_=page.continue_, remaining_item_count=page.remaining
        )
        items = tuple([record.object for record in page.records])
        return ObjectList(items=cast("tuple[O, ...]", items), metadata=meta)

    def watch(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        bookmarks: bool = False,
    ) -> AbstractAsyncContextManager[Watch[O]]:
        """See `Client.watch`."""
        query = Query(
            info=kind.resource_info,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
        )
        opened = self._documents.watch(query, self._user, bookmarks=bookmarks)
        return cast("AbstractAsyncContextManager[Watch[O]]", opened)

    async def create(self, obj: O, *, options: WriteOptions = WriteOptions()) -> O:
        """See `Client.create`."""
        document = encode_sharing(obj, None)
        call = Call(user=self._user, options=options, typed=(document, obj))
        namespace = obj.metadata.namespace or "default"
        record = await self._documents.create(obj.resource_info, document, namespace, call)
        return cast("O", record.object)

    async def update(self, obj: O, *, subresource: str = "", options: WriteOptions = WriteOptions()) -> O:
        """See `Client.update`."""
        info, meta = obj.resource_info, obj.metadata
        namespace = meta.namespace or "default"
        known = self._documents.core.feed.known(info, namespace if info.namespaced else "", meta.name)
        document = encode_sharing(obj, known)
        call = Call(user=self._user, options=options, typed=(document, obj))
        record = await self._documents.update(info, document, namespace, call, subresource=subresource)
        return cast("O", record.object)

    async def patch(
        self,
        kind: type[O],
        name: str,
        patch: Patch,
        *,
        namespace: str = "default",
        subresource: str = "",
        options: WriteOptions = WriteOptions(),
    ) -> O:
        """See `Client.patch`."""
        call = Call(user=self._user, options=options)
        info = kind.resource_info
        record = await self._documents.patch(info, name, namespace, patch, call, subresource=subresource)
        return cast("O", record.object)

    @overload
    async def apply(self, obj: O, *, subresource: str = ..., force: bool = ..., options: WriteOptions = ...) -> O: ...
    @overload
    async def apply(
        self, obj: Document, *, subresource: str = ..., force: bool = ..., options: WriteOptions = ...
    ) -> Object: ...
    async def apply(
        self, obj: Any, *, subresource: str = "", force: bool = False, options: WriteOptions = WriteOptions()
    ) -> Any:
        """See `Client.apply`."""
        document = obj if isinstance(obj, dict) else encode_sharing(obj, None)
        call = Call(user=self._user, options=options)
        record = await self._documents.apply(document, call, subresource=subresource, force=force)
        return record.object

    async def delete(
        self, kind: type[O], name: str, *, namespace: str = "default", options: DeleteOptions = DeleteOptions()
    ) -> Deleted[O]:
        """See `Client.delete`."""
        removed = await self._documents.delete(kind.resource_info, name, namespace, options, self._user)
        return Deleted(object=cast("O", removed.record.object), revision=removed.revision, gone=removed.gone)

    async def delete_collection(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        options: DeleteOptions = DeleteOptions(),
    ) -> tuple[Deleted[O], ...]:
        """See `Client.delete_collection`."""
        query = Query(
            info=kind.resource_info,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        removed = await self._documents.delete_collection(query, options, self._user)
        return tuple(
            Deleted(object=cast("O", item.record.object), revision=item.revision, gone=item.gone) for item in removed
        )

    async def bind(self, pod: str, node: str, *, namespace: str = "default", uid: str = "") -> int:
        """See `Client.bind`."""
        record = await self._documents.bind(pod, node, namespace, uid, Call(user=self._user))
        return record.revision

    async def diagnosis(self, pod: str, *, namespace: str = "default") -> PodDiagnosis | None:
        """See `Client.diagnosis`."""
        return await self._documents.diagnosis(pod, namespace, self._user)

    async def report_diagnoses(self, reports: Iterable[DiagnosisReport]) -> None:
        """See `Client.report_diagnoses`. A report is spelled out when somebody asks for it."""
        await self._documents.report_diagnoses(reports, self._user)

    def logs(
        self, pod: str, *, namespace: str = "default", options: LogOptions = LogOptions()
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """See `Client.logs`."""
        return self._documents.logs(pod, namespace, options, self._user)

    @asynccontextmanager
    async def serve_node(self, node: str, handler: NodeHandler) -> AsyncIterator[None]:
        """See `Client.serve_node`."""
        with self._documents.sessions.serve(node, handler):
            yield

    async def acquire_fence(self, name: str, holder: str) -> Fence:
        """See `Client.acquire_fence`."""
        return await self._documents.acquire_fence(name, holder, self._user)
