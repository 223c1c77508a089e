"""Requests of etcd's API as plain text, to say the same to a real etcd and to a served store."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from google.protobuf import text_format
from google.protobuf.message import Message

from orchestra._proto.etcd.v3 import rpc_pb2

SERVICE_OF = {
    "Range": "KV",
    "Put": "KV",
    "DeleteRange": "KV",
    "Txn": "KV",
    "Compact": "KV",
    "LeaseGrant": "Lease",
    "LeaseRevoke": "Lease",
    "LeaseTimeToLive": "Lease",
    "LeaseLeases": "Lease",
    "MemberList": "Cluster",
    "Alarm": "Maintenance",
    "Status": "Maintenance",
    "Defragment": "Maintenance",
    "Hash": "Maintenance",
    "HashKV": "Maintenance",
    "AuthStatus": "Auth",
    "Authenticate": "Auth",
}


def message_types(method: str) -> tuple[type[Message], type[Message]]:
    stem = {"Compact": "Compaction"}.get(method, method)
    return getattr(rpc_pb2, f"{stem}Request"), getattr(rpc_pb2, f"{stem}Response")


async def call(channel: grpc.aio.Channel, method: str, request: str | Message, **options: Any) -> Any:
    """Call a method; a request in protobuf's text form is parsed."""
    request_type, response_type = message_types(method)
    if isinstance(request, str):
        request = text_format.Parse(request, request_type())
    stub = channel.unary_unary(
        f"/etcdserverpb.{SERVICE_OF[method]}/{method}",
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    return await stub(request, timeout=20, **options)


async def told(channel: grpc.aio.Channel, method: str, request: str) -> str:
    """Return the answer, or the error, without what differs between any two clusters."""
    try:
        answer = await call(channel, method, request)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    forget_identity(answer)
    return text_format.MessageToString(answer, as_one_line=True)


def forget_identity(answer: Any) -> None:
    """Clear cluster, member and term, everywhere."""
    answer.header.ClearField("cluster_id")
    answer.header.ClearField("member_id")
    answer.header.ClearField("raft_term")
