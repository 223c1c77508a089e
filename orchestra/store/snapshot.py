"""Snapshots: one file that holds a store's keys and leases at one revision, and proves that it is whole.

The file is a line that names the format, a JSON line (revision, counts), then for each key a fixed head and its bytes,
then the leases, zeros up to a multiple of 512 bytes, and at last the SHA-256 of everything before: that is how etcd's
tools know that a snapshot which they fetched is whole. It appears under its name only when it is complete, and
until then under none where the file system can do that (O_TMPFILE): so nothing is left of a writer that was killed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from orchestra.errors import CorruptStore, StoreError
from orchestra.store.model import KeyValue, SnapshotInfo

FORMAT: Final = b"orchestra store snapshot "
MAGIC: Final = FORMAT + b"1\n"

_HEAD = struct.Struct("<IIQQQQ")
"""Bytes of key and value, then create_revision, mod_revision, version, lease."""

_LEASE = struct.Struct("<QQ")

BLOCK_BYTES: Final = 512
"""What everything before the hash is a multiple of; etcdctl refuses to save anything else."""

_NO_UNNAMED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
"""What opening a file without a name fails with where there are none."""


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
    digest = hashlib.sha256()
    size = 0
    with _appearing(target) as file:

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
        write(bytes(-size % BLOCK_BYTES))
        file.write(digest.digest())
    return SnapshotInfo(revision=revision, size_bytes=size + digest.digest_size, sha256=digest.hexdigest())


@contextmanager
def _appearing(target: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name, in the place of what had it, when the block has ended without an error."""
    partial = f".{target.name}.{os.getpid()}-{threading.get_ident()}.partial"
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor, named = _new_file(folder, partial)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not named:
                    os.link(f"/proc/self/fd/{file.fileno()}", partial, src_dir_fd=folder, dst_dir_fd=folder)
            os.replace(partial, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=folder)
            raise
        os.fsync(folder)
    finally:
        os.close(folder)


def _new_file(folder: int, partial: str) -> tuple[int, bool]:
    """Open a new file; say whether it had to be given the name `partial`."""
    with suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=folder)
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder), False
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
    return os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder), True


def read_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot. Raises `CorruptStore` if it is torn, altered or none, `StoreError` if it is newer, `OSError`."""
    data = Path(path).read_bytes()
    body, proof = data[:-32], data[-32:]
    if not data.startswith(MAGIC):
        version = data.partition(b"\n")[0].removeprefix(FORMAT)
        if data.startswith(FORMAT) and version.isdigit():
            raise StoreError(f"{path} is a snapshot of format {version.decode()}; this program knows only 1")
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
    leases = dict(_LEASE.iter_unpack(body[place : place + _LEASE.size * head["leases"]]))
    return Snapshot(head["revision"], tuple(kvs), leases)
