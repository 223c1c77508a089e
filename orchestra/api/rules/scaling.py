"""Numbers that may be percentages, such as `maxSurge: 25%` (intstr.IntOrString)."""

from __future__ import annotations

from orchestra.errors import DecodeError


def scaled_value(value: int | str, total: int, *, round_up: bool) -> int:
    """Return `value` when it is a number, else that percentage of `total`, rounded up or down.

    Raises DecodeError for text that is no percentage.
    """
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    if digits == value or not digits.isascii() or not digits.removeprefix("-").isdigit():
        raise DecodeError(f"invalid value for IntOrString: invalid type: {value!r} is not a percentage")
    scaled = int(digits) * total
    return -(-scaled // 100) if round_up else scaled // 100
