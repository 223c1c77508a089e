"""The records of a process runtime on disk.

    ROOT/lock                   held (flock) by the process that owns the root
    ROOT/runtime.json           the block of addresses
    ROOT/images.json            the references that were pulled
    ROOT/host.log               standard error of the zygote and its forks
    ROOT/sandboxes/ID.json      one sandbox
    ROOT/containers/ID/         one container; `host/shim.py` tells its files
    ROOT/trash/                 containers that are being removed

Every file is replaced as a whole. Sandboxes and containers are on disk, durably, before anybody learns their ids.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.book import Container, Sandbox
from orchestra.cri.process.host.launch import read_json
from orchestra.cri.process.host.shim import Spec, write_json
from orchestra.errors import ConfigurationError

HOST_LOG_BYTES = 1024 * 1024
"""A longer host.log is emptied when the runtime opens."""


class StateFolder:
    """Reads and writes the files below one root; open it before anything else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = -1

    def open(self) -> None:
        """Make the folders and take the lock; raises `ConfigurationError` when another runtime has it."""
        try:
            for folder in (self.root, self.root / "sandboxes", self.root / "containers", self.root / "trash"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the runtime's root {self.root} cannot be used: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 32).decode(errors="replace")
            os.close(lock)
            raise ConfigurationError(
                f"the runtime's root {self.root} is in use by another runtime (process {owner or 'unknown'})"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock
        for leftover in (self.root / "trash").iterdir():
            shutil.rmtree(leftover, ignore_errors=True)

    def close(self) -> None:
        """Give the root back."""
        if self._lock != -1:
            os.close(self._lock)
            self._lock = -1

    def open_log(self) -> int:
        """Return a descriptor that appends to host.log."""
        path = self.root / "host.log"
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > HOST_LOG_BYTES:
                path.unlink()
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def container_folder(self, container_id: str) -> str:
        """Return the directory of a container."""
        return str(self.root / "containers" / container_id)

    # ---- writing

    def save_sandbox(self, sandbox: Sandbox) -> None:
        """Write one sandbox, durably."""
        document = {
            "config": _text(sandbox.config),
            "handler": sandbox.handler,
            "created_at": sandbox.created_at,
            "ip": sandbox.ip,
            "ready": sandbox.ready,
        }
        write_json(str(self.root / "sandboxes" / f"{sandbox.id}.json"), document, durable=True)

    def save_container(self, container: Container, spec: Spec) -> None:
        """Write one new container, durably."""
        folder = self.container_folder(container.id)
        os.mkdir(folder, 0o700)
        record = {
            "sandbox": container.sandbox.id,
            "config": _text(container.config),
            "image": container.image.reference,
            "created_at": container.created_at,
        }
        write_json(f"{folder}/spec.json", {**spec, "record": record}, durable=True)

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write one of the runtime's own files."""
        write_json(str(self.root / f"{name}.json"), document)

    def drop_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox's file; one that is gone is fine."""
        (self.root / "sandboxes" / f"{sandbox_id}.json").unlink(missing_ok=True)

    def drop_container(self, container_id: str) -> None:
        """Remove a container's directory; it vanishes at once and is emptied afterwards."""
        rubbish = self.root / "trash" / container_id
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.container_folder(container_id), rubbish)
            shutil.rmtree(rubbish, ignore_errors=True)

    # ---- reading

    def load(self, name: str) -> dict[str, Any]:
        """Return one of the runtime's own files; empty when there is none."""
        return read_record(str(self.root / f"{name}.json")) or {}

    def load_sandboxes(self) -> list[Sandbox]:
        """Return every sandbox in the order of creation; a file that cannot be read is no sandbox."""
        found = []
        for path in sorted((self.root / "sandboxes").iterdir()):
            record = read_record(str(path)) if path.suffix == ".json" else None
            if record is None:
                path.unlink()
                continue
            config = pb.PodSandboxConfig.FromString(base64.b64decode(record.pop("config")))
            found.append(Sandbox(id=path.stem, config=config, **record))
        return sorted(found, key=lambda sandbox: (sandbox.created_at, sandbox.id))

    def load_containers(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (id, spec.json) of every container in the order of creation; removes what was never finished."""
        found = []
        for path in sorted((self.root / "containers").iterdir()):
            document = read_record(f"{path}/spec.json")
            if document is None:
                self.drop_container(path.name)
            else:
                found.append((path.name, document))
        return sorted(found, key=lambda item: (item[1]["record"]["created_at"], item[0]))


def read_record(path: str) -> dict[str, Any] | None:
    """Return the document in a file; None when it is not there or (after a crash of the machine) not whole."""
    try:
        document = read_json(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def config_of(document: dict[str, Any]) -> pb.ContainerConfig:
    """Return the configuration that a container's spec.json carries."""
    return pb.ContainerConfig.FromString(base64.b64decode(document["record"]["config"]))


def _text(message: pb.PodSandboxConfig | pb.ContainerConfig) -> str:
    return base64.b64encode(message.SerializeToString()).decode()
