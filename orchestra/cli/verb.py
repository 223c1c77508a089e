"""What subcommands have in common: options of the connection, kubectl's habits of writing flags, and running."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
import click

F = TypeVar("F", bound=Callable[..., Any])
Run = Callable[[Any, Any, Any], Awaitable[int]]

BROKEN_PIPE_STATUS: Final = 141
"""What a shell reports of a program that wrote to a pipe which nobody reads."""

_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class Verb(click.Command):
    """A subcommand whose flags can also be written `--flag=true` and `--flag=false`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite such flags, and parse."""
        return super().parse_args(ctx, [word for arg in args for word in self._rewritten(ctx, arg)])

    def _rewritten(self, ctx: click.Context, argument: str) -> list[str]:
        name, separator, value = argument.partition("=")
        if not separator or not name.startswith("--"):
            return [argument]
        flag = next((p for p in self.params if isinstance(p, click.Option) and p.is_flag and name in p.opts), None)
        if flag is None:
            return [argument]
        wanted = _TRUTH.get(value.lower())
        if wanted is None:
            raise click.UsageError(f'invalid argument "{value}" for "{name}" flag', ctx)
        return [name] if wanted else flag.secondary_opts[:1]


def verb(name: str, **settings: Any) -> Callable[[F], Verb]:
    """Declare a subcommand of that name."""
    return click.command(name, cls=Verb, **settings)


_CONNECTION = (
    click.option("--server", "-s", metavar="ADDR", help="unix:PATH or HOST:PORT of the server."),
    click.option("--token", metavar="TOKEN", help="Bearer token for a TCP address (default: ORCHESTRA_TOKEN)."),
    click.option("--certificate-authority", "ca", metavar="FILE", help="Certificates to trust (PEM)."),
    click.option("--client-certificate", "certificate", metavar="FILE", help="The client's own certificate (PEM)."),
    click.option("--client-key", "key", metavar="FILE", help="The key of the client's certificate (PEM)."),
)
_NAMESPACE = (click.option("--namespace", "-n", metavar="NS", help="The namespace of this request."),)
_SPACES = (
    *_NAMESPACE,
    click.option("--all-namespaces", "-A", is_flag=True, help="Objects of all namespaces."),
)
_SELECTORS = (
    click.option("--selector", "-l", default="", metavar="QUERY", help="Only objects with these labels."),
    click.option("--field-selector", default="", metavar="QUERY", help="Only objects with these field values."),
)


def _all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def connection_options(function: F) -> F:
    """Add how to reach the server."""
    return _all(_CONNECTION)(function)


def namespace_option(function: F) -> F:
    """Add `-n`."""
    return _all(_NAMESPACE)(function)


def namespace_options(function: F) -> F:
    """Add `-n` and `-A`."""
    return _all(_SPACES)(function)


def selector_options(function: F) -> F:
    """Add `-l` and `--field-selector`."""
    return _all(_SELECTORS)(function)


@attrs.frozen(kw_only=True)
class Connection:
    """How to reach the server; what is None comes from the environment."""

    server: str | None = None
    token: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


def execute(run: Run, options_class: type[Any], given: Mapping[str, Any]) -> int:
    """Connect as the options say, and run a command with the others; return its exit status."""
    ctx = click.get_current_context()
    known = {"namespace": "default"} | (ctx.obj or {}) | {k: v for k, v in given.items() if v is not None}
    own = {field.name for field in attrs.fields(options_class)}
    connection = Connection(**{k: v for k, v in known.items() if k in attrs.fields_dict(Connection)})
    return run_connected(run, options_class(**{k: v for k, v in known.items() if k in own}), connection)


def run_connected(run: Run, options: Any, connection: Connection) -> int:
    """Run a command on the server that is meant."""
    import anyio

    from orchestra.cli.terminal import Terminal
    from orchestra.client.connect import server_address

    terminal = Terminal(server=server_address(connection.server))

    async def work() -> int:
        async with dial(connection) as client:
            return await run(client, options, terminal)

    return anyio.run(guarded, work, terminal)


def dial(connection: Connection) -> Any:
    """Return the client, to be opened with `async with`."""
    from orchestra.client.connect import connect, server_address
    from orchestra.client.remote_channel import UNIX, ClientTLS

    tls = None
    files = (connection.ca, connection.certificate, connection.key)
    if any(files) and not server_address(connection.server).startswith(UNIX):
        tls = ClientTLS.load(ca=connection.ca, certificate=connection.certificate, key=connection.key)
    return connect(connection.server, token=connection.token, tls=tls)


def silence() -> int:
    """Throw away what is still to be written, and return the status that a shell reports of a broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE_STATUS


async def guarded(work: Callable[[], Awaitable[int]], terminal: Any) -> int:
    """Run, and tell of an error in place of raising it; return the exit status.

    When nobody reads the output any more, that is the end and no error.
    """
    from orchestra.errors import OrchestraError

    try:
        return await work()
    except BrokenPipeError:
        return silence()
    except OrchestraError as error:
        return int(terminal.fail(error))
    except BaseExceptionGroup as group:
        ours, others = group.split(OrchestraError)
        if others is not None or ours is None:
            raise
        return int(terminal.fail(_first(ours)))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
