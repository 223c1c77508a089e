"""Numbers and percentages, and selectors as messages show them: rules that several kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.validation.fields import Errors, check_non_negative, each_invalid, invalid, ordered
from orchestra.apiserver.validation.formats import percent

Document = Mapping[str, Any]
_EXPRESSION = ("key", "operator", "values")


def shown_selector(selector: Document | None) -> dict[str, Any] | None:
    """Return a label selector with its fields in the order in which messages show them."""
    if selector is None:
        return None
    shown: dict[str, Any] = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = [ordered(each, _EXPRESSION) for each in selector["matchExpressions"]]
    return shown


def check_int_or_percent(value: Any, path: str, errors: Errors) -> None:
    """Append the faults of a number or a percentage, neither of them negative."""
    if isinstance(value, str):
        each_invalid(path, value, percent(value), errors)
    else:
        check_non_negative(path, value, errors)


def amount_of(value: Any) -> int:
    """Return the number before a percent sign, or the number itself; 0 for what is neither."""
    text = str(0 if value is None else value).removesuffix("%")
    return int(text) if text.lstrip("-").isdecimal() else 0


def check_not_above_all(value: Any, path: str, errors: Errors) -> None:
    """Append a fault when a percentage is more than everything."""
    if isinstance(value, str) and not percent(value) and amount_of(value) > 100:
        errors.append(invalid(path, value, "must not be greater than 100%"))
