"""Which requirements of node selector and node affinity a node does not fulfil, for many nodes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from orchestra.api.core.affinity import NodeSelectorRequirement, NodeSelectorTerm
from orchestra.scheduler.selecting import term_mask

if TYPE_CHECKING:
    from orchestra.api.core.node import Taint
    from orchestra.scheduler.podinfo import PodInfo
    from orchestra.scheduler.view import Nodes

MAX_REQUIREMENTS: Final = 62
"""Requirements of one Pod that are told apart; further ones are not looked at."""

OF_FIELD: Final = "field "
"""How the text of a requirement on a node's own field begins, such as its name: no label can fulfil it."""


def taint_text(taint: Taint) -> str:
    """Return a taint as kubectl writes it: `key=value:Effect`, or `key:Effect`."""
    return f"{taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect}"


def requirement_text(requirement: NodeSelectorRequirement, *, field: bool = False) -> str:
    """Return a requirement as label selectors are written."""
    key, values = requirement.key, ",".join(requirement.values)
    key = f"{OF_FIELD}{key}" if field else key
    match requirement.operator:
        case "In" if len(requirement.values) == 1:
            return f"{key}={values}"
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "Gt":
            return f"{key}>{values}"
        case "Lt":
            return f"{key}<{values}"
    return f"{key} {requirement.operator} {values}"


class Requirements:
    """What nodes lack: bit n of `pattern` is set for a node that does not fulfil the nth requirement.

    Of the alternatives that required affinity gives, the one that a node is nearest to counts.
    """

    def __init__(self, nodes: Nodes, pod: PodInfo) -> None:
        self._texts: list[str] = []
        self.pattern: NDArray[np.int64] = np.zeros(nodes.count, dtype=np.int64)
        for key, value in pod.pod.spec.node_selector.items():
            self._lacks(~nodes.has_label(key, value), f"{key}={value}", self.pattern)
        least = np.full(nodes.count, np.iinfo(np.int64).max)
        nearest = np.zeros(nodes.count, dtype=np.int64)
        for term in pod.required_node_terms or ():
            of_term = np.zeros(nodes.count, dtype=np.int64)
            number = np.zeros(nodes.count, dtype=np.int64)
            for requirement in term.match_expressions:
                lacks = ~term_mask(nodes, NodeSelectorTerm(match_expressions=(requirement,)))
                number += self._lacks(lacks, requirement_text(requirement), of_term)
            for requirement in term.match_fields:
                lacks = ~term_mask(nodes, NodeSelectorTerm(match_fields=(requirement,)))
                # A node's fields cannot be changed: every alternative that asks for none of them is nearer.
                number += MAX_REQUIREMENTS * self._lacks(lacks, requirement_text(requirement, field=True), of_term)
            if term.match_expressions or term.match_fields:
                nearer = number < least
                least = np.where(nearer, number, least)
                nearest = np.where(nearer, of_term, nearest)
        self.pattern |= nearest

    def _lacks(self, lacks: NDArray[np.bool_], text: str, pattern: NDArray[np.int64]) -> NDArray[np.bool_]:
        if text in self._texts:
            bit = self._texts.index(text)
        elif len(self._texts) < MAX_REQUIREMENTS:
            bit = len(self._texts)
            self._texts.append(text)
        else:
            return lacks
        pattern |= np.where(lacks, 1 << bit, 0)
        return lacks

    def texts(self, pattern: int) -> list[str]:
        """Return the requirements that a pattern stands for."""
        return [text for bit, text in enumerate(self._texts) if pattern >> bit & 1]
