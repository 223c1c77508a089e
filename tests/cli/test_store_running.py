"""`orchestra store` on planes and servers that run."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.cli.processes import Commands, Running
from tests.plane.processes import end_users

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {key: value}
"""
UP = ("up", "--data-dir", "data", "--nodes", "0")


@pytest.fixture
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("s")  # short, since sockets have short paths
    yield Commands(folder)
    end_users(folder)  # of a test that has failed


def test_a_plane_that_runs_is_backed_up_and_looked_after_through_its_socket(commands: Commands) -> None:
    with commands.running(*UP) as plane:
        assert plane.first.startswith("ready: 0 nodes")
        socket = commands.folder / "data" / "store.sock"
        assert socket.stat().st_mode & 0o777 == 0o600
        commands.output("apply", "-f", "-", stdin=CONFIG)
        header, row = (line.split() for line in commands.output("store", "status", "--data-dir", "data").splitlines())
        assert header[:4] == ["STORE", "REVISION", "COMPACTED", "KEYS"]
        revision = int(row[1])
        saved = json.loads(commands.output("store", "snapshot", "backup", "--data-dir", "data", "-o", "json"))
        assert saved["revision"] >= revision
        assert commands.output("store", "compact", str(revision), "--data-dir", "data", "--defragment") == (
            f"compacted revision {revision}\ndefragmented\n"
        )
        live = json.loads(commands.output("store", "hash", str(revision), "--data-dir", "data", "-o", "json"))
        commands.output("delete", "configmap", "kept")
        commands.output("store", "restore", "backup", "--data-dir", "new")
        twin = commands("up", "--data-dir", "new", "--nodes", "0")
        assert twin.returncode == 1
        assert twin.stderr.startswith("error: another plane on this machine uses the cluster addresses 127.")
        assert plane.stop() == 0
    assert not socket.exists()
    # Stopped, it is the same store; what is served tells a hash's first 32 bits.
    still = json.loads(commands.output("store", "hash", str(revision), "--data-dir", "data", "-o", "json"))
    assert still["hash"].startswith(live["hash"])
    with commands.running("up", "--data-dir", "new", "--nodes", "0"):
        assert commands.output("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"


def test_a_killed_plane_leaves_a_socket_that_misleads_nobody(commands: Commands) -> None:
    with commands.running(*UP) as plane:
        commands.output("apply", "-f", "-", stdin=CONFIG)
        plane.stop(signal.SIGKILL)
    assert (commands.folder / "data" / "store.sock").is_socket()
    commands.output("store", "snapshot", "backup", "--data-dir", "data")
    with commands.running(*UP):
        assert commands.output("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"
        commands.output("store", "status", "--data-dir", "data")


def test_a_plane_can_keep_its_store_to_itself(commands: Commands) -> None:
    with commands.running(*UP, "--no-store-socket") as plane:
        done = commands("store", "snapshot", "backup", "--data-dir", "data")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: data/cluster.db is in use by process {plane.process.pid}; ")
    assert done.stderr.endswith(" (it does not serve data/store.sock)\n")
    assert not (commands.folder / "backup").exists()


def test_the_data_directory_may_have_a_long_name(commands: Commands) -> None:
    name = "a-long-name" * 12
    with commands.running("up", "--data-dir", name, "--nodes", "0"):
        commands.output("store", "snapshot", "backup", "--data-dir", name)
    assert (commands.folder / "backup").exists()
    assert sorted(os.listdir(commands.folder / name)) == ["cluster.db", "cluster.db.lock", "store.sock.lock"]


def served(server: Running) -> tuple[str, ...]:
    """Where a server listens."""
    match = re.fullmatch(r"ready: listening on (\S+)(?: and (\S+))?\n", server.first)
    assert match, (server.first, server.stop(), server.err)
    return tuple(filter(None, match.groups()))


def test_a_store_is_served_without_a_plane_until_it_is_stopped(commands: Commands) -> None:
    with commands.running("store", "serve", "--data-dir", "data") as server:
        assert served(server) == (f"unix:{commands.folder}/data/store.sock",)
        assert (commands.folder / "data").stat().st_mode & 0o777 == 0o700
        status = commands.output("store", "status", "--data-dir", "data", "-o", "json")
        assert json.loads(status)["revision"] == 1
        again = commands("store", "serve", "--data-dir", "data")
        assert again.returncode == 1
        assert f"cluster.db is in use by process {server.process.pid}" in again.stderr
        assert commands("up", "--data-dir", "data").returncode == 1
        assert server.stop(signal.SIGINT) == 0
        assert server.out == "stopping: calls in progress are ended; interrupt again to stop at once\nstopped\n"
        assert server.err == ""
    with commands.running("store", "serve", "--data-dir", "data", "--listen", "unix:other.sock") as server:
        assert served(server)[1] == f"unix:{commands.folder}/other.sock"
        assert commands.output("store", "status", "--endpoint", "unix:other.sock").splitlines()[1].split()[1] == "1"


def test_a_served_store_takes_users(commands: Commands) -> None:
    (commands.folder / "users").write_text("ann:secret:with colon\n\nbob:other\n")
    (commands.folder / "password").write_text("secret:with colon\n")
    options = ("--listen", "127.0.0.1:0", "--user-file", "users")
    with commands.running("store", "serve", "--data-dir", "data", *options) as server:
        asked = ("store", "status", "--endpoint", served(server)[1])
        assert commands.output(*asked, "--user", "ann", "--password-file", "password").splitlines()[1].split()[1] == "1"
        commands.environment["ORCHESTRA_STORE_PASSWORD"] = "other"
        commands.output(*asked, "--user", "bob")
        for wrong in (("--user", "ann"), ("--user", "eve"), ()):
            done = commands(*asked, *wrong)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("error: ")
