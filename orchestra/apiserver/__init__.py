"""The door: the single write path to the store, for every kind.

What comes in: the verbs of the `Client` contract, in process or through a transport. What goes out: objects, lists and
watches, and Kubernetes' refusals. It knows the store; nobody else does. `plane`, `testing` and `cli` import it.
Start reading at `interface.py`, then `documents.py` (the verbs) and `registry.py` (the write path).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.apiserver.interface import (
        IN_PROCESS,
        Admission,
        AdmissionRequest,
        AllowAll,
        Attributes,
        Authenticator,
        Authorizer,
        Credentials,
        Strategy,
        User,
    )
    from orchestra.apiserver.server import APIServer

_EXPORTS = {
    "APIServer": ".server",
    "Admission": ".interface",
    "AdmissionRequest": ".interface",
    "AllowAll": ".interface",
    "Attributes": ".interface",
    "Authenticator": ".interface",
    "Authorizer": ".interface",
    "Credentials": ".interface",
    "IN_PROCESS": ".interface",
    "Strategy": ".interface",
    "User": ".interface",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = [
    "IN_PROCESS",
    "APIServer",
    "Admission",
    "AdmissionRequest",
    "AllowAll",
    "Attributes",
    "Authenticator",
    "Authorizer",
    "Credentials",
    "Strategy",
    "User",
]
