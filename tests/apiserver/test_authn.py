"""Who a caller is, and what it may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.object import ResourceInfo
from orchestra.apiserver.authn import (
    AUTHENTICATED,
    CertificateAuthenticator,
    FirstAuthenticator,
    TokenAuthenticator,
    parse_subject,
)
from orchestra.apiserver.authz import VIEWERS, GroupAuthorizer, default_authorizer
from orchestra.apiserver.interface import IN_PROCESS, Attributes, Credentials, User
from orchestra.errors import ConfigurationError, Unauthorized

ANN = User(name="ann", groups=("dev",))
POD, NODE = Pod.resource_info, Node.resource_info
AGENT = User(name="system:node:n1", groups=("system:nodes", AUTHENTICATED))


def with_token(token: str) -> Credentials:
    return Credentials(metadata={"authorization": f"Bearer {token}"})


def wants(user: User, verb: str, info: ResourceInfo = POD, **where: str) -> Attributes:
    return Attributes(user=user, verb=verb, info=info, **where)


async def test_a_known_token_names_its_user_who_is_authenticated() -> None:
    found = await TokenAuthenticator({"secret": ANN}).authenticate(with_token("secret"))
    assert found == User(name="ann", groups=("dev", AUTHENTICATED))


async def test_an_unknown_token_is_unauthorized_and_none_is_left_to_others() -> None:
    tokens = TokenAuthenticator({"secret": ANN})
    with pytest.raises(Unauthorized):
        await tokens.authenticate(with_token("guess"))
    assert await tokens.authenticate(Credentials()) is None
    assert await tokens.authenticate(Credentials(metadata={"authorization": "Basic secret"})) is None


async def test_a_token_file_is_read_as_kubernetes_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('# people\nsecret,ann,1,"dev, ops"\nother,bob,2\n')
    path.chmod(0o600)
    tokens = TokenAuthenticator.from_file(path)
    ann, bob = [await tokens.authenticate(with_token(name)) for name in ("secret", "other")]
    assert ann == User(name="ann", groups=("dev", "ops", AUTHENTICATED))
    assert bob == User(name="bob", groups=(AUTHENTICATED,))


@pytest.mark.parametrize("text", ["secret,ann\n", ",ann,1\n", "secret,,1\n"])
def test_a_malformed_token_file_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="line 1: expected token,user,uid"):
        TokenAuthenticator.from_file(path)


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text("secret,ann,1\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others than the owner may read it"):
        TokenAuthenticator.from_file(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        TokenAuthenticator.from_file(tmp_path / "none")


async def test_a_certificate_names_user_and_groups() -> None:
    credentials = Credentials(certificate_common_name="ann", certificate_organizations=("dev", "ops"))
    found = await CertificateAuthenticator().authenticate(credentials)
    assert found == User(name="ann", groups=("dev", "ops", AUTHENTICATED))
    assert await CertificateAuthenticator().authenticate(Credentials()) is None


async def test_the_first_authenticator_that_knows_a_caller_decides() -> None:
    both = FirstAuthenticator(CertificateAuthenticator(), TokenAuthenticator({"secret": ANN}))
    named = Credentials(metadata={"authorization": "Bearer secret"}, certificate_common_name="bob")
    assert (await both.authenticate(named)) == User(name="bob", groups=(AUTHENTICATED,))
    assert (await both.authenticate(with_token("secret"))) is not None
    assert await both.authenticate(Credentials()) is None


@pytest.mark.parametrize(
    ("subject", "organizations"),
    [
        ("CN=ann,O=ops,O=dev", ("dev", "ops")),
        (r"CN=ann,O=Smith\, Ltd.", ("Smith, Ltd.",)),
        (r"CN=ann+O=dev", ("dev",)),
        (r"CN=ann,O=caf\C3\A9", ("café",)),
        (r"CN=O\=admin", ()),
        ("CN=ann,O=#0403", ()),
        ("", ()),
    ],
)
def test_a_subject_is_taken_apart_by_its_escapes(subject: str, organizations: tuple[str, ...]) -> None:
    assert parse_subject(subject).get("O", ()) == organizations


async def test_masters_may_do_everything_and_strangers_nothing() -> None:
    groups = GroupAuthorizer({"dev": {"get"}})
    assert await groups.authorize(wants(IN_PROCESS, "delete")) is None
    assert await groups.authorize(wants(ANN, "get")) is None
    assert await groups.authorize(wants(ANN, "delete")) == ""
    assert await groups.authorize(wants(User(name="eve"), "get")) == ""


async def test_viewers_read_and_do_not_write() -> None:
    rules = default_authorizer()
    viewer = User(name="eve", groups=(VIEWERS,))
    assert await rules.authorize(wants(viewer, "watch")) is None
    assert await rules.authorize(wants(viewer, "create")) is not None


@pytest.mark.parametrize(
    ("verb", "info", "where", "allowed"),
    [
        ("watch", POD, {}, True),
        ("update", POD, {"name": "p", "namespace": "default", "subresource": "status"}, True),
        ("update", POD, {"name": "p", "namespace": "default"}, False),
        ("create", POD, {"name": "p", "namespace": "default"}, False),
        ("update", NODE, {"name": "n1", "subresource": "status"}, True),
        ("create", NODE, {"name": "n1"}, True),
        ("create", NODE, {"name": "n1", "subresource": "session"}, True),
        ("create", NODE, {"name": "n2", "subresource": "session"}, False),
        ("delete", NODE, {"name": "n1"}, False),
        ("update", NODE, {"name": "n2"}, False),
    ],
)
async def test_an_agent_may_do_its_own_work(
    verb: str, info: ResourceInfo, where: dict[str, str], allowed: bool
) -> None:
    assert (await default_authorizer().authorize(wants(AGENT, verb, info, **where)) is None) is allowed
