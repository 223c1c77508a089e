"""The templates that a StatefulSet or a DaemonSet had: one ControllerRevision for each.

A revision holds the template as a strategic merge patch that puts it back, as `kubectl rollout undo` expects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from orchestra.api.apps import ControllerRevision
from orchestra.api.codec import decode, encode, to_document
from orchestra.api.core import PodTemplateSpec
from orchestra.api.object import Object, ObjectMeta
from orchestra.api.rules import controller_of, is_controlled_by, owner_reference, template_hash
from orchestra.api.selectors import Selector
from orchestra.controller.interface import Context
from orchestra.errors import AlreadyExists, NotFound

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object


def template_patch(template: PodTemplateSpec) -> dict[str, Any]:
    """Return the data of the revision of a template."""
    return {"spec": {"template": {**encode(template), "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """Return the template that a revision holds; raises DecodeError when it holds something else."""
    document = to_document(revision).get("data", {}).get("spec", {}).get("template", {})
    return decode({k: v for k, v in document.items() if k != "$patch"}, PodTemplateSpec)


def in_order(revisions: Collection[ControllerRevision]) -> list[ControllerRevision]:
    """Return revisions from the oldest to the newest."""

    def age(revision: ControllerRevision) -> tuple[int, str, str]:
        created = revision.metadata.creation_timestamp
        return (revision.revision, "" if created is None else created.isoformat(), revision.metadata.name)

    return sorted(revisions, key=age)


def equal_to(revisions: Collection[ControllerRevision], template: PodTemplateSpec) -> list[ControllerRevision]:
    """Return the revisions of this very template, from the oldest to the newest."""
    patch = template_patch(template)
    return [one for one in in_order(revisions) if to_document(one).get("data") == patch]


def expendable(
    revisions: Collection[ControllerRevision], live: Collection[str], limit: int
) -> list[ControllerRevision]:
    """Return the oldest revisions beyond `limit` whose names are not among those still in use."""
    unused = [one for one in in_order(revisions) if one.metadata.name not in live]
    return unused[: max(len(unused) - limit, 0)] if limit >= 0 else []


def new_revision(
    owner: Object,
    template: PodTemplateSpec,
    *,
    number: int,
    hash_label: str,
    collision_count: int | None,
    annotations: Mapping[str, str],
) -> ControllerRevision:
    """Return the revision that `owner` makes of its template; its hash is the end of its name and a label."""
    word = template_hash(template, collision_count)
    return ControllerRevision(
        metadata=ObjectMeta(
            name=f"{owner.metadata.name}-{word}",
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, hash_label: word},
            annotations=annotations,
            owner_references=(owner_reference(owner),),
        ),
        data=template_patch(template),
        revision=number,
    )


async def claim_revisions(owner: O, kind: type[O], selector: Selector, ctx: Context) -> list[ControllerRevision]:
    """Return the revisions of `owner`, in order, after adopting those of nobody that its selector selects."""
    meta, kept = owner.metadata, []
    fresh: O | None = None
    for revision in ctx.lister(ControllerRevision).list(meta.namespace):
        if is_controlled_by(revision, owner):
            kept.append(revision)
        elif controller_of(revision) is None and selector.matches(revision.metadata.labels):
            if meta.deletion_timestamp is not None or revision.metadata.deletion_timestamp is not None:
                continue
            fresh = fresh or await ctx.client.get(kind, meta.name, namespace=meta.namespace)
            if fresh.metadata.uid != meta.uid or fresh.metadata.deletion_timestamp is not None:
                continue
            references = (*revision.metadata.owner_references, owner_reference(owner))
            own = attrs.evolve(revision, metadata=attrs.evolve(revision.metadata, owner_references=references))
            try:
                kept.append(await ctx.client.update(own))
            except NotFound:
                continue
    return in_order(kept)


async def store_revision(revision: ControllerRevision, ctx: Context) -> ControllerRevision | None:
    """Create a revision, or find the equal one that a cache does not show yet; None when the name is another's."""
    try:
        return await ctx.client.create(revision)
    except AlreadyExists:
        meta = revision.metadata
        found = await ctx.client.get(ControllerRevision, meta.name, namespace=meta.namespace)
        same = to_document(found).get("data") == to_document(revision).get("data")
        return found if same and found.metadata.owner_references == meta.owner_references else None


async def renumber(revision: ControllerRevision, number: int, ctx: Context) -> ControllerRevision:
    """Make a revision the newest again."""
    return await ctx.client.update(attrs.evolve(revision, revision=number))


async def delete_revisions(revisions: Sequence[ControllerRevision], ctx: Context) -> None:
    """Delete revisions; those that are gone already are no error."""
    for revision in revisions:
        try:
            await ctx.client.delete(ControllerRevision, revision.metadata.name, namespace=revision.metadata.namespace)
        except NotFound:
            continue
