"""Calls that arrive over gRPC: who makes them, which are in progress, and what their failures become.

grpc.aio runs every handler in a task of its own. Here each of them is entered in a ledger with a cancel scope, so that
the front that owns the ledger knows what runs, ends it when it stops, and waits until nothing of it is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final

import anyio
import attrs

from orchestra._log import get_logger
from orchestra.apiserver import refusals
from orchestra.apiserver.authn import parse_subject
from orchestra.apiserver.interface import Authenticator, Credentials, User
from orchestra.client.remote_status import code_of, trailers
from orchestra.errors import (
    APIError,
    BadRequest,
    DecodeError,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    Unauthorized,
)

MAX_CALLS: Final = 4096
"""Calls in progress at one front, watches included; one more is refused with TooManyRequests."""

log = get_logger("grpc")


class Ledger:
    """The calls in progress."""

    def __init__(self) -> None:
        self._endless: dict[anyio.CancelScope, None] = {}
        self._brief: dict[anyio.CancelScope, None] = {}
        self._closed = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._endless) + len(self._brief)

    def entered(self, *, endless: bool) -> Entry:
        """Return the context of a call; entering it raises what the call is refused with.

        The context ends without an error when the ledger ends the call; an endless one is ended by `close`.
        """
        return Entry(self, endless=endless)

    def add(self, scope: anyio.CancelScope, *, endless: bool) -> None:
        """Count a call; raises what it is refused with."""
        if self._closed:
            raise refusals.stopping()
        if len(self) >= MAX_CALLS:
            raise TooManyRequests(f"the server has {MAX_CALLS} calls in progress", retry_after_seconds=1)
        (self._endless if endless else self._brief)[scope] = None

    def remove(self, scope: anyio.CancelScope, *, endless: bool) -> None:
        """Count a call no more."""
        del (self._endless if endless else self._brief)[scope]
        if not len(self):
            self._changed.set()

    def close(self) -> None:
        """Refuse calls from now on, and end those that have no end."""
        self._closed = True
        for scope in tuple(self._endless):
            scope.cancel()

    def cancel(self) -> None:
        """End every call."""
        for scope in (*self._endless, *self._brief):
            scope.cancel()

    async def emptied(self) -> None:
        """Wait until no call is left."""
        while len(self):
            self._changed = anyio.Event()
            await self._changed.wait()


class Entry:
    """The context of one call."""

    __slots__ = ("_endless", "_ledger", "_scope")

    def __init__(self, ledger: Ledger, *, endless: bool) -> None:
        self._ledger = ledger
        self._endless = endless
        self._scope = anyio.CancelScope()

    def __enter__(self) -> None:
        self._ledger.add(self._scope, endless=self._endless)
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return bool(self._scope.__exit__(kind, error, trace))
        finally:
            self._ledger.remove(self._scope, endless=self._endless)


@attrs.frozen
class Callers:
    """Says who calls. `local` is the caller without a credential; None: there is no such caller."""

    authenticator: Authenticator | None
    local: User | None

    async def identify(self, context: Any) -> User:
        """Return the caller; raises Unauthorized."""
        if self.authenticator is None:
            if self.local is None:
                raise Unauthorized("Unauthorized")
            return self.local
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        user = await self.authenticator.authenticate(_credentials(metadata, context.auth_context()))
        if user is None:
            user = self.local
        if user is None:
            raise Unauthorized("Unauthorized")
        return user


def _credentials(metadata: dict[str, str], auth: dict[str, Any]) -> Credentials:
    subject = _text(auth.get("x509_subject"))
    names = parse_subject(subject) if subject else {}
    return Credentials(
        metadata=metadata,
        certificate_common_name=_text(auth.get("x509_common_name")),
        certificate_organizations=names.get("O", ()),
    )


def _text(values: Any) -> str:
    return values[0].decode(errors="replace") if values else ""


class Bridge:
    """Makes gRPC handlers of the server's verbs."""

    def __init__(self, ledger: Ledger, callers: Callers) -> None:
        self._ledger = ledger
        self._callers = callers

    def unary(self, verb: Callable[[Any, User, list[str]], Awaitable[Any]]) -> Any:
        """Return the handler of a call with one answer. The list takes the warnings of a write."""

        async def handle(request: Any, context: Any) -> Any:
            warnings: list[str] = []
            failure: APIError
            try:
                with self._ledger.entered(endless=False):
                    return await verb(request, await self._callers.identify(context), warnings)
                failure = Timeout("the API server is stopping, the call may or may not have had its effect")
            except Exception as error:  # noqa: BLE001 - every failure is told to the caller, a strange one is logged
                failure = _failure(error)
            return await _abort(context, failure, warnings)

        return handle

    def pieces(self, verb: Callable[[Any, User], AsyncIterator[Any]]) -> Any:
        """Return the handler of a call that is answered in pieces."""

        async def handle(request: Any, context: Any) -> None:
            failure: APIError
            try:
                with self._ledger.entered(endless=False):
                    async for piece in verb(request, await self._callers.identify(context)):
                        await context.write(piece)
                    return
                failure = Timeout("the API server is stopping, the call may or may not have had its effect")
            except Exception as error:  # noqa: BLE001 - every failure is told to the caller, a strange one is logged
                failure = _failure(error)
            await _abort(context, failure)

        return handle

    def stream(self, verb: Callable[[Any, Any, User], Awaitable[None]], *, reads: bool) -> Any:
        """Return the handler of a call without an end of its own; it reads and writes by itself.

        Unless `reads`, the first argument of `verb` is the request.
        """

        async def handle(request: Any, context: Any) -> None:
            failure: APIError
            try:
                with self._ledger.entered(endless=True):
                    await verb(None if reads else request, context, await self._callers.identify(context))
                    return
                failure = ServiceUnavailable("the API server is stopping", retry_after_seconds=1)
            except Exception as error:  # noqa: BLE001 - every failure is told to the caller, a strange one is logged
                failure = _failure(error)
            await _abort(context, failure)

        return handle


def _failure(error: Exception) -> APIError:
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        inner = error.exceptions[0]
        return _failure(inner) if isinstance(inner, Exception) else InternalError(repr(inner))
    if isinstance(error, APIError):
        return error
    if isinstance(error, DecodeError):
        return BadRequest(str(error))
    log.error("a call failed in a way that was not expected", error=repr(error))
    return InternalError(f"the server failed: {type(error).__name__}: {error}")


async def _abort(context: Any, error: APIError, warnings: list[str] | None = None) -> None:
    import grpc

    # gRPC's own message is a header too and is bounded with it; the whole text is in the status.
    details = error.message[:1024]
    await context.abort(grpc.StatusCode[code_of(error)], details, trailers(error, warnings or ()))
