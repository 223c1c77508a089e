"""How far the deletion of a namespace has come, as conditions: pure, after the namespace controller's `deletion`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from orchestra.api.core import Namespace, NamespaceCondition, Pod
from orchestra.api.object import Object, ResourceInfo
from orchestra.api.rules.conditions import is_terminal, set_condition

START_DELAY_SECONDS = 5.0
"""What was under way when a namespace was deleted gets this long to arrive, so that it is deleted with the rest."""

FINALIZER = "kubernetes"
FINALIZER_ESTIMATE_SECONDS = 15.0

_DISCOVERED = NamespaceCondition(
    type="NamespaceDeletionDiscoveryFailure",
    status="False",
    reason="ResourcesDiscovered",
    message="All resources successfully discovered",
)
_PARSED = NamespaceCondition(
    type="NamespaceDeletionGroupVersionParsingFailure",
    status="False",
    reason="ParsedGroupVersions",
    message="All legacy kube types successfully parsed",
)
_DELETED = NamespaceCondition(
    type="NamespaceDeletionContentFailure",
    status="False",
    reason="ContentDeleted",
    message="All content successfully deleted, may be waiting on finalization",
)
_REMOVED = NamespaceCondition(
    type="NamespaceContentRemaining",
    status="False",
    reason="ContentRemoved",
    message="All content successfully removed",
)
_FINALIZED = NamespaceCondition(
    type="NamespaceFinalizersRemaining",
    status="False",
    reason="ContentHasNoFinalizers",
    message="All content-preserving finalizers finished",
)


@attrs.frozen(kw_only=True)
class Content:
    """What is left in a namespace after everything was told to go, and what went wrong in telling."""

    remaining: Mapping[ResourceInfo, tuple[Object, ...]] = attrs.field(factory=dict)
    failures: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is left and nothing went wrong."""
        return not self.failures and not any(self.remaining.values())


def conditions_of(namespace: Namespace, content: Content, now: datetime) -> tuple[NamespaceCondition, ...]:
    """Return the conditions that a namespace should have; the same tuple when they are there."""
    conditions = namespace.status.conditions
    for condition in (_DISCOVERED, _PARSED, _content_failure(content), *_remaining(content)):
        conditions = set_condition(conditions, condition, now)
    return conditions


def _content_failure(content: Content) -> NamespaceCondition:
    if not content.failures:
        return _DELETED
    count, text = len(content.failures), ", ".join(content.failures)
    message = f"Failed to delete all resource types, {count} remaining: {text}"
    return attrs.evolve(_DELETED, status="True", reason="ContentDeletionFailed", message=message)


def _remaining(content: Content) -> Iterable[NamespaceCondition]:
    counts = {f"{info.plural}.{info.group}": len(objects) for info, objects in content.remaining.items() if objects}
    if counts:
        parts = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(counts.items()))
        message = f"Some resources are remaining: {parts}"
        yield attrs.evolve(_REMOVED, status="True", reason="SomeResourcesRemain", message=message)
    else:
        yield _REMOVED
    holders = Counter(name for objects in content.remaining.values() for o in objects for name in o.metadata.finalizers)
    if holders:
        parts = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(holders.items()))
        message = f"Some content in the namespace has finalizers remaining: {parts}"
        yield attrs.evolve(_FINALIZED, status="True", reason="SomeFinalizersRemain", message=message)
    else:
        yield _FINALIZED


def pause_seconds(objects: Iterable[Object], deleted_for_seconds: float) -> float:
    """Return when to look again at a namespace that these objects keep.

    The namespace controller waits for half of the longest grace period, or of what finalizers are expected to take,
    and a second. Looking sooner at first costs little and makes short deletions short.
    """
    estimate = 0.0
    for obj in objects:
        if obj.metadata.finalizers:
            estimate = max(estimate, FINALIZER_ESTIMATE_SECONDS)
        if isinstance(obj, Pod) and not is_terminal(obj):
            estimate = max(estimate, float(obj.spec.termination_grace_period_seconds or 0))
    return max(0.5, min(estimate / 2 + 1, (deleted_for_seconds - START_DELAY_SECONDS) / 2))
