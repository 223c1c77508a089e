"""Starts, watches, ends and re-adopts the containers of a process runtime."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.book import Container
from orchestra.cri.process.folder import ContainerFolder
from orchestra.cri.process.host import proc
from orchestra.cri.process.link import ZygoteLink
from orchestra.cri.process.spec import signal_number
from orchestra.cri.process.state import StateFolder
from orchestra.errors import RuntimeServiceError

START_SECONDS = 30.0
"""How long a shim may take to start its program; it is killed then."""
KILL_SECONDS = 5.0
"""How long a shim may take to obey `kill`; it is killed itself then, and its program with it."""
ADOPT_SECONDS = 5.0
"""How long re-adoption waits for a shim that is just starting."""
SETTLE_SECONDS = 10.0
"""How long to wait for the lock of a shim that has ended: a fork of it may hold the lock until it executes."""
WITHOUT_DESCRIPTOR_SECONDS = 0.5
"""How often a shim is looked at that no descriptor could be opened for."""
POLL_SECONDS = 0.005
"""How often to look for what another process does without telling."""
REOPEN_SECONDS = 2.0
"""How long a shim may take to open its log again."""
UNKNOWN_EXIT = 255
"""Exit code of a container whose end nobody saw (as containerd reports it, with reason Unknown)."""

log = get_logger("cri.process")


@attrs.define(eq=False)
class Driver:
    """What the keeper hangs on a container: `ended` is set when its end is known, `lock` orders start and removal."""

    folder: ContainerFolder
    process: dict[str, Any] = attrs.field(factory=dict)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)


class ContainerKeeper:
    """Brings what runs on the host and the records of containers into agreement."""

    def __init__(
        self,
        state: StateFolder,
        link: ZygoteLink,
        tasks: TaskGroup,
        announce: Callable[[Container, pb.ContainerEventType.ValueType], None],
        new_token: Callable[[], str],
    ) -> None:
        self._state = state
        self._link = link
        self._tasks = tasks
        self._announce = announce
        self._new_token = new_token
        self._boot = proc.boot_id()

    def driver(self, container: Container) -> Driver:
        """Return the keeper's part of a container."""
        driver = container.driver
        if driver is None:
            driver = container.driver = Driver(ContainerFolder(self._state.container_folder(container.id)))
        assert isinstance(driver, Driver)
        return driver

    # ---- starting

    async def start(self, container: Container) -> None:
        """Start a created container; raises `RuntimeServiceError` with reason RunContainerError."""
        driver = self.driver(container)
        async with driver.lock:
            if container.state != pb.CONTAINER_CREATED:
                raise RuntimeServiceError(
                    f'container "{container.id}" is in {pb.ContainerState.Name(container.state)} state',
                    code="FailedPrecondition",
                    reason="RunContainerError",
                )
            # A start that is under way cannot be taken back, so it is finished even when the caller gives up.
            with anyio.CancelScope(shield=True):
                await self._start(container, driver)

    async def _start(self, container: Container, driver: Driver) -> None:
        folder = driver.folder
        answer: dict[str, Any] | None = None
        for _attempt in (1, 2):
            token = self._new_token()
            folder.permit_start(token)
            with anyio.move_on_after(START_SECONDS):
                answer = await self._link.ask("shim", {"dir": folder.path, "token": token})
            if answer is not None:
                break
            # The zygote or the shim was killed on the way. Unless the program ran, the second attempt is the first.
            await self._kill_shim(driver)
            await self._settle(container, driver)
            if container.state != pb.CONTAINER_CREATED:
                break
        if answer is None or "error" in answer:
            if not self._take_exit(container, driver):
                folder.withdraw_permission()
            self._finish(container, driver)
            message = (answer or {}).get("error", "the shim was killed while it started the container")
            raise RuntimeServiceError(message, code="Unknown", reason="RunContainerError")
        self._note_running(container, driver, folder.read_process())
        self._announce(container, pb.CONTAINER_STARTED_EVENT)

    def _note_running(self, container: Container, driver: Driver, process: dict[str, Any]) -> None:
        driver.process = process
        container.state = pb.CONTAINER_RUNNING
        container.started_at = process["started_at"]
        try:
            pidfd = os.pidfd_open(process["shim"])
        except ProcessLookupError:
            pidfd = -1
        except OSError as error:  # no descriptors are left: its end must be noticed all the same
            log.warning("a shim is watched by polling", container=container.id, error=str(error))
            self._tasks.start_soon(self._watch_by_polling, container, driver)
            return
        # Between reading the record and opening the descriptor the number may have changed its owner.
        if pidfd != -1 and not proc.is_alive(process["shim"], process["shim_ticks"]):
            os.close(pidfd)
            pidfd = -1
        self._tasks.start_soon(self._watch, container, driver, pidfd)

    # ---- ending

    async def _watch(self, container: Container, driver: Driver, pidfd: int) -> None:
        """Wait until a container's shim has ended and take over its record."""
        if pidfd != -1:
            try:
                await anyio.wait_readable(pidfd)
            finally:
                os.close(pidfd)
        await self._settle(container, driver)
        self._finish(container, driver)

    async def _watch_by_polling(self, container: Container, driver: Driver) -> None:
        shim = driver.process
        while proc.is_alive(shim["shim"], shim["shim_ticks"]):  # noqa: ASYNC110 - there is nothing to wait on
            await anyio.sleep(WITHOUT_DESCRIPTOR_SECONDS)
        await self._watch(container, driver, -1)

    async def _settle(self, container: Container, driver: Driver) -> None:
        """Learn how a container ended whose shim is gone; one that never ran is created again."""
        with anyio.move_on_after(SETTLE_SECONDS):
            while not self._settle_now(container, driver):  # noqa: ASYNC110 - a stranger holds the lock
                await anyio.sleep(POLL_SECONDS)
            return
        log.error("the lock of an ended container is held by somebody", container=container.id)
        self._note_exit(container, driver, _unknown_exit())

    def _settle_now(self, container: Container, driver: Driver) -> bool:
        """Say whether it could be settled: not while somebody holds the lock."""
        if self._take_exit(container, driver):
            return True
        lock = driver.folder.take_lock()
        if lock is None:
            return False
        try:
            if not self._take_exit(container, driver):
                self._settle_locked(container, driver)
        finally:
            os.close(lock)
        return True

    def _settle_locked(self, container: Container, driver: Driver) -> None:
        folder = driver.folder
        if not folder.has_process():
            # From here on no late shim can start the container.
            folder.withdraw_permission()
            return
        process = folder.read_process()
        if process.get("boot") == self._boot:
            _kill_leftovers(process)
        record = _unknown_exit()
        log.warning("a container's shim was killed: its exit code is unknown", container=container.id)
        try:
            folder.write_exit(record)
        except OSError as error:
            log.error("the end of a container could not be recorded", container=container.id, error=str(error))
        self._note_exit(container, driver, record)

    def _take_exit(self, container: Container, driver: Driver) -> bool:
        """Take over the exit record; say whether there is one."""
        record = driver.folder.read_exit()
        if record is not None:
            self._note_exit(container, driver, record)
        return record is not None

    def _note_exit(self, container: Container, driver: Driver, record: dict[str, Any]) -> None:
        if not driver.process:
            driver.process = driver.folder.read_process()
        container.state = pb.CONTAINER_EXITED
        container.exit_code = record["exit_code"]
        container.finished_at = record["finished_at"]
        container.reason = record["reason"]
        container.message = record["message"]
        # A program that could not be executed has not been started, though its process was.
        container.started_at = 0 if container.reason == "StartError" else driver.process.get("started_at", 0)
        if lost := record.get("lost_log_bytes"):
            log.warning("a container's log was not written whole", container=container.id, lost_bytes=lost)

    def _finish(self, container: Container, driver: Driver) -> None:
        if container.state == pb.CONTAINER_EXITED and not driver.ended.is_set():
            driver.ended.set()
            self._announce(container, pb.CONTAINER_STOPPED_EVENT)

    async def stop(self, container: Container, timeout_seconds: float) -> None:
        """Signal a running container, kill it when the time is up, return when it has ended."""
        driver = self.driver(container)
        async with driver.lock:
            pass  # a start that is under way comes first
        if container.state != pb.CONTAINER_RUNNING:
            return
        if timeout_seconds > 0:
            driver.folder.command(f"signal {signal_number(container.stop_signal)}")
            with anyio.move_on_after(timeout_seconds):
                await driver.ended.wait()
                return
        driver.folder.command("kill")
        with anyio.move_on_after(KILL_SECONDS):
            await driver.ended.wait()
            return
        await self._kill_shim(driver)
        with anyio.move_on_after(SETTLE_SECONDS):
            await driver.ended.wait()
            return
        raise RuntimeServiceError(f'container "{container.id}" could not be killed', code="DeadlineExceeded")

    async def _kill_shim(self, driver: Driver) -> None:
        """Kill a shim that does not do its work, and wait (bounded) until it is gone."""
        shim = driver.folder.read_shim()
        with anyio.move_on_after(KILL_SECONDS):
            while shim is not None and proc.is_alive(*shim):
                proc.kill(shim[0], signal.SIGKILL)
                await anyio.sleep(POLL_SECONDS)

    # ---- re-adopting

    async def adopt(self, container: Container) -> None:
        """Find out what became of a container since its record was written."""
        driver = self.driver(container)
        if not driver.folder.is_permitted() and not driver.folder.has_process():
            return
        with anyio.move_on_after(ADOPT_SECONDS) as waiting:
            while not self._adopt_now(container, driver):  # noqa: ASYNC110 - the shim is a stranger's process
                await anyio.sleep(POLL_SECONDS)
        if waiting.cancelled_caught:
            await self._kill_shim(driver)
            await self._settle(container, driver)
        if container.state == pb.CONTAINER_EXITED:
            driver.ended.set()

    def _adopt_now(self, container: Container, driver: Driver) -> bool:
        """Say whether the container's state is known: ended, running under its shim, or never started."""
        if self._take_exit(container, driver):
            return True
        process = driver.folder.read_process()
        if process.get("boot") == self._boot and proc.is_alive(process["shim"], process["shim_ticks"]):
            self._note_running(container, driver, process)
            return True
        return self._settle_now(container, driver)

    # ---- logs

    async def reopen_log(self, container: Container) -> None:
        """Have the shim open the log path again; returns when the new file is there."""
        driver = self.driver(container)
        if container.state != pb.CONTAINER_RUNNING or not driver.folder.command("reopen"):
            raise RuntimeServiceError(f'container "{container.id}" is not running', code="FailedPrecondition")
        path = anyio.Path(container.log_path)
        with anyio.move_on_after(REOPEN_SECONDS):
            while container.log_path and not await path.exists():  # noqa: ASYNC110 - the shim makes it
                await anyio.sleep(POLL_SECONDS)
            return
        raise RuntimeServiceError(f"the log {container.log_path} could not be opened again", code="Internal")


def _kill_leftovers(process: dict[str, Any]) -> None:
    """Kill what a killed shim left behind in the session of its program."""
    ticks = proc.start_ticks(process["pid"])
    if ticks is not None and ticks != process["ticks"]:
        return  # the number belongs to another process now, and so would the session
    for pid in proc.session_members(process["pid"]):
        proc.kill(pid, signal.SIGKILL)


def _unknown_exit() -> dict[str, Any]:
    return {"exit_code": UNKNOWN_EXIT, "finished_at": time.time_ns(), "reason": "Unknown", "message": ""}
