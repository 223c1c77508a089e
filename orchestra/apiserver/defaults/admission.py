"""What Kubernetes' standard admission plugins do to Pods, as pure functions that a plane can hang into its server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from orchestra.errors import Forbidden

Document = dict[str, Any]
TOLERATION_SECONDS = 300
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


@attrs.frozen(kw_only=True)
class Priority:
    """What a PriorityClass gives to its Pods."""

    value: int
    preemption_policy: str = "PreemptLowerPriority"
    name: str = ""
    """The class, where Pods that name none are given its name."""


SYSTEM_PRIORITIES: Mapping[str, Priority] = {
    "system-cluster-critical": Priority(value=2_000_000_000),
    "system-node-critical": Priority(value=2_000_001_000),
}


def _tolerates(tolerations: Sequence[Document], taint: str) -> bool:
    return any(
        each.get("key") in (taint, None, "") and each.get("effect") in ("NoExecute", None, "") for each in tolerations
    )


def default_toleration_seconds(document: Document, seconds: int = TOLERATION_SECONDS) -> Document:
    """Return a Pod that bears a lost node for `seconds`, unless it says itself what it does then.

    Source: the admission plugin DefaultTolerationSeconds.
    """
    spec = document.get("spec") or {}
    given = spec.get("tolerations") or ()
    added = [
        {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for taint in (NOT_READY, UNREACHABLE)
        if not _tolerates(given, taint)
    ]
    if not added:
        return document
    return {**document, "spec": {**spec, "tolerations": [*given, *added]}}


def default_priority(
    document: Document,
    classes: Mapping[str, Priority] = SYSTEM_PRIORITIES,
    default: Priority = Priority(value=0),
) -> Document:
    """Return a Pod with the priority of its class; raises Forbidden when it names no class or another number.

    Source: the admission plugin Priority.
    """
    spec = document.get("spec") or {}
    name = spec.get("priorityClassName")
    found = classes.get(name) if name else default
    if found is None:
        raise _forbidden(document, f"no PriorityClass with name {name} was found")
    given = spec.get("priority")
    if given is not None and given != found.value:
        raise _forbidden(
            document,
            f"the integer value of priority ({given}) must not be provided in pod spec; "
            f"priority admission controller computed {found.value} from the given PriorityClass name",
        )
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy != found.preemption_policy:
        raise _forbidden(
            document,
            f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; "
            f"priority admission controller computed {found.preemption_policy} from the given PriorityClass name",
        )
    if given is not None and policy is not None and (name or not found.name):
        return document
    computed = {"priority": found.value, "preemptionPolicy": found.preemption_policy}
    if found.name and not name:
        computed["priorityClassName"] = found.name
    return {**document, "spec": {**spec, **computed}}


def keep_priority(new: Document, old: Document) -> Document:
    """Return an update of a Pod with the priority that it has, where the writer leaves it open."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    names = ("priority", "preemptionPolicy")
    kept = {name: before[name] for name in names if spec.get(name) is None and before.get(name) is not None}
    return {**new, "spec": {**spec, **kept}} if kept else new


def check_runtime_class(document: Document, known: Sequence[str] = ()) -> None:
    """Raise Forbidden when a Pod names a RuntimeClass that does not exist. Source: admission plugin RuntimeClass."""
    name = (document.get("spec") or {}).get("runtimeClassName")
    if name is not None and name not in known:
        raise _forbidden(document, f'pod rejected: RuntimeClass "{name}" not found')


def _forbidden(document: Document, why: str) -> Forbidden:
    name = (document.get("metadata") or {}).get("name") or ""
    return Forbidden(f'pods "{name}" is forbidden: {why}', kind="pods", name=name)
