"""Who is let in through the door, and who is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.api.core.config import ConfigMap
from orchestra.apiserver.authn import CertificateAuthenticator, FirstAuthenticator, TokenAuthenticator
from orchestra.apiserver.authz import VIEWERS, default_authorizer
from orchestra.apiserver.grpc_front import GRPCFront, ServerTLS
from orchestra.apiserver.interface import User
from orchestra.client.interface import LogOptions
from orchestra.client.remote import RemoteClient
from orchestra.client.remote_channel import ClientTLS
from orchestra.errors import ConfigurationError, Forbidden, ServiceUnavailable, Unauthorized
from tests.apiserver.certificates import Authority
from tests.client.doors import door, running, socket_in
from tests.client.make import config
from tests.client.test_client_contract_services import Handler

AUTHORITY = Authority()
SERVER = AUTHORITY.issue("server", address="127.0.0.1")
TRUST = ClientTLS(ca=AUTHORITY.certificate)
TOKENS = TokenAuthenticator(
    {
        "admin": User(name="ann", groups=("system:masters",)),
        "viewer": User(name="eve", groups=(VIEWERS,)),
        "agent": User(name="system:node:n1", groups=("system:nodes",)),
    }
)


def with_tokens() -> GRPCFront:
    tls = ServerTLS(certificate=SERVER.certificate, key=SERVER.key)
    return GRPCFront("127.0.0.1:0", tls=tls, authenticator=TOKENS)


def with_certificates() -> GRPCFront:
    tls = ServerTLS(certificate=SERVER.certificate, key=SERVER.key, client_ca=AUTHORITY.certificate)
    return GRPCFront("127.0.0.1:0", tls=tls, authenticator=FirstAuthenticator(TOKENS, CertificateAuthenticator()))


async def test_a_token_over_tls_is_let_in() -> None:
    front = with_tokens()
    async with running(front, default_authorizer()):
        assert not front.address.endswith(":0")
        async with RemoteClient(front.address, token="admin", tls=TRUST) as client:
            assert (await client.create(config("a"))).metadata.name == "a"


@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_wrong_token_and_none_are_unauthorized_for_every_call(token: str | None) -> None:
    front = with_tokens()
    async with running(front), RemoteClient(front.address, token=token, tls=TRUST) as client:
        with pytest.raises(Unauthorized):
            await client.get(ConfigMap, "a")
        with pytest.raises(Unauthorized):
            await client.create(config("a"))
        with pytest.raises(Unauthorized):
            await client.list(ConfigMap)
        with pytest.raises(Unauthorized):
            async with client.watch(ConfigMap):
                pass
        with pytest.raises(Unauthorized):
            async with client.logs("p", options=LogOptions()):
                pass
        with pytest.raises(Unauthorized):
            async with client.serve_node("n1", Handler()):
                pass


async def test_a_user_without_the_right_is_forbidden() -> None:
    front = with_tokens()
    async with running(front, default_authorizer()), RemoteClient(front.address, token="viewer", tls=TRUST) as client:
        assert (await client.list(ConfigMap)).items == ()
        with pytest.raises(Forbidden) as caught:
            await client.create(config("a"))
    assert caught.value.message == (
        'configmaps "a" is forbidden: User "eve" cannot create resource "configmaps" in API group "" '
        'in the namespace "default"'
    )


async def test_an_agent_opens_the_session_of_its_own_node_only() -> None:
    front = with_tokens()
    async with running(front, default_authorizer()), RemoteClient(front.address, token="agent", tls=TRUST) as client:
        async with client.serve_node("n1", Handler()):
            pass
        with pytest.raises(Forbidden):
            async with client.serve_node("n2", Handler()):
                pass


async def test_a_client_certificate_names_user_and_groups() -> None:
    front = with_certificates()
    ann = AUTHORITY.issue("ann", "system:masters")
    eve = AUTHORITY.issue("eve", VIEWERS, "others, too")
    async with running(front, default_authorizer()):
        shown = ClientTLS(ca=AUTHORITY.certificate, certificate=ann.certificate, key=ann.key)
        async with RemoteClient(front.address, tls=shown) as client:
            await client.create(config("a"))
        shown = ClientTLS(ca=AUTHORITY.certificate, certificate=eve.certificate, key=eve.key)
        async with RemoteClient(front.address, tls=shown) as client:
            assert (await client.get(ConfigMap, "a")).metadata.name == "a"
            with pytest.raises(Forbidden, match='User "eve"'):
                await client.create(config("b"))


@pytest.mark.parametrize("stranger", [False, True])
async def test_no_certificate_and_a_strange_one_are_refused_by_the_handshake(stranger: bool) -> None:
    front = with_certificates()
    tls = TRUST
    if stranger:
        other = Authority("another").issue("ann", "system:masters")
        tls = ClientTLS(ca=AUTHORITY.certificate, certificate=other.certificate, key=other.key)
    async with running(front), RemoteClient(front.address, tls=tls, token="admin") as client:
        with pytest.raises(ServiceUnavailable):
            await client.list(ConfigMap)


async def test_a_client_does_not_talk_to_a_server_it_does_not_know() -> None:
    front = with_tokens()
    strange = ClientTLS(ca=Authority("another").certificate)
    async with running(front), RemoteClient(front.address, token="admin", tls=strange) as client:
        with pytest.raises(ServiceUnavailable):
            await client.list(ConfigMap)


async def test_over_a_socket_a_credential_counts_when_there_is_an_authenticator(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path), authenticator=TOKENS)
    async with running(front, default_authorizer()):
        async with RemoteClient(front.address) as client:
            await client.create(config("a"))
        async with RemoteClient(front.address, token="viewer") as client:
            with pytest.raises(Forbidden):
                await client.create(config("b"))
        async with RemoteClient(front.address, token="wrong") as client:
            with pytest.raises(Unauthorized):
                await client.create(config("b"))


def test_tcp_needs_tls_and_an_authenticator() -> None:
    tls = ServerTLS(certificate=SERVER.certificate, key=SERVER.key)
    with pytest.raises(ConfigurationError, match="only with TLS and an authenticator"):
        GRPCFront("127.0.0.1:0")
    with pytest.raises(ConfigurationError, match="only with TLS and an authenticator"):
        GRPCFront("127.0.0.1:0", tls=tls)
    with pytest.raises(ConfigurationError, match="only with TLS and an authenticator"):
        GRPCFront("127.0.0.1:0", authenticator=TOKENS)
    with pytest.raises(ConfigurationError, match="TCP needs TLS"):
        RemoteClient("127.0.0.1:1", token="secret")


@pytest.mark.parametrize("address", ["", "unix:", "host", "host:port", ":1", "host:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError):
        RemoteClient(address, tls=TRUST)


async def test_a_port_that_is_taken_is_refused() -> None:
    front = with_tokens()
    async with running(front) as server:
        tls = ServerTLS(certificate=SERVER.certificate, key=SERVER.key)
        second = GRPCFront(front.address, tls=tls, authenticator=TOKENS)
        with pytest.raises(ExceptionGroup) as caught:
            async with door(server, second):
                pass
    assert caught.group_contains(ConfigurationError, match="cannot listen")
