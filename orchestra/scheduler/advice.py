"""Which change would make a Pod fit: the few nodes that lack the least, and what they lack. Pure.

Every filter has answered for every node, so a node's distance is the number of plugins that refuse it. Of the nearest
nodes those with the same lacks are told of together; where resources lack, the node with the smallest shortfall is.
A plugin of one's own says what would help it with a method `advise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.diagnosis import Advice, Change
from orchestra.api.quantity import Quantity
from orchestra.api.rules.taints import untolerated
from orchestra.scheduler.diagnosis import distinct
from orchestra.scheduler.interface import ByCode, Rejections
from orchestra.scheduler.lacking import OF_FIELD, Requirements, taint_text
from orchestra.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS
from orchestra.scheduler.view import Nodes

if TYPE_CHECKING:
    from orchestra.scheduler.diagnosis import Diagnosis
    from orchestra.scheduler.noderow import NodeRow
    from orchestra.scheduler.nodetable import NodeTable
    from orchestra.scheduler.podinfo import PodInfo
    from orchestra.scheduler.profile import Profile

MAX_ADVICE: Final = 5
"""Pieces of advice on one Pod."""
MAX_NAMES: Final = 5
"""Nodes that one piece of advice names."""
MAX_SETS: Final = 8
"""Sets of plugins that are looked at when many combinations of them refuse nodes."""
MAX_LOOKED_AT: Final = 64
"""Nodes for which a plugin of one's own is asked one by one."""
MAX_TEXT: Final = 256
"""Characters of what a plugin of one's own says."""
ENFORCED: Final = "node(s) didn't match scheduler-enforced node affinity"
"""NodeAffinity's word for nodes that the profile rules out for every Pod."""

Rows: TypeAlias = NDArray[np.intp]
Groups: TypeAlias = Iterable[tuple[tuple[Change, ...], Rows]]


@runtime_checkable
class AdvisingPlugin(Protocol):
    """Extra power of a Filter: says what would make it accept a node that it refuses."""

    def advise(self, pod: PodInfo, node: NodeRow) -> str:
        """Return the change in a few words, such as `run it without a GPU`; empty: there is none."""
        ...


@attrs.frozen(eq=False)
class _Case:
    """What is looked at: a Pod that fits nowhere, on the table as it was when it was tried."""

    pod: PodInfo
    table: NodeTable
    diagnosis: Diagnosis
    plugins: dict[str, Any]


def advise(diagnosis: Diagnosis, pod: PodInfo, table: NodeTable, profile: Profile) -> tuple[Advice, ...]:
    """Return what would make a Pod fit, least first; `table` must be as it was for the diagnosis."""
    if diagnosis.pre_filter is not None or len(diagnosis.feasible_rows) or not diagnosis.node_count:
        return ()
    case = _Case(pod, table, diagnosis, {plugin.name: plugin for plugin in profile.filters})
    found: list[Advice] = []
    for refusing, rows in _nearest(diagnosis):
        # Resources last: of the nodes that are alike in all else the one that lacks least is chosen.
        names = sorted(refusing, key=lambda name: name == "NodeResourcesFit")
        found += [
            Advice(changes=changes, count=len(same), nodes=tuple(diagnosis.names[row] for row in same[:MAX_NAMES]))
            for changes, same in islice(_refined(case, names, rows), MAX_ADVICE)
        ]
    found.sort(key=lambda advice: (any(c.action == "Other" for c in advice.changes), -advice.count))
    return tuple(found[:MAX_ADVICE])


def _nearest(diagnosis: Diagnosis) -> Iterator[tuple[tuple[str, ...], Rows]]:
    """Yield the sets of plugins that refuse the nodes which the fewest refuse, with the rows of each set."""
    refused = [(part.plugin, part.rejections.codes != 0) for part in diagnosis.filters]
    refused = [(plugin, mask) for plugin, mask in refused if mask.any()]
    if diagnosis.considered is not None:
        refused.append((diagnosis.left_out[0], ~diagnosis.considered))
    number = np.zeros(len(diagnosis.names), dtype=np.int64)
    pattern = np.zeros(len(diagnosis.names), dtype=np.int64)
    for position, (_, mask) in enumerate(refused[:62]):
        number += mask
        pattern |= mask.astype(np.int64) << position
    rows = np.flatnonzero(diagnosis.active)
    rows = rows[number[rows] == number[rows].min()]
    patterns, counts = distinct(pattern[rows])
    for which in patterns[np.argsort(-counts, kind="stable")][:MAX_SETS].tolist():
        names = dict.fromkeys(name for position, (name, _) in enumerate(refused[:62]) if which >> position & 1)
        yield tuple(names), rows[pattern[rows] == which]


def _refined(case: _Case, names: list[str], rows: Rows) -> Iterator[tuple[tuple[Change, ...], Rows]]:
    """Yield the changes that all of the plugins want, with the rows that want just these."""
    if not names:
        yield (), rows
        return
    for changes, same in _LACKING.get(names[0], _of_plugin)(case, names[0], rows):
        for more, those in _refined(case, names[1:], same):
            yield (*changes, *more), those


def _grouped(keys: NDArray[np.int64] | NDArray[np.int32], rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield the rows of each key, the most frequent key first."""
    values, counts = distinct(keys)
    for value in values[np.argsort(-counts, kind="stable")].tolist():
        yield value, rows[keys == value]


# -- what the plugins lack


def _resources(case: _Case, name: str, rows: Rows) -> Groups:
    """Return the node that lacks least, relative to what the Pod asks for, with all that lack just the same."""
    nodes = Nodes(case.table, rows)
    shortfalls = {
        resource: np.maximum(wanted - (nodes.allocatable(resource) - nodes.requested(resource)), 0)
        for resource, wanted in case.pod.requests.amounts
    }
    crowd = np.maximum(nodes.pod_count + 1 - nodes.pod_limit, 0)
    distance = crowd.astype(np.float64)
    for resource, wanted in case.pod.requests.amounts:
        distance += shortfalls[resource] / max(wanted, 1)
    best = int(np.argmin(distance))
    same = crowd == crowd[best]
    changes = []
    for resource, missing in shortfalls.items():
        same &= missing == missing[best]
        if missing[best]:
            amount = amount_text(resource, int(missing[best]))
            text = f"{amount} more {resource} free on the node, or as much less asked for"
            changes.append(Change(action="Resource", plugin=name, text=text, resource=resource, amount=amount))
    if crowd[best]:
        amount = str(int(crowd[best]))
        text = f"room for {amount} more Pods than the node's limit of {int(nodes.pod_limit[best])}"
        changes.append(Change(action="Resource", plugin=name, text=text, resource=PODS, amount=amount))
    if not changes:
        text = "room that is not kept for more important Pods"
        changes.append(Change(action="Other", plugin=name, text=text))
    yield tuple(changes), rows[same]


def amount_text(resource: str, amount: int) -> str:
    """Return an amount in the units of the node table as people write it."""
    if resource == CPU:
        return str(Quantity.from_milli(amount))
    if resource in (MEMORY, EPHEMERAL_STORAGE) or resource.startswith("hugepages-"):
        return str(Quantity.from_bytes(amount))
    return str(amount)


def _taints(case: _Case, name: str, rows: Rows) -> Groups:
    for number, same in _grouped(case.table.taint_set[rows], rows):
        texts = [
            taint_text(taint)
            for taint in case.table.taints.values[number]
            if untolerated((taint,), case.pod.tolerations) is not None
        ]
        yield (
            tuple(Change(action="Tolerate", plugin=name, text=f"tolerate the taint {t}", taint=t) for t in texts),
            same,
        )


def _labels(case: _Case, name: str, rows: Rows) -> Groups:
    """Tell nodes apart by the Pod's requirements that they lack, and by whether the profile's own are what refuses."""
    for code, same_code in _grouped(_rejections(case, name).codes[rows], rows):
        if code and ENFORCED in _rejections(case, name).explain(code).reasons:
            yield (_unknown(case, name, int(same_code[0])),), same_code
            continue
        lacking = Requirements(Nodes(case.table, same_code), case.pod)
        for number, same in _grouped(lacking.pattern, same_code):
            changes = tuple(_change_for(text, name) for text in lacking.texts(number))
            yield changes or (_unknown(case, name, int(same[0])),), same


def _rejections(case: _Case, name: str) -> Rejections:
    """Return what a plugin's Filter said of all rows; nothing when it only narrowed the nodes before."""
    found = (part.rejections for part in case.diagnosis.filters if part.plugin == name)
    nothing = Rejections(np.zeros(len(case.diagnosis.names), dtype=np.int64), ByCode(()))
    return next(found, nothing)


def _cordon(_case: _Case, name: str, rows: Rows) -> Groups:
    yield (Change(action="Uncordon", plugin=name, text="uncordon the node"),), rows


def _ports(case: _Case, name: str, rows: Rows) -> Groups:
    """Tell nodes apart by which of the Pod's ports are taken there."""
    users = case.table.port_users
    taken = np.zeros(len(rows), dtype=np.int64)
    position_of = {int(row): position for position, row in enumerate(rows)}
    wanted = list(dict.fromkeys((protocol, number) for _, protocol, number in case.pod.ports))[:62]
    for bit, port in enumerate(wanted):
        for row in users.get(port, ()):
            if row in position_of:
                taken[position_of[row]] |= 1 << bit
    for which, same in _grouped(taken, rows):
        ports = [f"{number}/{protocol}" for bit, (protocol, number) in enumerate(wanted) if which >> bit & 1]
        yield (
            tuple(Change(action="Port", plugin=name, text=f"the host port {port} free", port=port) for port in ports),
            same,
        )


def _spread(case: _Case, name: str, rows: Rows) -> Groups:
    nodes = Nodes(case.table, rows)
    hard = [constraint for constraint in case.pod.spread_constraints if constraint.hard][:62]
    missing = np.zeros(len(rows), dtype=np.int64)
    for bit, constraint in enumerate(hard):
        missing |= np.where(nodes.has_label(constraint.topology_key), 0, 1 << bit)
    for which, same in _grouped(missing, rows):
        keys = [constraint.topology_key for bit, constraint in enumerate(hard) if which >> bit & 1]
        if keys:
            texts = [f"the node label {key}, which Pods are spread over" for key in dict.fromkeys(keys)]
        else:
            limits = ", ".join(f"{c.max_skew} for {c.topology_key}" for c in hard)
            texts = [f"fewer matching Pods near the node, more elsewhere, or a larger maxSkew (now {limits})"]
        yield tuple(Change(action="Other", plugin=name, text=text) for text in texts), same


_AFFINITY_TEXTS: Final = {
    "node(s) didn't match pod affinity rules": "a Pod near the node that the Pod's affinity asks for",
    "node(s) didn't match pod anti-affinity rules": "no Pod near the node that the Pod's anti-affinity keeps away from",
    "node(s) didn't satisfy existing pods anti-affinity rules": (
        "no Pod near the node whose anti-affinity keeps this Pod away"
    ),
}


def _affinity(case: _Case, name: str, rows: Rows) -> Groups:
    rejections = _rejections(case, name)
    for code, same in _grouped(rejections.codes[rows], rows):
        reason = rejections.explain(code).reasons[0]
        yield (Change(action="Other", plugin=name, text=_AFFINITY_TEXTS.get(reason, f"an end to: {reason}")),), same


def _of_plugin(case: _Case, name: str, rows: Rows) -> Groups:
    """Ask a plugin that has something to say, for each node; repeat the reasons of one that has not."""
    plugin = case.plugins.get(name)
    if not isinstance(plugin, AdvisingPlugin):
        rows_of: dict[str, list[int]] = {}
        for row in rows[:MAX_LOOKED_AT].tolist():
            rows_of.setdefault(_unknown(case, name, row).text, []).append(row)
    else:
        rows_of = {}
        for row in rows[:MAX_LOOKED_AT].tolist():
            text = plugin.advise(case.pod, case.table.rows[row]) or _unknown(case, name, row).text
            rows_of.setdefault(text, []).append(row)
    for text, same in rows_of.items():
        yield (Change(action="Other", plugin=name, text=text[:MAX_TEXT]),), np.array(same, dtype=np.intp)


def _unknown(case: _Case, name: str, row: int) -> Change:
    """Return the change that is known only by what it must end."""
    text = f"an end to: {', '.join(_reasons(case, name, row)) or 'being left out'}"
    return Change(action="Other", plugin=name, text=text[:MAX_TEXT])


def _reasons(case: _Case, name: str, row: int) -> tuple[str, ...]:
    rejections = _rejections(case, name)
    code = int(rejections.codes[row])
    return rejections.explain(code).reasons if code else ()


_LACKING: Final[dict[str, Callable[[_Case, str, Rows], Groups]]] = {
    "NodeResourcesFit": _resources,
    "TaintToleration": _taints,
    "NodeAffinity": _labels,
    "NodeUnschedulable": _cordon,
    "NodePorts": _ports,
    "PodTopologySpread": _spread,
    "InterPodAffinity": _affinity,
}
"""The built-in filters by name; a plugin of that name in their place should lack the same."""


def _change_for(requirement: str, plugin: str) -> Change:
    """Return the change for one requirement that a node does not fulfil; nothing can be done about its name."""
    if requirement.startswith(OF_FIELD):
        return Change(action="Other", plugin=plugin, text=f"a node that fulfils {requirement}")
    return Change(action="Label", plugin=plugin, text=f"node labels that fulfil {requirement}", label=requirement)
