"""The door: the single write path to the store, for every kind.

What comes in: the verbs of the `Client` contract, in process or through a transport. What goes out: objects, lists and
watches, and Kubernetes' refusals. It knows the store; nobody else does. `plane`, `testing` and `cli` import it.
Start reading at `interface.py`, then `documents.py` (the verbs) and `registry.py` (the write path).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.apiserver.authn import CertificateAuthenticator, FirstAuthenticator, TokenAuthenticator
    from orchestra.apiserver.authz import AnyAuthorizer, GroupAuthorizer, NodeAuthorizer, default_authorizer
    from orchestra.apiserver.grpc_front import GRPCFront, ServerTLS
    from orchestra.apiserver.interface import (
        IN_PROCESS,
        Admission,
        AdmissionRequest,
        AllowAll,
        Attributes,
        Authenticator,
        Authorizer,
        Credentials,
        Front,
        Strategy,
        User,
    )
    from orchestra.apiserver.server import APIServer

_EXPORTS = {
    "APIServer": ".server",
    "Admission": ".interface",
    "AdmissionRequest": ".interface",
    "AllowAll": ".interface",
    "AnyAuthorizer": ".authz",
    "Attributes": ".interface",
    "Authenticator": ".interface",
    "Authorizer": ".interface",
    "CertificateAuthenticator": ".authn",
    "Credentials": ".interface",
    "FirstAuthenticator": ".authn",
    "Front": ".interface",
    "GRPCFront": ".grpc_front",
    "GroupAuthorizer": ".authz",
    "IN_PROCESS": ".interface",
    "NodeAuthorizer": ".authz",
    "ServerTLS": ".grpc_front",
    "Strategy": ".interface",
    "TokenAuthenticator": ".authn",
    "User": ".interface",
    "default_authorizer": ".authz",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = [
    "AnyAuthorizer",
    "CertificateAuthenticator",
    "FirstAuthenticator",
    "GRPCFront",
    "GroupAuthorizer",
    "NodeAuthorizer",
    "ServerTLS",
    "TokenAuthenticator",
    "default_authorizer",
    "IN_PROCESS",
    "APIServer",
    "Admission",
    "AdmissionRequest",
    "AllowAll",
    "Attributes",
    "Authenticator",
    "Authorizer",
    "Credentials",
    "Front",
    "Strategy",
    "User",
]
