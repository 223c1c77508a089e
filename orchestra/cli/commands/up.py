"""`orchestra up`: a control plane on this machine, until interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from orchestra.cli.clusters import Cluster, cluster_options
from orchestra.cli.directories import default_data_dir, private_directory
from orchestra.cli.stores import STORE_FILE
from orchestra.cli.verb import guarded, verb

if TYPE_CHECKING:
    from orchestra.apiserver.grpc_front import GRPCFront
    from orchestra.apiserver.interface import Front
    from orchestra.cli.terminal import Terminal
    from orchestra.node import NodeAgent
    from orchestra.plane import ControlPlane
    from orchestra.store import Store

_FILE = click.Path(path_type=Path)
_LOG_LEVELS = ("debug", "info", "warning", "error", "off")


@attrs.frozen(kw_only=True)
class UpOptions:
    """What to run. Without a `data_dir` it is `~/.orchestra/data`; with a `cluster` the store is there."""

    filename: tuple[str, ...] = ()
    data_dir: Path | None = None
    nodes: int = 1
    runtime: str = "process"
    listen: str | None = None
    on_exit: str = "stop"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    token_file: Path | None = None
    store_socket: bool = True
    cluster: Cluster = Cluster()
    log_level: str = "warning"


@verb("up")
@click.option("--filename", "-f", multiple=True, metavar="FILE", help="Manifests to apply once the plane is ready.")
@click.option("--data-dir", type=_FILE, help="Where the plane keeps its state (default: ~/.orchestra/data).")
@click.option("--nodes", type=click.IntRange(0, 1000), default=1, help="How many nodes to run here (default: 1).")
@click.option("--runtime", type=click.Choice(["process", "fake"]), default="process", help="What runs containers.")
@click.option("--listen", metavar="ADDR", help="unix:PATH, or HOST:PORT with TLS and a credential.")
@click.option(
    "--on-exit",
    type=click.Choice(["stop", "leave"]),
    default="stop",
    help="Whether a clean stop ends the containers, or leaves them to be found again by the next start.",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="The server's certificate (PEM).")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="The key of the server's certificate (PEM).")
@click.option("--client-ca", type=_FILE, metavar="FILE", help="Who signs the certificates of clients (PEM).")
@click.option("--token-file", type=_FILE, metavar="FILE", help="Bearer tokens: lines of token,user,uid[,groups].")
@click.option("--store-socket/--no-store-socket", default=True, help="Serve the store in the data directory (default).")
@cluster_options("store-")
@click.option("--log-level", type=click.Choice(_LOG_LEVELS), default="warning", help="Which log entries to print.")
def up_command(**given: Any) -> int:
    """Run a control plane until interrupted (Ctrl-C, SIGTERM); the second interrupt stops it at once."""
    import anyio

    from orchestra.cli.terminal import Terminal

    options, terminal = UpOptions(cluster=Cluster.take(given), **given), Terminal()

    async def work() -> int:
        return await run(options, terminal)

    return anyio.run(guarded, work, terminal)


async def run(options: UpOptions, terminal: Terminal) -> int:
    """Run the plane; return 0 after a clean stop, 1 when a manifest was refused."""
    from orchestra.cli.commands.apply import ApplyOptions, apply_manifests, read_files
    from orchestra.cli.serving import serve, start_logging

    start_logging(options.log_level)
    manifests = read_files(options.filename, terminal) if options.filename else []
    front = _front(options)
    plane = build_plane(options, front)

    async def ready() -> int:
        terminal.say(f"ready: {options.nodes} node{'' if options.nodes == 1 else 's'}, listening on {front.address}")
        if not manifests:
            return 0
        return await apply_manifests(plane.client, manifests, ApplyOptions(filename=options.filename), terminal)

    return await serve(plane, ready, terminal)


def build_plane(options: UpOptions, front: GRPCFront) -> ControlPlane:
    """Compose the plane: a SQLite store, unless it is elsewhere, and the nodes, all below the data directory."""
    from orchestra.apiserver import default_authorizer
    from orchestra.plane import ControlPlane

    data_dir = private_directory(options.data_dir or default_data_dir())
    nodes: Sequence[NodeAgent] = [_node(f"node-{index}", options, data_dir) for index in range(options.nodes)]
    store, doors = _store(options, data_dir)
    return ControlPlane(store=store, nodes=nodes, fronts=(front, *doors), authorizer=default_authorizer())


def _store(options: UpOptions, data_dir: Path) -> tuple[Store, Sequence[Front]]:
    """Return the store, and the doors to it."""
    if options.cluster.is_meant:
        return options.cluster.store(), ()
    from orchestra.cli.store_door import StoreDoor
    from orchestra.store import SQLiteStore

    store = SQLiteStore(data_dir / STORE_FILE)
    return store, (StoreDoor(store, data_dir),) if options.store_socket else ()


def _node(name: str, options: UpOptions, data_dir: Path) -> NodeAgent:
    from orchestra.node import NodeAgent

    root = data_dir / name
    on_exit: Any = options.on_exit
    if options.runtime == "fake":
        from orchestra.cri import FakeRuntime

        return NodeAgent(name, runtime=FakeRuntime(), root=root, on_exit=on_exit)
    from orchestra.cri import ProcessRuntime

    return NodeAgent(name, runtime=ProcessRuntime(root=root), on_exit=on_exit)


def _front(options: UpOptions) -> GRPCFront:
    """Return the door, with what it takes to let others in over TCP."""
    from orchestra.apiserver.authn import CertificateAuthenticator, FirstAuthenticator, TokenAuthenticator
    from orchestra.apiserver.grpc_front import GRPCFront, ServerTLS
    from orchestra.apiserver.interface import Authenticator
    from orchestra.client.connect import default_address
    from orchestra.errors import ConfigurationError

    known: list[Authenticator] = []
    if options.client_ca is not None:
        known.append(CertificateAuthenticator())
    if options.token_file is not None:
        known.append(TokenAuthenticator.from_file(options.token_file))
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ConfigurationError("--tls-cert and --tls-key belong together")
    tls = None
    if options.tls_cert is not None and options.tls_key is not None:
        tls = ServerTLS.load(certificate=options.tls_cert, key=options.tls_key, client_ca=options.client_ca)
    address = options.listen or default_address()
    if not address.startswith("unix:") and (tls is None or not known):
        raise ConfigurationError(
            f"{address}: a TCP address is served only with TLS (--tls-cert, --tls-key) and a credential "
            "(--client-ca or --token-file)"
        )
    return GRPCFront(address, tls=tls, authenticator=FirstAuthenticator(*known) if known else None)
