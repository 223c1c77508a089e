"""Making, claiming and deleting the Pods of a controller object."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import anyio
import anyio.lowlevel
import attrs

from orchestra.api.core import Pod, PodTemplateSpec
from orchestra.api.object import Object, ObjectMeta
from orchestra.api.rules import controller_of, is_active, owner_reference
from orchestra.api.selectors import Selector
from orchestra.client.interface import DeleteOptions, Preconditions
from orchestra.controller.interface import Context, Index
from orchestra.errors import APIError, NotFound

T = TypeVar("T")
O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

MAX_BURST = 500
"""How many Pods one reconcile creates or deletes at the most."""
MAX_CONCURRENT = 64
"""How many of these writes are under way at a time."""

MAX_PACE_SECONDS = 0.1
"""The longest that changes of a large set of Pods are gathered before they are looked at."""

ORPHANS: Index[Pod] = Index(
    "orphans", Pod, lambda pod: () if controller_of(pod) is not None else (pod.metadata.namespace,)
)
"""Pods that no controller owns, by namespace."""


def pace_seconds(replicas: int | None) -> float:
    """Return how long changes of so many Pods are gathered: 0.1 ms for each, not more than `MAX_PACE_SECONDS`."""
    return min((replicas or 0) / 10_000, MAX_PACE_SECONDS)


def pod_from_template(template: PodTemplateSpec, owner: Object) -> Pod:
    """Return the Pod that `owner` creates from its template; the server chooses the end of its name."""
    meta = template.metadata
    prefix = f"{owner.metadata.name}-"
    return Pod(
        metadata=ObjectMeta(
            generate_name=prefix,
            namespace=owner.metadata.namespace,
            labels=meta.labels,
            annotations=meta.annotations,
            finalizers=meta.finalizers,
            owner_references=(owner_reference(owner),),
        ),
        spec=template.spec,
    )


async def claim(
    owner: O, kind: type[O], selector: Selector, ctx: Context, *, adopts: Callable[[Pod], bool] = is_active
) -> tuple[Pod, ...]:
    """Return the Pods that belong to `owner`, after adopting orphans that it selects and releasing others.

    Only orphans that `adopts` accepts are adopted. An owner that is being deleted adopts nothing.
    """
    kept: list[Pod] = []
    for pod in ctx.lister(Pod).by_index("owner", owner.metadata.uid):
        if selector.matches(pod.metadata.labels):
            kept.append(pod)
        elif owner.metadata.deletion_timestamp is None:
            await _release(pod, owner, ctx)
    if owner.metadata.deletion_timestamp is not None:
        return tuple(kept)
    for pod in ctx.lister(Pod).by_index(ORPHANS, owner.metadata.namespace):
        if selector.matches(pod.metadata.labels) and adopts(pod):
            adopted = await _adopt(pod, owner, kind, ctx)
            if adopted is not None:
                kept.append(adopted)
    return tuple(kept)


async def _adopt(pod: Pod, owner: O, kind: type[O], ctx: Context) -> Pod | None:
    """Make `owner` the controller of a Pod, after making sure that the owner still lives."""
    meta = owner.metadata
    fresh = await ctx.client.get(kind, meta.name, namespace=meta.namespace)
    if fresh.metadata.uid != meta.uid or fresh.metadata.deletion_timestamp is not None:
        return None
    references = (*pod.metadata.owner_references, owner_reference(owner))
    try:
        return await ctx.client.update(
            attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, owner_references=references))
        )
    except NotFound:
        return None


async def _release(pod: Pod, owner: Object, ctx: Context) -> None:
    references = tuple(r for r in pod.metadata.owner_references if r.uid != owner.metadata.uid)
    try:
        await ctx.client.update(attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, owner_references=references)))
    except NotFound:
        return


def is_namespace_ending(error: APIError) -> bool:
    """Say whether something could not be created because its namespace goes, which is no failure."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)


async def in_growing_batches(work: Sequence[T], do: Callable[[T], Awaitable[None]]) -> APIError | None:
    """Do `work` in batches of 1, 2, 4, ... up to `MAX_CONCURRENT`, and then the rest; stop when something has failed.

    Where everything would be refused, only one attempt is made before giving up. Returns the first error.
    """
    failed: list[APIError] = []
    left = iter(work)

    async def pull(count: int) -> None:
        for item in itertools.islice(left, count):
            try:
                await do(item)
            except APIError as error:
                failed.append(error)
            if failed:
                return
            await anyio.lowlevel.checkpoint()  # a server in this process may never have waited

    done, size = 0, 1
    while done < len(work) and not failed:
        count = 1 if size < MAX_CONCURRENT else len(work)
        async with anyio.create_task_group() as group:
            for _ in range(size):
                group.start_soon(pull, count)
        done += size * count
        size = min(size * 2, MAX_CONCURRENT)
    return failed[0] if failed else None


async def create_pods(owner: Object, template: PodTemplateSpec, count: int, ctx: Context) -> APIError | None:
    """Create `count` Pods for `owner`, with Events; return the first refusal."""
    return await _create([pod_from_template(template, owner)] * min(count, MAX_BURST), owner, ctx)


async def create_from_templates(owner: Object, templates: Sequence[PodTemplateSpec], ctx: Context) -> APIError | None:
    """Create a Pod of each template, the first `MAX_BURST` of them, with Events; return the first refusal."""
    return await _create([pod_from_template(one, owner) for one in templates[:MAX_BURST]], owner, ctx)


async def _create(pods: Sequence[Pod], owner: Object, ctx: Context) -> APIError | None:
    async def create(pod: Pod) -> None:
        try:
            made = await ctx.client.create(pod)
        except APIError as error:
            if is_namespace_ending(error):
                raise
            ctx.events.warning(owner, "FailedCreate", f"Error creating: {error}")
            raise
        ctx.events.normal(owner, "SuccessfulCreate", f"Created pod: {made.metadata.name}")

    return await in_growing_batches(pods, create)


async def delete_pods(owner: Object, pods: Iterable[Pod], ctx: Context) -> APIError | None:
    """Delete Pods of `owner`, with Events; return the first refusal. A Pod that is gone already is no refusal."""

    async def delete(pod: Pod) -> None:
        meta = pod.metadata
        options = DeleteOptions(preconditions=Preconditions(uid=meta.uid))
        try:
            await ctx.client.delete(Pod, meta.name, namespace=meta.namespace, options=options)
        except NotFound:
            return
        except APIError as error:
            ctx.events.warning(owner, "FailedDelete", f"Error deleting: {error}")
            raise
        ctx.events.normal(owner, "SuccessfulDelete", f"Deleted pod: {meta.name}")

    return await in_growing_batches(tuple(pods)[:MAX_BURST], delete)
