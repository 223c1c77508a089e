"""`orchestra api-resources` and `orchestra version`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs
import click

from orchestra._version import __version__
from orchestra.api.object import ResourceInfo
from orchestra.cli.columns import Columns
from orchestra.cli.failures import CommandError
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, verb
from orchestra.client.interface import Client
from orchestra.errors import OrchestraError

VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
NEVER_STORED: Final = frozenset({"Binding", "Scale"})
"""Kinds that are only sent or answered."""


@attrs.frozen(kw_only=True)
class ResourcesOptions:
    """Which kinds to show."""

    output: str = ""
    no_headers: bool = False
    namespaced: bool | None = None
    api_group: str | None = None
    sort_by: str = ""


@verb("api-resources")
@connection_options
@click.option("--output", "-o", type=click.Choice(["", "wide", "name"]), default="", help="wide or name.")
@click.option("--no-headers", is_flag=True, help="Print no headers.")
@click.option("--namespaced/--no-namespaced", default=None, help="Only kinds that live in a namespace, or that do not.")
@click.option("--api-group", default=None, help="Only kinds of this group.")
@click.option("--sort-by", type=click.Choice(["", "name", "kind"]), default="")
def api_resources_command(**given: Any) -> int:
    """Print the kinds that the server serves."""
    return execute(resources, ResourcesOptions, given)


async def resources(client: Client, options: ResourcesOptions, terminal: Terminal) -> int:
    """Print the kinds that the server serves."""
    discover = getattr(client, "discover", None)
    infos: Iterable[ResourceInfo] = await discover() if discover is not None else tuple(client.scheme)
    shown = [info for info in infos if info.kind not in NEVER_STORED and _is_meant(info, options)]
    key = "kind" if options.sort_by == "kind" else "plural"
    shown.sort(key=lambda info: (info.group if not options.sort_by else "", getattr(info, key)))
    if options.output == "name":
        for info in shown:
            terminal.say(info.group_resource)
        return 0
    wide = options.output == "wide"
    rows = [] if options.no_headers else [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    if rows and wide:
        rows[0] += ["VERBS", "CATEGORIES"]
    for info in shown:
        row = [info.plural, ",".join(info.short_names), info.api_version, str(info.namespaced).lower(), info.kind]
        rows.append(row + ([",".join(VERBS), ",".join(info.categories)] if wide else []))
    for line in Columns().lines(rows):
        terminal.say(line)
    return 0


def _is_meant(info: ResourceInfo, options: ResourcesOptions) -> bool:
    if options.namespaced is not None and info.namespaced != options.namespaced:
        return False
    return options.api_group is None or info.group == options.api_group


@attrs.frozen(kw_only=True)
class VersionOptions:
    """What to say of the versions."""

    output: str = ""


@verb("version")
@connection_options
@click.option("--client", "client_only", is_flag=True, help="Only the client's version; no server is asked.")
@click.option("--output", "-o", type=click.Choice(["", "json", "yaml"]), default="", help="json or yaml.")
def version_command(client_only: bool, **given: Any) -> int:
    """Print the versions of client and server."""
    if client_only:
        _print(Terminal(), {"clientVersion": __version__}, given["output"])
        return 0
    return execute(versions, VersionOptions, given)


async def versions(client: Client, options: VersionOptions, terminal: Terminal) -> int:
    """Print both versions; a server that is not there leaves the client's."""
    found = {"clientVersion": __version__}
    status = 0
    ask = getattr(client, "version", None)
    try:
        found["serverVersion"] = __version__ if ask is None else (await ask()).version
    except OrchestraError as error:
        status = terminal.fail(error)
    _print(terminal, found, options.output)
    return status


def _print(terminal: Terminal, found: dict[str, str], output: str) -> None:
    if not output:
        words = {"clientVersion": "Client Version", "serverVersion": "Server Version"}
        for key, value in found.items():
            terminal.say(f"{words[key]}: v{value.removeprefix('v')}")
        return
    from orchestra.cli.rendering import render_document

    if output not in ("json", "yaml"):
        raise CommandError("--output must be 'yaml' or 'json'")
    terminal.write(render_document({key: {"gitVersion": f"v{value}"} for key, value in found.items()}, output))
