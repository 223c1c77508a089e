"""Which nodes a Pod accepts: its node selector and its required node affinity.

Source: Kubernetes `component-helpers/scheduling/corev1/nodeaffinity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestra.api.selectors import Operator, Requirement

if TYPE_CHECKING:
    from orchestra.api.core.affinity import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
    from orchestra.api.core.node import Node
    from orchestra.api.core.pod import Pod

_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
    "Gt": Operator.GREATER,
    "Lt": Operator.LESS,
}


def _holds(requirement: NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    operator = _OPERATORS.get(requirement.operator)
    if operator is None:
        return False
    if operator in (Operator.GREATER, Operator.LESS) and len(requirement.values) != 1:
        return False
    if operator in (Operator.IN, Operator.NOT_IN) and not requirement.values:
        return False
    return Requirement(requirement.key, operator, requirement.values).matches(values)


def term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """Say whether every requirement of a term holds; a term without requirements matches no node."""
    if not term.match_expressions and not term.match_fields:
        return False
    meta = node.metadata
    fields = {"metadata.name": meta.name}
    return all(_holds(item, meta.labels) for item in term.match_expressions) and all(
        item.key in fields and item.operator in ("In", "NotIn") and _holds(item, fields) for item in term.match_fields
    )


def node_selector_matches(selector: NodeSelector, node: Node) -> bool:
    """Say whether a node meets at least one term of a selector."""
    return any(term_matches(term, node) for term in selector.node_selector_terms)


def accepts_node(pod: Pod, node: Node) -> bool:
    """Say whether a Pod's node selector and required node affinity allow a node."""
    labels = node.metadata.labels
    for name, value in pod.spec.node_selector.items():
        if labels.get(name) != value:
            return False
    affinity = pod.spec.affinity
    if affinity is None or affinity.node_affinity is None:
        return True
    required = affinity.node_affinity.required_during_scheduling_ignored_during_execution
    return required is None or node_selector_matches(required, node)
