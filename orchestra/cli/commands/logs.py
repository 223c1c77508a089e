"""`orchestra logs`: what containers wrote."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import anyio
import attrs
import click

from orchestra.api.core.container import Container
from orchestra.api.core.pod import Pod
from orchestra.api.object import Object
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import targets_of
from orchestra.cli.spans import parse_span
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_option, verb
from orchestra.client.interface import Client, LogOptions

MAX_FOLLOWED: Final = 5
"""How many logs can be followed at once."""

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


@attrs.frozen(kw_only=True)
class LogsOptions:
    """Whose log to read, and how much of it."""

    resources: tuple[str, ...] = ()
    namespace: str = "default"
    selector: str = ""
    container: str = ""
    all_containers: bool = False
    all_pods: bool = False
    prefix: bool = False
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit_bytes: int = 0
    since: str = "0s"
    since_time: str = ""


@verb("logs")
@click.argument("resources", nargs=-1, metavar="POD | KIND/NAME [CONTAINER]")
@connection_options
@namespace_option
@click.option("--selector", "-l", default="", metavar="QUERY", help="The Pods with these labels.")
@click.option("--container", "-c", default="", help="The container; the Pod's first one by default.")
@click.option("--all-containers", is_flag=True, help="All containers of the Pod.")
@click.option("--all-pods", is_flag=True, help="All Pods of a Deployment or ReplicaSet, with --prefix.")
@click.option("--prefix", is_flag=True, help="Name Pod and container before each line.")
@click.option("--follow", "-f", is_flag=True, help="Go on as the log grows.")
@click.option("--previous", "-p", is_flag=True, help="The log of the container's life before its last restart.")
@click.option("--timestamps", is_flag=True, help="The time before each line.")
@click.option("--tail", type=int, default=None, metavar="LINES", help="Only the last lines (default 10 with -l).")
@click.option("--limit-bytes", type=int, default=0, help="Stop after that many bytes.")
@click.option("--since", default="0s", metavar="SPAN", help="Only what is newer than, say, 5m.")
@click.option("--since-time", default="", metavar="TIME", help="Only what is newer than that time (RFC 3339).")
def logs_command(**given: Any) -> int:
    """Print the logs of a container."""
    return execute(run, LogsOptions, given)


@attrs.frozen
class _Source:
    pod: Pod
    container: str

    @property
    def prefix(self) -> str:
        return f"[pod/{self.pod.metadata.name}/{self.container}] "


async def run(client: Client, options: LogsOptions, terminal: Terminal) -> int:
    """Print the logs that are meant, one after the other; several that are followed come as they grow."""
    read = _read_options(options)
    sources = await _sources(client, options, terminal)
    if not sources:
        terminal.warn(f"No resources found in {options.namespace} namespace.")
        return 0
    prefix = options.prefix or options.all_pods
    if options.follow and len(sources) > MAX_FOLLOWED:
        raise CommandError(
            f"you are attempting to follow {len(sources)} log streams, "
            f"but maximum allowed concurrency is {MAX_FOLLOWED}"
        )
    if not options.follow or len(sources) == 1:
        for source in sources:
            await _print(client, source, read, terminal, prefix=prefix)
        return 0
    async with anyio.create_task_group() as tasks:
        for source in sources:
            tasks.start_soon(functools.partial(_print, client, source, read, terminal, prefix=prefix))
    return 0


def _read_options(options: LogsOptions) -> LogOptions:
    seconds = parse_span(options.since, "since")
    if seconds and options.since_time:
        raise CommandError("at most one of `sinceTime` or `since` may be specified")
    if seconds < 0:
        raise CommandError("--since must be greater than 0")
    tail = options.tail
    if tail is None:
        tail = 10 if options.selector else -1
    return LogOptions(
        follow=options.follow,
        previous=options.previous,
        timestamps=options.timestamps,
        tail_lines=tail if tail >= 0 else None,
        limit_bytes=options.limit_bytes or None,
        since_seconds=max(round(seconds), 1) if seconds else None,
        since_time=_time(options.since_time) if options.since_time else None,
    )


def _time(text: str) -> datetime:
    from orchestra.api.times import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


async def _sources(client: Client, options: LogsOptions, terminal: Terminal) -> list[_Source]:
    container = options.container
    if options.selector:
        if options.resources:
            raise CommandError("only a selector (-l) or a POD name is allowed")
        listed = await client.list(Pod, namespace=options.namespace, label_selector=options.selector)
        pods: Sequence[Pod] = listed.items
    else:
        words = options.resources
        if not words or len(words) > 2:
            raise CommandError("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'")
        if len(words) == 2:
            if container:
                raise CommandError("only one of -c or an inline [CONTAINER] arg is allowed")
            container = words[1]
        pods = await _pods_of(client, words[0], options, terminal)
    if options.all_containers and container:
        raise CommandError("--all-containers=true should not be specified with container name")
    return [
        _Source(pod, name)
        for pod in pods
        for name in _containers(pod, container, terminal, every=options.all_containers)
    ]


def _containers(pod: Pod, name: str, terminal: Terminal, *, every: bool) -> Iterable[str]:
    spec = pod.spec
    known: tuple[Container, ...] = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
    names = [c.name for c in known]
    if every:
        return names
    if name:
        if name not in names:
            raise CommandError(f"container {name} is not valid for pod {pod.metadata.name}")
        return [name]
    default = pod.metadata.annotations.get(DEFAULT_CONTAINER, "")
    if default in names:
        return [default]
    first = spec.containers[0].name
    if len(names) > 1:
        inits = {c.name for c in spec.init_containers}
        ordered = [c.name for c in spec.containers] + [f"{n} (init)" for n in names if n in inits]
        terminal.warn(f'Defaulted container "{first}" out of: {", ".join(ordered)}')
    return [first]


async def _pods_of(client: Client, word: str, options: LogsOptions, terminal: Terminal) -> Sequence[Pod]:
    """Return the Pod of that name, or of the Deployment, ReplicaSet or Service that is named."""
    if "/" not in word:
        return [await client.get(Pod, word, namespace=options.namespace)]
    target = (await targets_of(client, [word]))[0]
    obj = await client.get(target.kind, target.names[0], namespace=options.namespace)
    if isinstance(obj, Pod):
        return [obj]
    listed = await client.list(Pod, namespace=options.namespace, label_selector=_selector_of(obj))
    pods = sorted(listed.items, key=_preference)
    if not pods:
        raise CommandError(f"timed out waiting for the condition: no Pod of {word} exists")
    if options.all_pods or len(pods) == 1:
        return pods
    terminal.warn(f"Found {len(pods)} pods, using pod/{pods[0].metadata.name}")
    return pods[:1]


def _preference(pod: Pod) -> tuple[bool, bool, bool, str]:
    """Order Pods as those to show first: running, ready, older ones."""
    from orchestra.api.rules.conditions import is_ready

    created = pod.metadata.creation_timestamp
    return (not pod.spec.node_name, pod.status.phase != "Running", not is_ready(pod), str(created or ""))


def _selector_of(obj: Object) -> str:
    from orchestra.api.apps import Deployment, ReplicaSet
    from orchestra.api.core.service import Service
    from orchestra.api.selectors import label_selector, selector_from_labels

    if isinstance(obj, Deployment | ReplicaSet):
        return str(label_selector(obj.spec.selector))
    if isinstance(obj, Service) and obj.spec.selector:
        return str(selector_from_labels(obj.spec.selector))
    raise CommandError(f"cannot get the logs from {obj.resource_info.kind}: selector for it is not known")


async def _print(client: Client, source: _Source, read: LogOptions, terminal: Terminal, *, prefix: bool) -> None:
    """Print one log; chunks are whole lines."""
    own = attrs.evolve(read, container=source.container)
    meta = source.pod.metadata
    start = source.prefix if prefix else ""
    async with client.logs(meta.name, namespace=meta.namespace, options=own) as chunks:
        async for chunk in chunks:
            text = chunk.decode("utf-8", "replace")
            if start:
                text = "".join(f"{start}{line}" for line in text.splitlines(keepends=True))
            terminal.write(text)
            terminal.flush()
