"""Node selectors as array operations: which nodes match a term, for all nodes at once.

Semantics: component-helpers `scheduling/corev1/nodeaffinity`. Terms are alternatives, the requirements of a term must
all hold, and a term without requirements matches no node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestra.api.rules.taints import untolerated
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.view import Nodes

if TYPE_CHECKING:
    from orchestra.api.core.affinity import NodeSelectorRequirement, NodeSelectorTerm

Mask = NDArray[np.bool_]
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def term_mask(nodes: Nodes, term: NodeSelectorTerm) -> Mask:
    """Return which nodes match one term."""
    if not term.match_expressions and not term.match_fields:
        return np.zeros(nodes.count, dtype=np.bool_)
    mask = np.ones(nodes.count, dtype=np.bool_)
    for requirement in term.match_expressions:
        mask &= _label_mask(nodes, requirement)
    for requirement in term.match_fields:
        mask &= _field_mask(nodes, requirement)
    return mask


def required_mask(nodes: Nodes, pod: PodInfo) -> Mask:
    """Return which nodes match the Pod's nodeSelector and its required node affinity."""
    mask = np.ones(nodes.count, dtype=np.bool_)
    for key, value in pod.pod.spec.node_selector.items():
        mask &= nodes.has_label(key, value)
    terms = pod.required_node_terms
    if terms is not None:
        mask &= terms_mask(nodes, terms)
    return mask


def terms_mask(nodes: Nodes, terms: Iterable[NodeSelectorTerm]) -> Mask:
    """Return which nodes match at least one of the terms."""
    anyone = np.zeros(nodes.count, dtype=np.bool_)
    for term in terms:
        anyone |= term_mask(nodes, term)
    return anyone


def tolerated_mask(nodes: Nodes, pod: PodInfo) -> Mask:
    """Return which nodes have no taint of effect NoSchedule or NoExecute that the Pod does not tolerate."""
    by_set = [untolerated(taints, pod.tolerations) is None for taints in nodes.taint_sets]
    return np.array(by_set, dtype=np.bool_)[nodes.taint_set]


def _label_mask(nodes: Nodes, requirement: NodeSelectorRequirement) -> Mask:
    ids = nodes.label_ids(requirement.key)
    match requirement.operator:
        case "Exists":
            return ids >= 0
        case "DoesNotExist":
            return ids < 0
        case "In":
            return _one_of(nodes, requirement.key, requirement.values)
        case "NotIn":
            return ~_one_of(nodes, requirement.key, requirement.values)
        case "Gt" | "Lt" if len(requirement.values) == 1:
            return _ordered(nodes, requirement)
    return np.zeros(nodes.count, dtype=np.bool_)


def _one_of(nodes: Nodes, key: str, values: Iterable[str]) -> Mask:
    mask = np.zeros(nodes.count, dtype=np.bool_)
    for value in values:
        mask |= nodes.has_label(key, value)
    return mask


def _ordered(nodes: Nodes, requirement: NodeSelectorRequirement) -> Mask:
    bound = _integer(requirement.values[0])
    ids = nodes.label_ids(requirement.key)
    if bound is None:
        return np.zeros(nodes.count, dtype=np.bool_)
    greater = requirement.operator == "Gt"
    passes = []
    for text in nodes.label_values(requirement.key):
        value = _integer(text)
        passes.append(value is not None and (value > bound if greater else value < bound))
    return np.array([*passes, False], dtype=np.bool_)[ids]  # -1, no such label, finds the last entry


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _field_mask(nodes: Nodes, requirement: NodeSelectorRequirement) -> Mask:
    """Match `metadata.name`, the one field there is, by In or NotIn."""
    if requirement.key != "metadata.name" or requirement.operator not in ("In", "NotIn"):
        return np.zeros(nodes.count, dtype=np.bool_)
    by_name = nodes.table.by_name
    found = nodes.among(by_name[value].index for value in requirement.values if value in by_name)
    return found if requirement.operator == "In" else ~found
