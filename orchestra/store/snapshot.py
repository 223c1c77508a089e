"""Snapshots: one file that holds a store's keys and leases at one revision, and proves that it is whole.

The file is a line that names the format, a JSON line (revision, counts), then for each key a fixed head and its bytes,
then the leases, and at last the SHA-256 of everything before. It appears under its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from orchestra.errors import CorruptStore
from orchestra.store.model import KeyValue, SnapshotInfo

MAGIC: Final = b"orchestra store snapshot 1\n"

_HEAD = struct.Struct("<IIQQQQ")
"""Bytes of key and value, then create_revision, mod_revision, version, lease."""

_LEASE = struct.Struct("<QQ")


@attrs.frozen
class Snapshot:
    """What a snapshot holds; `leases` maps ids to whole times in seconds."""

    revision: int
    kvs: tuple[KeyValue, ...]
    leases: dict[int, int]


def write_snapshot(
    path: str | os.PathLike[str], revision: int, kvs: Sequence[KeyValue], leases: Mapping[int, int]
) -> SnapshotInfo:
    """Write a snapshot to `path`, readable by its owner only. Raises `OSError`; then `path` is as it was."""
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    digest = hashlib.sha256()
    size = 0
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:

            def write(data: bytes) -> None:
                nonlocal size
                file.write(data)
                digest.update(data)
                size += len(data)

            write(MAGIC)
            write(json.dumps({"revision": revision, "keys": len(kvs), "leases": len(leases)}).encode() + b"\n")
            for kv in kvs:
                numbers = (kv.create_revision, kv.mod_revision, kv.version, kv.lease)
                write(_HEAD.pack(len(kv.key), len(kv.value), *numbers) + kv.key + kv.value)
            for lease_id in sorted(leases):
                write(_LEASE.pack(lease_id, leases[lease_id]))
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return SnapshotInfo(revision=revision, size_bytes=size + digest.digest_size, sha256=digest.hexdigest())


def read_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot. Raises `CorruptStore` if it is torn, altered or none at all, and `OSError`."""
    data = Path(path).read_bytes()
    body, proof = data[:-32], data[-32:]
    if not data.startswith(MAGIC):
        raise CorruptStore(f"{path} is no snapshot of a store")
    if hashlib.sha256(body).digest() != proof:
        raise CorruptStore(f"{path} is torn or was altered: its hash is not that of its contents; take another one")
    place = body.index(b"\n", len(MAGIC)) + 1
    head = json.loads(body[len(MAGIC) : place])
    kvs: list[KeyValue] = []
    for _ in range(head["keys"]):
        key_size, value_size, *numbers = _HEAD.unpack_from(body, place)
        value_place = place + _HEAD.size + key_size
        kvs.append(
            KeyValue(body[place + _HEAD.size : value_place], body[value_place : value_place + value_size], *numbers)
        )
        place = value_place + value_size
    leases = dict(_LEASE.iter_unpack(body[place:]))
    return Snapshot(head["revision"], tuple(kvs), leases)
