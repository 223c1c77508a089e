"""Probes: is a container up, alive, ready?

`ProbeState` decides from one result after the other (pure); a `Prober` asks one question of a running container;
`keep_probing` asks again and again while a run of a container lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import anyio
import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.clock import Clock
from orchestra.cri import Probing, Runtime
from orchestra.errors import RuntimeServiceError

if TYPE_CHECKING:
    from orchestra.api.core import Container, HTTPGetAction, Probe


class Verdict(Enum):
    """What one probe said: WARNING is a success with a remark, UNKNOWN a question that could not be asked."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@attrs.frozen
class ProbeResult:
    """The verdict of one probe and what it was based on."""

    verdict: Verdict
    output: str = ""


@attrs.frozen(kw_only=True)
class ProbeTarget:
    """The run of a container that is asked, and the address of its Pod."""

    pod: Pod
    container: Container
    container_id: str
    ip: str


class Prober(Protocol):
    """Asks one question of a running container; `kind` is `startup`, `liveness` or `readiness`."""

    async def probe(self, target: ProbeTarget, probe: Probe, kind: str) -> ProbeResult:
        """Return the answer within the probe's timeout."""
        ...


@attrs.define(kw_only=True)
class ProbeState:
    """Counts results in a row until a threshold is reached (v1.Probe, successThreshold and failureThreshold)."""

    success_threshold: int
    failure_threshold: int
    successes: int = 0
    failures: int = 0

    def note(self, verdict: Verdict) -> bool | None:
        """Return True or False when this result settles the question, None when it is still open."""
        if verdict is Verdict.UNKNOWN:
            return None
        if verdict is not Verdict.FAILURE:
            self.successes, self.failures = self.successes + 1, 0
            return True if self.successes >= self.success_threshold else None
        self.successes, self.failures = 0, self.failures + 1
        return False if self.failures >= self.failure_threshold else None


class NodeProber:
    """Probes for real: commands through the runtime, HTTP and TCP over the network.

    A runtime whose containers have no network answers for them itself (`orchestra.cri.Probing`).
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._own = runtime if isinstance(runtime, Probing) else None

    async def probe(self, target: ProbeTarget, probe: Probe, kind: str) -> ProbeResult:
        """Return the answer within the probe's timeout."""
        from orchestra.node import asking  # HTTP and TLS are loaded with the first probe.

        timeout = probe.timeout_seconds or 1
        if probe.exec is not None:
            return await self._command(list(probe.exec.command), target.container_id, timeout)
        try:
            if probe.http_get is not None:
                asking.port_number(target.container, probe.http_get.port)
            elif probe.tcp_socket is not None:
                asking.port_number(target.container, probe.tcp_socket.port)
            if self._own is not None:
                return await self._ask_runtime(self._own, target.container_id, kind)
            if probe.http_get is not None:
                return await _http(target, probe.http_get, timeout)
            if probe.tcp_socket is not None:
                await asking.connect(target.container, probe.tcp_socket, target.ip, timeout)
                return ProbeResult(Verdict.SUCCESS)
        except asking.NoAnswer as error:
            return ProbeResult(Verdict.FAILURE, str(error))
        except asking.BadPort as error:
            return ProbeResult(Verdict.UNKNOWN, str(error))
        return ProbeResult(Verdict.UNKNOWN, "this kind of probe is not supported by the node")

    async def _ask_runtime(self, runtime: Probing, container_id: str, kind: str) -> ProbeResult:
        try:
            problem = await runtime.probe(container_id, kind)
        except RuntimeServiceError as error:
            return ProbeResult(Verdict.UNKNOWN, rpc_text(error))
        return ProbeResult(Verdict.FAILURE, problem) if problem else ProbeResult(Verdict.SUCCESS)

    async def _command(self, command: list[str], container_id: str, timeout: int) -> ProbeResult:
        from orchestra.node.http import MAX_BODY_BYTES

        request = pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=timeout)
        try:
            answer = await self._runtime.exec_sync(request)
        except RuntimeServiceError as error:
            if error.code == "DeadlineExceeded":
                text = f'command timed out: "{" ".join(command)}" timed out after {timeout}s'
                return ProbeResult(Verdict.FAILURE, text)
            return ProbeResult(Verdict.UNKNOWN, rpc_text(error))
        output = (answer.stdout + answer.stderr)[:MAX_BODY_BYTES].decode("utf-8", "replace")
        return ProbeResult(Verdict.FAILURE if answer.exit_code else Verdict.SUCCESS, output)


async def _http(target: ProbeTarget, action: HTTPGetAction, timeout_seconds: int) -> ProbeResult:
    from orchestra.node import asking

    answer = await asking.get(target.container, action, target.ip, timeout_seconds)
    if answer.elsewhere:
        return ProbeResult(Verdict.WARNING, f"Probe terminated redirects, Response body: {answer.body}")
    if answer.good:
        return ProbeResult(Verdict.SUCCESS, answer.body)
    return ProbeResult(Verdict.FAILURE, f"HTTP probe failed with statuscode: {answer.status}")


def rpc_text(error: RuntimeServiceError) -> str:
    """Return an error of the runtime in the words that a kubelet passes on."""
    return f"rpc error: code = {error.code} desc = {error.message}"


async def keep_probing(
    prober: Prober,
    target: ProbeTarget,
    probe: Probe,
    kind: str,
    clock: Clock,
    report: Callable[[bool, ProbeResult], bool],
) -> None:
    """Probe until `report`, which gets every answer, returns False.

    `report(settled, result)`: `settled` says that a threshold has been reached. Probing begins after the initial
    delay, at once when there is none, and goes on every period.
    """
    state = ProbeState(success_threshold=probe.success_threshold or 1, failure_threshold=probe.failure_threshold or 3)
    await anyio.sleep(probe.initial_delay_seconds or 0)
    period = probe.period_seconds or 10
    while True:
        began = clock.monotonic()
        try:
            result = await prober.probe(target, probe, kind)
        except Exception as error:  # noqa: BLE001 - told as an Event by `report`, and asked again
            result = ProbeResult(Verdict.UNKNOWN, f"{type(error).__name__}: {error}")
        settled = state.note(result.verdict) is not None
        if not report(settled, result):
            return
        await anyio.sleep(max(period - (clock.monotonic() - began), 0))
