"""From bytes to bytes: what every method of the served API does around its own work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from orchestra._log import get_logger
from orchestra.errors import StoreError
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Refusal, Request
from orchestra.store.etcd.server_errors import refusal_of
from orchestra.store.interface import Store
from orchestra.store.model import Range

log = get_logger("etcd")

In = TypeVar("In", bound=Message)
Out = TypeVar("Out", bound=Message)


class Gate(Protocol):
    """Who may call."""

    def check(self, request: Request) -> None:
        """Raise `Refusal` if the caller may not."""
        ...


@contextmanager
def translated() -> Iterator[None]:
    """Raise the store's errors of what is done inside as etcd's answers."""
    try:
        yield
    except StoreError as error:
        raise _told(error) from error


def _told(error: StoreError) -> Refusal:
    refused = refusal_of(error)
    if refused.text in {answers.INTERNAL.text, answers.COMMIT_FAILED.text, answers.TIMEOUT.text}:
        log.warning("the store failed", error=str(error))
    return refused


def parse(kind: type[In], message: bytes) -> In:
    """Return a request. Raises `Refusal`."""
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise Refusal("INTERNAL", "grpc: error unmarshalling request") from error


def unary(
    gate: Gate, kind: type[In], function: Callable[[In], Awaitable[Out]]
) -> Callable[[bytes, Request], Awaitable[bytes]]:
    """Return the method that `function` is, from the bytes of `kind`."""

    async def answer(message: bytes, request: Request) -> bytes:
        gate.check(request)
        decoded = parse(kind, message)
        try:
            return (await function(decoded)).SerializeToString()
        except StoreError as error:
            raise _told(error) from error

    return answer


async def current_revision(store: Store) -> int:
    """Return the store's revision by a read that looks at one key."""
    return (await store.range(Range(b"\x00", count_only=True))).revision
