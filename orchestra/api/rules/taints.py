"""Taints of nodes and the tolerations of Pods (v1.Toleration)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.api.core.affinity import Toleration
    from orchestra.api.core.node import Taint


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Say whether a toleration covers a taint; an empty effect or key covers every one."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator or "Equal":
        case "Exists":
            return True
        case "Equal":
            return (toleration.value or "") == (taint.value or "")
    return False


def untolerated(
    taints: Iterable[Taint], tolerations: tuple[Toleration, ...], effects: tuple[str, ...] = ("NoSchedule", "NoExecute")
) -> Taint | None:
    """Return the first taint with one of `effects` that no toleration covers, or None when all are covered."""
    for taint in taints:
        if taint.effect in effects and not any(tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None
