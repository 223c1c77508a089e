"""The calls of `orchestra.v1.API`, each translated into one of the server's verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra._version import __version__
from orchestra.api.object import ResourceInfo
from orchestra.apiserver.documents import Documents
from orchestra.apiserver.grpc_calls import Bridge
from orchestra.apiserver.grpc_session import NodeSessions
from orchestra.apiserver.grpc_streams import Watches, deleted_message, deleted_pieces, list_pieces, record_message
from orchestra.apiserver.interface import Document, User
from orchestra.apiserver.reading import Query
from orchestra.apiserver.record import Record
from orchestra.apiserver.writes import Call
from orchestra.client.interface import Patch, PatchType
from orchestra.client.remote_messages import (
    delete_options,
    diagnosis_document,
    log_options,
    reports_of,
    resource_message,
    write_options,
)
from orchestra.client.remote_status import CHUNK_BYTES
from orchestra.errors import BadRequest, RequestTooLarge, UnsupportedMediaType

SERVICE: Final = "orchestra.v1.API"

MAX_DIAGNOSIS_BYTES: Final = 64 * 1024
"""The largest record of an attempt to place a Pod that the server keeps."""


class Service:
    """The verbs by the names of their calls."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._scheme = documents.core.scheme
        self._version = __version__

    def handlers(self, bridge: Bridge) -> dict[str, Any]:
        """Return gRPC's method handlers."""
        import grpc
        from google.protobuf.message_factory import GetMessageClass

        watches, sessions = Watches(self._documents, self._query), NodeSessions(self._documents)
        verbs = {
            "Version": bridge.unary(self._tell_version),
            "Discover": bridge.unary(self._discover),
            "Get": bridge.unary(self._get),
            "List": bridge.pieces(self._list),
            "Watch": bridge.stream(watches.serve, reads=True),
            "Create": bridge.unary(self._create),
            "Update": bridge.unary(self._update),
            "Patch": bridge.unary(self._patch),
            "Apply": bridge.unary(self._apply),
            "Delete": bridge.unary(self._delete),
            "DeleteCollection": bridge.pieces(self._delete_collection),
            "Bind": bridge.unary(self._bind),
            "AcquireFence": bridge.unary(self._acquire_fence),
            "GetDiagnosis": bridge.unary(self._get_diagnosis),
            "ReportDiagnoses": bridge.unary(self._report_diagnoses),
            "Logs": bridge.stream(self._logs, reads=False),
            "NodeSession": bridge.stream(sessions.serve, reads=True),
        }
        makers = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }
        return {
            method.name: makers[method.client_streaming, method.server_streaming](
                verbs[method.name],
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=_serialize,
            )
            for method in pb.DESCRIPTOR.services_by_name["API"].methods
        }

    async def _tell_version(self, _request: pb.VersionRequest, _user: User, _warnings: list[str]) -> pb.VersionResponse:
        return pb.VersionResponse(version=self._version, revision=self._documents.core.feed.revision)

    async def _discover(self, _request: pb.DiscoverRequest, _user: User, _warnings: list[str]) -> pb.DiscoverResponse:
        return pb.DiscoverResponse(resources=[resource_message(info) for info in self._scheme])

    async def _get(self, request: pb.GetRequest, user: User, _warnings: list[str]) -> pb.Record:
        info = self._info(request.kind)
        record = await self._documents.get(info, request.name, request.namespace, user, request.subresource)
        return record_message(record)

    async def _list(self, request: pb.ListRequest, user: User) -> AsyncIterator[pb.ListPiece]:
        selection = request.selection
        query = Query(
            info=self._info(selection.kind),
            namespace=selection.namespace or None,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            limit=request.limit,
            continue_=request.continue_token,
            resource_version=request.resource_version,
            resource_version_match=request.resource_version_match,
        )
        for piece in list_pieces(await self._documents.list(query, user)):
            yield piece

    async def _create(self, request: pb.CreateRequest, user: User, warnings: list[str]) -> pb.Written:
        info, call = self._info(request.kind), _call(request.options, user, warnings)
        document = _document(request.document, info)
        return _written(await self._documents.create(info, document, request.namespace, call), warnings)

    async def _update(self, request: pb.UpdateRequest, user: User, warnings: list[str]) -> pb.Written:
        info, call = self._info(request.kind), _call(request.options, user, warnings)
        document = _document(request.document, info)
        record = await self._documents.update(info, document, request.namespace, call, subresource=request.subresource)
        return _written(record, warnings)

    async def _patch(self, request: pb.PatchRequest, user: User, warnings: list[str]) -> pb.Written:
        try:
            patch_type = PatchType(request.patch_type)
        except ValueError:
            known = ", ".join(PatchType)
            raise UnsupportedMediaType(
                f"the body of the request was in an unknown format - accepted media types include: {known}"
            ) from None
        patch = Patch(patch_type, _json(request.patch))
        record = await self._documents.patch(
            self._info(request.kind),
            request.name,
            request.namespace,
            patch,
            _call(request.options, user, warnings),
            subresource=request.subresource,
        )
        return _written(record, warnings)

    async def _apply(self, request: pb.ApplyRequest, user: User, warnings: list[str]) -> pb.Written:
        document = _json(request.document)
        if not isinstance(document, dict):
            raise BadRequest("the document is no JSON object")
        call = _call(request.options, user, warnings)
        record = await self._documents.apply(document, call, subresource=request.subresource, force=request.force)
        return _written(record, warnings)

    async def _delete(self, request: pb.DeleteRequest, user: User, warnings: list[str]) -> pb.Deleted:
        info, options = self._info(request.kind), delete_options(request.options, warnings)
        removed = await self._documents.delete(info, request.name, request.namespace, options, user)
        return deleted_message(removed, warnings)

    async def _delete_collection(
        self, request: pb.DeleteCollectionRequest, user: User
    ) -> AsyncIterator[pb.DeletedPiece]:
        warnings: list[str] = []
        query, options = self._query(request.selection), delete_options(request.options, warnings)
        for piece in deleted_pieces(await self._documents.delete_collection(query, options, user), warnings):
            yield piece

    async def _bind(self, request: pb.BindRequest, user: User, _warnings: list[str]) -> pb.BindResponse:
        record = await self._documents.bind(request.pod, request.node, request.namespace, request.uid, Call(user=user))
        return pb.BindResponse(revision=record.revision)

    async def _acquire_fence(self, request: pb.AcquireFenceRequest, user: User, _warnings: list[str]) -> pb.Fence:
        fence = await self._documents.acquire_fence(request.name, request.holder, user)
        return pb.Fence(name=fence.name, revision=fence.revision)

    async def _get_diagnosis(self, request: pb.GetDiagnosisRequest, user: User, _warnings: list[str]) -> pb.Diagnosis:
        found = await self._documents.diagnosis(request.pod, request.namespace, user)
        return pb.Diagnosis(document=diagnosis_document(found))

    async def _report_diagnoses(
        self, request: pb.ReportDiagnosesRequest, user: User, _warnings: list[str]
    ) -> pb.ReportDiagnosesResponse:
        large = next((item for item in request.reports if len(item.document) > MAX_DIAGNOSIS_BYTES), None)
        if large is not None:
            name = f"{large.namespace}/{large.pod}"
            raise RequestTooLarge(f"the diagnosis of {name} is larger than {MAX_DIAGNOSIS_BYTES} bytes")
        await self._documents.report_diagnoses(tuple(reports_of(request)), user)
        return pb.ReportDiagnosesResponse()

    async def _logs(self, request: pb.LogsRequest, context: Any, user: User) -> None:
        try:
            options = log_options(request.options)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        async with self._documents.logs(request.pod, request.namespace, options, user) as chunks:
            await context.write(pb.Chunk())
            async for chunk in chunks:
                for start in range(0, len(chunk), CHUNK_BYTES):
                    await context.write(pb.Chunk(data=chunk[start : start + CHUNK_BYTES]))

    def _info(self, kind: pb.Kind) -> ResourceInfo:
        return self._scheme.info(kind.api_version, kind.kind)

    def _query(self, selection: pb.Selection, resource_version: str = "") -> Query:
        return Query(
            info=self._info(selection.kind),
            namespace=selection.namespace or None,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            resource_version=resource_version,
        )


def _serialize(message: Any) -> bytes:
    """Encode an answer, unless it is encoded already."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def _call(options: pb.WriteOptions, user: User, warnings: list[str]) -> Call:
    return Call(user=user, options=write_options(options, warnings))


def _written(record: Record, warnings: list[str]) -> pb.Written:
    return pb.Written(record=record_message(record), warnings=warnings)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body of the request is no JSON: {error}") from error


def _document(body: bytes, info: ResourceInfo) -> Document:
    """Return the document of a write; raises BadRequest when it is none, or of another kind than the call says."""
    document = _json(body)
    if not isinstance(document, dict):
        raise BadRequest("the document is no JSON object")
    for name, want in (("apiVersion", info.api_version), ("kind", info.kind)):
        if document.get(name, want) != want:
            raise BadRequest(f"{name} in the document ({document[name]}) does not match that of the request ({want})")
    if not isinstance(document.get("metadata", {}), dict):
        raise BadRequest("metadata must be an object")
    return {"apiVersion": info.api_version, "kind": info.kind, **document}
