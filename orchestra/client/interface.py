"""How others read and write: the `Client` contract.

`APIServer` implements it in process, `RemoteClient` over gRPC; what runs on one runs unchanged on the other, errors
included. Every method can raise an `orchestra.errors.APIError`.

Namespaces: reads and writes of one object default to `default`; lists and watches cover every namespace unless one is
named. For cluster-scoped kinds the namespace is ignored. Objects are shared with caches: they are immutable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload

import attrs

from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import ListMeta, Object
from orchestra.api.scheme import Scheme

if TYPE_CHECKING:
    from orchestra.api.autoscaling import Scale

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
O_co = TypeVar("O_co", bound=Object, covariant=True)
Document = dict[str, Any]


@attrs.frozen(kw_only=True)
class ObjectList(Generic[O]):
    """Objects as they all were at one revision, in the order of their keys."""

    items: tuple[O, ...] = ()
    metadata: ListMeta = ListMeta()

    @property
    def revision(self) -> int:
        """The store revision at which the list was read; a watch from here misses nothing."""
        return int(self.metadata.resource_version or 0)


class EventType(StrEnum):
    """What a watch event says of its object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@attrs.frozen
class WatchEvent(Generic[O]):
    """One change. The object of DELETED is its last state with the deletion's revision; of BOOKMARK only a revision."""

    type: EventType
    object: O
    revision: int


class Watch(Protocol[O]):
    """A stream of changes in revision order, without gap or duplicate.

    It ends by raising `Expired` when the reader was too slow or the revision is gone: list again.
    """

    def __aiter__(self) -> AsyncIterator[WatchEvent[O]]: ...

    async def next_batch(self) -> tuple[WatchEvent[O], ...]:
        """Wait for at least one event and return all that have arrived; a revision is never split over two batches."""
        ...

    async def request_progress(self) -> None:
        """Ask for a BOOKMARK that says up to which revision everything has been delivered."""
        ...


@attrs.frozen(kw_only=True)
class Fence:
    """Proof of a term of leadership: the fence's name and the revision at which this term wrote it."""

    name: str
    revision: int


@attrs.frozen(kw_only=True)
class WriteOptions:
    """What goes with a write.

    `field_validation`: what to do about undeclared and duplicate fields. `fence`: refuse the write with Conflict when
    this term of leadership is over. `on_warning` is called with each warning that the write gave rise to
    (undeclared fields, fields that nothing acts on).
    """

    dry_run: bool = False
    field_manager: str = ""
    field_validation: Literal["Strict", "Warn", "Ignore"] = "Warn"
    fence: Fence | None = None
    on_warning: Callable[[str], None] | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class Preconditions:
    """What must still be true of an object for its deletion to happen."""

    uid: str = ""
    resource_version: str = ""


@attrs.frozen(kw_only=True)
class DeleteOptions:
    """How to delete (metav1.DeleteOptions). None leaves the decision to the kind and to the object.

    `on_warning` is called with what the caller may not expect of this deletion, also when the deletion is refused.
    """

    grace_period_seconds: int | None = None
    propagation_policy: Literal["Background", "Foreground", "Orphan"] | None = None
    preconditions: Preconditions = Preconditions()
    dry_run: bool = False
    fence: Fence | None = None
    on_warning: Callable[[str], None] | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class Deleted(Generic[O]):
    """What a deletion did: the object as it was left or last was, and the revision of the write.

    `gone` is False while finalizers or a grace period keep the object.
    """

    object: O
    revision: int
    gone: bool


class PatchType(StrEnum):
    """The forms of a patch, as their media types."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@attrs.frozen
class Patch:
    """A change to an object: `body` is a document, or the list of operations of a JSON patch."""

    type: PatchType
    body: Any


@attrs.frozen(kw_only=True)
class LogOptions:
    """Which part of a container's log to read (v1.PodLogOptions). An empty `container` means the Pod's only one."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_seconds: int | None = None
    since_time: datetime | None = None


@attrs.frozen(eq=False)
class DiagnosisReport:
    """A scheduler's record of its latest attempt at a Pod; `write` spells it out, and is called when somebody asks.

    Of Pods that are not `placed` the server keeps records longer, for they are asked about.
    """

    namespace: str
    pod: str
    uid: str
    placed: bool
    write: Callable[[], PodDiagnosis]


class NodeHandler(Protocol):
    """What the server may ask of a node over the session that the node's agent opened."""

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield chunks of a container's log, whole lines; with `follow` until the container has ended."""
        ...


class Client(Protocol):
    """Verbs on objects. Options that are not given take the defaults of `WriteOptions` and `DeleteOptions`."""

    @property
    def scheme(self) -> Scheme:
        """The kinds that this client can decode."""
        ...

    async def get(self, kind: type[O], name: str, *, namespace: str = "default") -> O:
        """Return the newest state of one object; raises NotFound."""
        ...

    async def get_scale(self, kind: type[Object], name: str, *, namespace: str = "default") -> Scale:
        """Return how many replicas an object has and shall have (the scale subresource).

        Raises NotFound, also for kinds that have no replicas.
        """
        ...

    async def list(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
        resource_version_match: Literal["", "Exact", "NotOlderThan"] = "",
    ) -> ObjectList[O]:
        """Return the objects that both selectors match, at one revision.

        `limit` bounds a page; the next begins at `metadata.continue_` and shows the same revision. An empty
        `resource_version` reads the newest state, "0" whatever is at hand. Raises Expired when the revision of
        `continue_` is gone.
        """
        ...

    def watch(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        bookmarks: bool = False,
    ) -> AbstractAsyncContextManager[Watch[O]]:
        """Stream the changes after `resource_version`; empty means the current objects as ADDED and then changes.

        An object that stops matching a selector is seen as DELETED. With `bookmarks` a quiet stream still tells its
        revision now and then.
        """
        ...

    async def create(self, obj: O, *, options: WriteOptions = WriteOptions()) -> O:
        """Store a new object; raises AlreadyExists, or Invalid naming each faulty field."""
        ...

    async def update(self, obj: O, *, subresource: str = "", options: WriteOptions = WriteOptions()) -> O:
        """Replace an object, or only the part that a subresource such as `status` covers.

        With `metadata.resource_version` set it raises Conflict when the object has changed since.
        """
        ...

    async def patch(
        self,
        kind: type[O],
        name: str,
        patch: Patch,
        *,
        namespace: str = "default",
        subresource: str = "",
        options: WriteOptions = WriteOptions(),
    ) -> O:
        """Change parts of the newest state of an object."""
        ...

    @overload
    async def apply(self, obj: O, *, subresource: str = ..., force: bool = ..., options: WriteOptions = ...) -> O: ...
    @overload
    async def apply(
        self, obj: Document, *, subresource: str = ..., force: bool = ..., options: WriteOptions = ...
    ) -> Object: ...
    async def apply(
        self,
        obj: Any,
        *,
        subresource: str = "",
        force: bool = False,
        options: WriteOptions = WriteOptions(),
    ) -> Any:
        """Server-side apply: make the given fields so, creating the object if need be, and own them.

        Raises Conflict naming each field that another manager owns, unless `force` takes it over.
        `options.field_manager` defaults to the client's own name.
        """
        ...

    async def delete(
        self, kind: type[O], name: str, *, namespace: str = "default", options: DeleteOptions = DeleteOptions()
    ) -> Deleted[O]:
        """Delete an object, or begin to: finalizers and grace periods are honoured."""
        ...

    async def delete_collection(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        options: DeleteOptions = DeleteOptions(),
    ) -> tuple[Deleted[O], ...]:
        """Delete every object that both selectors match."""
        ...

    async def bind(self, pod: str, node: str, *, namespace: str = "default", uid: str = "") -> int:
        """Assign a Pod to a node, for good (the binding subresource), and return the write's revision.

        Raises Conflict when the Pod is bound, deleted or gated, or its uid is another one.
        """
        ...

    async def diagnosis(self, pod: str, *, namespace: str = "default") -> PodDiagnosis | None:
        """Return what a scheduler said of its latest attempt to place a Pod (the diagnosis subresource).

        None: no scheduler has reported on it, or its record had to make room for others. Raises NotFound.
        """
        ...

    async def report_diagnoses(self, reports: Iterable[DiagnosisReport]) -> None:
        """Tell the server about attempts to place Pods, in place of what it was told of the same Pods before.

        Reports on Pods that are gone are left out. The server keeps a bounded number of records, in memory alone.
        """
        ...

    def logs(
        self, pod: str, *, namespace: str = "default", options: LogOptions = LogOptions()
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read a container's log from the node that runs it."""
        ...

    def serve_node(self, node: str, handler: NodeHandler) -> AbstractAsyncContextManager[None]:
        """Answer, while the context is open, what the server asks of `node`; a newer session replaces an older one."""
        ...

    async def acquire_fence(self, name: str, holder: str) -> Fence:
        """Begin a term of leadership: every older fence of this name is stale from here on."""
        ...
