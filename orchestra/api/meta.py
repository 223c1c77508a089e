"""Parts that kinds of every group share: label selectors and conditions (metav1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from attrs import frozen

from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LabelSelectorRequirement(Struct):
    """One requirement on labels: `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str = ""
    operator: str = declared("", go="v1.LabelSelectorOperator")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LabelSelector(Struct):
    """Which labels an object must have; every part must hold, and an empty selector matches everything."""

    atomic: ClassVar[bool] = True

    match_labels: Mapping[str, str] = ABSENT_MAP
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Condition(Struct):
    """One aspect of an object's state, as most kinds outside the core group report it."""

    type: str = ""
    status: str = declared("", go="v1.ConditionStatus")
    observed_generation: int = omit_empty(0)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = ""
    message: str = ""
