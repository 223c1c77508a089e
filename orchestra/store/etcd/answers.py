"""The errors that etcd answers with: a gRPC status code and a fixed text, by which clients tell them apart.

`EtcdStore` reads them, `serve_etcd` says them. Texts and codes are those of etcd 3.4 to 3.6 (package rpctypes of its
client; a client compares the whole text, so not a letter of it may differ).
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Answer:
    """One error: the name of a gRPC status code, and the text."""

    code: str
    text: str


EMPTY_KEY: Final = Answer("INVALID_ARGUMENT", "etcdserver: key is not provided")
KEY_NOT_FOUND: Final = Answer("INVALID_ARGUMENT", "etcdserver: key not found")
VALUE_PROVIDED: Final = Answer("INVALID_ARGUMENT", "etcdserver: value is provided")
LEASE_PROVIDED: Final = Answer("INVALID_ARGUMENT", "etcdserver: lease is provided")
TOO_MANY_OPS: Final = Answer("INVALID_ARGUMENT", "etcdserver: too many operations in txn request")
DUPLICATE_KEY: Final = Answer("INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request")
REQUEST_TOO_LARGE: Final = Answer("INVALID_ARGUMENT", "etcdserver: request is too large")
COMPACTED: Final = Answer("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
FUTURE_REVISION: Final = Answer("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision")
NO_SPACE: Final = Answer("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")
LEASE_NOT_FOUND: Final = Answer("NOT_FOUND", "etcdserver: requested lease not found")
LEASE_EXISTS: Final = Answer("FAILED_PRECONDITION", "etcdserver: lease already exists")
LEASE_TTL_TOO_LARGE: Final = Answer("OUT_OF_RANGE", "etcdserver: too large lease TTL")
TOO_MANY_REQUESTS: Final = Answer("RESOURCE_EXHAUSTED", "etcdserver: too many requests")
NO_LEADER: Final = Answer("UNAVAILABLE", "etcdserver: no leader")
STOPPED: Final = Answer("UNAVAILABLE", "etcdserver: server stopped")
TIMEOUT: Final = Answer("UNAVAILABLE", "etcdserver: request timed out")
TIMEOUT_LEADER_FAIL: Final = Answer(
    "UNAVAILABLE", "etcdserver: request timed out, possibly due to previous leader failure"
)
TIMEOUT_CONNECTION_LOST: Final = Answer("UNAVAILABLE", "etcdserver: request timed out, possibly due to connection lost")
UNHEALTHY: Final = Answer("UNAVAILABLE", "etcdserver: unhealthy cluster")
CORRUPT: Final = Answer("DATA_LOSS", "etcdserver: corrupt cluster")
AUTH_NOT_ENABLED: Final = Answer("FAILED_PRECONDITION", "etcdserver: authentication is not enabled")
AUTH_FAILED: Final = Answer("INVALID_ARGUMENT", "etcdserver: authentication failed, invalid user ID or password")
INVALID_AUTH_TOKEN: Final = Answer("UNAUTHENTICATED", "etcdserver: invalid auth token")
PERMISSION_DENIED: Final = Answer("PERMISSION_DENIED", "etcdserver: permission denied")
USER_EMPTY: Final = Answer("INVALID_ARGUMENT", "etcdserver: user name is empty")
INVALID_SORT: Final = Answer("INVALID_ARGUMENT", "etcdserver: invalid sort option")
COMMIT_FAILED: Final = Answer("ABORTED", "etcdserver: the write was not committed, nothing of it happened")
"""Not one of etcd's, which has no such failure: it stops when it cannot write."""

INVALID_REQUEST: Final = Answer("INVALID_ARGUMENT", "etcdserver: invalid request")
NOT_SUPPORTED: Final = Answer("UNIMPLEMENTED", "etcdserver: not supported by this store")
INTERNAL: Final = Answer("INTERNAL", "etcdserver: internal error")
"""What the store says beyond the errors of its contract stays in the server's log."""
