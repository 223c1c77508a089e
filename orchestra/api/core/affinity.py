"""Where a Pod wants to be: near, far from, or on what."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from orchestra.api.meta import LabelSelector
from orchestra.api.object import Struct, declared, freeze_fields, int32, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSelectorRequirement(Struct):
    """One requirement on a node's labels or fields: In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str = ""
    operator: str = declared("", go="v1.NodeSelectorOperator")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSelectorTerm(Struct):
    """Requirements that must all hold; a term without any matches no node."""

    atomic: ClassVar[bool] = True

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSelector(Struct):
    """Terms of which at least one must match."""

    atomic: ClassVar[bool] = True

    node_selector_terms: tuple[NodeSelectorTerm, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PreferredSchedulingTerm(Struct):
    """A wish for nodes that match, with a weight from 1 to 100."""

    weight: int = int32(0)
    preference: NodeSelectorTerm = NodeSelectorTerm()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeAffinity(Struct):
    """Which nodes a Pod must and would like to run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodAffinityTerm(Struct):
    """Pods, and the node label whose equal values count as one place."""

    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    topology_key: str = ""
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class WeightedPodAffinityTerm(Struct):
    """A wish about other Pods, with a weight from 1 to 100."""

    weight: int = int32(0)
    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodAffinity(Struct):
    """Which Pods this one must and would like to be near."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodAntiAffinity(Struct):
    """Which Pods this one must and would like to be away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Affinity(Struct):
    """All of a Pod's affinities."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Toleration(Struct):
    """Lets a Pod onto nodes with matching taints; no `key` with operator Exists tolerates every taint."""

    key: str = omit_empty()
    operator: str = omit_empty(go="v1.TolerationOperator")
    value: str = omit_empty()
    effect: str = omit_empty(go="v1.TaintEffect")
    toleration_seconds: int | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TopologySpreadConstraint(Struct):
    """How unevenly Pods may lie over the values of a node label."""

    max_skew: int = int32(0)
    topology_key: str = ""
    when_unsatisfiable: str = declared("", go="v1.UnsatisfiableConstraintAction")
    label_selector: LabelSelector | None = None
    min_domains: int | None = int32()
    node_affinity_policy: str | None = declared(go="v1.NodeInclusionPolicy")
    node_taints_policy: str | None = declared(go="v1.NodeInclusionPolicy")
    match_label_keys: tuple[str, ...] = ()
