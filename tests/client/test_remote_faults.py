"""What goes wrong between client and server, and what the client is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskStatus

from orchestra.api.core.config import ConfigMap
from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.apiserver.interface import Attributes
from orchestra.client.interface import EventType
from orchestra.client.remote import RemoteClient
from orchestra.client.remote_status import MAX_REQUEST_BYTES
from orchestra.errors import (
    APIError,
    Expired,
    InternalError,
    RequestTooLarge,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
)
from orchestra.store.memory import MemoryStore
from tests.client.doors import door, running, socket_in
from tests.client.make import config

LIMIT = 20.0


class Gate:
    """An authorizer that lets writes wait at it, or fails in a way that nobody expects."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.open = anyio.Event()
        self.broken = False

    async def authorize(self, attributes: Attributes) -> str | None:
        if self.broken:
            raise RuntimeError("out of order")
        if attributes.verb == "create" and attributes.info.kind == "ConfigMap":
            self.reached.set()
            await self.open.wait()
        return None


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def server(gate: Gate) -> AsyncIterator[APIServer]:
    async with MemoryStore() as store, APIServer(store, authorizer=gate) as server:
        yield server


@contextmanager
def server_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.client.server_child", str(folder / "cluster.db"), socket_in(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


# The server dies, stops or does not answer


async def test_a_killed_server_ends_watches_and_the_client_finds_the_next_one(tmp_path: Path) -> None:
    async with RemoteClient(socket_in(tmp_path)) as client:
        with server_process(tmp_path) as process:
            made = await client.create(config("a"))
            async with client.watch(ConfigMap, resource_version=made.metadata.resource_version) as watch:
                process.kill()
                with anyio.fail_after(LIMIT), pytest.raises(ServiceUnavailable):
                    await watch.next_batch()
            with anyio.fail_after(LIMIT), pytest.raises((ServiceUnavailable, Timeout)) as caught:
                await client.create(config("b"))
            assert caught.value.retryable
        with server_process(tmp_path), anyio.fail_after(LIMIT):
            while True:
                try:
                    assert await client.get(ConfigMap, "a") == made
                    break
                except ServiceUnavailable:
                    continue


async def test_a_write_whose_answer_is_lost_may_have_happened(tmp_path: Path) -> None:
    with server_process(tmp_path) as process:
        async with RemoteClient(socket_in(tmp_path)) as client:
            await client.create(config("a"))
            process.send_signal(19)  # SIGSTOP: it takes the write and does not answer.
            errors: list[APIError] = []

            async def write() -> None:
                try:
                    await client.create(config("b"))
                except APIError as error:
                    errors.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                await anyio.wait_all_tasks_blocked()
                process.kill()
    assert [type(error) for error in errors] == [Timeout]
    assert "may or may not have happened" in errors[0].message


async def test_no_server_at_all_is_unavailable_and_can_be_tried_again(tmp_path: Path) -> None:
    async with RemoteClient(socket_in(tmp_path)) as client:
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await client.create(config("a"))
        with pytest.raises(ServiceUnavailable):
            async with client.watch(ConfigMap):
                pass
        async with client.serve_node("n1", object()):  # type: ignore[arg-type]
            pass


async def test_a_server_that_does_not_answer_is_a_timeout(server: APIServer, gate: Gate, tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path), drain_seconds=0)
    async with door(server, front), RemoteClient(front.address, timeout_seconds=0.05) as client:
        with pytest.raises(Timeout, match="may or may not have happened"):
            await client.create(config("a"))
        gate.open.set()


class Serving:
    """A front that a test stops while it looks on."""

    def __init__(self, front: GRPCFront, server: APIServer) -> None:
        self._front = front
        self._server = server
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        with self.scope:
            await self._front.run(self._server, task_status=task_status)
        self.ended.set()


async def test_a_stop_ends_watches_and_lets_calls_finish(server: APIServer, gate: Gate, tmp_path: Path) -> None:
    serving = Serving(front := GRPCFront(socket_in(tmp_path)), server)
    made: list[ConfigMap] = []

    async def write() -> None:
        made.append(await client.create(config("a")))

    async with RemoteClient(front.address) as client, anyio.create_task_group() as tasks:
        await tasks.start(serving.run)
        tasks.start_soon(write)
        await gate.reached.wait()
        with anyio.fail_after(LIMIT):
            async with client.watch(ConfigMap) as watch:
                serving.scope.cancel()
                with pytest.raises(ServiceUnavailable, match="the API server is stopping"):
                    await watch.next_batch()
            with pytest.raises(ServiceUnavailable):
                await client.list(ConfigMap)
            assert not serving.ended.is_set()
            gate.open.set()
            await serving.ended.wait()
    assert [item.metadata.name for item in made] == ["a"]


async def test_a_stop_waits_no_longer_than_it_was_told(server: APIServer, gate: Gate, tmp_path: Path) -> None:
    serving = Serving(front := GRPCFront(socket_in(tmp_path), drain_seconds=0.01), server)
    errors: list[APIError] = []

    async def write() -> None:
        try:
            await client.create(config("a"))
        except APIError as error:
            errors.append(error)

    async with RemoteClient(front.address) as client:
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as tasks:
                await tasks.start(serving.run)
                tasks.start_soon(write)
                await gate.reached.wait()
                serving.scope.cancel()
    assert [type(error) for error in errors] == [Timeout]


async def test_a_failure_that_nobody_expects_is_told_and_the_front_goes_on(
    server: APIServer, gate: Gate, tmp_path: Path
) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with door(server, front), RemoteClient(front.address) as client:
        gate.broken = True
        with pytest.raises(InternalError, match="out of order"):
            await client.list(ConfigMap)
        with pytest.raises(InternalError, match="out of order"):
            async with client.watch(ConfigMap):
                pass
        gate.broken = False
        assert (await client.list(ConfigMap)).items == ()


# The client leaves


async def test_closing_a_client_ends_what_others_do_with_it(server: APIServer, gate: Gate, tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    errors: list[APIError] = []

    async def write(client: RemoteClient) -> None:
        try:
            await client.create(config("a"))
        except APIError as error:
            errors.append(error)

    async def follow(client: RemoteClient, *, task_status: TaskStatus[None]) -> None:
        async with client.watch(ConfigMap) as watch:
            task_status.started()
            try:
                await watch.next_batch()
            except APIError as error:
                errors.append(error)

    with anyio.fail_after(LIMIT):
        async with door(server, front), anyio.create_task_group() as tasks:
            async with RemoteClient(front.address) as client:
                await tasks.start(follow, client)
                tasks.start_soon(write, client)
                await gate.reached.wait()
            gate.open.set()
        with pytest.raises(ServiceUnavailable, match="not open"):
            await client.list(ConfigMap)
    assert {type(error) for error in errors} == {ServiceUnavailable, Timeout}  # of the watch, and of the write


async def test_giving_up_on_a_batch_does_not_end_the_watch(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with running(front) as server, RemoteClient(front.address) as client, client.watch(ConfigMap) as watch:
        with anyio.move_on_after(0.01):
            await watch.next_batch()
        await server.create(config("a"))
        with anyio.fail_after(LIMIT):
            (event,) = await watch.next_batch()
        assert event.object.metadata.name == "a"


# Strange and large input


async def test_a_time_limit_around_a_call_is_one(server: APIServer, gate: Gate, tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with door(server, front), RemoteClient(front.address) as client:
        for _ in range(10):
            with anyio.move_on_after(0.01) as scope:
                await client.create(config("a"))
            assert scope.cancelled_caught
        gate.open.set()
        await client.create(config("b"))


async def test_garbage_is_answered_with_an_end_and_hurts_nobody(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with running(front), RemoteClient(front.address) as client:
        await client.create(config("a"))
        for noise in (
            b"GET / HTTP/1.1\r\n\r\n",
            os.urandom(100_000),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999,
        ):
            async with await anyio.connect_unix(front.address.removeprefix("unix:")) as stream:
                with anyio.fail_after(LIMIT):
                    try:
                        await stream.send(noise)
                        while True:
                            await stream.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        pass
        assert (await client.get(ConfigMap, "a")).metadata.name == "a"


async def test_a_request_that_is_too_large_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with running(front), RemoteClient(front.address) as client:
        with pytest.raises(RequestTooLarge):
            await client.create(config("big", {"k": "x" * MAX_REQUEST_BYTES}))
        await client.create(config("a"))


async def test_objects_of_the_largest_size_pass_in_lists_and_watches(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with running(front) as server, RemoteClient(front.address) as client:
        for name in ("a", "b", "c"):
            await server.create(config(name, {"k": name * 900_000}))
        assert [item.data["k"][0] for item in (await client.list(ConfigMap)).items] == ["a", "b", "c"]
        async with client.watch(ConfigMap) as watch:
            with anyio.fail_after(LIMIT):
                # What belongs together is never told apart, however many pieces it takes.
                assert [event.object.metadata.name for event in await watch.next_batch()] == ["a", "b", "c"]


async def test_two_hundred_watches_over_one_connection_see_every_change(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    seen: list[list[str]] = []

    async def follow(*, task_status: TaskStatus[None]) -> None:
        names: list[str] = []
        async with client.watch(ConfigMap) as watch:
            task_status.started()
            async for event in watch:
                names.append(event.object.metadata.name)
                if len(names) == 10:
                    break
        seen.append(names)

    async with running(front) as server, RemoteClient(front.address) as client:
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as tasks:
                for _ in range(200):
                    await tasks.start(follow)
                for number in range(10):
                    await server.create(config(f"c{number}"))
    assert seen == [[f"c{number}" for number in range(10)]] * 200


async def test_a_reader_that_does_not_read_is_told_to_list_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestra.apiserver.watching.WATCH_BUFFER_EVENTS", 50)
    front = GRPCFront(socket_in(tmp_path))
    async with running(front) as server, RemoteClient(front.address) as client, client.watch(ConfigMap) as slow:
        for number in range(100):
            # Each is so large that the connection's window takes only some of them.
            await server.create(config(f"c{number}", {"k": "x" * 200_000}))
            await client.version()
        taken = 0
        with anyio.fail_after(LIMIT), pytest.raises(Expired):
            while True:
                batch = await slow.next_batch()
                assert all(event.type is EventType.ADDED for event in batch)
                taken += len(batch)
        assert taken < 100
        assert len((await client.list(ConfigMap)).items) == 100


async def test_more_calls_than_the_server_takes_are_refused(
    server: APIServer, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestra.apiserver.grpc_calls.MAX_CALLS", 1)
    front = GRPCFront(socket_in(tmp_path))
    async with door(server, front), RemoteClient(front.address) as client, client.watch(ConfigMap):
        with pytest.raises(TooManyRequests):
            await client.list(ConfigMap)
