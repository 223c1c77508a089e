"""Empties namespaces that are deleted, Pods first, and lets go of them. The driver of `emptying.py`."""

from __future__ import annotations

import attrs

from orchestra.api.codec import encode
from orchestra.api.core import Namespace, Pod
from orchestra.api.object import Object, ResourceInfo
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.controller.interface import Context, Controller, Result
from orchestra.errors import APIError, MethodNotAllowed, NotFound
from orchestra.lifecycle import emptying
from orchestra.lifecycle.emptying import Content
from orchestra.lifecycle.kinds import stored_kinds

TERMINATING = "Terminating"


async def _reconcile(namespace: Namespace, ctx: Context) -> Result | None:
    deleted_at = namespace.metadata.deletion_timestamp
    if deleted_at is None or emptying.FINALIZER not in namespace.spec.finalizers:
        return None
    age = (ctx.clock.now() - deleted_at).total_seconds()
    if age < emptying.START_DELAY_SECONDS:
        return ctx.requeue(after=emptying.START_DELAY_SECONDS - age)
    pods = await _empty(namespace, Pod, ctx)
    if pods:
        # While Pods terminate everything else stays, and counts as if it were gone.
        await _report(namespace, Content(), ctx)
        return ctx.requeue(after=emptying.pause_seconds(pods, age))
    content = await _empty_all(namespace, ctx)
    await _report(namespace, content, ctx)
    if content.empty:
        await _finalize(namespace, ctx)
        return None
    left = [obj for objects in content.remaining.values() for obj in objects]
    return ctx.requeue(after=emptying.pause_seconds(left, age))


async def _empty(namespace: Namespace, kind: type[Object], ctx: Context) -> tuple[Object, ...]:
    """Delete all objects of a kind and return those that are still there."""
    name = namespace.metadata.name
    listed = await ctx.client.list(kind, namespace=name)
    if not listed.items:
        return ()
    if any(obj.metadata.deletion_timestamp is None for obj in listed.items):
        options = DeleteOptions(propagation_policy="Background")
        await ctx.client.delete_collection(kind, namespace=name, options=options)
        listed = await ctx.client.list(kind, namespace=name)
    return listed.items


async def _empty_all(namespace: Namespace, ctx: Context) -> Content:
    remaining: dict[ResourceInfo, tuple[Object, ...]] = {}
    failures: list[str] = []
    scheme = ctx.client.scheme
    for info in stored_kinds(scheme):
        if not info.namespaced:
            continue
        try:
            remaining[info] = await _empty(namespace, scheme.type_of(info), ctx)
        except (MethodNotAllowed, NotFound) as error:
            ctx.log.debug("kind cannot be deleted", kind=info.kind, error=str(error))
        except APIError as error:
            if error.retryable:
                raise
            failures.append(str(error))
    return Content(remaining=remaining, failures=tuple(failures))


async def _report(namespace: Namespace, content: Content, ctx: Context) -> None:
    conditions = emptying.conditions_of(namespace, content, ctx.clock.now())
    if conditions is namespace.status.conditions and namespace.status.phase == TERMINATING:
        return
    status = attrs.evolve(namespace.status, phase=TERMINATING, conditions=conditions)
    patch = Patch(PatchType.MERGE, {"status": encode(status)})
    await ctx.client.patch(Namespace, namespace.metadata.name, patch, subresource="status")


async def _finalize(namespace: Namespace, ctx: Context) -> None:
    newest = await ctx.client.get(Namespace, namespace.metadata.name)
    if newest.metadata.uid != namespace.metadata.uid:
        return
    left = tuple(name for name in newest.spec.finalizers if name != emptying.FINALIZER)
    spec = attrs.evolve(newest.spec, finalizers=left)
    await ctx.client.update(attrs.evolve(newest, spec=spec), subresource="finalize")
    ctx.log.info("namespace is empty")


def namespace_controller() -> Controller[Namespace]:
    """Return the controller that empties namespaces which are deleted."""
    return Controller(name="namespace", for_=Namespace, reconcile=_reconcile, workers=2)
