"""One open connection to one member: its calls, its token, and what is known of the member.

gRPC is imported when the first connection is opened, and not before.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import anyio
from anyio.lowlevel import checkpoint
from google.protobuf.message import Message

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.store.etcd.failures import CallFailed, Failure, Fate, classify
from orchestra.store.etcd.options import MAX_ANSWER_BYTES, Endpoint, EtcdTLS

PROGRESS_IN_ORDER: Final = {(3, 4): 31, (3, 5): 13}
"""From these patch releases on the answer to a progress request cannot overtake events (etcd issue 15220)."""

LAST_CALL_SECONDS: Final = 0.01
"""How long the call may take that is made only to see the end of those before it."""

_Metadata: TypeAlias = tuple[tuple[str, str], ...]

_NEEDS_LEADER: Final[_Metadata] = (("hasleader", "true"),)
"""With this a member that has no leader says so at once, before anything happens, and ends its watches."""

CLOSED: Final = Failure(Fate.UNKNOWN, "the connection was closed", lost=True)


DELETES_KEPT: Final = {(3, 4): 34, (3, 5): 16}
"""From these patch releases on a compaction keeps the deletes of just its own revision (etcd pull request 18474)."""


def has_fix(version: str, fixed_in: Mapping[tuple[int, int], int]) -> bool:
    """Return whether a version is of a patch release with a fix, or newer than all that needed it."""
    numbers = version.partition("-")[0].split(".")
    if len(numbers) < 3 or not all(number.isdigit() for number in numbers[:3]):
        return False
    major, minor, patch = map(int, numbers[:3])
    return (major, minor) > max(fixed_in) or patch >= fixed_in.get((major, minor), patch + 1)


@contextmanager
def failures() -> Iterator[None]:
    """Raise gRPC's failures as `CallFailed`."""
    import grpc.aio

    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise CallFailed(classify(error.code().name, error.details() or "")) from error
    except grpc.aio.UsageError as error:  # the channel was closed before the call began
        raise CallFailed(Failure(Fate.UNDONE, "the connection was closed", lost=True)) from error
    except asyncio.InvalidStateError as error:
        raise CallFailed(CLOSED) from error
    except asyncio.CancelledError:
        # gRPC raises this for a call whose channel was closed; who waits for it is not cancelled.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CallFailed(CLOSED) from None


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `CallFailed` when the block takes longer: whether it did anything is not known."""
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise CallFailed(Failure(Fate.UNKNOWN, f"no answer within {seconds:g} s", lost=True))


class Connection:
    """A connection to one member. It is closed for good when it is lost; another takes its place."""

    def __init__(self, endpoint: Endpoint, tls: EtcdTLS | None) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # Read when gRPC is imported: errors reach callers, not stderr.
        import grpc.aio

        from orchestra._proto.etcd.v3 import rpc_pb2_grpc

        self.endpoint = endpoint
        self.version = ""
        self.token = ""
        self.has_leader = False
        self.lost = False
        self._calls: dict[Any, None] = {}
        """Those under way."""
        self._was_cut = False
        """Whether a call was cancelled."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ("grpc.max_send_message_length", -1),
            # One attempt by gRPC: what is tried again, and where, is decided here.
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if endpoint.target.startswith("unix:"):
            options.append(("grpc.default_authority", "localhost"))
        if endpoint.secure:
            tls = tls or EtcdTLS()
            if tls.server_name:
                options.append(("grpc.ssl_target_name_override", tls.server_name))
            credentials = grpc.ssl_channel_credentials(*tls.read())
            self._channel = grpc.aio.secure_channel(endpoint.target, credentials, options=options)
        else:
            self._channel = grpc.aio.insecure_channel(endpoint.target, options=options)
        stubs = (
            rpc_pb2_grpc.KVStub(self._channel),
            rpc_pb2_grpc.LeaseStub(self._channel),
            rpc_pb2_grpc.WatchStub(self._channel),
            rpc_pb2_grpc.MaintenanceStub(self._channel),
            rpc_pb2_grpc.AuthStub(self._channel),
        )
        self._methods: dict[str, Any] = {name: method for stub in stubs for name, method in vars(stub).items()}

    @property
    def ordered_progress(self) -> bool:
        """Whether the answer to a progress request cannot overtake events."""
        return has_fix(self.version, PROGRESS_IN_ORDER)

    @property
    def keeps_deletes(self) -> bool:
        """Whether a watch from the compact revision on is told the deletes of that revision."""
        return has_fix(self.version, DELETES_KEPT)

    async def hello(self, username: str, password: str) -> None:
        """Find out whether somebody is there, get a token, and ask for version and leader. Raises `CallFailed`."""
        await self.authenticate(username, password)
        status = await self.unary("Status", rpc_pb2.StatusRequest(), None)
        if status.isLearner:
            raise CallFailed(Failure(Fate.UNDONE, "it is a learner, which serves no clients", lost=True))
        self.version = status.version
        self.has_leader = bool(status.leader)

    async def authenticate(self, username: str, password: str) -> None:
        """Get a new token, if there is a user at all."""
        if not username:
            return
        request = rpc_pb2.AuthenticateRequest(name=username, password=password)
        try:
            # Without the present token: older members would refuse the call because of one that is no longer valid.
            self.token = (await self._unary("Authenticate", request, None, _NEEDS_LEADER)).token
        except CallFailed as failed:
            if "authentication is not enabled" not in failed.failure.text:
                raise

    async def unary(self, rpc: str, request: Any, timeout_seconds: float | None) -> Any:
        """Make a call with one answer. Raises `CallFailed`. Cancelling it ends this call alone."""
        return await self._unary(rpc, request, timeout_seconds, self._metadata())

    async def _unary(self, rpc: str, request: Any, timeout_seconds: float | None, metadata: _Metadata) -> Any:
        if self.lost:
            raise CallFailed(Failure(Fate.UNDONE, "the connection was closed", lost=True))
        with failures():
            call = self._methods[rpc](request, timeout=timeout_seconds, metadata=metadata)
            self._calls[call] = None
            try:
                return await call
            except asyncio.CancelledError:
                self._was_cut = True
                # For a call that its caller's scope cancels gRPC raises an exception of its own, which the scope would
                # not know. Here the scope says again that it is cancelled, if it is.
                await checkpoint()
                raise
            finally:
                del self._calls[call]

    @contextmanager
    def stream(self, rpc: str) -> Iterator[Stream]:
        """Begin a call in both directions; it ends with the block."""
        if self.lost:
            raise CallFailed(Failure(Fate.UNDONE, "the connection was closed", lost=True))
        with failures():
            call = self._methods[rpc](metadata=self._metadata())
        self._calls[call] = None
        self._was_cut = True
        try:
            yield Stream(call)
        finally:
            del self._calls[call]
            call.cancel()

    async def close(self) -> None:
        """Close the connection; whatever is under way over it fails."""
        self.lost = True
        with anyio.CancelScope(shield=True):
            for call in tuple(self._calls):
                self._was_cut = True
                call.cancel()
            if self._was_cut:
                # gRPC tells the event loop of the end of a cancelled call later, and complains if the loop is closed
                # by then. It tells of ends in their order: this call ends after all others.
                with suppress(CallFailed), failures():
                    await self._methods["Status"](rpc_pb2.StatusRequest(), timeout=LAST_CALL_SECONDS)
            await self._channel.close(None)

    def _metadata(self) -> _Metadata:
        return (*_NEEDS_LEADER, ("token", self.token)) if self.token else _NEEDS_LEADER


class Stream:
    """A call in both directions. One task may receive and one may send."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def send(self, message: Any) -> None:
        """Send a message, as soon as the member takes it. Raises `CallFailed`."""
        with failures():
            await self._call.write(message)

    async def receive(self) -> Any:
        """Return the next message. Raises `CallFailed`, at the end of the stream too."""
        with failures():
            message = await self._call.read()
            if isinstance(message, Message):
                return message
            # Who ended it in order says why in its status.
            code, text = await self._call.code(), await self._call.details()
            raise CallFailed(classify(code.name if code else "UNKNOWN", text or "the stream ended"))
