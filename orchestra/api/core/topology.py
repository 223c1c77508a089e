"""Which topology a volume may be in."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from orchestra.api.object import Struct, declared, freeze_fields


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TopologySelectorLabelRequirement(Struct):
    """The values that a label of the topology may have."""

    key: str = ""
    values: tuple[str, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TopologySelectorTerm(Struct):
    """One topology; every requirement must hold."""

    atomic: ClassVar[bool] = True

    match_label_expressions: tuple[TopologySelectorLabelRequirement, ...] = ()
