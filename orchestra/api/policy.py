"""How many Pods may be missing on purpose: policy/v1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.meta import Condition, LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDisruptionBudgetSpec(Struct):
    """How many of the selected Pods must stay, or how many may be missing; numbers or percentages."""

    min_available: int | str | None = None
    selector: LabelSelector | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = declared(go="v1.UnhealthyPodEvictionPolicyType")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDisruptionBudgetStatus(Struct):
    """How many Pods may be evicted now; `disrupted_pods` are those whose eviction was allowed and is under way."""

    observed_generation: int = omit_empty(0)
    disrupted_pods: Mapping[str, datetime] = ABSENT_MAP
    disruptions_allowed: int = int32(0)
    current_healthy: int = int32(0)
    desired_healthy: int = int32(0)
    expected_pods: int = int32(0)
    conditions: tuple[Condition, ...] = list_map("type")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EvictionPreconditions(Struct):
    """What must be true of a Pod for it to be evicted."""

    uid: str | None = declared(go="types.UID")
    resource_version: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EvictionOptions(Struct):
    """How a Pod that may go is deleted (metav1.DeleteOptions)."""

    kind: str = omit_empty()
    api_version: str = omit_empty()
    grace_period_seconds: int | None = None
    preconditions: EvictionPreconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = declared(go="v1.DeletionPropagation")
    dry_run: tuple[str, ...] = ()


@resource(builtin.EVICTION)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Eviction(Object):
    """Asks for the Pod of its name to go, if the disruption budget over it allows that. It is written, never stored."""

    delete_options: EvictionOptions | None = None


@resource(builtin.POD_DISRUPTION_BUDGET)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDisruptionBudget(Object):
    """Limits how many of the Pods that a selector matches are down at one time by somebody's will."""

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
