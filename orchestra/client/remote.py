"""`RemoteClient`: the `Client` contract over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, overload

import anyio
import attrs
import orjson
from anyio.abc import TaskGroup

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.api.autoscaling import Scale
from orchestra.api.codec import encode
from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import ListMeta, Object, ResourceInfo
from orchestra.api.scheme import Scheme
from orchestra.client import remote_messages as messages
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
from orchestra.client.remote_channel import UNIX, Channel, ClientTLS, check_address
from orchestra.client.remote_decoding import Decoder
from orchestra.client.verbs import ClientVerbs
from orchestra.clock import Clock, SystemClock
from orchestra.errors import BadRequest, ConfigurationError, NotFound, ServiceUnavailable

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
Document = dict[str, Any]

DEFAULT_TIMEOUT_SECONDS: Final = 30.0
"""How long an answer may take; watches, logs and node sessions have no such bound."""


@attrs.frozen(kw_only=True)
class ServerVersion:
    """What a server says of itself: its version, and the revision that all of its caches have reached."""

    version: str
    revision: int


class RemoteClient(ClientVerbs):
    """A server elsewhere, reached through its `GRPCFront`; open while the context is.

    `address` is `unix:PATH`, or `HOST:PORT` together with `tls`. `token` is a bearer token; it is not sent over TCP
    without TLS. `scheme` holds the kinds that are decoded into classes of their own.

    A connection that is lost is made again by itself; calls in between raise `ServiceUnavailable`. A write whose
    answer was lost raises `Timeout`: it may or may not have happened.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        tls: ClientTLS | None = None,
        scheme: Scheme | None = None,
        clock: Clock | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._target = check_address(address)
        if self._target.startswith(UNIX) and tls is not None:
            raise ConfigurationError("TLS is for TCP: a Unix socket is guarded by its mode")
        if not self._target.startswith(UNIX) and tls is None:
            raise ConfigurationError(f"{address}: TCP needs TLS")
        self.address = address
        self._token = token
        self._tls = tls
        self._scheme = scheme if scheme is not None else Scheme()
        self._clock = clock or SystemClock()
        self._timeout_seconds = timeout_seconds
        self._decoder = Decoder()
        self._open: tuple[Channel, TaskGroup] | None = None

    @property
    def scheme(self) -> Scheme:
        """The kinds that this client can decode; `discover` adds those that only the server knows."""
        return self._scheme

    async def __aenter__(self) -> Self:
        tasks = anyio.create_task_group()
        channel = Channel(self._target, token=self._token, tls=self._tls, timeout_seconds=self._timeout_seconds)
        await tasks.__aenter__()
        self._open = (channel, tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        channel, tasks = self._opened
        self._open = None
        tasks.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await tasks.__aexit__(kind, error, trace)
            # An error of the body is the body's: it must not come out wrapped in the group of the client's tasks.
            await tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await channel.close()
        return None

    @property
    def _opened(self) -> tuple[Channel, TaskGroup]:
        if self._open is None:
            raise ServiceUnavailable("the client is not open: use it inside `async with client:`")
        return self._open

    @property
    def _channel(self) -> Channel:
        return self._opened[0]

    async def get(self, kind: type[O], name: str, *, namespace: str = "default") -> O:
        """See `Client.get`."""
        request = messages.get_request(kind.resource_info, namespace, name)
        return self._decoder.object(await self._channel.unary(self._channel.stub.Get, request), kind)

    async def get_scale(self, kind: type[Object], name: str, *, namespace: str = "default") -> Scale:
        """See `Client.get_scale`."""
        request = messages.get_request(kind.resource_info, namespace, name, "scale")
        return self._decoder.object(await self._channel.unary(self._channel.stub.Get, request), Scale)

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
        """See `Client.list`. A list is decoded piece by piece while it arrives."""
        channel = self._channel
        request = pb.ListRequest(
            selection=messages.selection_message(kind.resource_info, namespace, label_selector, field_selector),
            limit=limit,
            continue_token=continue_,
            resource_version=resource_version,
            resource_version_match=resource_version_match,
        )
        items: list[O] = []
        meta: ListMeta | None = None
        async with aclosing(channel.pieces(channel.stub.List, request)) as pieces:
            async for piece in pieces:
                items.extend([self._decoder.object(record, kind) for record in piece.records])
                if piece.HasField("end"):
                    meta = messages.list_meta(piece.end)
        if meta is None:
            raise ServiceUnavailable("the list ended before it was complete", retry_after_seconds=1)
        return ObjectList(items=tuple(items), metadata=meta)

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
        """See `Client.watch`. When the connection is lost the watch ends with ServiceUnavailable."""
        from orchestra.client.remote_watch import RemoteWatch, remote_watch

        channel, tasks = self._opened
        opening = pb.WatchOpen(
            selection=messages.selection_message(kind.resource_info, namespace, label_selector, field_selector),
            resource_version=resource_version,
            bookmarks=bookmarks,
        )
        return remote_watch(
            lambda: RemoteWatch(kind, channel, self._decoder), tasks, opening, timeout_seconds=self._timeout_seconds
        )

    async def create(self, obj: O, *, options: WriteOptions = WriteOptions()) -> O:
        """See `Client.create`."""
        channel = self._channel
        request = pb.CreateRequest(
            kind=messages.kind_message(obj.resource_info),
            namespace=obj.metadata.namespace or "default",
            document=_body(encode(obj)),
            options=messages.write_message(options),
        )
        return await self._written(channel.stub.Create, request, type(obj), options)

    async def update(self, obj: O, *, subresource: str = "", options: WriteOptions = WriteOptions()) -> O:
        """See `Client.update`."""
        channel = self._channel
        request = pb.UpdateRequest(
            kind=messages.kind_message(obj.resource_info),
            namespace=obj.metadata.namespace or "default",
            subresource=subresource,
            document=_body(encode(obj)),
            options=messages.write_message(options),
        )
        return await self._written(channel.stub.Update, request, type(obj), options)

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
        channel = self._channel
        request = pb.PatchRequest(
            kind=messages.kind_message(kind.resource_info),
            namespace=namespace,
            name=name,
            subresource=subresource,
            patch_type=patch.type,
            patch=_body(patch.body),
            options=messages.write_message(options),
        )
        return await self._written(channel.stub.Patch, request, kind, options)

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
        channel = self._channel
        document = obj if isinstance(obj, dict) else encode(obj)
        request = pb.ApplyRequest(
            document=_body(document), subresource=subresource, force=force, options=messages.write_message(options)
        )
        kind = self._kind_of(document) if isinstance(obj, dict) else type(obj)
        return await self._written(channel.stub.Apply, request, kind, options)

    async def delete(
        self, kind: type[O], name: str, *, namespace: str = "default", options: DeleteOptions = DeleteOptions()
    ) -> Deleted[O]:
        """See `Client.delete`."""
        channel = self._channel
        request = pb.DeleteRequest(
            kind=messages.kind_message(kind.resource_info),
            namespace=namespace,
            name=name,
            options=messages.delete_message(options),
        )
        told = options.on_warning
        answer: pb.Deleted = await channel.unary(channel.stub.Delete, request, writes=True, on_warning=told)
        _tell(answer.warnings, told)
        return self._decoder.deleted(answer, kind)

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
        channel = self._channel
        request = pb.DeleteCollectionRequest(
            selection=messages.selection_message(kind.resource_info, namespace, label_selector, field_selector),
            options=messages.delete_message(options),
        )
        found: list[Deleted[O]] = []
        async with aclosing(channel.pieces(channel.stub.DeleteCollection, request, writes=True)) as pieces:
            async for piece in pieces:
                _tell(piece.warnings, options.on_warning)
                found.extend([self._decoder.deleted(item, kind) for item in piece.deleted])
        return tuple(found)

    async def bind(self, pod: str, node: str, *, namespace: str = "default", uid: str = "") -> int:
        """See `Client.bind`."""
        channel = self._channel
        request = pb.BindRequest(namespace=namespace, pod=pod, node=node, uid=uid)
        return int((await channel.unary(channel.stub.Bind, request, writes=True)).revision)

    async def acquire_fence(self, name: str, holder: str) -> Fence:
        """See `Client.acquire_fence`."""
        channel = self._channel
        request = pb.AcquireFenceRequest(name=name, holder=holder)
        fence = await channel.unary(channel.stub.AcquireFence, request, writes=True)
        return Fence(name=fence.name, revision=fence.revision)

    async def diagnosis(self, pod: str, *, namespace: str = "default") -> PodDiagnosis | None:
        """See `Client.diagnosis`."""
        channel = self._channel
        request = pb.GetDiagnosisRequest(namespace=namespace, pod=pod)
        return messages.diagnosis_of((await channel.unary(channel.stub.GetDiagnosis, request)).document)

    async def report_diagnoses(self, reports: Iterable[DiagnosisReport]) -> None:
        """See `Client.report_diagnoses`. Every report is spelled out and sent."""
        channel = self._channel
        for request in messages.report_messages(reports):
            await channel.unary(channel.stub.ReportDiagnoses, request, writes=True)

    @asynccontextmanager
    async def logs(
        self, pod: str, *, namespace: str = "default", options: LogOptions = LogOptions()
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `Client.logs`. The node sends no faster than the chunks are taken."""
        channel = self._channel
        request = pb.LogsRequest(namespace=namespace, pod=pod, options=messages.log_message(options))
        stream = channel.open(channel.stub.Logs, request)

        async def chunks() -> AsyncIterator[bytes]:
            while (chunk := await stream.receive()) is not None:
                yield chunk.data

        try:
            await stream.receive()  # The log is open, or refused.
            yield chunks()
        finally:
            stream.cancel()

    @asynccontextmanager
    async def serve_node(self, node: str, handler: NodeHandler) -> AsyncIterator[None]:
        """See `Client.serve_node`. A session that is lost is opened again, with growing pauses."""
        from orchestra.client.remote_session import NodeSession

        channel, tasks = self._opened
        session = NodeSession(channel, self._clock, node, handler)
        tasks.start_soon(session.run)
        try:
            await session.first_attempt()
            yield
        finally:
            await session.leave()

    async def discover(self) -> tuple[ResourceInfo, ...]:
        """Return every kind that the server serves.

        Kinds that this client's scheme does not know become part of it: their objects can be read and written, with all
        fields but the metadata in `undeclared`.
        """
        channel = self._channel
        answer = await channel.unary(channel.stub.Discover, pb.DiscoverRequest())
        found = tuple(messages.resource_of(item) for item in answer.resources)
        known = {(info.api_version, info.kind) for info in self._scheme}
        for info in found:
            if (info.api_version, info.kind) not in known:
                self._scheme.register(messages.undescribed_kind(info))
        return found

    async def version(self) -> ServerVersion:
        """Return what the server says of itself: also the way to see whether there is one."""
        channel = self._channel
        answer = await channel.unary(channel.stub.Version, pb.VersionRequest())
        return ServerVersion(version=answer.version, revision=answer.revision)

    async def _written(self, method: Any, request: Any, kind: type[O], options: WriteOptions) -> O:
        answer: pb.Written = await self._channel.unary(method, request, writes=True, on_warning=options.on_warning)
        _tell(answer.warnings, options.on_warning)
        return self._decoder.object(answer.record, kind)

    def _kind_of(self, document: Document) -> type[Object]:
        try:
            return self._scheme.type_of(self._scheme.info(document.get("apiVersion", ""), document.get("kind", "")))
        except (NotFound, TypeError):
            # The server may know it, or will say what is wrong with it.
            group, _, version = str(document.get("apiVersion")).rpartition("/")
            kind = str(document.get("kind"))
            info = ResourceInfo(group=group, version=version, kind=kind, plural=kind.lower())
            return messages.undescribed_kind(info)


def _body(value: Any) -> bytes:
    """Write down what a request carries; raises BadRequest, as the server in process does, where JSON cannot."""
    try:
        return orjson.dumps(value)
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        raise BadRequest(f"the object cannot be written as JSON: {error}") from error


def _tell(warnings: Iterable[str], told: Callable[[str], None] | None) -> None:
    if told is not None:
        for warning in warnings:
            told(warning)
