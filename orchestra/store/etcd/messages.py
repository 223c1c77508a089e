"""The contract's values as etcd's messages, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from orchestra._proto.etcd.v3 import kv_pb2, rpc_pb2
from orchestra.store.model import (
    Compare,
    Delete,
    DeleteResult,
    Event,
    Fence,
    KeyValue,
    Op,
    OpResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)

_SORT_BY: Final = {
    "key": rpc_pb2.RangeRequest.KEY,
    "version": rpc_pb2.RangeRequest.VERSION,
    "create_revision": rpc_pb2.RangeRequest.CREATE,
    "mod_revision": rpc_pb2.RangeRequest.MOD,
    "value": rpc_pb2.RangeRequest.VALUE,
}
_TARGET: Final = {
    "version": rpc_pb2.Compare.VERSION,
    "create_revision": rpc_pb2.Compare.CREATE,
    "mod_revision": rpc_pb2.Compare.MOD,
    "value": rpc_pb2.Compare.VALUE,
    "lease": rpc_pb2.Compare.LEASE,
}
_OPERATOR: Final = {
    "=": rpc_pb2.Compare.EQUAL,
    "!=": rpc_pb2.Compare.NOT_EQUAL,
    "<": rpc_pb2.Compare.LESS,
    ">": rpc_pb2.Compare.GREATER,
}


def range_request(request: Range) -> rpc_pb2.RangeRequest:
    """Return etcd's form of a range. Without `serializable` it is linearizable, as every read of a store is."""
    order = rpc_pb2.RangeRequest.NONE
    if request.descending:
        order = rpc_pb2.RangeRequest.DESCEND
    elif request.sort_by != "key":
        order = rpc_pb2.RangeRequest.ASCEND
    return rpc_pb2.RangeRequest(
        key=request.key,
        range_end=request.range_end,
        revision=request.revision,
        limit=request.limit,
        sort_order=order,
        sort_target=_SORT_BY[request.sort_by],
        keys_only=request.keys_only,
        count_only=request.count_only,
        min_mod_revision=request.min_mod_revision,
        max_mod_revision=request.max_mod_revision,
        min_create_revision=request.min_create_revision,
        max_create_revision=request.max_create_revision,
    )


def txn_request(request: Txn) -> rpc_pb2.TxnRequest:
    """Return etcd's form of a txn. A fence becomes an outer txn: see `fenced`."""
    inner = rpc_pb2.TxnRequest(
        compare=[_compare(compare) for compare in request.compare],
        success=[_op(op) for op in request.success],
        failure=[_op(op) for op in request.failure],
    )
    return inner if request.fence is None else _fenced(inner, request.fence)


def sole_delete(request: Txn) -> rpc_pb2.DeleteRangeRequest | None:
    """Return etcd's own request for a txn that does nothing but delete."""
    if request.compare or request.fence or len(request.success) != 1 or not isinstance(request.success[0], Delete):
        return None
    return _delete(request.success[0])


def sole_delete_result(answer: rpc_pb2.DeleteRangeResponse) -> TxnResult:
    """Return what a txn did that was sent as `sole_delete`."""
    revision = answer.header.revision
    return TxnResult(revision, True, (_deleted(answer, revision),))


def puts_anything(request: Txn) -> bool:
    """Return whether a txn could put a key."""
    ops = (*request.success, *request.failure)
    return any(isinstance(op, Put) or (isinstance(op, Txn) and puts_anything(op)) for op in ops)


def key_value(message: kv_pb2.KeyValue) -> KeyValue:
    """Return a key as a revision left it."""
    return KeyValue(
        message.key,
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def range_result(answer: rpc_pb2.RangeResponse, revision: int) -> RangeResult:
    """Return what a range found."""
    return RangeResult(revision, tuple(map(key_value, answer.kvs)), answer.more, answer.count)


def txn_result(answer: rpc_pb2.TxnResponse, request: Txn, revision: int) -> TxnResult:
    """Return what a txn did. The headers inside of an answer are empty or of no use: all of it is one revision."""
    ops = request.success if answer.succeeded else request.failure
    results = tuple(_result(one, op, revision) for one, op in zip(answer.responses, ops, strict=True))
    return TxnResult(revision, answer.succeeded, results)


def events(messages: Sequence[kv_pb2.Event]) -> list[Event]:
    """Return the events of a watch's answer."""
    return [Event(key_value(one.kv), key_value(one.prev_kv) if one.HasField("prev_kv") else None) for one in messages]


def ranges_in(request: Txn) -> Iterator[Range]:
    """Return the ranges that a txn could read."""
    for op in (*request.success, *request.failure):
        if isinstance(op, Range):
            yield op
        elif isinstance(op, Txn):
            yield from ranges_in(op)


def _fenced(inner: rpc_pb2.TxnRequest, fence: Fence) -> rpc_pb2.TxnRequest:
    """Nest a txn in one that runs it only if the fence key is of its writer's term, and else reads that key."""
    held = rpc_pb2.Compare(
        key=fence.key,
        target=rpc_pb2.Compare.CREATE,
        result=rpc_pb2.Compare.EQUAL,
        create_revision=fence.create_revision,
    )
    return rpc_pb2.TxnRequest(
        compare=[held],
        success=[rpc_pb2.RequestOp(request_txn=inner)],
        failure=[rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=fence.key))],
    )


def _compare(compare: Compare) -> rpc_pb2.Compare:
    message = rpc_pb2.Compare(
        key=compare.key,
        range_end=compare.range_end,
        target=_TARGET[compare.target],
        result=_OPERATOR[compare.operator],
    )
    setattr(message, compare.target, compare.operand)
    return message


def _op(op: Op) -> rpc_pb2.RequestOp:
    match op:
        case Range():
            return rpc_pb2.RequestOp(request_range=range_request(op))
        case Put():
            put = rpc_pb2.PutRequest(
                key=op.key,
                value=op.value,
                lease=op.lease,
                prev_kv=op.prev_kv,
                ignore_value=op.ignore_value,
                ignore_lease=op.ignore_lease,
            )
            return rpc_pb2.RequestOp(request_put=put)
        case Delete():
            return rpc_pb2.RequestOp(request_delete_range=_delete(op))
        case Txn():
            return rpc_pb2.RequestOp(request_txn=txn_request(op))


def _delete(op: Delete) -> rpc_pb2.DeleteRangeRequest:
    return rpc_pb2.DeleteRangeRequest(key=op.key, range_end=op.range_end, prev_kv=op.prev_kv)


def _deleted(answer: rpc_pb2.DeleteRangeResponse, revision: int) -> DeleteResult:
    return DeleteResult(revision, answer.deleted, tuple(map(key_value, answer.prev_kvs)))


def _result(answer: rpc_pb2.ResponseOp, op: Op, revision: int) -> OpResult:
    match op:
        case Range():
            return range_result(answer.response_range, revision)
        case Put():
            put = answer.response_put
            return PutResult(revision, key_value(put.prev_kv) if put.HasField("prev_kv") else None)
        case Delete():
            return _deleted(answer.response_delete_range, revision)
        case Txn():
            return txn_result(answer.response_txn, op, revision)
