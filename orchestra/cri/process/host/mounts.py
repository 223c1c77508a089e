"""Mounts of one container in a mount namespace of its own.

The container sees the host's files with its mounts on top. Where a mount's target does not exist on the host, the
nearest directory that does is covered by a tmpfs that holds the same entries, each bound to the real one, and the
target is made in there: the host's file system is never written to. Example: a mount at /config/app, where the host
has no /config, gives the container a new root (tmpfs) with /bin, /etc, ... bound to the host's and a /config/app.
What the container then creates directly in such a covered directory is private to it and gone when it ends.

Without the right to make a mount namespace a user namespace is tried; when that is refused too, `OSError` says so.
"""

from __future__ import annotations

import ctypes
import os
import stat
from typing import TypedDict

from orchestra.cri.process.host.proc import check, libc

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_RELATIME = 1 << 21
MNT_DETACH = 2
KEPT_FLAGS = 2 | 4 | 8 | 1024 | 2048
"""nosuid, nodev, noexec, noatime, nodiratime: the same bits in statvfs and mount; a remount must not drop them."""

COVER_ENTRIES = 10_000
"""Most entries of a directory that is covered; each costs a bind mount."""
_KERNEL_FOLDERS = ("/proc/", "/sys/")


class Mount(TypedDict):
    """`source` on the host appears at `target` in the container."""

    source: str
    target: str
    readonly: bool
    slave: bool


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    encode = os.fsencode
    result = libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data))
    check(result, f'mount "{source}" at "{target}"')


def enter_namespace(slave: bool) -> None:
    """Move the calling process into a new mount namespace whose mounts do not reach the host.

    With `slave`, later mounts of the host appear in it. Raises `OSError` when the host permits no namespace.
    """
    if libc.unshare(CLONE_NEWNS) == -1:
        uid, gid = os.geteuid(), os.getegid()
        check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare a mount namespace")
        # The mapping keeps the ids: inside as outside, so that files have the same owners.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount("none", "/", "", MS_REC | (MS_SLAVE if slave else MS_PRIVATE))


def mount_all(mounts: list[Mount], staging: str) -> None:
    """Make all `mounts`, outer ones first; `staging` is a directory (not one in /) to build a new root on.

    Raises `OSError` whose text names the mount that is impossible.
    """
    ordered = sorted(mounts, key=lambda mount: mount["target"].count("/"))
    view = _View(staging)
    for mount in ordered:
        target = view.make_target(mount["target"], os.path.isdir(mount["source"]))
        _mount(mount["source"], target, "", MS_BIND | MS_REC)
        view.mounted.append(target)
    # Read-only comes last: an inner mount may need its target made in an outer one.
    for mount in ordered:
        if mount["readonly"]:
            target = os.path.realpath(mount["target"])
            flags = os.statvfs(target).f_flag & KEPT_FLAGS
            _mount("none", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def _existing(path: str) -> str:
    """Return the longest leading part of `path` that exists."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


class _View:
    """What the container's file system looks like while its mounts are being made."""

    def __init__(self, staging: str) -> None:
        self._staging = staging
        self._own: set[str] = set()
        self.mounted: list[str] = []

    def make_target(self, target: str, directory: bool) -> str:
        """Return the real path of `target` after making it exist as a directory or a file."""
        path = os.path.realpath(target)
        if os.path.lexists(path):
            if os.path.isdir(path) != directory:
                raise OSError(f'mount at "{target}": not a directory: a directory cannot cover a file, nor the reverse')
            return path
        parent = _existing(path)
        if not os.path.isdir(parent):
            raise OSError(f'mount at "{target}": "{parent}" is not a directory')
        if parent not in self._own and not self._in_own_mount(parent):
            self._cover(parent)
        missing = os.path.relpath(path, parent).split("/")
        for name in missing[:-1] if not directory else missing:
            parent = os.path.join(parent, name)
            os.mkdir(parent, 0o755)
            self._own.add(parent)
        if not directory:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        return path

    def _in_own_mount(self, path: str) -> bool:
        """Say whether `path` lies in one of the container's mounts: targets in there are made in the volume itself."""
        return any(path == target or path.startswith(target + "/") for target in self.mounted)

    def _cover(self, path: str) -> None:
        """Cover directory `path` by a tmpfs with the same entries."""
        if f"{path}/".startswith(_KERNEL_FOLDERS):
            raise OSError(f"a mount point cannot be made in {path}: it shows the kernel's state, not files")
        names = os.listdir(path)
        if len(names) > COVER_ENTRIES:
            raise OSError(f'mount below "{path}": the directory has more than {COVER_ENTRIES} entries')
        info = os.stat(path)
        options = f"mode={stat.S_IMODE(info.st_mode):o}"
        below = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A cover of "/" is built elsewhere: what is mounted on "/" is not seen through it. Unbindable, so that the
            # binds of the host's directories below do not take the new root into itself.
            cover = self._staging if path == "/" else path
            _mount("tmpfs", cover, "tmpfs", 0, options)
            if path == "/":
                _mount("none", cover, "", MS_UNBINDABLE)
            for name in names:
                _bind_entry(f"/proc/self/fd/{below}/{name}", os.path.join(cover, name))
            if os.geteuid() == 0:
                os.chown(cover, info.st_uid, info.st_gid)
        finally:
            os.close(below)
        if path == "/":
            _change_root(cover)
        self._own.add(path)


def _bind_entry(source: str, target: str) -> None:
    try:
        info = os.lstat(source)
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(source), target)
            return
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        _mount(source, target, "", MS_BIND | MS_REC)
    except FileNotFoundError:
        return  # it was removed on the host in between


def _change_root(path: str) -> None:
    os.chdir(path)
    check(libc.pivot_root(b".", b"."), "pivot_root")
    # Old and new root are stacked on the same path now; the old one, below, is what "." still names.
    check(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")


def join_namespaces(pid: int) -> None:
    """Move the calling process into the mount (and user) namespace of `pid`, where they differ from its own."""
    for name, kind in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS)):
        path = f"/proc/{pid}/ns/{name}"
        if os.readlink(path) == os.readlink(f"/proc/self/ns/{name}"):
            continue
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(libc.setns(fd, kind), f"join the {name} namespace")
        finally:
            os.close(fd)
