"""The `orchestra` command itself: its arguments, what it imports, and planes in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestra.cli.main import COMMANDS, main

TIMEOUT = 30
POD = """
apiVersion: v1
kind: Pod
metadata: {name: hello}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: hello
      image: any
      command: [sh, -c, "echo hello from a pod; exec sleep 600"]
"""


def _words(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _words(capsys, name, "--help")
    assert status == 0
    assert out.startswith(f"Usage: orchestra {name}")


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _words(capsys, "--help")
    assert status == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert _words(capsys)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frobnicate",), 'error: unknown command "frobnicate" for "orchestra"\n'),
        (("get", "--frobnicate"), "error: unknown flag: --frobnicate\nSee 'orchestra get --help' for usage.\n"),
        (("get", "pods", "--watch=maybe"), 'error: invalid argument "maybe" for "--watch" flag\n'),
        (("rollout", "frobnicate"), "error: no such command"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _words(capsys, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith(message)


def _run(*arguments: str, cwd: Path, server: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ORCHESTRA_SERVER": server or f"unix:{cwd}/none.sock", "HOME": str(cwd)}
    command = [sys.executable, "-m", "orchestra.cli.main", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=cwd, env=environment, timeout=TIMEOUT, check=False
    )


def test_without_a_server_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = _run("get", "pods", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"The connection to the server unix:{tmp_path}/none.sock was refused - did you")
    assert "orchestra up" in done.stderr


def test_a_tcp_address_is_not_served_without_tls_and_a_credential(tmp_path: Path) -> None:
    done = _run("up", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == 1
    assert "a TCP address is served only with TLS" in done.stderr


def test_a_manifest_that_is_wrong_keeps_the_plane_from_starting(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: b\n c: d\n")
    done = _run("up", "--data-dir", str(tmp_path / "data"), "-f", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: bad.yaml: document 1: yaml: line 2")
    assert not (tmp_path / "data").exists()


def test_help_and_reading_commands_import_no_part_of_a_plane(tmp_path: Path) -> None:
    heavy = {"numpy", "orchestra.scheduler", "orchestra.node", "orchestra.store", "orchestra.plane", "rich"}
    for arguments, unwanted in ((["--help"], heavy | {"anyio", "yaml", "grpc", "attrs"}), (["get", "pods"], heavy)):
        script = (
            "import sys\nfrom orchestra.cli.main import main\n"
            f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
            f"print('LOADED', sorted(set(sys.modules) & {unwanted!r}))"
        )
        environment = {**os.environ, "ORCHESTRA_SERVER": f"unix:{tmp_path}/none.sock"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "LOADED []"


class Plane:
    """A plane in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = f"unix:{folder}/run/api.sock"
        command = [sys.executable, "-m", "orchestra.cli.main", "up", "--data-dir", str(folder / "data")]
        self.process = subprocess.Popen(
            [*command, "--listen", self.server],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(folder)},
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return _run(*arguments, cwd=self.folder, server=self.server, stdin=stdin)

    def stop(self) -> tuple[int, str, str]:
        """Stop it as Ctrl-C does; return its exit status and what it printed since."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            out, err = self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, out, err


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    plane = Plane(tmp_path)
    try:
        yield plane
    finally:
        plane.stop()


def test_a_pod_runs_is_read_and_goes_over_the_socket(plane: Plane) -> None:
    assert plane.first == f"ready: 1 node, listening on {plane.server}\n"
    assert (plane.folder / "data").stat().st_mode & 0o777 == 0o700
    assert plane("apply", "-f", "-", stdin=POD).stdout == "pod/hello created\n"
    assert plane("wait", "--for=condition=Ready", "pod/hello").stdout == "pod/hello condition met\n"
    shown = plane("get", "pods", "-o", "wide").stdout.splitlines()
    assert shown[1].split()[:4] == ["hello", "1/1", "Running", "0"]
    assert plane("logs", "hello").stdout == "hello from a pod\n"
    assert plane("version").stdout.count("Version: v") == 2
    refused = plane("get", "pod", "nope")
    assert (refused.returncode, refused.stderr) == (1, 'Error from server (NotFound): pods "nope" not found\n')
    assert plane("delete", "pod/hello").stdout == 'pod "hello" deleted\n'
    assert plane("get", "pods").stderr == "No resources found in default namespace.\n"
    status, out, err = plane.stop()
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "stopped"
    assert not (plane.folder / "run" / "api.sock").exists()


def test_a_second_interrupt_stops_at_once_and_the_next_start_finds_the_containers(plane: Plane) -> None:
    stubborn = (
        POD.replace("echo", "trap '' TERM; echo").replace("Seconds: 1", "Seconds: 60").replace("exec sleep", "sleep")
    )
    assert plane("apply", "-f", "-", stdin=stubborn).returncode == 0
    assert plane("wait", "--for=condition=Ready", "pod/hello").returncode == 0
    assert plane.process.stdout is not None
    plane.process.send_signal(signal.SIGINT)
    assert plane.process.stdout.readline().startswith("stopping")
    status, _, err = plane.stop()
    assert status == 130
    assert err.startswith("stopped at once")
    again = Plane(plane.folder)
    try:
        assert again("wait", "--for=condition=Ready", "pod/hello").returncode == 0
        assert again("get", "pods").stdout.splitlines()[1].split()[:4] == ["hello", "1/1", "Running", "0"]
        assert again("delete", "pod", "hello", "--now").stdout == 'pod "hello" deleted\n'
    finally:
        assert again.stop()[0] == 0


def test_a_second_plane_on_one_data_directory_is_refused(plane: Plane) -> None:
    other = f"unix:{plane.folder}/run/other.sock"
    done = plane("up", "--data-dir", str(plane.folder / "data"), "--listen", other)
    assert done.returncode == 1
    assert f"cluster.db is in use by process {plane.process.pid}" in done.stderr
    assert plane("get", "nodes").returncode == 0


@pytest.mark.parametrize("arguments", [("get", "nodes"), ("get", "nodes", "--watch")])
def test_a_reader_that_has_left_ends_the_command_silently(plane: Plane, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "orchestra.cli.main", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "ORCHESTRA_SERVER": plane.server},
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_agent_in_a_process_of_its_own_joins_the_plane(plane: Plane) -> None:
    command = [sys.executable, "-m", "orchestra.cli.main", "node", "--name", "extra", "--data-dir"]
    environment = {**os.environ, "ORCHESTRA_SERVER": plane.server}
    agent = subprocess.Popen(
        [*command, str(plane.folder / "extra"), "--label", "own=yes"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert agent.stdout is not None
        assert agent.stdout.readline() == f"ready: node extra of {plane.server}\n"
        waited = plane("wait", "--for=condition=Ready", "node", "-l", "own=yes")
        assert waited.stdout == "node/extra condition met\n"
        chosen = POD.replace("spec:\n", "spec:\n  nodeName: extra\n", 1)
        plane("apply", "-f", "-", stdin=chosen)
        assert plane("wait", "--for=condition=Ready", "pod/hello").returncode == 0
        assert plane("logs", "hello").stdout == "hello from a pod\n"
    finally:
        agent.send_signal(signal.SIGINT)
        agent.communicate(timeout=TIMEOUT)
    assert agent.returncode == 0
