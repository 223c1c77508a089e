"""The contracts around the server: who asks, may they, what changes or refuses a write, and what a kind decides.

Documents (JSON objects as plain dicts) are immutable by convention everywhere in the server: a function that changes
one returns a new dict that shares every subtree it left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.validation.fields import FieldError
from orchestra.apiserver.validation.kind_rules import PartRules

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestra.apiserver.server import APIServer

Document = dict[str, Any]


@attrs.frozen(kw_only=True)
class User:
    """Who asks. `name` and `groups` are what an `Authorizer` decides by."""

    name: str
    groups: tuple[str, ...] = ()


IN_PROCESS = User(name="system:orchestra", groups=("system:masters",))
"""The parts that were composed into the same process as the server."""

ANONYMOUS = User(name="system:anonymous", groups=("system:unauthenticated",))


@attrs.frozen(kw_only=True)
class Credentials:
    """What a transport knows about its peer: the request's metadata, and the subject of a verified certificate."""

    metadata: Mapping[str, str] = attrs.field(factory=dict)
    certificate_common_name: str = ""
    certificate_organizations: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Attributes:
    """What is asked for: one verb of the `Client` contract on one kind, and where."""

    user: User
    verb: str
    info: ResourceInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Authenticator(Protocol):
    """Says who a remote caller is. In-process callers are not asked."""

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Return the caller, or None when these credentials are not this authenticator's."""
        ...


class Authorizer(Protocol):
    """Says what a caller may do."""

    async def authorize(self, attributes: Attributes) -> str | None:
        """Return None to allow, or the reason why not (the tail of the `Forbidden` message; may be empty)."""
        ...


class AllowAll:
    """The authorizer of a server whose callers are all trusted."""

    async def authorize(self, attributes: Attributes) -> str | None:
        """Allow."""
        return None


class Front(Protocol):
    """A door through which others reach the server."""

    async def run(self, server: APIServer, *, task_status: TaskStatus[None]) -> None:
        """Serve until cancelled, then end what is in progress in order; ready when callers are let in."""
        ...


@attrs.frozen(kw_only=True)
class AdmissionRequest:
    """A write before it is validated. `document` is the new state, None for a deletion; `old` the present one."""

    user: User
    operation: str
    """`CREATE`, `UPDATE` or `DELETE`."""
    info: ResourceInfo
    namespace: str
    name: str
    subresource: str = ""
    document: Document | None = None
    old: Document | None = None
    dry_run: bool = False


class Admission(Protocol):
    """A hook on the write path, called after defaulting and before validation, in the order of composition."""

    async def admit(self, request: AdmissionRequest) -> Document | None:
        """Return a changed document, or None to leave it; raise an `APIError`, usually `Forbidden`, to refuse.

        It can be called again for one write when somebody else wrote in between, so it must not have effects.
        """
        ...


def unchanged(document: Document) -> Document:
    """Return the document: what a kind does that has nothing to do."""
    return document


@attrs.frozen(kw_only=True)
class Strategy:
    """What one kind decides about its writes. All functions are pure and return the same object when nothing changes.

    `default`: fill in what the writer left open. `prepare_create`: drop what a creation may not set.
    `finish_create`: add what a creation needs its name and uid for.
    `prepare_update`: keep what a main write may not change, such as the status; `prepare_status_update` the reverse.
    `generation`: whether (new, old) differ in a way that raises metadata.generation; None: the kind has none.
    `grace_seconds`: how long a deletion waits, from the document and the wish of the caller; None: it does not.
    """

    info: ResourceInfo
    default: Callable[[Document], Document]
    prepare_create: Callable[[Document], Document]
    prepare_update: Callable[[Document, Document], Document]
    prepare_status_update: Callable[[Document, Document], Document]
    validate: Callable[[Document], list[FieldError]]
    validate_update: Callable[[Document, Document], list[FieldError]]
    validate_status_update: Callable[[Document, Document], list[FieldError]]
    warnings: Callable[[Document, Document | None], list[str] | tuple[str, ...]]
    parts: Mapping[str, PartRules] = attrs.field(factory=dict)
    """The rules of subresources that change a part of the spec."""
    generation: Callable[[Document, Document], bool] | None = None
    grace_seconds: Callable[[Document, int | None], int] | None = None
    unconditional_update: bool = True
    """Whether an update without resourceVersion is taken."""
    create_on_update: bool = False
    """Whether an update of what does not exist creates it."""
    default_propagation: str = "Background"
    deletion_warning: str = ""
    """What to tell whoever deletes without saying what happens to the dependents."""
    finish_create: Callable[[Document], Document] = unchanged
    spec_finalizers: bool = False
    """Whether spec.finalizers keep a deleted object as metadata.finalizers do (Namespace)."""
