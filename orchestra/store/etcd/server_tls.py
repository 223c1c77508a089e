"""Where a served store may listen, and how clients are known there."""

from __future__ import annotations

import ipaddress
import os
import ssl
from typing import Final

import attrs

from orchestra.errors import ConfigurationError

UNIX: Final = "unix:"


@attrs.frozen(kw_only=True)
class ServeTLS:
    """What the server shows, and whom it lets in: paths of PEM files.

    With `client_ca` every client must show a certificate signed by it; whoever has one may do everything.
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]
    client_ca: str | os.PathLike[str] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the configured TLS; raises ConfigurationError when a file cannot be read or does not fit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:
            # An ssl.SSLError is one too; it does not say which file it means.
            files = ", ".join(os.fspath(path) for path in (self.certificate, self.key, self.client_ca) if path)
            raise ConfigurationError(f"TLS: {error.strerror or error} ({files})") from error
        return context


@attrs.frozen
class Address:
    """Where to listen: a Unix socket, or a host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Return what `unix:PATH` or `HOST:PORT` names. Raises ConfigurationError."""
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX).removeprefix("//")
        if not path:
            raise ConfigurationError(f'"{text}" names no path')
        return Address(path=os.path.abspath(path))
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigurationError(f'"{text}" is no address to listen at: give unix:PATH or HOST:PORT')
    return Address(host=host, port=int(port))


def check_guarded(address: Address, tls: ServeTLS | None, *, users: bool, insecure: bool) -> None:
    """Raise ConfigurationError if not everybody who reaches the address would have to prove who they are."""
    if address.path:
        if tls is not None or users:
            raise ConfigurationError("TLS and users are for TCP: a Unix socket is guarded by its mode")
        return
    if address.is_loopback:
        if tls is not None and tls.client_ca is not None:
            return
        if users or insecure:
            return
        raise ConfigurationError(
            f"{address.host}: every user of this machine reaches it: serve a Unix socket, or with client certificates"
            " or users, or say that this is what you want (insecure)"
        )
    if insecure:
        raise ConfigurationError(f"{address.host}: what is insecure is served at loopback addresses only")
    if tls is None or (tls.client_ca is None and not users):
        raise ConfigurationError(f"{address.host}: served only with TLS, and with client certificates or users")
