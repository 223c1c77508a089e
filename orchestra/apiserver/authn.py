"""Who a remote caller is: authenticators by bearer token and by client certificate.

Every caller that an authenticator knows also belongs to the group `system:authenticated`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from orchestra.apiserver.interface import Authenticator, Credentials, User
from orchestra.client.remote_status import TOKEN_KEY
from orchestra.errors import ConfigurationError, Unauthorized

AUTHENTICATED: Final = "system:authenticated"
MASTERS: Final = "system:masters"

LOCAL_USER: Final = User(name="system:admin", groups=(MASTERS, AUTHENTICATED))
"""Who calls over a Unix socket without a credential: the socket's mode lets only the server's own user in."""


def bearer_token(credentials: Credentials) -> str | None:
    """Return the token of a request; None when it has none."""
    scheme, _, token = credentials.metadata.get(TOKEN_KEY, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class TokenAuthenticator:
    """Knows callers by a bearer token from a fixed set. Only digests of the tokens are kept."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {_digest(token): user for token, user in users.items()}

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read Kubernetes' token file: lines of `token,user,uid` and, quoted, `"group1,group2"`.

        Raises ConfigurationError when the file cannot be read, others than its owner may, or a line is malformed.
        """
        try:
            if Path(path).stat().st_mode & 0o077:
                raise ConfigurationError(f"{os.fspath(path)}: others than the owner may read it: chmod 600")
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{os.fspath(path)}: {error.strerror}") from error
        users: dict[str, User] = {}
        for number, row in enumerate(csv.reader(io.StringIO(text), skipinitialspace=True), start=1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                raise ConfigurationError(f"{os.fspath(path)}: line {number}: expected token,user,uid[,groups]")
            groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
            users[row[0]] = User(name=row[1], groups=groups)
        return cls(users)

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Return whose token it is; raises Unauthorized for an unknown one, None stands for no token at all."""
        token = bearer_token(credentials)
        if token is None:
            return None
        # The look-up is by digest, so its time says nothing about how much of a guessed token was right.
        user = self._users.get(_digest(token))
        if user is None:
            raise Unauthorized("Unauthorized")
        return _authenticated(user)


class CertificateAuthenticator:
    """Knows callers by the certificate that TLS has verified: the common name is the user, organizations are groups."""

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Return whom the certificate names."""
        name = credentials.certificate_common_name
        if not name:
            return None
        return _authenticated(User(name=name, groups=credentials.certificate_organizations))


class FirstAuthenticator:
    """Asks several authenticators in their order; the first that knows the caller decides."""

    def __init__(self, *authenticators: Authenticator) -> None:
        self._authenticators = authenticators

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Return the first answer."""
        for authenticator in self._authenticators:
            user = await authenticator.authenticate(credentials)
            if user is not None:
                return user
        return None


def parse_subject(subject: str) -> dict[str, tuple[str, ...]]:
    """Return the attributes of a distinguished name in its string form (RFC 4514): `CN=a,O=b,O=c`.

    Values in hexadecimal (`#04...`) are left out: nothing that is meant for people comes that way.
    """
    found: dict[str, list[str]] = {}
    for part in re.findall(r"(?:\\.|[^,+\\])+", subject, re.DOTALL):
        name, separator, value = part.partition("=")
        if separator and not value.startswith("#"):
            found.setdefault(name.strip().upper(), []).append(_unescape(value))
    # The string form has the last attribute of the certificate first.
    return {name: tuple(reversed(values)) for name, values in found.items()}


def _unescape(value: str) -> str:
    raw = re.sub(
        rb"\\([0-9A-Fa-f]{2}|.)",
        lambda m: bytes.fromhex(m[1].decode()) if len(m[1]) == 2 else m[1],
        value.encode(),
        flags=re.DOTALL,
    )
    return raw.decode(errors="replace")


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups:
        return user
    return User(name=user.name, groups=(*user.groups, AUTHENTICATED))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
