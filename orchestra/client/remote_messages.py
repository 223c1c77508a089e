"""Options, kinds and records as messages of `orchestra.v1`, and back: the translation that both sides share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import attrs
import orjson

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.api.codec import decode, encode, format_micro_time
from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import ListMeta, Object, ResourceInfo
from orchestra.api.times import parse_time
from orchestra.client.interface import (
    DeleteOptions,
    DiagnosisReport,
    EventType,
    Fence,
    LogOptions,
    Preconditions,
    WriteOptions,
)
from orchestra.client.remote_status import PIECE_BYTES
from orchestra.errors import DecodeError

EVENT_TYPES: Mapping[EventType, pb.EventType.ValueType] = {
    EventType.ADDED: pb.ADDED,
    EventType.MODIFIED: pb.MODIFIED,
    EventType.DELETED: pb.DELETED,
    EventType.BOOKMARK: pb.BOOKMARK,
}

TYPES_OF_EVENTS: Mapping[int, EventType] = {number: kind for kind, number in EVENT_TYPES.items()}


def kind_message(info: ResourceInfo) -> pb.Kind:
    """Return the name of a kind."""
    return pb.Kind(api_version=info.api_version, kind=info.kind)


def get_request(info: ResourceInfo, namespace: str, name: str, subresource: str = "") -> pb.GetRequest:
    """Ask for one object, or for what a subresource shows of it."""
    return pb.GetRequest(kind=kind_message(info), namespace=namespace, name=name, subresource=subresource)


def resource_message(info: ResourceInfo) -> pb.Resource:
    """Return what a client must know of a kind."""
    return pb.Resource(
        group=info.group,
        version=info.version,
        kind=info.kind,
        plural=info.plural,
        singular=info.singular,
        short_names=info.short_names,
        categories=info.categories,
        namespaced=info.namespaced,
        subresources=sorted(info.subresources),
    )


def resource_of(message: pb.Resource) -> ResourceInfo:
    """Return the kind that a message describes."""
    return ResourceInfo(
        group=message.group,
        version=message.version,
        kind=message.kind,
        plural=message.plural,
        singular=message.singular,
        short_names=tuple(message.short_names),
        categories=tuple(message.categories),
        namespaced=message.namespaced,
        subresources=frozenset(message.subresources),
    )


def selection_message(
    info: ResourceInfo, namespace: str | None, label_selector: str, field_selector: str
) -> pb.Selection:
    """Return which objects are meant."""
    return pb.Selection(
        kind=kind_message(info),
        namespace=namespace or "",
        label_selector=label_selector,
        field_selector=field_selector,
    )


def list_meta(end: pb.ListEnd) -> ListMeta:
    """Return where a list stands."""
    return ListMeta(
        resource_version=str(end.revision),
        continue_=end.continue_token,
        remaining_item_count=end.remaining if end.HasField("remaining") else None,
    )


def write_message(options: WriteOptions) -> pb.WriteOptions:
    """Return the options of a write."""
    return pb.WriteOptions(
        dry_run=options.dry_run,
        field_manager=options.field_manager,
        field_validation="" if options.field_validation == "Warn" else options.field_validation,
        fence=_fence_message(options.fence),
        warn=options.on_warning is not None,
    )


def write_options(message: pb.WriteOptions, warnings: list[str]) -> WriteOptions:
    """Return the options that a message describes; warnings are put into `warnings` when they are wanted."""
    return WriteOptions(
        dry_run=message.dry_run,
        field_manager=message.field_manager,
        field_validation=cast("Any", message.field_validation or "Warn"),
        fence=_fence(message),
        on_warning=warnings.append if message.warn else None,
    )


def delete_message(options: DeleteOptions) -> pb.DeleteOptions:
    """Return the options of a deletion."""
    return pb.DeleteOptions(
        grace_period_seconds=options.grace_period_seconds,
        propagation_policy=options.propagation_policy or "",
        uid=options.preconditions.uid,
        resource_version=options.preconditions.resource_version,
        dry_run=options.dry_run,
        fence=_fence_message(options.fence),
        warn=options.on_warning is not None,
    )


def delete_options(message: pb.DeleteOptions, warnings: list[str]) -> DeleteOptions:
    """Return the options that a message describes; warnings are put into `warnings` when they are wanted."""
    return DeleteOptions(
        grace_period_seconds=message.grace_period_seconds if message.HasField("grace_period_seconds") else None,
        propagation_policy=cast("Any", message.propagation_policy or None),
        preconditions=Preconditions(uid=message.uid, resource_version=message.resource_version),
        dry_run=message.dry_run,
        fence=_fence(message),
        on_warning=warnings.append if message.warn else None,
    )


def log_message(options: LogOptions) -> pb.LogOptions:
    """Return which part of a log is wanted."""
    return pb.LogOptions(
        container=options.container,
        follow=options.follow,
        previous=options.previous,
        timestamps=options.timestamps,
        tail_lines=options.tail_lines,
        limit_bytes=options.limit_bytes,
        since_seconds=options.since_seconds,
        since_time="" if options.since_time is None else format_micro_time(options.since_time),
    )


def log_options(message: pb.LogOptions) -> LogOptions:
    """Return the options that a message describes; raises ValueError for a time that is none."""
    given = {
        name: getattr(message, name)
        for name in ("tail_lines", "limit_bytes", "since_seconds")
        if message.HasField(cast("Any", name))
    }
    return LogOptions(
        container=message.container,
        follow=message.follow,
        previous=message.previous,
        timestamps=message.timestamps,
        since_time=parse_time(message.since_time) if message.since_time else None,
        **given,
    )


def diagnosis_document(diagnosis: PodDiagnosis | None) -> bytes:
    """Return the JSON of a diagnosis; none: nothing."""
    return b"" if diagnosis is None else orjson.dumps(encode(diagnosis))


def diagnosis_of(document: bytes) -> PodDiagnosis | None:
    """Return the diagnosis that JSON spells; raises DecodeError for what is none."""
    if not document:
        return None
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"the diagnosis is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise DecodeError("the diagnosis is no JSON object")
    return decode(found, PodDiagnosis)


def report_messages(reports: Iterable[DiagnosisReport]) -> Iterator[pb.ReportDiagnosesRequest]:
    """Return requests of about `PIECE_BYTES` that carry these reports."""
    request, size = pb.ReportDiagnosesRequest(), 0
    for report in reports:
        document = diagnosis_document(report.write())
        if size and size + len(document) > PIECE_BYTES:
            yield request
            request, size = pb.ReportDiagnosesRequest(), 0
        request.reports.add(
            namespace=report.namespace, pod=report.pod, uid=report.uid, placed=report.placed, document=document
        )
        size += len(document)
    if size:
        yield request


def reports_of(request: pb.ReportDiagnosesRequest) -> Iterator[DiagnosisReport]:
    """Return the reports of a request; raises DecodeError for one that is none."""
    for item in request.reports:
        found = diagnosis_of(item.document)
        if found is None:
            raise DecodeError("a report needs a document")
        yield DiagnosisReport(item.namespace, item.pod, item.uid, item.placed, partial(_same, found))


def _same(diagnosis: PodDiagnosis) -> PodDiagnosis:
    return diagnosis


def _fence_message(fence: Fence | None) -> pb.FenceToken | None:
    return None if fence is None else pb.FenceToken(name=fence.name, revision=fence.revision)


def _fence(message: pb.WriteOptions | pb.DeleteOptions) -> Fence | None:
    if not message.HasField("fence"):
        return None
    return Fence(name=message.fence.name, revision=message.fence.revision)


@attrs.frozen(kw_only=True, repr=False, eq=False)
class _Undescribed(Object):
    """An object of a kind that this client has no class for: its fields are carried as they came."""


def undescribed_kind(info: ResourceInfo) -> type[Object]:
    """Return a class for a kind of which only the names are known; all fields but the metadata are `undeclared`."""
    return cast("type[Object]", type(info.kind, (_Undescribed,), {"__slots__": (), "resource_info": info}))
