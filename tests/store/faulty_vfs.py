"""SQLite's own way to the disk, with faults: a VFS registered with the very library that Python's sqlite3 uses.

The VFS of SQLite is copied, and of each file that it opens the method table, so that single calls can be made to fail
as the operating system would: a write that does nothing or stops half way, an fsync that fails, a read error. It also
keeps what a sudden loss of power could leave behind: what was synced, and any part of what was written since.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs

Operation = Literal["sync", "write", "truncate", "read", "open", "delete"]

SECTOR_BYTES = 512

_RESULTS: dict[Operation, int] = {
    "sync": sqlite3.SQLITE_IOERR_FSYNC,
    "write": sqlite3.SQLITE_IOERR_WRITE,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
    "read": sqlite3.SQLITE_IOERR_READ,
    "open": sqlite3.SQLITE_CANTOPEN,
    "delete": sqlite3.SQLITE_IOERR_DELETE,
}

_P, _INT, _I64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_METHODS = [
    "Close",
    "Read",
    "Write",
    "Truncate",
    "Sync",
    "FileSize",
    "Lock",
    "Unlock",
    "CheckReservedLock",
    "FileControl",
    "SectorSize",
    "DeviceCharacteristics",
    "ShmMap",
    "ShmLock",
    "ShmBarrier",
    "ShmUnmap",
    "Fetch",
    "Unfetch",
]
_VFS_METHODS = [
    "Open",
    "Delete",
    "Access",
    "FullPathname",
    "DlOpen",
    "DlError",
    "DlSym",
    "DlClose",
    "Randomness",
    "Sleep",
    "CurrentTime",
    "GetLastError",
    "CurrentTimeInt64",
    "SetSystemCall",
    "GetSystemCall",
    "NextSystemCall",
]


class _IoMethods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3 (sqlite.org/c3ref/io_methods.html)."""

    _fields_ = [("version", _INT), *((name, _P) for name in _METHODS)]


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 3 (sqlite.org/c3ref/vfs.html)."""

    _fields_ = [
        ("version", _INT),
        ("file_bytes", _INT),
        ("max_path", _INT),
        ("next", _P),
        ("name", ctypes.c_char_p),
        ("data", _P),
        *((name, _P) for name in _VFS_METHODS),
    ]


_OPEN = ctypes.CFUNCTYPE(_INT, _P, _P, _P, _INT, _P)
_DELETE = ctypes.CFUNCTYPE(_INT, _P, _P, _INT)
_TRANSFER = ctypes.CFUNCTYPE(_INT, _P, _P, _INT, _I64)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _P, _I64)
_SYNC = ctypes.CFUNCTYPE(_INT, _P, _INT)


@attrs.frozen
class Fault:
    """The `number`-th call of an operation fails (from 1), and those after it too if `lasting`."""

    operation: Operation
    number: int
    lasting: bool = False
    half: bool = False
    """Whether a write does its first half before it fails."""
    result: int = 0
    """What SQLite is told; 0: what the operation usually says."""


@attrs.define
class _Disk:
    """One file as a loss of power could leave it."""

    synced: bytearray
    since: list[tuple[int, bytes | None]] = attrs.field(factory=list)
    """Writes since the last sync: offset and data, or a length and None."""

    def sync(self) -> None:
        for place, data in self.since:
            _apply(self.synced, place, data)
        self.since.clear()

    def lose_power(self, chance: random.Random, kept: float) -> bytes:
        """Return what was synced with some of what came after, in whole sectors."""
        image = bytearray(self.synced)
        for place, data in self.since:
            if data is None:
                if chance.random() < kept:
                    _apply(image, place, None)
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if chance.random() < kept:
                    _apply(image, place + start, data[start : start + SECTOR_BYTES])
        return bytes(image)


def _apply(image: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        del image[place:]
        return
    if len(image) < place:
        image.extend(bytes(place - len(image)))
    image[place : place + len(data)] = data


class FaultyVFS:
    """The VFS; files opened through `with vfs.installed():` have its faults. One for a process, never freed."""

    def __init__(self) -> None:
        library = _find_library()
        find, self._register = library.sqlite3_vfs_find, library.sqlite3_vfs_register
        self._unregister = library.sqlite3_vfs_unregister
        find.restype, find.argtypes = ctypes.POINTER(_Vfs), [ctypes.c_char_p]
        self._register.argtypes = [ctypes.POINTER(_Vfs), _INT]
        self._unregister.argtypes = [ctypes.POINTER(_Vfs)]
        self._kept: list[Any] = []
        """Callbacks, which C refers to."""
        self._tables: dict[int, _IoMethods] = {}
        self._paths: dict[int, str] = {}
        self._disks: dict[str, _Disk] = {}
        self.fault: Fault | None = None
        self.calls: Counter[Operation] = Counter()
        self.fired = False
        self._on_fault: Callable[[], None] | None = None
        self._original = find(None)
        self._own = _Vfs.from_buffer_copy(self._original.contents)
        address = ctypes.addressof(self._original.contents)
        self._own.Open = self._keep(_OPEN, self._opening(_OPEN(self._own.Open), address))
        self._own.Delete = self._keep(_DELETE, self._deleting(_DELETE(self._own.Delete), address))

    @contextmanager
    def installed(self, fault: Fault | None = None, on_fault: Callable[[], None] | None = None) -> Iterator[None]:
        """Let new connections of this process come here, and have `fault`; `on_fault` is called when it begins."""
        self.fault, self.fired, self._on_fault = fault, False, on_fault
        self.calls.clear()
        self._disks.clear()
        self._register(ctypes.byref(self._own), 1)
        try:
            yield
        finally:
            self._register(self._original, 1)
            self._unregister(ctypes.byref(self._own))
            self.fault = None

    def lose_power(self, folder: Path, chance: random.Random, kept: float) -> None:
        """Write to `folder` what a loss of power would leave of all files now.

        `kept` is the part of what was not synced that is there all the same; 1.0: all, as when a process is killed.
        """
        for path, disk in self._disks.items():
            (folder / os.path.basename(path)).write_bytes(disk.lose_power(chance, kept))

    # Inside

    def _keep(self, kind: Any, function: Callable[..., int]) -> int | None:
        callback = kind(function)
        self._kept.append(callback)
        return ctypes.cast(callback, _P).value

    def _fails(self, operation: Operation) -> int:
        """Count a call; return what it shall fail with, 0 if it shall not."""
        self.calls[operation] += 1
        fault = self.fault
        if fault is None or fault.operation != operation:
            return 0
        count = self.calls[operation]
        if count != fault.number and not (fault.lasting and count > fault.number):
            return 0
        if not self.fired and self._on_fault is not None:
            self._on_fault()
        self.fired = True
        return fault.result or _RESULTS[operation]

    def _opening(self, original: Callable[..., int], vfs: int) -> Callable[..., int]:
        def open_(_vfs: int, name: int, file: int, flags: int, out: int) -> int:
            if result := self._fails("open"):
                # Tells SQLite that there is nothing to close.
                ctypes.c_void_p.from_address(file).value = None
                return result
            result = original(vfs, name, file, flags, out)
            table = ctypes.c_void_p.from_address(file)
            if result == sqlite3.SQLITE_OK and table.value:
                path = os.fsdecode(ctypes.string_at(name)) if name else ""
                self._paths[file] = path
                if path not in self._disks:
                    there = os.path.getsize(path) if path else 0
                    self._disks[path] = _Disk(bytearray(Path(path).read_bytes() if there else b""))
                table.value = ctypes.addressof(self._table(table.value))
            return result

        return open_

    def _deleting(self, original: Callable[..., int], vfs: int) -> Callable[..., int]:
        def delete(_vfs: int, name: int, sync: int) -> int:
            if result := self._fails("delete"):
                return result
            self._disks.pop(os.fsdecode(ctypes.string_at(name)), None)
            return original(vfs, name, sync)

        return delete

    def _table(self, address: int) -> _IoMethods:
        table = self._tables.get(address)
        if table is None:
            table = self._tables[address] = _IoMethods.from_buffer_copy(_IoMethods.from_address(address))
            table.Read = self._keep(_TRANSFER, self._reading(_TRANSFER(table.Read)))
            table.Write = self._keep(_TRANSFER, self._writing(_TRANSFER(table.Write)))
            table.Truncate = self._keep(_TRUNCATE, self._truncating(_TRUNCATE(table.Truncate)))
            table.Sync = self._keep(_SYNC, self._syncing(_SYNC(table.Sync)))
        return table

    def _reading(self, original: Callable[..., int]) -> Callable[..., int]:
        def read(file: int, data: int, size: int, place: int) -> int:
            return self._fails("read") or original(file, data, size, place)

        return read

    def _writing(self, original: Callable[..., int]) -> Callable[..., int]:
        def write(file: int, data: int, size: int, place: int) -> int:
            failed = self._fails("write")
            if failed:
                size = size // 2 if self.fault is not None and self.fault.half else 0
            result = original(file, data, size, place) if size else sqlite3.SQLITE_OK
            if size and result == sqlite3.SQLITE_OK:
                self._disks[self._paths[file]].since.append((place, ctypes.string_at(data, size)))
            return failed or result

        return write

    def _truncating(self, original: Callable[..., int]) -> Callable[..., int]:
        def truncate(file: int, size: int) -> int:
            result = self._fails("truncate") or original(file, size)
            if result == sqlite3.SQLITE_OK:
                self._disks[self._paths[file]].since.append((size, None))
            return result

        return truncate

    def _syncing(self, original: Callable[..., int]) -> Callable[..., int]:
        def sync(file: int, flags: int) -> int:
            # Not a real one: the tests' files need not survive this machine.
            if result := self._fails("sync"):
                return result
            self._disks[self._paths[file]].sync()
            return sqlite3.SQLITE_OK

        self._kept.append(original)
        return sync


def _find_library() -> ctypes.CDLL:
    """Return the SQLite library that Python's sqlite3 uses. Raises OSError, saying why there is none to reach."""
    maps = Path("/proc/self/maps").read_text()
    shared = re.search(r"\S+/libsqlite3\.so\S*", maps)
    candidates = [shared.group()] if shared else [None, getattr(__import__("_sqlite3"), "__file__", None)]
    for candidate in candidates:
        library = ctypes.CDLL(candidate)
        try:
            version = library.sqlite3_libversion
        except AttributeError:
            continue
        version.restype = ctypes.c_char_p
        if version().decode() == sqlite3.sqlite_version:
            return library
    raise OSError("this Python has SQLite linked into itself and hides its functions, so no fault can be injected")
