"""What a deletion does to an object, decided without waiting: wait for a grace period, for finalizers, or go at once.

The rules are those of Kubernetes' generic registry (`registry/generic/registry/store.go`, `rest/delete.go`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs

from orchestra.api.codec import format_time
from orchestra.apiserver import refusals
from orchestra.apiserver.interface import Strategy
from orchestra.apiserver.metadata import FOREGROUND, ORPHAN, deleting, finalizers, meta_of, raised, with_meta
from orchestra.client.interface import DeleteOptions, Preconditions

Document = dict[str, Any]

DEFAULT_POD_GRACE_SECONDS = 30


@attrs.frozen
class Decision:
    """`document` is the state to store, or to show as the last one; `gone` says that the object leaves now."""

    document: Document
    gone: bool


def warn(strategy: Strategy, options: DeleteOptions) -> None:
    """Tell the caller what becomes of the dependents, where it does not say so and may not expect it."""
    if strategy.deletion_warning and options.propagation_policy is None and options.on_warning is not None:
        options.on_warning(strategy.deletion_warning)


def check(strategy: Strategy, document: Document, revision: int, wanted: Preconditions) -> None:
    """Raise Conflict when the object is not the one that the caller means."""
    meta = meta_of(document)
    if strategy.spec_finalizers:
        _check_namespace(strategy, meta, revision, wanted)
    if wanted.uid and wanted.uid != meta.get("uid"):
        raise refusals.precondition_uid(strategy.info, meta["name"], wanted=wanted.uid, actual=meta["uid"])
    if wanted.resource_version and wanted.resource_version != str(revision):
        raise refusals.precondition_revision(
            strategy.info, meta["name"], wanted=wanted.resource_version, actual=revision
        )


def _check_namespace(strategy: Strategy, meta: Document, revision: int, wanted: Preconditions) -> None:
    """Raise the Conflict of kinds with a deletion of their own, which is worded differently."""
    for what, given, actual in (
        ("UID", wanted.uid, meta.get("uid")),
        ("ResourceVersion", wanted.resource_version, str(revision)),
    ):
        if given and given != actual:
            why = f"Precondition failed: {what} in precondition: {given}, {what} in object meta: {actual}"
            raise refusals.conflict(strategy.info, meta["name"], why)


def decide(strategy: Strategy, document: Document, options: DeleteOptions, now: datetime) -> Decision:
    """Return what a deletion with these options makes of the object.

    A second deletion can shorten a grace period and never lengthens it.
    """
    if strategy.spec_finalizers and (document.get("spec") or {}).get("finalizers"):
        return Decision(document if deleting(document) else terminating(document, now), gone=False)
    wanted = _finalizers(strategy, document, options)
    document = document if wanted == finalizers(document) else with_meta(document, finalizers=list(wanted) or None)
    grace = 0
    if strategy.grace_seconds is not None:
        grace = strategy.grace_seconds(document, options.grace_period_seconds)
    if deleting(document):
        return _again(strategy, document, options, grace)
    marked = raised(_marked(document, now + timedelta(seconds=grace), grace))
    return Decision(marked, gone=not wanted and grace == 0)


def completes(strategy: Strategy, document: Document) -> bool:
    """Whether an update leaves nothing that keeps a deleted object: then it goes with this very write."""
    meta = document["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if strategy.spec_finalizers:
        return not (document.get("spec") or {}).get("finalizers")
    return not meta.get("deletionGracePeriodSeconds")


def terminating(document: Document, now: datetime) -> Document:
    """Return a Namespace as its deletion leaves it: it stays until its finalizers are done."""
    document = with_meta(document, deletionTimestamp=format_time(now))
    return {**document, "status": {**(document.get("status") or {}), "phase": "Terminating"}}


def pod_grace_seconds(document: Document, wanted: int | None) -> int:
    """Return the grace period of a Pod's deletion: none before it is on a node, none once it has finished."""
    spec = document.get("spec") or {}
    if not spec.get("nodeName") or (document.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if wanted is None:
        wanted = spec.get("terminationGracePeriodSeconds")
    if wanted is None:
        return DEFAULT_POD_GRACE_SECONDS
    # A negative period of the Pod means "at once, but orderly" (core/validation, PodSpec).
    return 1 if wanted < 0 else wanted


def _again(strategy: Strategy, document: Document, options: DeleteOptions, grace: int) -> Decision:
    meta = document["metadata"]
    keeps = bool(meta.get("finalizers"))
    left = meta.get("deletionGracePeriodSeconds") or 0
    shorter = strategy.grace_seconds is not None and options.grace_period_seconds is not None
    if shorter and grace < left:
        began = datetime.fromisoformat(meta["deletionTimestamp"]) - timedelta(seconds=left)
        document = _marked(document, began + timedelta(seconds=grace), grace)
        left = grace
    return Decision(document, gone=not keeps and left == 0)


def _marked(document: Document, when: datetime, grace: int) -> Document:
    meta: Document = {}
    for key, value in document["metadata"].items():
        if key not in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            meta[key] = value
        if key == "creationTimestamp":
            meta["deletionTimestamp"] = format_time(when)
            meta["deletionGracePeriodSeconds"] = grace
    return {**document, "metadata": meta}


def _finalizers(strategy: Strategy, document: Document, options: DeleteOptions) -> tuple[str, ...]:
    """Return the finalizers that a deletion leaves: the two of the garbage collector follow the propagation policy."""
    present = finalizers(document)
    policy = options.propagation_policy
    if policy is None:
        if ORPHAN in present:
            policy = "Orphan"
        elif FOREGROUND in present:
            policy = "Foreground"
        else:
            policy = "Orphan" if strategy.default_propagation == "Orphan" else "Background"
    kept = tuple(name for name in present if name not in (ORPHAN, FOREGROUND))
    if policy == "Orphan":
        return (*kept, ORPHAN) if ORPHAN not in present else tuple(n for n in present if n != FOREGROUND)
    if policy == "Foreground":
        return (*kept, FOREGROUND) if FOREGROUND not in present else tuple(n for n in present if n != ORPHAN)
    return kept
