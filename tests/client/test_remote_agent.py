"""A node's agent behind the door: it registers, runs a Pod, and is asked for a log over its session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.apiserver.authn import TokenAuthenticator
from orchestra.apiserver.authz import default_authorizer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.apiserver.interface import User
from orchestra.client.interface import Client
from orchestra.client.remote import RemoteClient
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.cri import FakeRuntime
from orchestra.node import NodeAgent
from tests.client.doors import running, socket_in
from tests.client.make import pod

LIMIT = 20.0
LINE = b"2026-01-01T00:00:00.000000000Z stdout F hello\n"


@asynccontextmanager
async def agent(client: Client, root: Path) -> AsyncIterator[None]:
    clock = SystemClock()
    informers = SharedInformers(client, clock=clock)
    recorder = EventRecorder(client, clock=clock)
    node = NodeAgent("n1", runtime=FakeRuntime(clock=clock), root=root)
    around = Surroundings(client=client, informers=informers, clock=clock, recorder=recorder)
    async with anyio.create_task_group() as tasks:
        await tasks.start(informers.run)
        await tasks.start(recorder.run)

        async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            await node.run(around, task_status=task_status)

        await tasks.start(run)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def test_an_agent_works_through_the_door_with_the_rights_of_a_node(tmp_path: Path) -> None:
    tokens = TokenAuthenticator({"n1": User(name="system:node:n1", groups=("system:nodes",))})
    front = GRPCFront(socket_in(tmp_path), authenticator=tokens)
    remote, user = RemoteClient(front.address, token="n1"), RemoteClient(front.address)
    with anyio.fail_after(LIMIT):
        async with running(front, default_authorizer()), remote, user, agent(remote, tmp_path / "node"):
            await user.wait_for(Node, "n1", condition="Ready", timeout=LIMIT)
            made = await user.create(pod(node="n1"))
            await user.wait_for(Pod, "p", condition="Ready", timeout=LIMIT)
            # The fake runtime logs nothing: this is where the log of the Pod's container would be.
            log = tmp_path / "node" / "logs" / f"default_p_{made.metadata.uid}" / "c" / "0.log"
            log.parent.mkdir(parents=True)
            log.write_bytes(LINE)
            async with user.logs("p") as chunks:
                assert b"".join([chunk async for chunk in chunks]) == b"hello\n"
            await user.delete(Pod, "p")
            await user.wait_for(Pod, "p", deleted=True, timeout=LIMIT)
