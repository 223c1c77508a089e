"""`orchestra node`: the agent of one node, in a process of its own."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from orchestra.cli.directories import default_data_dir, private_directory
from orchestra.cli.verb import Connection, connection_options, dial, guarded, verb

if TYPE_CHECKING:
    from orchestra.cli.terminal import Terminal
    from orchestra.client.interface import Client
    from orchestra.clock import Clock
    from orchestra.node import NodeAgent


@attrs.frozen(kw_only=True)
class NodeOptions:
    """What the agent is and runs."""

    name: str
    data_dir: Path | None = None
    runtime: str = "process"
    on_exit: str = "stop"
    address: str = "127.0.0.1"
    label: tuple[str, ...] = ()
    pod_network: bool | None = None
    log_level: str = "warning"


@verb("node")
@connection_options
@click.option("--name", required=True, help="The name of the node.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the node keeps its files.")
@click.option("--runtime", type=click.Choice(["process", "fake"]), default="process", help="What runs containers.")
@click.option("--on-exit", type=click.Choice(["stop", "leave"]), default="stop", help="What becomes of containers.")
@click.option("--address", default="127.0.0.1", help="The address at which the node is reached.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label of the node.")
@click.option(
    "--pod-network/--no-pod-network",
    default=None,
    help="Wait for Pod addresses of the plane's own network (default: when the server is on this machine).",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error", "off"]), default="warning")
def node_command(**given: Any) -> int:
    """Run one node's agent until interrupted, against the server at --server."""
    import anyio

    from orchestra.cli.terminal import Terminal
    from orchestra.client.connect import server_address

    connection = Connection(**{field.name: given.pop(field.name) for field in attrs.fields(Connection)})
    terminal = Terminal(server=server_address(connection.server))
    return anyio.run(guarded, functools.partial(run, NodeOptions(**given), connection, terminal), terminal)


async def run(options: NodeOptions, connection: Connection, terminal: Terminal) -> int:
    """Run the agent; a server that is not there at the start is an error, one that goes away later is waited for."""
    from orchestra.cli.serving import serve, start_logging

    start_logging(options.log_level)
    data_dir = private_directory(options.data_dir or default_data_dir() / options.name)
    async with dial(connection) as client:
        await client.version()
        agent = build_agent(options, data_dir, local=terminal.server.startswith("unix:"))

        async def ready() -> int:
            terminal.say(f"ready: node {options.name} of {terminal.server}")
            return 0

        return await serve(supervised(agent, client, terminal.clock), ready, terminal)


def build_agent(options: NodeOptions, data_dir: Path, *, local: bool) -> NodeAgent:
    """Make the agent; `local` says that the server is on this machine."""
    from orchestra.cri import FakeRuntime, ProcessRuntime
    from orchestra.errors import ConfigurationError
    from orchestra.node import NodeAgent

    labels: dict[str, str] = {}
    for text in options.label:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigurationError(f'--label "{text}" is not of the form KEY=VALUE')
        labels[key] = value
    on_exit: Any = options.on_exit
    return NodeAgent(
        options.name,
        runtime=FakeRuntime() if options.runtime == "fake" else ProcessRuntime(root=data_dir),
        root=data_dir,
        on_exit=on_exit,
        labels=labels,
        address=options.address,
        pod_network=local if options.pod_network is None else options.pod_network,
    )


@asynccontextmanager
async def supervised(agent: NodeAgent, client: Client, clock: Clock) -> AsyncIterator[None]:
    """Keep the agent running, with what it needs around it; stop it before that."""
    import anyio

    from orchestra.controller import EventRecorder, SharedInformers, Surroundings
    from orchestra.controller.supervise import Supervisor

    informers = SharedInformers(client, clock=clock)
    recorder = EventRecorder(client, clock=clock)
    surroundings = Surroundings(client=client, informers=informers, clock=clock, recorder=recorder)
    async with anyio.create_task_group() as around:
        await around.start(informers.run)
        await around.start(recorder.run)
        async with anyio.create_task_group() as tasks:
            supervisor = Supervisor(f"node {agent.name}", functools.partial(agent.run, surroundings), clock)
            tasks.start_soon(supervisor.run)
            await supervisor.wait_ready()
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
        around.cancel_scope.cancel()
