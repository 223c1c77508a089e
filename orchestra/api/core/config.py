"""Configuration that lives apart from the containers that read it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, freeze_fields, omit_empty, resource


@resource(builtin.CONFIG_MAP)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMap(Object):
    """Texts (`data`) and bytes (`binary_data`) by name."""

    immutable: bool | None = None
    data: Mapping[str, str] = ABSENT_MAP
    binary_data: Mapping[str, bytes] = ABSENT_MAP


@resource(builtin.SECRET)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Secret(Object):
    """Bytes by name, in base64 on the wire; `string_data` is written as text and never read back."""

    immutable: bool | None = None
    data: Mapping[str, bytes] = ABSENT_MAP
    string_data: Mapping[str, str] = ABSENT_MAP
    type: str = omit_empty(go="v1.SecretType")
