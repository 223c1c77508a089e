"""TLS, client certificates, users and tokens, against real etcd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestra.errors import ConfigurationError, StoreAccessDenied, StoreUnavailable
from orchestra.store import EtcdOptions, EtcdStore, EtcdTLS, Put, Range, Txn, WatchRequest
from orchestra.store.etcd.channel import PROGRESS_IN_ORDER, has_fix
from tests.apiserver.certificates import Authority
from tests.store.etcd_cluster import EtcdBinary, EtcdCluster, MemberTLS

IMPATIENT = EtcdOptions(connect_timeout_seconds=1, heartbeat_seconds=0.3)

PATIENCE_SECONDS = 20.0


def _issue(folder: Path) -> MemberTLS:
    """Write an authority, and certificates of it for members and clients, over those that are there."""
    authority = Authority()
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(authority.certificate)
    for name, address in (("member", "127.0.0.1"), ("client", "")):
        issued = authority.issue(name, address=address)
        (folder / f"{name}.pem").write_bytes(issued.certificate)
        (folder / f"{name}.key").write_bytes(issued.key)
    return MemberTLS(
        ca=folder / "ca.pem",
        certificate=folder / "member.pem",
        key=folder / "member.key",
        client_certificate=folder / "client.pem",
        client_key=folder / "client.key",
    )


def _client(files: MemberTLS) -> EtcdTLS:
    return EtcdTLS(ca=files.ca, certificate=files.client_certificate, key=files.client_key)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> MemberTLS:
    return _issue(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secured(
    etcd_binary: EtcdBinary, files: MemberTLS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("secured"), binary=etcd_binary, tls=files) as cluster:
        yield cluster


@pytest.mark.parametrize("prefix", ["", "https://"])
async def test_members_and_clients_know_each_other_by_certificates(
    secured: EtcdCluster, files: MemberTLS, prefix: str
) -> None:
    store = EtcdStore([prefix + secured.endpoints[0]], tls=_client(files))
    async with store, store.watch(WatchRequest(b"a")) as watch:
        revision = (await store.put(b"a", b"1")).revision
        assert (await watch.__anext__()).revision == revision


async def test_what_is_wrong_with_the_certificates_is_said(secured: EtcdCluster, files: MemberTLS) -> None:
    other = _issue(files.ca.parent / "other")
    wrong = {
        "may want TLS": None,
        "check ca": EtcdTLS(ca=other.ca, certificate=files.client_certificate, key=files.client_key),
        "client certificate that it trusts": EtcdTLS(ca=files.ca),
        "server_name": EtcdTLS(
            ca=files.ca, certificate=files.client_certificate, key=files.client_key, server_name="another"
        ),
    }
    said: dict[str, str] = {}

    async def refused(hint: str, tls: EtcdTLS | None) -> None:
        with pytest.raises(StoreUnavailable) as error:
            await EtcdStore(secured.endpoints, tls=tls, options=IMPATIENT).__aenter__()
        said[hint] = str(error.value)

    async with anyio.create_task_group() as tasks:
        for hint, tls in wrong.items():
            tasks.start_soon(refused, hint, tls)
    assert [hint for hint in wrong if hint not in said[hint]] == []
    assert all(secured.endpoints[0] in text for text in said.values())


async def test_tls_for_members_without_it_is_said(etcd: EtcdCluster, files: MemberTLS) -> None:
    with pytest.raises(StoreUnavailable, match="it seems to have no TLS"):
        async with EtcdStore(etcd.endpoints, tls=_client(files), options=IMPATIENT):
            pass
    with pytest.raises(ConfigurationError, match="has no TLS, but"):
        EtcdStore([f"http://{etcd.endpoints[0]}"], tls=EtcdTLS())
    with pytest.raises(ConfigurationError, match="No such file"):
        async with EtcdStore(etcd.endpoints, tls=EtcdTLS(ca=files.ca.parent / "none")):
            pass


async def test_certificates_are_read_again_when_the_connection_is_made_anew(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    files = _issue(tmp_path / "tls")
    with EtcdCluster(tmp_path / "members", binary=etcd_binary, tls=files) as cluster:
        store = EtcdStore(cluster.endpoints, tls=_client(files), options=IMPATIENT)
        async with store, store.watch(WatchRequest(b"a")) as watch:
            cluster.members[0].kill()
            _issue(tmp_path / "tls")
            cluster.members[0].start()
            await anyio.to_thread.run_sync(cluster.wait_healthy)
            assert await store.get(b"a") is None
            revision = (await store.put(b"a", b"1")).revision
            with anyio.fail_after(PATIENCE_SECONDS):
                assert (await watch.__anext__()).revision == revision


@pytest.fixture(scope="module")
def guarded(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster with a root, and a user `app` that may do anything below app/ and nothing else."""
    with EtcdCluster(tmp_path_factory.mktemp("guarded"), binary=etcd_binary) as cluster:
        cluster.ctl("user", "add", "root:secret")
        cluster.ctl("user", "grant-role", "root", "root", check=False)
        cluster.ctl("role", "add", "root", check=False)
        cluster.ctl("user", "grant-role", "root", "root", check=False)
        cluster.ctl("role", "add", "app")
        cluster.ctl("role", "grant-permission", "app", "--prefix=true", "readwrite", "app/")
        cluster.ctl("user", "add", "app:word")
        cluster.ctl("user", "grant-role", "app", "app")
        cluster.ctl("auth", "enable")
        yield cluster


def _as(cluster: EtcdCluster, username: str, password: str) -> EtcdStore:
    return EtcdStore(cluster.endpoints, username=username, password=password, options=IMPATIENT)


async def test_a_user_does_what_it_may_and_nothing_else(guarded: EtcdCluster) -> None:
    async with _as(guarded, "app", "word") as store:
        async with store.watch(WatchRequest(b"app/", b"app0")) as watch:
            revision = (await store.put(b"app/a", b"1")).revision
            assert (await watch.__anext__()).revision == revision
        forbidden = [store.get(b"a"), store.put(b"a", b"1"), store.delete(b"app/", b"b")]
        forbidden += [store.txn(Txn(success=(Put(b"app/b"), Range(b"a"))))]
        for call in forbidden:
            with pytest.raises(StoreAccessDenied):
                await call
        with pytest.raises(StoreAccessDenied):
            async with store.watch(WatchRequest(b"a")):
                pass
        assert await store.get(b"app/b") is None


async def test_the_progress_of_a_user_that_may_not_read_all_keys_is_told_by_newer_members(
    guarded: EtcdCluster,
) -> None:
    async with _as(guarded, "app", "word") as store, store.watch(WatchRequest(b"app/a")) as watch:
        revision = (await store.put(b"app/elsewhere", b"1")).revision
        watch.request_progress()
        if has_fix(guarded.binary.version, PROGRESS_IN_ORDER):
            with anyio.fail_after(PATIENCE_SECONDS):
                assert (await watch.__anext__()).revision == revision
        # On an older one nothing proves it, but the watch goes on.
        revision = (await store.put(b"app/a", b"1")).revision
        with anyio.fail_after(PATIENCE_SECONDS):
            assert (await watch.__anext__()).revision == revision


async def test_a_wrong_password_and_no_user_at_all_are_told_apart(guarded: EtcdCluster) -> None:
    with pytest.raises(StoreAccessDenied, match="invalid user ID or password"):
        async with _as(guarded, "app", "wrong"):
            pass
    async with EtcdStore(guarded.endpoints) as store:
        with pytest.raises(StoreAccessDenied, match="give username and password"):
            await store.put(b"app/a", b"1")


async def test_a_user_is_no_trouble_where_nobody_is_asked_for(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints, username="app", password="word") as store:
        await store.put(b"app/a", b"1")


def _forget_tokens(cluster: EtcdCluster) -> None:
    cluster.ctl("--user=root:secret", "auth", "disable")
    cluster.ctl("auth", "enable")


async def test_a_user_is_authenticated_when_the_cluster_begins_to_ask(guarded: EtcdCluster) -> None:
    guarded.ctl("--user=root:secret", "auth", "disable")
    async with _as(guarded, "app", "word") as store:
        guarded.ctl("auth", "enable")
        await store.put(b"app/x", b"1")


async def test_a_token_that_became_invalid_is_renewed(guarded: EtcdCluster) -> None:
    async with _as(guarded, "app", "word") as store, store.watch(WatchRequest(b"app/x")) as watch:
        _forget_tokens(guarded)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):  # of which one renews the token for all
                tasks.start_soon(store.get, b"app/x")
        _forget_tokens(guarded)
        revision = (await store.put(b"app/x", b"1")).revision
        assert (await watch.__anext__()).revision == revision
        # The watches' stream has the token with which it began, and a new watch needs another.
        async with store.watch(WatchRequest(b"app/", b"app0")) as other:
            revision = (await store.put(b"app/x", b"2")).revision
            with anyio.fail_after(PATIENCE_SECONDS):
                assert (await watch.__anext__()).revision == (await other.__anext__()).revision == revision


async def test_tokens_are_lost_with_the_member_and_watches_go_on(guarded: EtcdCluster) -> None:
    async with _as(guarded, "app", "word") as store, store.watch(WatchRequest(b"app/x")) as watch:
        guarded.members[0].kill()
        guarded.members[0].start()
        await anyio.to_thread.run_sync(guarded.wait_healthy)
        lease = await store.lease_grant(60)
        assert (await store.lease_keep_alive(lease.id)).ttl_seconds == 60
        revision = (await store.put(b"app/x", b"1")).revision
        with anyio.fail_after(PATIENCE_SECONDS):
            assert (await watch.__anext__()).revision == revision
