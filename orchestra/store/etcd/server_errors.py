"""What a store refuses or fails at, as etcd's answers. Pure."""

from __future__ import annotations

from typing import Final

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
    StoreClosed,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)
from orchestra.store.etcd import answers
from orchestra.store.etcd.answers import Answer
from orchestra.store.etcd.rpc import Refusal

_OF_ERROR: Final[dict[type[StoreError], Answer]] = {
    Compacted: answers.COMPACTED,
    FutureRevision: answers.FUTURE_REVISION,
    LeaseNotFound: answers.LEASE_NOT_FOUND,
    LeaseExists: answers.LEASE_EXISTS,
    CommitFailed: answers.COMMIT_FAILED,
    # A client of etcd knows that a request which timed out may have happened.
    AmbiguousCommit: answers.TIMEOUT,
    StoreUnavailable: answers.NO_LEADER,
    StoreAccessDenied: answers.PERMISSION_DENIED,
    StoreLocked: answers.STOPPED,
    CorruptStore: answers.CORRUPT,
    StoreClosed: answers.STOPPED,
}

_OF_RULE: Final = {
    answer.text.removeprefix("etcdserver: "): answer
    for answer in (
        answers.EMPTY_KEY,
        answers.KEY_NOT_FOUND,
        answers.VALUE_PROVIDED,
        answers.LEASE_PROVIDED,
        answers.TOO_MANY_OPS,
        answers.DUPLICATE_KEY,
        answers.REQUEST_TOO_LARGE,
    )
}
"""The rules of `orchestra.store.rules` name what is wrong in etcd's words, and say more behind them."""

_FULL: Final = ("disk is full", "log is full", "has reached its quota")
"""What stores say when they have no room; whole phrases, for the name of a file is said too."""


def refusal(answer: Answer) -> Refusal:
    """Return what a call ends with."""
    return Refusal(answer.code, answer.text)


def refusal_of(error: StoreError) -> Refusal:
    """Return how a call ends that the store refused or failed at."""
    if isinstance(error, InvalidTxn):
        return refusal(_of_rule(str(error)))
    if isinstance(error, CommitFailed) and any(mark in str(error) for mark in _FULL):
        return refusal(answers.NO_SPACE)
    for kind in type(error).__mro__:
        if kind in _OF_ERROR:
            return refusal(_OF_ERROR[kind])
    return refusal(answers.INTERNAL)


def _of_rule(text: str) -> Answer:
    return next((answer for rule, answer in _OF_RULE.items() if rule in text), answers.INVALID_REQUEST)
