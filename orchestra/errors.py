"""What went wrong: every exception that Orchestra raises on purpose.

OrchestraError
├── APIError                  an answer of the API server (reason, code, causes as in Kubernetes' metav1.Status)
│   ├── BadRequest            400  the request itself makes no sense
│   ├── Unauthorized          401  who are you
│   ├── Forbidden             403  you may not, or the object's state forbids it
│   ├── NotFound              404
│   ├── MethodNotAllowed      405
│   ├── Conflict              409  somebody else wrote first, or owns a field
│   │   └── AlreadyExists     409
│   ├── Expired               410  the revision asked for is gone: list again
│   ├── RequestTooLarge       413
│   ├── UnsupportedMediaType  415
│   ├── Invalid               422  names each faulty field by its path
│   ├── TooManyRequests       429  try again after `retry_after_seconds`
│   ├── InternalError         500
│   ├── ServiceUnavailable    503  no server there, or it is stopping
│   └── Timeout               504
├── StoreError                an answer of the store
│   ├── Compacted             the revision asked for has been compacted away
│   ├── FutureRevision        the revision asked for does not exist yet
│   ├── InvalidTxn            a txn that no store may accept (duplicate keys, sizes over the limit)
│   ├── StaleFence            the txn's fence key was written again or is gone
│   ├── LeaseNotFound
│   ├── LeaseExists
│   ├── WatchOverflow         the watcher read too slowly: list again
│   ├── CommitFailed          nothing of the txn happened (disk full, I/O error)
│   ├── AmbiguousCommit       the txn may or may not have happened
│   ├── StoreUnavailable      the store cannot be reached; nothing of the request happened
│   ├── StoreAccessDenied     the store does not know the caller, or does not let it do that
│   ├── StoreLocked           another process owns the store's file
│   ├── CorruptStore          the store's file is damaged
│   └── StoreClosed
├── RuntimeServiceError       an answer of a container runtime (gRPC status code of the CRI)
├── DecodeError               a document or manifest that does not have the shape of its kind
├── ConfigurationError        a part was composed or configured in a way that cannot work
├── AddressSpaceError         the host has no free block of cluster addresses
├── PluginError               a scheduling plugin raised, or answered in a way that makes no sense
└── WaitTimeout               the awaited condition did not come true in time
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attrs


class OrchestraError(Exception):
    """Root of everything that Orchestra raises on purpose."""

    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without being changed."""


@attrs.frozen(kw_only=True)
class Cause:
    """One reason of a refusal, as in metav1.StatusCause: `field` is the path of the faulty field."""

    reason: str = ""
    message: str = ""
    field: str = ""


class APIError(OrchestraError):
    """An answer of the API server that is not success; subclasses fix `code` and `reason`.

    `kind`, `group` and `name` say which object it is about, `causes` lists every fault found.
    It travels whole through each transport as a Kubernetes `Status` document.
    """

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        group: str = "",
        name: str = "",
        uid: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.group = group
        self.name = name
        self.uid = uid
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds

    def to_status(self) -> dict[str, Any]:
        """Return this error as a metav1.Status document."""
        named = {"name": self.name, "group": self.group, "kind": self.kind, "uid": self.uid}
        details: dict[str, Any] = {key: value for key, value in named.items() if value}
        if self.causes:
            details["causes"] = [attrs.asdict(c, filter=lambda _, value: bool(value)) for c in self.causes]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason, "code": self.code}
        if details or self.code in _ALWAYS_DETAILED:
            status["details"] = details
        return status

    @staticmethod
    def from_status(status: dict[str, Any]) -> APIError:
        """Return the error that a metav1.Status document describes; an unknown reason becomes `InternalError`."""
        details = status.get("details") or {}
        known = ("reason", "message", "field")
        causes = tuple(
            Cause(**{key: value for key, value in cause.items() if key in known})
            for cause in details.get("causes") or ()
        )
        cls = _BY_REASON.get(status.get("reason", ""), InternalError)
        return cls(
            status.get("message", ""),
            kind=details.get("kind", ""),
            group=details.get("group", ""),
            name=details.get("name", ""),
            uid=details.get("uid", ""),
            causes=causes,
            retry_after_seconds=details.get("retryAfterSeconds", 0),
        )


_ALWAYS_DETAILED = frozenset({404, 405, 422})
"""Codes of answers that have details even when there is nothing to detail, as Kubernetes' have."""


class BadRequest(APIError):
    """The request itself makes no sense: malformed, wrong types, contradictory options."""

    code = 400
    reason = "BadRequest"


class Unauthorized(APIError):
    """The credential is missing or not valid."""

    code = 401
    reason = "Unauthorized"


class Forbidden(APIError):
    """The caller may not do this, or the state of the cluster forbids it."""

    code = 403
    reason = "Forbidden"


class NotFound(APIError):
    """No such object, or no such kind."""

    code = 404
    reason = "NotFound"


class MethodNotAllowed(APIError):
    """The kind or subresource has no such verb."""

    code = 405
    reason = "MethodNotAllowed"


class Conflict(APIError):
    """The object changed since it was read, or another manager owns a field."""

    code = 409
    reason = "Conflict"


class AlreadyExists(Conflict):
    """An object of that name exists."""

    reason = "AlreadyExists"


class Expired(APIError):
    """The revision asked for has been compacted, or a watch fell too far behind: list again."""

    code = 410
    reason = "Expired"


class RequestTooLarge(APIError):
    """The object is larger than the server stores."""

    code = 413
    reason = "RequestEntityTooLarge"


class UnsupportedMediaType(APIError):
    """The patch or body has a form that the server does not take."""

    code = 415
    reason = "UnsupportedMediaType"


class Invalid(APIError):
    """The object breaks rules of its kind; `causes` names every faulty field."""

    code = 422
    reason = "Invalid"


class TooManyRequests(APIError):
    """Not now: try again after `retry_after_seconds`."""

    code = 429
    reason = "TooManyRequests"
    retryable = True


class InternalError(APIError):
    """The server failed in a way that it did not expect."""


class ServiceUnavailable(APIError):
    """There is no server, or it is stopping."""

    code = 503
    reason = "ServiceUnavailable"
    retryable = True


class Timeout(APIError):
    """The server could not answer in time; a write may or may not have happened."""

    code = 504
    reason = "Timeout"
    retryable = True


_BY_REASON: dict[str, type[APIError]] = {
    cls.reason: cls
    for cls in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        AlreadyExists,
        Expired,
        RequestTooLarge,
        UnsupportedMediaType,
        Invalid,
        TooManyRequests,
        InternalError,
        ServiceUnavailable,
        Timeout,
    )
}


class StoreError(OrchestraError):
    """An answer of the store that is not success."""


class Compacted(StoreError):
    """The revision asked for is below `compact_revision`."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"required revision has been compacted (compact revision {compact_revision})")
        self.compact_revision = compact_revision


class FutureRevision(StoreError):
    """The revision asked for does not exist yet."""

    def __init__(self, revision: int, current_revision: int) -> None:
        super().__init__(f"required revision {revision} is a future revision (current revision {current_revision})")
        self.revision = revision
        self.current_revision = current_revision


class InvalidTxn(StoreError):
    """A txn that no store may accept: duplicate keys, or a size over the limit."""


class StaleFence(StoreError):
    """The fence key of the txn was written again, or is gone: its holder has lost the term."""


class LeaseNotFound(StoreError):
    """No lease with that id."""


class LeaseExists(StoreError):
    """A lease with the chosen id exists."""


class WatchOverflow(StoreError):
    """The watcher read more slowly than its buffer allows; it must list again."""


class CommitFailed(StoreError):
    """Nothing of the txn happened, and nothing of it will: the log refused it."""

    retryable = True


class AmbiguousCommit(StoreError):
    """The txn may or may not have happened: read before trying again."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or has no leader; nothing of the request happened."""

    retryable = True


class StoreAccessDenied(StoreError):
    """The store does not know who is asking, or does not let this user do that."""


class StoreLocked(StoreError):
    """Another process, or another store object of this one, owns the file."""


class CorruptStore(StoreError):
    """The file is damaged; it was left as it is."""


class StoreClosed(StoreError):
    """The store is not open."""


class RuntimeServiceError(OrchestraError):
    """An answer of a container runtime; `code` is the name of a gRPC status code, such as `NotFound`.

    `reason` is the word that a kubelet reports for the container, where the runtime knows it.
    """

    def __init__(self, message: str, *, code: str = "Unknown", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


class DecodeError(OrchestraError):
    """A document does not have the shape of its kind; `path` names the faulty field.

    For a value of the wrong type `expected` names the Go type of the field, `got` what was there (`string`,
    `number 1.5`) and `owner` the class that declares the field, so that a server can say it as Kubernetes does.
    """

    def __init__(self, message: str, *, path: str = "", owner: str = "", expected: str = "", got: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path
        self.owner = owner
        self.expected = expected
        self.got = got

    def under(self, step: str, *, owner: str = "", expected: str = "") -> DecodeError:
        """Return this error as seen one level up: `step` is a field's name, or an index or a map's key in brackets."""
        joined = step + self.path if not self.path or self.path.startswith("[") else f"{step}.{self.path}"
        return DecodeError(
            self.message,
            path=joined,
            owner=self.owner or owner,
            expected=self.expected or expected,
            got=self.got,
        )

    @property
    def go_message(self) -> str:
        """The fault in the words of Kubernetes' decoder, which leaves out indices and map keys."""
        if not self.got:
            return self.message
        field = re.sub(r"\[[^]]*\]", "", self.path)
        return f"json: cannot unmarshal {self.got} into Go struct field {self.owner}.{field} of type {self.expected}"


class ConfigurationError(OrchestraError):
    """A part was composed or configured in a way that cannot work."""


class AddressSpaceError(OrchestraError):
    """The host has no free block of cluster addresses, or a block is used up."""


class PluginError(OrchestraError):
    """A scheduling plugin raised, or answered in a way that makes no sense; `plugin` is its name."""

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class WaitTimeout(OrchestraError):
    """The awaited condition did not come true in time; the message says what was seen last."""
