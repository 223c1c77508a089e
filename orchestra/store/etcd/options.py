"""How to reach a cluster: endpoints, TLS, and how long to wait for what."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

from orchestra.errors import ConfigurationError

MAX_ANSWER_BYTES: Final = 2**31 - 1
"""Largest answer that is taken: gRPC's own bound. A range that could answer more is to be read in parts, by `limit`."""


@attrs.frozen(kw_only=True)
class EtcdTLS:
    """How the members are known, and how this client shows itself: paths of PEM files, read at each connecting.

    `ca` holds the certificates to trust (None: those of the system), `certificate` and `key` are the client's own.
    `server_name` is the name in the members' certificates where it is not the host of the endpoint.
    """

    ca: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str = ""

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Return the contents of ca, key and certificate; raises ConfigurationError when one cannot be read."""
        return _read(self.ca), _read(self.key), _read(self.certificate)


@attrs.frozen(kw_only=True)
class EtcdOptions:
    """How long an `EtcdStore` waits, and how it shares its connection. Times are in seconds.

    A request is given up after `request_timeout`; etcd's own answer that it timed out, which comes after 7 s, arrives
    in that time. Every `heartbeat` seconds the member is asked how it is; one that does not answer within
    `heartbeat_timeout`, or has no leader while another member has one, is left for another. A watch that was cut off
    tries for as long as it is open.
    """

    connect_timeout_seconds: float = 5.0
    request_timeout_seconds: float = 10.0
    heartbeat_seconds: float = 2.0
    heartbeat_timeout_seconds: float = 3.0
    watches_per_stream: int = 256
    """Watches that share one stream; further ones get another."""


@attrs.frozen
class Endpoint:
    """One member: what gRPC dials, and whether over TLS."""

    target: str
    secure: bool

    def __str__(self) -> str:
        return self.target


def parse_endpoints(endpoints: str | Iterable[str], *, tls: bool) -> tuple[Endpoint, ...]:
    """Return the members that `HOST:PORT`, `http://...`, `https://...` or `unix:PATH` name, separated by commas.

    Raises ConfigurationError for anything else, and for `http` where TLS was configured.
    """
    texts = [endpoints] if isinstance(endpoints, str) else list(endpoints)
    parts = [part.strip() for text in texts for part in text.removeprefix("etcd://").split(",") if part.strip()]
    if not parts:
        raise ConfigurationError("an EtcdStore needs at least one endpoint, such as 127.0.0.1:2379")
    return tuple(dict.fromkeys(_parse(part, tls=tls) for part in parts))


def _parse(text: str, *, tls: bool) -> Endpoint:
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    if scheme not in {"", "http", "https", "unix"}:
        raise ConfigurationError(f'"{text}" is no endpoint: give HOST:PORT, http(s)://HOST:PORT or unix:PATH')
    if scheme == "http" and tls:
        raise ConfigurationError(f'"{text}" says that it has no TLS, but TLS is configured')
    if scheme == "unix" or rest.startswith("unix:"):
        path = rest.removeprefix("unix:")
        if not path:
            raise ConfigurationError(f'"{text}" names no path')
        return Endpoint(f"unix:{os.path.abspath(path)}", tls)
    host, colon, port = rest.rstrip("/").rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f'"{text}" is no endpoint: give HOST:PORT, http(s)://HOST:PORT or unix:PATH')
    return Endpoint(f"{host}:{port}", tls or scheme == "https")


def _read(path: str | os.PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{os.fspath(path)}: {error.strerror}") from error
