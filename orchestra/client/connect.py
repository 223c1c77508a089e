"""Where the API server is, when nobody says: the address that `orchestra up` serves and the command line dials.

1. the address that was given;
2. the environment variable ORCHESTRA_SERVER;
3. `unix:$XDG_RUNTIME_DIR/orchestra/api.sock`, or without that variable `unix:~/.orchestra/run/api.sock`.

For TCP the environment also holds the credential: ORCHESTRA_TOKEN, or ORCHESTRA_CERTIFICATE and ORCHESTRA_KEY (paths of
PEM files), and in ORCHESTRA_CA the path of the certificates to trust.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestra.api.scheme import Scheme

if TYPE_CHECKING:
    from orchestra.client.remote import RemoteClient
    from orchestra.client.remote_channel import ClientTLS

SERVER_VARIABLE: Final = "ORCHESTRA_SERVER"
SOCKET: Final = "orchestra/api.sock"


def default_address(environment: Mapping[str, str] | None = None) -> str:
    """Return the address of the user's own plane, which is also where `orchestra up` listens."""
    variables = os.environ if environment is None else environment
    runtime = variables.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        return f"unix:{os.path.join(runtime, SOCKET)}"
    return f"unix:{Path(variables.get('HOME') or Path.home()) / '.orchestra' / 'run' / 'api.sock'}"


def server_address(address: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Return the address to dial."""
    variables = os.environ if environment is None else environment
    return address or variables.get(SERVER_VARIABLE) or default_address(variables)


def connect(
    address: str | None = None,
    *,
    token: str | None = None,
    tls: ClientTLS | None = None,
    scheme: Scheme | None = None,
    environment: Mapping[str, str] | None = None,
) -> RemoteClient:
    """Return a client for the server at `address`, or at the default one; to be opened with `async with`.

    What is not given is taken from the environment. Raises ConfigurationError for an address that is none, or one of
    TCP without anything to know the server by.
    """
    from orchestra.client.remote import RemoteClient
    from orchestra.client.remote_channel import UNIX, ClientTLS

    variables = os.environ if environment is None else environment
    where = server_address(address, variables)
    if not where.startswith(UNIX):
        token = token or variables.get("ORCHESTRA_TOKEN") or None
        if tls is None:
            ca, certificate, key = (variables.get(f"ORCHESTRA_{name}") or None for name in ("CA", "CERTIFICATE", "KEY"))
            tls = ClientTLS.load(ca=ca, certificate=certificate, key=key)
    return RemoteClient(where, token=token, tls=tls, scheme=scheme)
