"""Probes: thresholds, pace, and how each kind asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestra.api.core import ContainerPort, ExecAction, HTTPGetAction, HTTPHeader, Probe, TCPSocketAction
from orchestra.cri import FakeRuntime, UnimplementedRuntime
from orchestra.node.probes import NodeProber, ProbeResult, ProbeState, ProbeTarget, Verdict, keep_probing
from orchestra.testing import VirtualClock

from .kit import container, pod


def noted(state: ProbeState, answers: str) -> list[bool | None]:
    words = {"+": Verdict.SUCCESS, "-": Verdict.FAILURE, "?": Verdict.UNKNOWN, "w": Verdict.WARNING}
    return [state.note(words[answer]) for answer in answers]


def test_answers_count_in_a_row_until_a_threshold() -> None:
    assert noted(ProbeState(success_threshold=2, failure_threshold=3), "+-++--+---") == [
        *(None, None, None, True),
        *(None, None, None),
        *(None, None, False),
    ]


def test_a_question_that_could_not_be_asked_changes_nothing() -> None:
    state = ProbeState(success_threshold=1, failure_threshold=2)
    assert noted(state, "-?-") == [None, None, False]


def test_a_warning_is_a_success() -> None:
    assert noted(ProbeState(success_threshold=1, failure_threshold=1), "w") == [True]


class Scripted:
    """Answers from a list, and notes when it was asked."""

    def __init__(self, clock: VirtualClock, answers: str) -> None:
        self.clock, self.answers, self.times = clock, iter(answers), list[float]()

    async def probe(self, target: ProbeTarget, probe: Probe, kind: str) -> ProbeResult:
        self.times.append(round(self.clock.monotonic(), 3))
        return ProbeResult(Verdict.SUCCESS if next(self.answers) == "+" else Verdict.FAILURE)


TARGET = ProbeTarget(pod=pod(), container=container(), container_id="c-0", ip="127.0.0.1")


@pytest.mark.virtual_time
async def test_probing_begins_after_the_delay_and_goes_on_every_period() -> None:
    clock = VirtualClock()
    prober, settled = Scripted(clock, "+--+"), list[bool]()
    probe = Probe(initial_delay_seconds=4, period_seconds=3, failure_threshold=2)

    def report(done: bool, _result: ProbeResult) -> bool:
        settled.append(done)
        return len(settled) < 4

    await keep_probing(prober, TARGET, probe, "liveness", clock, report)
    assert prober.times == [4, 7, 10, 13]
    assert settled == [True, False, True, True]


class Handler(BaseHTTPRequestHandler):
    seen: list[dict[str, str]] = []  # noqa: RUF012 - one server, one list

    def do_GET(self) -> None:
        Handler.seen.append({"path": self.path, **dict(self.headers)})
        status = int(self.path.strip("/").split("?")[0].split("-")[0] or 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://example.invalid/" if "away" in self.path else "/204")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


async def ask(probe: Probe, **fields: object) -> ProbeResult:
    target = ProbeTarget(pod=pod(), container=container(**fields), container_id="c-0", ip="127.0.0.1")
    return await NodeProber(UnimplementedRuntime()).probe(target, probe, "readiness")


def http(path: str, port: int | str, **fields: object) -> Probe:
    return Probe(http_get=HTTPGetAction(path=path, port=port, **fields))  # type: ignore[arg-type]


async def test_a_request_says_what_the_pod_wants_it_to_say(port: int) -> None:
    headers = (HTTPHeader(name="X-One", value="1"), HTTPHeader(name="Host", value="my.host"))
    result = await ask(
        http("/200?a=b", "web", http_headers=headers), ports=(ContainerPort(name="web", container_port=port),)
    )
    assert result.verdict is Verdict.SUCCESS
    sent = Handler.seen[-1]
    assert (sent["path"], sent["Host"], sent["X-One"]) == ("/200?a=b", "my.host", "1")
    assert (sent["User-Agent"], sent["Accept"], sent["Connection"]) == ("kube-probe/1.36", "*/*", "close")


async def test_statuses_from_200_to_399_are_good(port: int) -> None:
    assert (await ask(http("/399", port))).verdict is Verdict.SUCCESS
    assert await ask(http("/500", port)) == ProbeResult(Verdict.FAILURE, "HTTP probe failed with statuscode: 500")


async def test_a_redirect_is_followed_on_the_same_host_only(port: int) -> None:
    assert (await ask(http("/302", port))).verdict is Verdict.SUCCESS
    assert Handler.seen[-1]["path"] == "/204"
    away = await ask(http("/302-away", port))
    assert away == ProbeResult(Verdict.WARNING, "Probe terminated redirects, Response body: ")


async def test_failures_are_told_as_recorded() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = held.getsockname()[1]
    refused = f"dial tcp 127.0.0.1:{closed}: connect: connection refused"
    assert await ask(http("/x", closed)) == ProbeResult(
        Verdict.FAILURE, f'Get "http://127.0.0.1:{closed}/x": {refused}'
    )
    assert await ask(Probe(tcp_socket=TCPSocketAction(port=closed))) == ProbeResult(Verdict.FAILURE, refused)
    assert await ask(Probe(tcp_socket=TCPSocketAction(port="nosuch"))) == ProbeResult(
        Verdict.UNKNOWN, 'strconv.Atoi: parsing "nosuch": invalid syntax'
    )


async def test_a_server_that_does_not_answer_fails_at_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        probe = Probe(http_get=HTTPGetAction(path="/x", port=port), timeout_seconds=1)
        result = await ask(probe)
    text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert result == ProbeResult(Verdict.FAILURE, f'Get "http://127.0.0.1:{port}/x": {text}')


async def test_a_port_that_listens_is_enough_for_tcp(port: int) -> None:
    assert (await ask(Probe(tcp_socket=TCPSocketAction(port=port)))).verdict is Verdict.SUCCESS


async def test_a_command_that_cannot_be_run_is_no_failure() -> None:
    result = await ask(Probe(exec=ExecAction(command=("true",))))
    assert result.verdict is Verdict.UNKNOWN
    assert result.output.startswith("rpc error: code = Unimplemented desc = ")


async def test_a_runtime_with_the_power_to_probe_is_asked_instead_of_the_network() -> None:
    target = ProbeTarget(pod=pod(), container=container(), container_id="none", ip="")
    result = await NodeProber(FakeRuntime()).probe(target, http("/", 80), "readiness")
    assert result.verdict is Verdict.UNKNOWN
    assert "code = NotFound" in result.output
