"""Which objects a command line means: `pods`, `pods,svc`, `deploy web`, `pod/a svc/b`, `all`."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from orchestra.api.object import Object, ResourceInfo
from orchestra.cli.failures import CommandError
from orchestra.client.interface import Client
from orchestra.errors import NotFound


@attrs.frozen(kw_only=True)
class Target:
    """A kind, and the names that are meant; no names: all that selectors leave.

    `namespace` is the one that a manifest states; empty: that of the command.
    """

    info: ResourceInfo
    kind: type[Object]
    names: tuple[str, ...] = ()
    namespace: str = ""


def label(info: ResourceInfo, name: str) -> str:
    """Return `deployment.apps/web`, as messages name an object."""
    return f"{single(info)}/{name}"


def single(info: ResourceInfo) -> str:
    """Return `deployment.apps`, as messages name a kind."""
    word = info.singular or info.kind.lower()
    return f"{word}.{info.group}" if info.group else word


async def resolve(client: Client, name: str) -> ResourceInfo:
    """Return the kind of that name, asking the server when the program does not know it."""
    try:
        return client.scheme.resolve(name)
    except NotFound:
        discover = getattr(client, "discover", None)
        if discover is None:
            raise
        await discover()
        return client.scheme.resolve(name)


async def kinds_of(client: Client, word: str) -> tuple[ResourceInfo, ...]:
    """Return the kinds that a word such as `pods,svc` or `all` means."""
    found: list[ResourceInfo] = []
    for name in word.split(","):
        if not name:
            raise CommandError("arguments in resource/name form must have a single resource and name")
        members = client.scheme.category(name.lower())
        found += members or [await resolve(client, name)]
    return tuple(dict.fromkeys(found))


async def targets_of(client: Client, words: Sequence[str]) -> tuple[Target, ...]:
    """Return what the arguments of a command mean; raises CommandError when they make no sense together."""
    if not words:
        raise CommandError(
            "Required resource not specified.\n"
            'Use "orchestra api-resources" for a complete list of supported resources.'
        )
    if any("/" in word for word in words):
        return await _named(client, words)
    infos = await kinds_of(client, words[0])
    names = tuple(words[1:])
    return tuple(Target(info=info, kind=client.scheme.type_of(info), names=names) for info in infos)


async def one_target(client: Client, words: Sequence[str]) -> Target:
    """Return the one kind and the names that a command is about."""
    found = await targets_of(client, words)
    if len(found) != 1 or not found[0].names:
        raise CommandError("resource(s) were provided, but no name was specified")
    return found[0]


async def _named(client: Client, words: Sequence[str]) -> tuple[Target, ...]:
    found: list[Target] = []
    for word in words:
        kind, separator, name = word.partition("/")
        if not separator:
            raise CommandError(
                "there is no need to specify a resource type as a separate argument when passing arguments in "
                "resource/name form (e.g. 'orchestra get resource/<resource_name>' instead of "
                "'orchestra get resource resource/<resource_name>')"
            )
        if not kind or not name or "/" in name:
            raise CommandError("arguments in resource/name form must have a single resource and name")
        infos = await kinds_of(client, kind)
        found += [Target(info=info, kind=client.scheme.type_of(info), names=(name,)) for info in infos]
    return tuple(found)
