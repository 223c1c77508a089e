"""Why a Pod is where it is, or nowhere: what a scheduler tells about its latest attempt to place one.

It is the `diagnosis` subresource of a Pod, kept in the server's memory and nowhere else, and of bounded size: what
many nodes have in common is said once, with how many they are and some of their names.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from orchestra.api.object import MicroTime, Object, ResourceInfo, Struct, freeze_fields, omit_empty

POD_DIAGNOSIS: Final = ResourceInfo(
    group="orchestra.dev", version="v1", kind="PodDiagnosis", plural="poddiagnoses", singular="poddiagnosis"
)

PLACED: Final = "Placed"
"""A node was chosen; binding follows."""
UNSCHEDULABLE: Final = "Unschedulable"
"""No node can run the Pod now."""
REFUSED: Final = "Refused"
"""A node was chosen, and a plugin of Reserve or Permit refused."""
WAITING: Final = "Waiting"
"""A node was chosen and its room is held; a Permit plugin keeps the Pod waiting."""
GATED: Final = "Gated"
"""Not tried: a PreEnqueue plugin holds the Pod back."""
FAILED: Final = "Failed"
"""A plugin failed, or binding did."""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PluginScore(Struct):
    """What one Score plugin said of one node; `weighted` is `normalized` times `weight`."""

    plugin: str = ""
    weight: int = 1
    raw: int = 0
    normalized: int = 0
    weighted: int = 0


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeScore(Struct):
    """How one node was rated. Without `plugins` it was the only one that could run the Pod."""

    node: str = ""
    total: int = 0
    plugins: tuple[PluginScore, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeRefusal(Struct):
    """Why `count` nodes were refused, and by which plugin first; `nodes` are the names of some of them."""

    plugin: str = ""
    reasons: tuple[str, ...] = ()
    count: int = 0
    nodes: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Change(Struct):
    """One change that would make a plugin accept a node; `text` says it, `action` and the rest say it to programs.

    Resource: `amount` more of `resource` free on the node; `pods` is the number of Pods that it may have. Tolerate: a
    toleration for `taint`. Label: a node label as the requirement `label` wants it. Uncordon: the node is to take Pods
    again. Port: the host port `port` free. Other: what `text` says, which need not be enough.
    """

    action: str = ""
    plugin: str = ""
    text: str = ""
    resource: str = omit_empty()
    amount: str = omit_empty()
    taint: str = omit_empty()
    label: str = omit_empty()
    port: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Advice(Struct):
    """Changes of Pod or cluster that, all made, let the Pod run on any of `count` nodes, some named in `nodes`."""

    changes: tuple[Change, ...] = ()
    count: int = 0
    nodes: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Preemption(Struct):
    """What became of the try to make room: on `node` by evicting `count` Pods, some named in `victims`, or nothing."""

    node: str = omit_empty()
    count: int = 0
    victims: tuple[str, ...] = ()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Retry(Struct):
    """When the Pod is tried again: after one of `events`, but not before `not_before`, and by `at_latest` anyway."""

    events: tuple[str, ...] = ()
    not_before: MicroTime | None = None
    at_latest: MicroTime | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDiagnosis(Object):
    """One attempt to place a Pod; `metadata` has the Pod's name, namespace and uid.

    `node` is the one that was chosen; the best of `feasible` among `nodes` nodes, `ties` of them equally good.
    `scores` begins with it, and goes on with the best others. `refusals` are the most frequent first; those beyond the
    bound are counted in `refused_otherwise`.
    """

    resource_info = POD_DIAGNOSIS

    scheduler: str = ""
    outcome: str = ""
    message: str = omit_empty()
    attempt: int = omit_empty(0)
    waiting_since: MicroTime | None = None
    attempted_at: MicroTime | None = None
    node: str = omit_empty()
    nodes: int = 0
    feasible: int = 0
    ties: int = omit_empty(0)
    scores: tuple[NodeScore, ...] = ()
    refusals: tuple[NodeRefusal, ...] = ()
    refused_otherwise: int = omit_empty(0)
    advice: tuple[Advice, ...] = ()
    preemption: Preemption | None = None
    retry: Retry | None = None
