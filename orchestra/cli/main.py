"""The `orchestra` command: which subcommands there are, and what becomes of their errors.

A subcommand's module is imported when it is called; `--help` imports none.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from orchestra.cli import quickstart

COMMANDS: Final = {
    "demo": ("demonstration", "Run the whole main job once, verify every step, and clean up"),
    "up": ("up", "Run a control plane until interrupted"),
    "node": ("node", "Run one node's agent in a process of its own"),
    "apply": ("apply", "Apply manifests from files, folders or standard input"),
    "get": ("get", "Display one or many resources"),
    "describe": ("describe", "Show details of resources, with their Events"),
    "delete": ("delete", "Delete resources by file names, names, or selectors"),
    "scale": ("scale", "Set a new size for a Deployment or ReplicaSet"),
    "rollout": ("rollout", "Manage the rollout of a Deployment"),
    "logs": ("logs", "Print the logs of a container"),
    "events": ("events", "List Events"),
    "why": ("why", "Explain why a Pod is where it is, or nowhere"),
    "wait": ("wait", "Wait for a condition of one or many resources"),
    "label": ("label", "Change the labels of resources"),
    "annotate": ("label", "Change the annotations of resources"),
    "api-resources": ("discovery", "Print the kinds that the server serves"),
    "simulate": ("simulate", "Try out what the scheduler would do"),
    "store": ("store", "Back up, restore and look after a store, or serve one"),
    "version": ("discovery", "Print the versions of client and server"),
}
"""Name, module below `orchestra.cli.commands`, and help in a line."""

INTERRUPTED_STATUS: Final = 130


class LazyGroup(click.Group):
    """Imports a subcommand when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"orchestra.cli.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand of the arguments, or refuse an unknown one in kubectl's words."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f'unknown command "{args[0]}" for "orchestra"', ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--server", "-s", metavar="ADDR", help="unix:PATH or HOST:PORT of the server.")
@click.option("--namespace", "-n", metavar="NS", help="The namespace of this request.")
@click.pass_context
def cli(ctx: click.Context, /, **given: Any) -> None:
    """Run and operate a control plane for containers."""
    ctx.obj = {name: value for name, value in given.items() if value is not None}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave the process with its exit status."""
    quickstart.begin()
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        from orchestra.cli.verb import silence

        status = silence()
    sys.exit(status)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="orchestra", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx is not None else "")
        return 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "orchestra"
        sys.stdout.flush()
        click.echo(f"error: {_usage_message(error)}\nSee '{path} --help' for usage.", err=True)
        return 1
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED_STATUS


def _usage_message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        return f"unknown flag: {name}" if name.startswith("--") else f"unknown shorthand flag: {name!r}"
    message = error.format_message()
    return message[:1].lower() + message[1:].removesuffix(".")


if __name__ == "__main__":
    main()
