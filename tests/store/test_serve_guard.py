"""Who may reach a served store: addresses, TLS, certificates, users."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import grpc.aio
import pytest

from orchestra.errors import ConfigurationError
from orchestra.store import MemoryStore, ServeTLS, serve_etcd
from orchestra.store.etcd.rpc import Refusal, Request
from orchestra.store.etcd.server_auth import MAX_TOKENS, TOKEN_SECONDS, Users
from tests.apiserver.certificates import Authority
from tests.store.etcd_calls import call
from tests.store.etcd_cluster import EtcdBinary
from tests.store.etcdctl import ctl


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates: `ca`, `server`, `client`, and a `stranger` that another authority has signed."""
    folder = tmp_path_factory.mktemp("pem")
    authority, other = Authority(), Authority("another authority")
    (folder / "ca").write_bytes(authority.certificate)
    for name, issued in (
        ("server", authority.issue("server", address="127.0.0.1")),
        ("client", authority.issue("client")),
        ("stranger", other.issue("stranger")),
    ):
        (folder / name).write_bytes(issued.certificate)
        (folder / f"{name}.key").write_bytes(issued.key)
    return folder


def tls(pem: Path, *, clients: bool = True) -> ServeTLS:
    ca = pem / "ca" if clients else None
    return ServeTLS(certificate=pem / "server", key=pem / "server.key", client_ca=ca)


@pytest.mark.parametrize(
    ("address", "options", "reason"),
    [
        ("127.0.0.1:0", {}, "every user of this machine"),
        ("localhost:0", {"tls": "server"}, "every user of this machine"),
        ("[::1]:0", {}, "every user of this machine"),
        ("0.0.0.0:0", {}, "served only with TLS"),
        ("0.0.0.0:0", {"users": {"a": "b"}}, "served only with TLS"),
        ("0.0.0.0:0", {"tls": "server"}, "served only with TLS"),
        ("192.0.2.1:0", {"insecure": True}, "loopback"),
        ("example.com:0", {"insecure": True}, "loopback"),
        ("unix:/tmp/x", {"tls": "clients"}, "guarded by its mode"),
        ("unix:/tmp/x", {"users": {"a": "b"}}, "guarded by its mode"),
        ("unix:", {}, "names no path"),
        ("nothing", {}, "no address"),
        (":2379", {}, "no address"),
        ("127.0.0.1:port", {}, "no address"),
        ("127.0.0.1:99999", {}, "no address"),
    ],
)
def test_nothing_is_served_to_callers_who_prove_nothing(
    address: str, options: dict[str, object], reason: str, pem: Path
) -> None:
    if "tls" in options:
        options = {**options, "tls": tls(pem, clients=options["tls"] == "clients")}
    with pytest.raises(ConfigurationError, match=reason):
        serve_etcd(MemoryStore(), address, **options)  # type: ignore[arg-type]


async def test_an_address_or_certificate_that_cannot_be_had_is_said_so(tmp_path: Path, pem: Path) -> None:
    async with MemoryStore() as store:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(ConfigurationError, match="cannot listen at"):
                async with serve_etcd(store, f"127.0.0.1:{taken.getsockname()[1]}", insecure=True):
                    pass
        for certificate, key in ((tmp_path / "none", pem / "server.key"), (pem / "server", pem / "client.key")):
            with pytest.raises(ConfigurationError, match="TLS"):
                async with serve_etcd(
                    store, "127.0.0.1:0", tls=ServeTLS(certificate=certificate, key=key, client_ca=pem / "ca")
                ):
                    pass


async def test_a_unix_socket_is_for_its_user_alone_and_goes_with_the_server(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "store.sock"
    async with MemoryStore() as store:
        async with serve_etcd(store, f"unix:{path}") as server:
            assert path.stat().st_mode & 0o777 == 0o600
            assert (server.address, server.endpoint) == (f"unix:{path}", f"unix://{path}")
            assert await ctl(etcd_binary, server.endpoint, "put", "a", "1") == "OK\n"
            with pytest.raises(ConfigurationError, match="another server"):
                async with serve_etcd(store, f"unix:{path}"):
                    pass
        assert not os.path.lexists(path)


async def test_clients_show_a_certificate_where_one_is_asked_for(etcd_binary: EtcdBinary, pem: Path) -> None:
    async with MemoryStore() as store, serve_etcd(store, "127.0.0.1:0", tls=tls(pem)) as server:
        ca = f"--cacert={pem / 'ca'}"
        own = [ca, f"--cert={pem / 'client'}", f"--key={pem / 'client.key'}"]
        assert await ctl(etcd_binary, server.endpoint, *own, "put", "a", "1") == "OK\n"
        value = "x" * 500_000
        await store.put(b"large", value.encode())
        assert await ctl(etcd_binary, server.endpoint, *own, "get", "large", "--print-value-only") == f"{value}\n"
        strange = [ca, f"--cert={pem / 'stranger'}", f"--key={pem / 'stranger.key'}"]
        for arguments in ([ca], strange):
            failed = await ctl(etcd_binary, server.endpoint, *arguments, "--command-timeout=1s", "get", "a")
            assert "status 1" in failed
        plain = await ctl(etcd_binary, f"http://{server.address}", "--command-timeout=1s", "get", "a")
        assert "status 1" in plain


@pytest.mark.parametrize("secure", [True, False])
async def test_users_give_their_password_and_nobody_else_gets_in(
    etcd_binary: EtcdBinary, pem: Path, secure: bool
) -> None:
    options = {"tls": tls(pem, clients=False)} if secure else {}
    async with (
        MemoryStore() as store,
        serve_etcd(store, "127.0.0.1:0", users={"root": "secret"}, **options) as server,  # type: ignore[arg-type]
    ):
        ca = [f"--cacert={pem / 'ca'}"] if secure else []

        async def run(*arguments: str) -> str:
            return await ctl(etcd_binary, server.endpoint, *ca, *arguments)

        assert await run("--user=root:secret", "put", "a", "1") == "OK\n"
        assert await run("--user=root", "--password=secret", "get", "a") == "a\n1\n"
        for user in ("root:wrong", "nobody:secret", "root:"):
            assert "status" in await run(f"--user={user}", "get", "a")
        for words in ("put a 2", "get a", "lease list", "endpoint hashkv", "member list", "snapshot save /dev/null"):
            assert "user name is empty" in await run(*words.split()), words
        assert (await store.get(b"a")).value == b"1"  # type: ignore[union-attr]


async def test_a_token_is_void_when_it_was_not_used_for_long() -> None:
    now = 0.0
    users = Users({"root": "secret"}, monotonic=lambda: now)
    token = await users.token("root", "secret")
    for _ in range(3):
        now += TOKEN_SECONDS
        users.check(Request("/", {"token": token}))
    now += TOKEN_SECONDS + 1
    with pytest.raises(Refusal, match="invalid auth token"):
        users.check(Request("/", {"token": token}))
    with pytest.raises(Refusal, match="user name is empty"):
        users.check(Request("/", {}))
    with pytest.raises(Refusal, match="authentication failed"):
        await users.token("root", "Secret")


async def test_tokens_are_bounded_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    users = Users({"root": ""})
    monkeypatch.setattr(users, "_digest", lambda _: users._digests["root"])
    used = await users.token("root", "")
    oldest = await users.token("root", "")
    for _ in range(MAX_TOKENS - 1):
        users.check(Request("/", {"authorization": used}))
        await users.token("root", "")
    users.check(Request("/", {"token": used}))
    with pytest.raises(Refusal, match="invalid auth token"):
        users.check(Request("/", {"token": oldest}))


async def test_a_name_takes_one_free_port() -> None:
    async with MemoryStore() as store, serve_etcd(store, "localhost:0", insecure=True) as server:
        assert server.address == f"localhost:{server.port}"
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert (await call(channel, "Put", 'key: "a"')).header.revision == 2
