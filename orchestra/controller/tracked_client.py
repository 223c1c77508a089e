"""A client that remembers what was written through it, and signs each write with a field manager and a fence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import Object
from orchestra.api.scheme import Scheme
from orchestra.client.interface import (
    Client,
    Deleted,
    DeleteOptions,
    DiagnosisReport,
    Fence,
    LogOptions,
    NodeHandler,
    ObjectList,
    Patch,
    Watch,
    WriteOptions,
)

if TYPE_CHECKING:
    from orchestra.api.autoscaling import Scale

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

_PLAIN_WRITE = WriteOptions()
_PLAIN_DELETE = DeleteOptions()
_PLAIN_LOG = LogOptions()


@attrs.frozen(kw_only=True)
class Signature:
    """What every write of a controller carries: `write` and `delete` are the options of an otherwise plain one."""

    write: WriteOptions
    delete: DeleteOptions

    @classmethod
    def of(cls, manager: str, fence: Fence | None) -> Signature:
        """Return the signature of a field manager during a term of leadership."""
        return cls(write=WriteOptions(field_manager=manager, fence=fence), delete=DeleteOptions(fence=fence))

    def on_write(self, options: WriteOptions) -> WriteOptions:
        """Return `options` with what they leave open filled in."""
        if options == _PLAIN_WRITE:
            return attrs.evolve(self.write, on_warning=options.on_warning) if options.on_warning else self.write
        return attrs.evolve(
            options,
            field_manager=options.field_manager or self.write.field_manager,
            fence=options.fence or self.write.fence,
        )

    def on_delete(self, options: DeleteOptions) -> DeleteOptions:
        """Return `options` with what they leave open filled in."""
        if options == _PLAIN_DELETE:
            return self.delete
        return attrs.evolve(options, fence=options.fence or self.delete.fence)


class TrackedClient:
    """A `Client` for one reconcile; `written` holds the newest revision that it wrote of each kind."""

    __slots__ = ("_client", "_signature", "written")

    def __init__(self, client: Client, signature: Signature) -> None:
        self._client = client
        self._signature = signature
        self.written: dict[type[Object], int] = {}

    @property
    def scheme(self) -> Scheme:
        """The kinds that this client can decode."""
        return self._client.scheme

    def _note(self, kind: type[Object], revision: int) -> None:
        if revision > self.written.get(kind, 0):
            self.written[kind] = revision

    def _note_object(self, obj: O) -> O:
        self._note(type(obj), int(obj.metadata.resource_version or 0))
        return obj

    async def get(self, kind: type[O], name: str, *, namespace: str = "default") -> O:
        """Return the newest state of one object."""
        return await self._client.get(kind, name, namespace=namespace)

    async def get_scale(self, kind: type[Object], name: str, *, namespace: str = "default") -> Scale:
        """Return how many replicas an object has and shall have."""
        return await self._client.get_scale(kind, name, namespace=namespace)

    async def list(self, kind: type[O], **selection: Any) -> ObjectList[O]:
        """Return the objects that both selectors match, at one revision."""
        return await self._client.list(kind, **selection)

    def watch(self, kind: type[O], **selection: Any) -> AbstractAsyncContextManager[Watch[O]]:
        """Stream changes."""
        return self._client.watch(kind, **selection)

    async def create(self, obj: O, *, options: WriteOptions = _PLAIN_WRITE) -> O:
        """Store a new object."""
        return self._note_object(await self._client.create(obj, options=self._signature.on_write(options)))

    async def update(self, obj: O, *, subresource: str = "", options: WriteOptions = _PLAIN_WRITE) -> O:
        """Replace an object, or the part that a subresource covers."""
        signed = self._signature.on_write(options)
        return self._note_object(await self._client.update(obj, subresource=subresource, options=signed))

    async def patch(
        self,
        kind: type[O],
        name: str,
        patch: Patch,
        *,
        namespace: str = "default",
        subresource: str = "",
        options: WriteOptions = _PLAIN_WRITE,
    ) -> O:
        """Change parts of the newest state of an object."""
        signed = self._signature.on_write(options)
        return self._note_object(
            await self._client.patch(kind, name, patch, namespace=namespace, subresource=subresource, options=signed)
        )

    async def apply(
        self, obj: Any, *, subresource: str = "", force: bool = False, options: WriteOptions = _PLAIN_WRITE
    ) -> Any:
        """Server-side apply."""
        signed = self._signature.on_write(options)
        applied = await self._client.apply(obj, subresource=subresource, force=force, options=signed)
        return self._note_object(applied)

    async def delete(
        self, kind: type[O], name: str, *, namespace: str = "default", options: DeleteOptions = _PLAIN_DELETE
    ) -> Deleted[O]:
        """Delete an object, or begin to."""
        signed = self._signature.on_delete(options)
        deleted = await self._client.delete(kind, name, namespace=namespace, options=signed)
        self._note(kind, deleted.revision)
        return deleted

    async def delete_collection(
        self,
        kind: type[O],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        options: DeleteOptions = _PLAIN_DELETE,
    ) -> tuple[Deleted[O], ...]:
        """Delete every object that both selectors match."""
        deleted = await self._client.delete_collection(
            kind,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            options=self._signature.on_delete(options),
        )
        for one in deleted:
            self._note(kind, one.revision)
        return deleted

    async def bind(self, pod: str, node: str, *, namespace: str = "default", uid: str = "") -> int:
        """Assign a Pod to a node."""
        from orchestra.api.core import Pod

        revision = await self._client.bind(pod, node, namespace=namespace, uid=uid)
        self._note(Pod, revision)
        return revision

    async def diagnosis(self, pod: str, *, namespace: str = "default") -> PodDiagnosis | None:
        """Return what a scheduler said of its latest attempt to place a Pod."""
        return await self._client.diagnosis(pod, namespace=namespace)

    async def report_diagnoses(self, reports: Iterable[DiagnosisReport]) -> None:
        """Tell the server about attempts to place Pods."""
        await self._client.report_diagnoses(reports)

    def logs(
        self, pod: str, *, namespace: str = "default", options: LogOptions = _PLAIN_LOG
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read a container's log."""
        return self._client.logs(pod, namespace=namespace, options=options)

    def serve_node(self, node: str, handler: NodeHandler) -> AbstractAsyncContextManager[None]:
        """Answer what the server asks of `node`."""
        return self._client.serve_node(node, handler)

    async def acquire_fence(self, name: str, holder: str) -> Fence:
        """Begin a term of leadership."""
        return await self._client.acquire_fence(name, holder)
