"""etcd's service Auth: names and passwords for tokens.

Whoever has a token may do everything: a store has no roles.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

import anyio
import anyio.to_thread

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Methods, Request
from orchestra.store.etcd.server_calls import current_revision, unary
from orchestra.store.etcd.server_errors import refusal
from orchestra.store.etcd.server_messages import Identity
from orchestra.store.interface import Store

TOKEN_SECONDS: Final = 300.0
"""A token that was not used for so long is void: clients ask for another one. etcd's simple tokens live as long."""

MAX_TOKENS: Final = 4_096
"""Tokens at a time; one more makes the one void that was not used for longest."""

TOKEN_KEYS: Final = ("token", "authorization")
"""Where clients put the token: etcd's own, and since 3.5 also that of the HTTP gateway."""


class Open:
    """Lets everybody call: the socket's mode, or the client's certificate, has said who may."""

    def check(self, request: Request) -> None:
        """See `Gate.check`."""


class Users:
    """Lets those call who have a token. Only digests of the passwords are kept."""

    def __init__(self, passwords: Mapping[str, str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._salt = secrets.token_bytes(16)
        self._digests = {name: self._digest(password) for name, password in passwords.items()}
        self._monotonic = monotonic
        self._tokens: dict[str, float] = {}
        """When each was last used, the one that was not used for longest first."""
        self._hashing = anyio.CapacityLimiter(1)
        """Guessing passwords goes no faster with more connections."""

    def check(self, request: Request) -> None:
        """See `Gate.check`."""
        token = next((request.metadata[key] for key in TOKEN_KEYS if key in request.metadata), "")
        if not token:
            raise refusal(answers.USER_EMPTY)
        now = self._monotonic()
        used = self._tokens.pop(token, None)
        if used is None or now - used > TOKEN_SECONDS:
            raise refusal(answers.INVALID_AUTH_TOKEN)
        self._tokens[token] = now

    async def token(self, name: str, password: str) -> str:
        """Return a new token. Raises `Refusal` for a wrong name or password."""
        digest = await anyio.to_thread.run_sync(self._digest, password, limiter=self._hashing)
        # A name that is not known takes as long as one that is.
        if not hmac.compare_digest(digest, self._digests.get(name, b"")):
            raise refusal(answers.AUTH_FAILED)
        if len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        token = secrets.token_urlsafe(24)
        self._tokens[token] = self._monotonic()
        return token

    def _digest(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**12, r=8, p=1)


class AuthService:
    """What clients ask before anything else."""

    def __init__(self, store: Store, identity: Identity, users: Users | None) -> None:
        self._store = store
        self._identity = identity
        self._users = users

    def methods(self) -> Methods:
        """Return what it answers, which is for everybody."""
        service = "/etcdserverpb.Auth/"
        everybody = Open()
        return Methods(
            {
                service + "AuthStatus": unary(everybody, rpc_pb2.AuthStatusRequest, self.status),
                service + "Authenticate": unary(everybody, rpc_pb2.AuthenticateRequest, self.authenticate),
            },
            {},
        )

    async def status(self, _: rpc_pb2.AuthStatusRequest) -> rpc_pb2.AuthStatusResponse:
        """Say whether a token is needed."""
        header = self._identity.header(await current_revision(self._store))
        return rpc_pb2.AuthStatusResponse(header=header, enabled=self._users is not None, authRevision=1)

    async def authenticate(self, request: rpc_pb2.AuthenticateRequest) -> rpc_pb2.AuthenticateResponse:
        """Give a token for a password."""
        if self._users is None:
            raise refusal(answers.AUTH_NOT_ENABLED)
        token = await self._users.token(request.name, request.password)
        header = self._identity.header(await current_revision(self._store))
        return rpc_pb2.AuthenticateResponse(header=header, token=token)
