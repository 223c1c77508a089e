"""`orchestra simulate`: what the scheduler would do with a cluster, live or saved, without doing it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from orchestra.cli.failures import CommandError
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, guarded, verb

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.scheduler import ClusterState, Drained, Plan

DEFAULT_PROFILE: Final = "default-scheduler"


@click.group("simulate")
def simulate_command() -> None:
    """Try out what the scheduler would do. Nothing is changed."""


@attrs.frozen(kw_only=True)
class ScheduleOptions:
    """Which cluster, what is changed in it first, and by which profiles its waiting Pods are placed."""

    filename: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    compare: str = ""
    cordon: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    remove_node: tuple[str, ...] = ()
    seed: int = 0
    output: str = "table"
    plot: str = ""


@verb("schedule")
@click.option(
    "--filename", "-f", multiple=True, metavar="FILE", help="Nodes, Pods and what belongs to them, as YAML or JSON."
)
@click.option("--profile", default=DEFAULT_PROFILE, metavar="PROFILE", help="A name, a file, or MODULE:ATTRIBUTE.")
@click.option("--compare", default="", metavar="PROFILE", help="Place the same Pods by this profile too.")
@click.option("--cordon", multiple=True, metavar="NODE", help="As if NODE took no new Pods.")
@click.option("--drain", multiple=True, metavar="NODE", help="As if NODE was drained.")
@click.option("--remove-node", multiple=True, metavar="NODE", help="As if NODE was drained and taken away.")
@click.option("--seed", type=int, default=0, help="Breaks ties the same way each time (default: 0).")
@click.option("--output", "-o", type=click.Choice(["table", "json", "yaml"]), default="table")
@click.option("--plot", default="", metavar="FILE", help="Draw how full the nodes are (.png, .svg or .pdf).")
@connection_options
def schedule_command(**given: Any) -> int:
    """Place the waiting Pods of a cluster, and print where they would go and how good that is.

    The cluster is read from files, `kubectl get nodes,pods -A -o json` as it is among them, or from the server when
    there is no -f. Profiles: default-scheduler, most-allocated, a file with a KubeSchedulerConfiguration, or where a
    Python module has one.
    """
    if given["filename"]:
        return _without_server(given)
    return execute(run, ScheduleOptions, given)


simulate_command.add_command(schedule_command)


def _without_server(given: Mapping[str, Any]) -> int:
    import anyio

    terminal = Terminal()
    options = ScheduleOptions(**{name: given[name] for name in attrs.fields_dict(ScheduleOptions)})
    return anyio.run(guarded, functools.partial(run, None, options, terminal), terminal)


async def run(client: Client | None, options: ScheduleOptions, terminal: Terminal) -> int:
    """Simulate and print; raises what is wrong with files, names and profiles."""
    from orchestra.cli.simulated import Simulated
    from orchestra.scheduler import choose_profiles
    from orchestra.scheduler.plotting import check_plot, plot_plans

    plot = Path(options.plot) if options.plot else None
    if plot is not None:
        check_plot(plot)
    names = [options.profile, *([options.compare] if options.compare else [])]
    profiles = {name: choose_profiles(name) for name in names}
    if len(profiles) < len(names):
        raise CommandError(f"--compare: {options.compare} is the profile that it is to be compared with")
    before = await _state(client, options, terminal)
    changed, drained = _changed(before, options)
    plans: dict[str, Plan] = {name: changed.schedule(found, seed=options.seed) for name, found in profiles.items()}
    result = Simulated(before=before, drained=drained, plans=plans)
    for note in before.notes:
        terminal.warn(f"note: {note}")
    terminal.write(result.text() if options.output == "table" else result.rendered(options.output))
    if plot is not None:
        try:
            plot_plans(plans, plot)
        except OSError as error:
            raise CommandError(f"{plot}: {error.strerror or error}") from error
    return 0


async def _state(client: Client | None, options: ScheduleOptions, terminal: Terminal) -> ClusterState:
    from orchestra.scheduler import ClusterState
    from orchestra.scheduler.stateload import load_documents, read_documents, state_of

    if not options.filename:
        assert client is not None
        return await ClusterState.from_client(client)
    files = {}
    for name in options.filename:
        if name == "-":
            files["STDIN"] = read_documents(terminal.stdin.read().encode(), "STDIN")
            continue
        try:
            files[name] = load_documents(Path(name))
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror or error}") from error
    state = state_of(files)
    if not state.nodes:
        raise CommandError("there are no nodes to place Pods on")
    return state


def _changed(before: ClusterState, options: ScheduleOptions) -> tuple[ClusterState, dict[str, Drained]]:
    """Return the cluster with the changes that the options ask for, and what they did to Pods."""
    state = before.fork()
    drained = {}
    for node in options.cordon:
        state.cordon(node)
    for node in options.drain:
        drained[node] = state.drain(node)
    for node in options.remove_node:
        drained[node] = state.remove_node(node)
    return state, drained
