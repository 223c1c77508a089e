"""etcd's requests as the contract's values, and its results as etcd's answers. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

import attrs

from orchestra._proto.etcd.v3 import kv_pb2, rpc_pb2
from orchestra.store.etcd import answers
from orchestra.store.etcd.server_errors import refusal
from orchestra.store.model import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    DeleteResult,
    KeyValue,
    Op,
    OpResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    SortTarget,
    Txn,
    TxnResult,
)

_SORT_BY: Final[tuple[SortTarget, ...]] = ("key", "version", "create_revision", "mod_revision", "value")
_TARGET: Final[tuple[CompareTarget, ...]] = ("version", "create_revision", "mod_revision", "value", "lease")
_OPERATOR: Final[tuple[CompareOperator, ...]] = ("=", ">", "<", "!=")

RAFT_TERM: Final = 2
"""The term of a fresh etcd's first leader. There is no other member here, so it never ends."""


@attrs.frozen
class Identity:
    """Who answers: etcd's numbers for cluster and member."""

    cluster_id: int
    member_id: int
    name: str

    @classmethod
    def of(cls, name: str) -> Identity:
        """Return an identity that is the same for the same name, at each start and on every machine."""
        digest = hashlib.sha256(f"orchestra store {name}".encode()).digest()
        return cls(int.from_bytes(digest[:8]) or 1, int.from_bytes(digest[8:16]) or 1, name)

    def header(self, revision: int) -> rpc_pb2.ResponseHeader:
        """Return the head of an answer."""
        return rpc_pb2.ResponseHeader(
            cluster_id=self.cluster_id, member_id=self.member_id, revision=revision, raft_term=RAFT_TERM
        )


# Requests


def to_range(message: rpc_pb2.RangeRequest) -> Range:
    """Return the range that is asked for. Every read of a store is linearizable, so `serializable` says nothing.

    etcd takes negative limits and revisions for none.
    """
    if message.sort_target >= len(_SORT_BY) or message.sort_order > rpc_pb2.RangeRequest.DESCEND:
        raise refusal(answers.INVALID_SORT)
    return Range(
        message.key,
        message.range_end,
        revision=max(message.revision, 0),
        limit=max(message.limit, 0),
        sort_by=_SORT_BY[message.sort_target],
        descending=message.sort_order == rpc_pb2.RangeRequest.DESCEND,
        keys_only=message.keys_only,
        count_only=message.count_only,
        min_mod_revision=message.min_mod_revision,
        max_mod_revision=message.max_mod_revision,
        min_create_revision=message.min_create_revision,
        max_create_revision=message.max_create_revision,
    )


def to_put(message: rpc_pb2.PutRequest) -> Put:
    """Return the put that is asked for."""
    return Put(
        message.key,
        message.value,
        lease=message.lease,
        prev_kv=message.prev_kv,
        ignore_value=message.ignore_value,
        ignore_lease=message.ignore_lease,
    )


def to_delete(message: rpc_pb2.DeleteRangeRequest) -> Delete:
    """Return the delete that is asked for."""
    return Delete(message.key, message.range_end, prev_kv=message.prev_kv)


def to_txn(message: rpc_pb2.TxnRequest) -> Txn:
    """Return the txn that is asked for."""
    return Txn(
        tuple(map(_to_compare, message.compare)),
        tuple(map(_to_op, message.success)),
        tuple(map(_to_op, message.failure)),
    )


def _to_compare(message: rpc_pb2.Compare) -> Compare:
    if message.target >= len(_TARGET) or message.result >= len(_OPERATOR):
        raise refusal(answers.INVALID_REQUEST)
    target = _TARGET[message.target]
    return Compare(message.key, target, _OPERATOR[message.result], getattr(message, target), message.range_end)


def _to_op(message: rpc_pb2.RequestOp) -> Op:
    match message.WhichOneof("request"):
        case "request_range":
            return to_range(message.request_range)
        case "request_put":
            return to_put(message.request_put)
        case "request_delete_range":
            return to_delete(message.request_delete_range)
        case "request_txn":
            return to_txn(message.request_txn)
        case _:
            raise refusal(answers.KEY_NOT_FOUND)


# Answers


def key_value(kv: KeyValue) -> kv_pb2.KeyValue:
    """Return etcd's form of a key."""
    return kv_pb2.KeyValue(
        key=kv.key,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        value=kv.value,
        lease=kv.lease,
    )


def range_response(header: rpc_pb2.ResponseHeader, result: RangeResult) -> rpc_pb2.RangeResponse:
    """Return the answer to a range."""
    return rpc_pb2.RangeResponse(header=header, kvs=map(key_value, result.kvs), more=result.more, count=result.count)


def put_response(header: rpc_pb2.ResponseHeader, result: PutResult) -> rpc_pb2.PutResponse:
    """Return the answer to a put."""
    previous = None if result.prev_kv is None else key_value(result.prev_kv)
    return rpc_pb2.PutResponse(header=header, prev_kv=previous)


def delete_response(header: rpc_pb2.ResponseHeader, result: DeleteResult) -> rpc_pb2.DeleteRangeResponse:
    """Return the answer to a delete."""
    return rpc_pb2.DeleteRangeResponse(header=header, deleted=result.deleted, prev_kvs=map(key_value, result.prev_kvs))


def txn_response(header: rpc_pb2.ResponseHeader, result: TxnResult) -> rpc_pb2.TxnResponse:
    """Return the answer to a txn.

    As in etcd an operation inside says the revision at which the txn was when it had run: that of the txn from the
    first change on, and the one before until then. A nested txn says nothing.
    """
    return _Nesting(header.revision, result).response(header, result)


class _Nesting:
    """The operations of one txn in their order, nested ones too."""

    def __init__(self, revision: int, result: TxnResult) -> None:
        self._changed = rpc_pb2.ResponseHeader(revision=revision)
        self._now = rpc_pb2.ResponseHeader(revision=revision - 1) if _changes(result) else self._changed

    def response(self, header: rpc_pb2.ResponseHeader, result: TxnResult) -> rpc_pb2.TxnResponse:
        responses = [self._response_op(inner) for inner in result.results]
        return rpc_pb2.TxnResponse(header=header, succeeded=result.succeeded, responses=responses)

    def _response_op(self, result: OpResult) -> rpc_pb2.ResponseOp:
        match result:
            case RangeResult():
                return rpc_pb2.ResponseOp(response_range=range_response(self._now, result))
            case TxnResult():
                return rpc_pb2.ResponseOp(response_txn=self.response(rpc_pb2.ResponseHeader(), result))
            case PutResult():
                self._now = self._changed
                return rpc_pb2.ResponseOp(response_put=put_response(self._now, result))
            case DeleteResult():
                self._now = self._changed if _changes(result) else self._now
                return rpc_pb2.ResponseOp(response_delete_range=delete_response(self._now, result))


def _changes(result: OpResult) -> bool:
    match result:
        case DeleteResult():
            return result.deleted > 0
        case TxnResult():
            return any(map(_changes, result.results))
        case _:
            return isinstance(result, PutResult)
