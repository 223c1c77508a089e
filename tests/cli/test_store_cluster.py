"""`orchestra store` and `orchestra up` on etcd clusters, and certificates."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestra.cli.main import main
from tests.apiserver.certificates import Authority
from tests.cli.processes import Commands
from tests.plane.processes import end_users
from tests.store.etcd_cluster import EtcdCluster, require_etcd

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {key: value}
"""


@pytest.fixture
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("c")  # short, since sockets have short paths
    yield Commands(folder)
    end_users(folder)  # of a test that has failed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path, binary=require_etcd()) as cluster:
        yield cluster


def test_a_plane_keeps_its_objects_in_etcd_and_moves_from_there_to_a_file(
    commands: Commands, cluster: EtcdCluster
) -> None:
    [endpoint] = cluster.endpoints
    up = ("up", "--data-dir", "plane", "--nodes", "0", "--store-endpoint", endpoint)
    with commands.running(*up) as plane:
        assert plane.first.startswith("ready: 0 nodes"), (plane.stop(), plane.err)
        commands.output("apply", "-f", "-", stdin=CONFIG)
        plane.stop(signal.SIGKILL)
    assert "/registry/core/configmaps/default/kept" in cluster.ctl("get", "--prefix", "/registry/", "--keys-only")
    with commands.running(*up):
        assert commands.output("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"
        uid = commands.output("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}")
        status = json.loads(commands.output("store", "status", "--endpoint", endpoint, "-o", "json"))
        assert status["store"] == endpoint
        commands.output("store", "snapshot", "backup", "--endpoint", endpoint)
        compacted = commands.output("store", "compact", str(status["revision"]), "--endpoint", endpoint)
        assert compacted == f"compacted revision {status['revision']}\n"
        hashed = json.loads(commands.output("store", "hash", "--endpoint", endpoint, "-o", "json"))
        assert hashed["compactRevision"] == status["revision"] <= hashed["revision"]
    commands.output("store", "restore", "backup", "--data-dir", "moved")
    with commands.running("up", "--data-dir", "moved", "--nodes", "0"):
        assert commands.output("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}") == uid


def test_a_cluster_that_is_not_there_is_named(commands: Commands) -> None:
    done = commands("up", "--data-dir", "plane", "--nodes", "0", "--store-endpoint", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no connection to etcd at 127.0.0.1:1 ")
    done = commands("store", "snapshot", "backup", "--endpoint", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('error: "nowhere" is no endpoint')


def test_a_store_is_served_to_those_who_have_a_certificate(commands: Commands) -> None:
    trusted, other = Authority(), Authority("somebody else")
    for name, issued in {
        "server": trusted.issue("store", address="127.0.0.1"),
        "client": trusted.issue("client"),
        "stranger": other.issue("client"),
    }.items():
        (commands.folder / f"{name}.pem").write_bytes(issued.certificate)
        (commands.folder / f"{name}.key").write_bytes(issued.key)
    (commands.folder / "ca.pem").write_bytes(trusted.certificate)
    (commands.folder / "other.pem").write_bytes(other.certificate)
    tls = ("--tls-cert", "server.pem", "--tls-key", "server.key", "--client-ca", "ca.pem")
    with commands.running("store", "serve", "--data-dir", "data", "--listen", "127.0.0.1:0", *tls) as server:
        endpoint = server.first.split()[-1]
        asked = ("store", "status", "--endpoint", endpoint, "--certificate-authority")
        client = ("--client-certificate", "client.pem", "--client-key", "client.key")
        assert commands.output(*asked, "ca.pem", *client).splitlines()[1].split()[:2] == [endpoint, "1"]
        up = ("up", "--data-dir", "plane", "--nodes", "0", "--store-endpoint", endpoint)
        shown = [word.replace("--", "--store-") for word in ("--certificate-authority", "ca.pem", *client)]
        with commands.running(*up, *shown) as plane:
            assert plane.first.startswith("ready: 0 nodes"), (plane.stop(), plane.err)
        stranger = ("--client-certificate", "stranger.pem", "--client-key", "stranger.key")
        for wrong, message in (
            (("ca.pem", *stranger), "no connection"),
            (("missing.pem", *client), "missing.pem: No such"),
        ):
            done = commands(*asked, *wrong)
            assert (done.returncode, done.stdout) == (1, ""), wrong
            assert done.stderr.startswith(f"error: {message}"), (wrong, done.stderr)


BOTH = ("--data-dir", "none", "--endpoint", "h:1")
AT = ("status", "--endpoint", "h:1")
SERVED = ("serve", "--data-dir", "none", "--listen", "h:1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", *BOTH), "--data-dir and --endpoint name two stores: give one of them"),
        (("snapshot", "backup", *BOTH), "--data-dir and --endpoint name two stores: give one of them"),
        (("status", "--user", "ann"), "certificates and users are those of an etcd cluster: name an endpoint"),
        ((*AT, "--user", "ann"), "no password for ann: give a file with it, or set ORCHESTRA_STORE_PASSWORD"),
        ((*AT, "--password-file", "blank"), "blank: a password is that of a user: name one"),
        ((*AT, "--user", "a", "--password-file", "gone"), "gone: No such file or directory"),
        (("serve", "--data-dir", "none", "--insecure"), "TLS, users and --insecure are for an address"),
        ((*SERVED, "--tls-cert", "blank"), "--tls-cert and --tls-key belong together"),
        ((*SERVED, "--user-file", "blank"), "blank names nobody"),
        ((*SERVED, "--user-file", "odd"), "odd: line 1 is not of the form NAME:PASSWORD"),
        (("serve", "--data-dir", "new", "--listen", "127.0.0.1:0"), "127.0.0.1: every user of this machine"),
        (("serve", "--data-dir", "new", "--listen", "0.0.0.0:0", "--insecure"), "0.0.0.0: what is insecure is"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTRA_STORE_PASSWORD", raising=False)
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "odd").write_text("name\n")
    with pytest.raises(SystemExit) as left:
        main(["store", *arguments])
    captured = capsys.readouterr()
    assert (left.value.code, captured.out) == (1, "")
    assert captured.err.startswith(f"error: {message}")
    assert not (tmp_path / "none").exists()
