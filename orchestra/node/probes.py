"""Probes: is a container up, alive, ready?

`ProbeState` decides from one result after the other (pure); `Prober` asks one question of a running container;
`ProbeWorker` asks again and again while a run of a container lasts.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import anyio
import attrs
from anyio.abc import ByteStream

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Container, HTTPGetAction, Pod, Probe
from orchestra.clock import Clock
from orchestra.cri import Runtime
from orchestra.errors import RuntimeServiceError
from orchestra.node import http


class Verdict(Enum):
    """What one probe said; UNKNOWN means that the question could not be asked."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@attrs.frozen
class ProbeResult:
    """The verdict of one probe and what it was based on."""

    verdict: Verdict
    output: str = ""


class Prober(Protocol):
    """Asks one question of a running container."""

    async def probe(self, pod: Pod, container: Container, probe: Probe, container_id: str, ip: str) -> ProbeResult:
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
        if verdict is Verdict.SUCCESS:
            self.successes, self.failures = self.successes + 1, 0
            return True if self.successes >= self.success_threshold else None
        self.successes, self.failures = 0, self.failures + 1
        return False if self.failures >= self.failure_threshold else None


def probe_port(container: Container, port: int | str) -> int:
    """Return the number of a port that a probe or hook names; raises ValueError when the container has none so."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    raise ValueError(f"couldn't find port: {port} in container {container.name}")


class NodeProber:
    """Probes for real: commands through the runtime, HTTP and TCP over the network."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def probe(self, pod: Pod, container: Container, probe: Probe, container_id: str, ip: str) -> ProbeResult:
        """Return the answer within the probe's timeout."""
        timeout = probe.timeout_seconds or 1
        try:
            if probe.exec is not None:
                return await self._command(list(probe.exec.command), container_id, timeout)
            with anyio.fail_after(timeout):
                if probe.http_get is not None:
                    return await http_probe(container, probe.http_get, ip)
                if probe.tcp_socket is not None:
                    port = probe_port(container, probe.tcp_socket.port)
                    async with await anyio.connect_tcp(probe.tcp_socket.host or ip, port):
                        return ProbeResult(Verdict.SUCCESS)
        except TimeoutError:
            return ProbeResult(Verdict.FAILURE, f"probe timed out after {timeout}s")
        except http.HTTP_ERRORS as error:
            return ProbeResult(Verdict.FAILURE, _network_error(error))
        except ValueError as error:
            return ProbeResult(Verdict.UNKNOWN, str(error))
        return ProbeResult(Verdict.UNKNOWN, "this kind of probe is not supported by the node")

    async def _command(self, command: list[str], container_id: str, timeout: int) -> ProbeResult:
        request = pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=timeout)
        try:
            answer = await self._runtime.exec_sync(request)
        except RuntimeServiceError as error:
            if error.code == "DeadlineExceeded":
                return ProbeResult(Verdict.FAILURE, f'command "{" ".join(command)}" timed out')
            return ProbeResult(Verdict.UNKNOWN, error.message)
        output = (answer.stdout + answer.stderr)[: http.MAX_BODY_BYTES].decode("utf-8", "replace")
        return ProbeResult(Verdict.FAILURE if answer.exit_code else Verdict.SUCCESS, output)


def _network_error(error: BaseException) -> str:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ConnectionRefusedError):
        return "connect: connection refused"
    if isinstance(cause, anyio.EndOfStream):
        return "EOF"
    return str(cause) or type(cause).__name__


async def http_probe(container: Container, action: HTTPGetAction, ip: str) -> ProbeResult:
    """GET what `action` says; every status from 200 to 399 is a success."""
    status, body = await http_get(container, action, ip)
    if 200 <= status < 400:
        return ProbeResult(Verdict.SUCCESS, body)
    return ProbeResult(Verdict.FAILURE, f"HTTP probe failed with statuscode: {status}")


async def http_get(container: Container, action: HTTPGetAction, ip: str) -> tuple[int, str]:
    """Send one HTTP request and return status and the beginning of the body.

    Certificates are not verified: the caller asks for life, not for identity (Kubernetes does the same).
    """
    host, port = action.host or ip, probe_port(container, action.port)
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    for header in action.http_headers:
        headers = {k: v for k, v in headers.items() if k.lower() != header.name.lower()} | {header.name: header.value}
    secure = (action.scheme or "HTTP").upper() == "HTTPS"
    async with await _connect(host, port, secure=secure) as stream:
        return await http.get(stream, action.path or "/", headers)


async def _connect(host: str, port: int, *, secure: bool) -> ByteStream:
    if secure:
        return await anyio.connect_tcp(host, port, ssl_context=_unverified(), tls_standard_compatible=False)
    return await anyio.connect_tcp(host, port)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@attrs.frozen(kw_only=True)
class ProbeTarget:
    """The run of a container that is probed: `current` gives the Pod's newest state, `ip` its address."""

    pod: Pod
    container: Container
    container_id: str
    ip: str


async def keep_probing(
    prober: Prober, target: ProbeTarget, probe: Probe, clock: Clock, report: Callable[[bool, ProbeResult], bool]
) -> None:
    """Probe until `report`, which gets every settled answer and every failure on the way, returns False.

    `report(settled, result)`: `settled` says that a threshold has been reached. Probing begins after the initial
    delay, at once when there is none, and goes on every period.
    """
    state = ProbeState(success_threshold=probe.success_threshold or 1, failure_threshold=probe.failure_threshold or 3)
    await anyio.sleep(probe.initial_delay_seconds or 0)
    period = probe.period_seconds or 10
    while True:
        began = clock.monotonic()
        result = await prober.probe(target.pod, target.container, probe, target.container_id, target.ip)
        settled = state.note(result.verdict) is not None
        if not report(settled, result):
            return
        await anyio.sleep(max(period - (clock.monotonic() - began), 0))
