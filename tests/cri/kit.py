"""Builders and look-ups for tests of the process runtime."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ProcessRuntime, remove_all
from orchestra.cri.process.host import proc
from orchestra.testing.runtime_conformance import IMAGE, container_config, ended, sandbox_config

CI = bool(os.environ.get("CI"))
"""Where it is set, what this machine lacks is a failure of the tests and no reason to skip them."""


class Bench:
    """One runtime with one sandbox."""

    def __init__(self, runtime: ProcessRuntime, sandbox_id: str, logs: Path) -> None:
        self.runtime = runtime
        self.sandbox_id = sandbox_id
        self.logs = logs

    async def create(self, name: str, *command: str, **fields: Any) -> str:
        config = container_config(name, command)
        config.log_path = f"{name}/0.log"
        config.MergeFrom(pb.ContainerConfig(**fields))
        request = pb.CreateContainerRequest(pod_sandbox_id=self.sandbox_id, config=config)
        return (await self.runtime.create_container(request)).container_id

    async def run(self, name: str, *command: str, **fields: Any) -> str:
        container_id = await self.create(name, *command, **fields)
        await self.start(container_id)
        return container_id

    async def run_to_end(self, name: str, *command: str, **fields: Any) -> pb.ContainerStatus:
        return await ended(self.runtime, await self.run(name, *command, **fields))

    async def start(self, container_id: str) -> None:
        await self.runtime.start_container(pb.StartContainerRequest(container_id=container_id))

    async def stop(self, container_id: str, timeout: int) -> pb.ContainerStatus:
        await self.runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=timeout))
        return await self.status(container_id)

    async def status(self, container_id: str) -> pb.ContainerStatus:
        return (await self.runtime.container_status(pb.ContainerStatusRequest(container_id=container_id))).status

    async def facts(self, container_id: str) -> dict[str, Any]:
        request = pb.ContainerStatusRequest(container_id=container_id, verbose=True)
        facts: dict[str, Any] = json.loads((await self.runtime.container_status(request)).info["info"])
        return facts

    async def command(self, container_id: str, *command: str, timeout: int = 20) -> pb.ExecSyncResponse:
        request = pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=timeout)
        return await self.runtime.exec_sync(request)

    def log(self, name: str, stream: str = "stdout") -> str:
        """The text that a container wrote to one stream."""
        text = ""
        for line in (self.logs / name / "0.log").read_text().splitlines():
            _time, of, tag, rest = (*line.split(" ", 3), "")[:4]
            if of == stream:
                text += rest + ("\n" if tag == "F" else "")
        return text


@asynccontextmanager
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A runtime with a sandbox, which is removed in the end; nothing that it started is left."""
    root, logs = tmp_path / "runtime", tmp_path / "logs"
    async with ProcessRuntime(root) as runtime:
        config = sandbox_config("pod")
        config.log_directory = str(logs)
        await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image=IMAGE)))
        sandbox = await runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=config))
        try:
            yield Bench(runtime, sandbox.pod_sandbox_id, logs)
        finally:
            await remove_all(runtime)
    assert (root / "host.log").read_text() == ""


def is_running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    ticks = proc.start_ticks(pid)
    return ticks is not None and proc.is_alive(pid, ticks)


def processes_with(text: str) -> list[int]:
    """The processes whose command line contains `text`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        alive = process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and any(text in word for word in words):
            found.append(process.pid)
    return found
