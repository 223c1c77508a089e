"""What a failed call means: is it a refusal, did anything happen, and may it be tried again? Pure.

A write is tried again only where it is certain that it did not happen: the connection was never made, or etcd says so
(no leader when it arrived, too many requests, a stale token). A connection that breaks, a time-out and a leader that
was lost leave that open.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

import attrs

from orchestra.errors import (
    AmbiguousCommit,
    CommitFailed,
    Compacted,
    CorruptStore,
    FutureRevision,
    InvalidTxn,
    LeaseExists,
    LeaseNotFound,
    StoreAccessDenied,
    StoreError,
)
from orchestra.store.etcd import answers

USER_EMPTY: Final = "etcdserver: user name is empty"
AUTH_OLD_REVISION: Final = "etcdserver: revision of auth store is old"
NOT_SUPPORTED_FOR_LEARNER: Final = "etcdserver: rpc not supported for learner"
PROPOSAL_DROPPED: Final = "raft proposal dropped"
NEVER_CONNECTED: Final = "failed to connect to all addresses"
"""gRPC says this of a call for which it had no connection, and which it therefore never sent."""


class Fate(enum.Enum):
    """What is certain after a failed call."""

    REFUSED = "etcd's answer is final, and nothing happened"
    TOKEN = "nothing happened: the token must be renewed"  # noqa: S105
    UNDONE = "nothing happened, and the same call can succeed later"
    UNKNOWN = "it may have happened"


@attrs.frozen
class Failure:
    """A failed call: what is certain, the words for it, and the error when it is final.

    `lost` says that the connection is of no use any more.
    """

    fate: Fate
    text: str
    error: StoreError | None = None
    lost: bool = False


class CallFailed(Exception):
    """A call over one connection failed; never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


QUOTA_REACHED: Final = (
    "etcd's database has reached its quota (--quota-backend-bytes): delete and compact, defragment, then disarm the"
    " NOSPACE alarm"
)


def _quota(_: str) -> StoreError:
    # Not CommitFailed: a write that takes the database over its quota is refused with these words, and done.
    return AmbiguousCommit(f"{QUOTA_REACHED}; whether this write was the last one that went in is not known")


_REFUSALS: Final[dict[str, Callable[[str], StoreError]]] = {
    answers.EMPTY_KEY.text: InvalidTxn,
    answers.KEY_NOT_FOUND.text: InvalidTxn,
    answers.VALUE_PROVIDED.text: InvalidTxn,
    answers.LEASE_PROVIDED.text: InvalidTxn,
    answers.TOO_MANY_OPS.text: InvalidTxn,
    answers.DUPLICATE_KEY.text: InvalidTxn,
    answers.REQUEST_TOO_LARGE.text: InvalidTxn,
    answers.LEASE_TTL_TOO_LARGE.text: InvalidTxn,
    answers.COMPACTED.text: lambda _: Compacted(0),
    answers.FUTURE_REVISION.text: lambda _: FutureRevision(0, 0),
    answers.NO_SPACE.text: _quota,
    answers.COMMIT_FAILED.text: CommitFailed,
    answers.LEASE_NOT_FOUND.text: LeaseNotFound,
    answers.LEASE_EXISTS.text: LeaseExists,
    answers.CORRUPT.text: CorruptStore,
    answers.AUTH_FAILED.text: StoreAccessDenied,
    answers.PERMISSION_DENIED.text: StoreAccessDenied,
}

_TOKEN: Final = frozenset({answers.INVALID_AUTH_TOKEN.text, AUTH_OLD_REVISION, USER_EMPTY})
"""A user is empty also when the connection is older than the cluster's use of users."""

_UNDONE: Final = frozenset({answers.NO_LEADER.text, answers.TOO_MANY_REQUESTS.text, PROPOSAL_DROPPED})

_FINAL_CODES: Final = frozenset(
    {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "OUT_OF_RANGE", "ALREADY_EXISTS", "UNIMPLEMENTED"}
)


def classify(code: str, text: str) -> Failure:
    """Return what a gRPC status means: the name of its code, and its details."""
    refusal = _REFUSALS.get(text)
    if refusal is not None:
        return Failure(Fate.REFUSED, text, refusal(text.removeprefix("etcdserver: ").removeprefix("mvcc: ")))
    if text in _TOKEN:
        return Failure(Fate.TOKEN, text)
    if text in _UNDONE:
        return Failure(Fate.UNDONE, text)
    if text == NOT_SUPPORTED_FOR_LEARNER or (code == "UNAVAILABLE" and NEVER_CONNECTED in text):
        return Failure(Fate.UNDONE, text, lost=True)
    if code == "RESOURCE_EXHAUSTED" and "received message larger than max" in text.lower():
        if text.startswith("CLIENT"):
            error = StoreError(f"the answer is too large, read it in parts with a limit: {text}")
            return Failure(Fate.REFUSED, text, error)
        return Failure(Fate.REFUSED, text, InvalidTxn(f"request is too large for etcd: {text}"))
    if code == "PERMISSION_DENIED":
        return Failure(Fate.REFUSED, text, StoreAccessDenied(text))
    if code in _FINAL_CODES:
        return Failure(Fate.REFUSED, text, StoreError(f"etcd refused: {text}"))
    # What etcd itself says comes over a connection that works.
    lost = code == "UNAVAILABLE" and not text.startswith("etcdserver:")
    return Failure(Fate.UNKNOWN, text or code, lost=lost)


_HINTS: Final[dict[bool, dict[str, str]]] = {
    False: {
        "connection refused": "nothing listens there",
        "socket closed": "it may want TLS: give tls=",
        "connection reset": "it may want TLS: give tls=",
        "broken pipe": "it may want TLS: give tls=",
    },
    True: {
        "connection refused": "nothing listens there",
        "wrong_version_number": "it seems to have no TLS: leave out tls=",
        "handshake read failed": "it seems to have no TLS: leave out tls=",
        "verify_failed": "its certificate is not trusted: check ca",
        "bad_signature": "its certificate is not trusted: check ca",
        "hostname verification": "its certificate is for another name: check server_name",
        "unwrap failed": "it may want a client certificate that it trusts: check certificate and key",
        "alert": "it may want a client certificate that it trusts: check certificate and key",
    },
}
"""What to check, by what gRPC's words contain; for connections without and with TLS."""


def advice(text: str, *, secure: bool) -> str:
    """Return what to check when an endpoint could not be reached, by gRPC's words for it; nothing if unknown."""
    lowered = text.lower()
    return next((hint for mark, hint in _HINTS[secure].items() if mark in lowered), "")
