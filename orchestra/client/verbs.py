"""Verbs for convenience, made of those of the `Client` contract: every client has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import anyio

from orchestra.api.object import Object, ResourceInfo
from orchestra.client.interface import (
    Client,
    EventType,
    Patch,
    PatchType,
    WriteOptions,
)
from orchestra.errors import Expired, NotFound, WaitTimeout

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
Document = dict[str, Any]


class ClientVerbs:
    """Mix-in of every client."""

    async def apply_documents(
        self: Client,
        documents: Iterable[Mapping[str, Any]],
        *,
        namespace: str = "",
        force: bool = False,
        options: WriteOptions = WriteOptions(),
    ) -> tuple[Object, ...]:
        """Apply documents one after the other, in their order, and return the objects as they are now.

        `namespace` is for documents that name none. The first refusal ends it; what was applied before stays.
        """
        applied: list[Object] = []
        for document in documents:
            whole: Document = dict(document)
            meta = whole.get("metadata") or {}
            if namespace and not meta.get("namespace") and _namespaced(self, whole):
                whole["metadata"] = {**meta, "namespace": namespace}
            applied.append(await self.apply(whole, force=force, options=options))
        return tuple(applied)

    async def apply_file(
        self: Client,
        path: str | os.PathLike[str],
        *,
        namespace: str = "",
        force: bool = False,
        options: WriteOptions = WriteOptions(),
    ) -> tuple[Object, ...]:
        """Apply every document of a YAML or JSON file; see `apply_documents`.

        The whole file is read and checked for its form before anything is applied.
        """
        from orchestra.api.manifest import read_manifests

        text = await anyio.Path(path).read_text(encoding="utf-8")
        documents = [manifest.document for manifest in read_manifests(text, name=os.fspath(path))]
        return await cast("ClientVerbs", self).apply_documents(  # type: ignore[misc]
            documents, namespace=namespace, force=force, options=options
        )

    async def scale(self: Client, kind: type[O], name: str, replicas: int, *, namespace: str = "default") -> O:
        """Set the number of replicas, through the scale subresource."""
        patch = Patch(PatchType.MERGE, {"spec": {"replicas": replicas}})
        return await self.patch(kind, name, patch, namespace=namespace, subresource="scale")

    async def evict(
        self: Client,
        pod: str,
        *,
        namespace: str = "default",
        grace_period_seconds: int | None = None,
        options: WriteOptions = WriteOptions(),
    ) -> None:
        """Ask a Pod to go: it does as soon as its disruption budget allows.

        Raises TooManyRequests while the budget does not, and Forbidden when several budgets are over the Pod.
        """
        from orchestra.api.object import ObjectMeta
        from orchestra.api.policy import Eviction, EvictionOptions

        how = EvictionOptions(grace_period_seconds=grace_period_seconds)
        wanted = Eviction(metadata=ObjectMeta(name=pod, namespace=namespace), delete_options=how)
        await self.create(wanted, options=options)

    async def wait_for(
        self: Client,
        kind: type[O],
        name: str,
        *,
        namespace: str = "default",
        condition: str = "",
        jsonpath: str = "",
        deleted: bool = False,
        predicate: Callable[[O], bool] | None = None,
        timeout: float = 30.0,
    ) -> O:
        """Wait until an object is as wanted, and return it; it need not exist yet.

        One of: `condition` (`Available`, `Ready=false`: the status of that condition, true unless said otherwise),
        `jsonpath` (`{.status.phase}=Running`; without a value: that the field is there), `predicate`, or `deleted`.
        `timeout` is in seconds. Raises `WaitTimeout`, which says what was seen last.
        """
        wanted = _Wanted(condition, jsonpath, deleted, predicate)
        last: list[O] = []
        with anyio.move_on_after(timeout):
            while True:
                try:
                    return await _follow(self, kind, name, namespace, wanted, last)
                except Expired:
                    continue  # The watch fell behind: begin again with what is there now.
        info = kind.resource_info
        seen = wanted.seen(last[-1]) if last else "it does not exist"
        raise WaitTimeout(f"timed out after {timeout:g} s waiting for {wanted} on {info.group_resource}/{name}: {seen}")


class _Wanted:
    """What is waited for, and how to say what is there instead."""

    def __init__(self, condition: str, jsonpath: str, deleted: bool, predicate: Callable[[Any], bool] | None) -> None:
        if sum((bool(condition), bool(jsonpath), deleted, predicate is not None)) != 1:
            raise ValueError("name exactly one of condition, jsonpath, deleted and predicate")
        self.deleted = deleted
        self._predicate = predicate
        self._condition, _, value = condition.partition("=")
        self._status = value or "True"
        self._path, _, self._value = jsonpath.partition("=")

    def __str__(self) -> str:
        if self._condition:
            return f"condition {self._condition}={self._status}"
        if self._path:
            return f"jsonpath {self._path}={self._value}" if self._value else f"jsonpath {self._path}"
        return "deletion" if self.deleted else "the predicate"

    def holds(self, obj: Any) -> bool:
        """Whether the object is as wanted."""
        if self._predicate is not None:
            return self._predicate(obj)
        if self._condition:
            found = _condition(obj, self._condition)
            return found is not None and str(found.status).lower() == self._status.lower() and _observed(obj)
        if self._path:
            value = _at(obj, self._path)
            return value is not None if not self._value else _text(value) == self._value
        return False

    def seen(self, obj: Object) -> str:
        """Say what the object is like where it matters."""
        if self._condition:
            found = _condition(obj, self._condition)
            if found is None:
                return f"it has no condition {self._condition}"
            return f"{self._condition}={found.status} ({found.reason or '-'}: {found.message or '-'})"
        if self._path:
            return f"{self._path} is {_text(_at(obj, self._path)) or 'absent'}"
        return f"it is still there: {obj!r}" if self.deleted else f"last seen: {obj!r}"


async def _follow(client: Client, kind: type[O], name: str, namespace: str, wanted: _Wanted, last: list[O]) -> O:
    info = kind.resource_info
    space = namespace if info.namespaced else None
    if wanted.deleted:
        try:
            last[:] = [await client.get(kind, name, namespace=namespace)]
        except NotFound:
            if last:
                return last[-1]
            raise
    async with client.watch(kind, namespace=space, field_selector=f"metadata.name={name}") as watch:
        if wanted.deleted:
            # It may have gone between the look and the watch, whose beginning shows only what exists.
            try:
                await client.get(kind, name, namespace=namespace)
            except NotFound:
                return last[-1]
        async for event in watch:
            if event.type is EventType.BOOKMARK:
                continue
            last[:] = [event.object]
            if event.type is EventType.DELETED:
                if wanted.deleted:
                    return event.object
                last.clear()
            elif wanted.holds(event.object):
                return event.object
    raise AssertionError("a watch ends only by an error")


def _namespaced(client: Client, document: Document) -> bool:
    info: ResourceInfo = client.scheme.info(document.get("apiVersion", ""), document.get("kind", ""))
    return info.namespaced


def _condition(obj: Any, name: str) -> Any:
    conditions = getattr(getattr(obj, "status", None), "conditions", None) or ()
    return next((item for item in conditions if item.type.lower() == name.lower()), None)


def _observed(obj: Any) -> bool:
    """Whether the status speaks of the present spec; a controller that is behind says nothing about it."""
    observed = getattr(obj.status, "observed_generation", None)
    return observed is None or observed >= obj.metadata.generation


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at(obj: Object, path: str) -> Any:
    """Return the value at a path such as `{.status.conditions[0].type}`; None when it is not there."""
    from orchestra.api.codec import encode

    at: Any = encode(obj)
    for step in path.strip("{}").lstrip(".").replace("[", ".[").split("."):
        if step.startswith("["):
            index = int(step.strip("[]"))
            at = at[index] if isinstance(at, list) and -len(at) <= index < len(at) else None
        else:
            at = at.get(step) if isinstance(at, dict) else None
        if at is None:
            return None
    return at
