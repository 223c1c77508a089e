"""The objects that manifests name, for commands that take `-f` in place of names."""

from __future__ import annotations

from collections.abc import Iterable

from orchestra.api.manifest import Manifest
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target
from orchestra.cli.terminal import Terminal
from orchestra.client.interface import Client


async def manifest_targets(client: Client, names: Iterable[str], recursive: bool, terminal: Terminal) -> list[Target]:
    """Return each object of the files as a target of one name."""
    from orchestra.cli.commands.apply import known_kind, read_files

    found: list[Target] = []
    for manifest in read_files(names, terminal, recursive=recursive):
        info = await known_kind(client, manifest)
        meta = manifest.document.get("metadata")
        name = meta.get("name") if isinstance(meta, dict) else None
        if not isinstance(name, str) or not name:
            raise CommandError(f"{manifest.place('metadata')}: metadata.name: must be set")
        kind, namespace = client.scheme.type_of(info), _namespace(manifest)
        found.append(Target(info=info, kind=kind, names=(name,), namespace=namespace))
    return found


def _namespace(manifest: Manifest) -> str:
    namespace = manifest.document["metadata"].get("namespace")
    return namespace if isinstance(namespace, str) else ""
