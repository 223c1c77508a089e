"""Options that name an etcd cluster, or any server of its API, and the store that they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs
import click

from orchestra.cli.failures import CommandError

if TYPE_CHECKING:
    from orchestra.store import EtcdStore

FILE: Final = click.Path(path_type=Path)
PASSWORD_VARIABLE: Final = "ORCHESTRA_STORE_PASSWORD"  # noqa: S105 - the name of a variable

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(kw_only=True)
class Cluster:
    """How to reach a cluster; without endpoints there is none."""

    endpoint: tuple[str, ...] = ()
    certificate_authority: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    user: str | None = None
    password_file: Path | None = None

    @classmethod
    def take(cls, given: MutableMapping[str, Any]) -> Self:
        """Take the options of `cluster_options` out of a command's."""
        return cls(**{field.name: given.pop(f"cluster_{field.name}") for field in attrs.fields(cls)})

    @property
    def is_meant(self) -> bool:
        """Whether any of the options was given."""
        return self != Cluster()

    def store(self) -> EtcdStore:
        """Return the store, to be opened. Raises CommandError and ConfigurationError for what cannot be meant."""
        from orchestra.store import EtcdStore, EtcdTLS

        if not self.endpoint:
            raise CommandError("certificates and users are those of an etcd cluster: name an endpoint of it, too")
        files = (self.certificate_authority, self.client_certificate, self.client_key)
        tls = EtcdTLS(ca=files[0], certificate=files[1], key=files[2]) if any(files) else None
        return EtcdStore(self.endpoint, tls=tls, username=self.user or "", password=self._password())

    def _password(self) -> str:
        if self.user is None:
            if self.password_file is not None:
                raise CommandError(f"{self.password_file}: a password is that of a user: name one")
            return ""
        if self.password_file is None:
            password = os.environ.get(PASSWORD_VARIABLE, "")
            if not password:
                raise CommandError(f"no password for {self.user}: give a file with it, or set {PASSWORD_VARIABLE}")
            return password
        try:
            return self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text"
            raise CommandError(f"{self.password_file}: {reason}") from error


def cluster_options(prefix: str = "") -> Callable[[F], F]:
    """Add the options, each with `prefix` before its name; `Cluster.take` reads them."""
    options = (
        _option(prefix, "endpoint", "ADDR", "HOST:PORT or unix:PATH of an etcd member; once for each.", multiple=True),
        _option(prefix, "certificate-authority", "FILE", "Certificates by which the members are trusted (PEM)."),
        _option(prefix, "client-certificate", "FILE", "The client's own certificate for them (PEM)."),
        _option(prefix, "client-key", "FILE", "The key of that certificate (PEM)."),
        _option(prefix, "user", "NAME", "The name of an etcd user."),
        _option(prefix, "password-file", "FILE", f"The user's password (default: {PASSWORD_VARIABLE})."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _option(prefix: str, name: str, metavar: str, about: str, **more: Any) -> Callable[[Any], Any]:
    if metavar == "FILE":
        more["type"] = FILE
    return click.option(f"--{prefix}{name}", f"cluster_{name.replace('-', '_')}", metavar=metavar, help=about, **more)
