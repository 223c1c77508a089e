"""Label selectors: which objects are meant, by their labels.

Two forms of the same: the text that people type (`app=web,tier!=cache,zone in (a,b),!canary`) and the LabelSelector
that objects carry (`matchLabels`, `matchExpressions`). An empty selector matches everything, an absent LabelSelector
matches nothing. Grammar and wording follow apimachinery `pkg/labels`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, NoReturn

import attrs

from orchestra.api.labels import label_key_errors, label_value_errors
from orchestra.errors import BadRequest, Cause


class Operator(StrEnum):
    """How a requirement relates a label to its values."""

    EQUALS = "="
    DOUBLE_EQUALS = "=="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER = ">"
    LESS = "<"


_ONE_OF = frozenset({Operator.EQUALS, Operator.DOUBLE_EQUALS, Operator.IN})
_NONE_OF = frozenset({Operator.NOT_EQUALS, Operator.NOT_IN})
_ORDERED = frozenset({Operator.GREATER, Operator.LESS})
_BINARY = "in, notin, =, ==, !=, gt, lt"
_INTEGER = re.compile(r"[+-]?[0-9]+")


def _integer(text: str) -> int | None:
    value = int(text) if _INTEGER.fullmatch(text) and len(text) <= 20 else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


@attrs.frozen
class Requirement:
    """One condition on the label `key`; `values` are sorted and distinct."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet this condition."""
        value = labels.get(self.key)
        if self.operator in _ONE_OF:
            return value in self.values
        if self.operator in _NONE_OF:
            return value not in self.values
        if self.operator is Operator.EXISTS:
            return value is not None
        if self.operator is Operator.DOES_NOT_EXIST:
            return value is None
        have, want = _integer(value) if value is not None else None, _integer(self.values[0])
        if have is None or want is None:
            return False
        return have > want if self.operator is Operator.GREATER else have < want

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{self.operator}{self.values[0]}"


@attrs.frozen
class Selector:
    """All of `requirements` at once; with none of them it matches everything, unless `nothing` is set."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _pairs: tuple[tuple[str, str], ...] = attrs.field(init=False, eq=False, repr=False)
    _others: tuple[Requirement, ...] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Labels that must have one value are most of what is ever asked for, for every object of a list.
        pairs = tuple((r.key, r.values[0]) for r in self.requirements if r.operator in _ONE_OF and len(r.values) == 1)
        others = tuple(r for r in self.requirements if r.operator not in _ONE_OF or len(r.values) != 1)
        object.__setattr__(self, "_pairs", pairs)
        object.__setattr__(self, "_others", others)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether an object with these labels is meant."""
        if self.nothing:
            return False
        for key, value in self._pairs:
            if labels.get(key) != value:
                return False
        for requirement in self._others:  # noqa: SIM110 - a plain loop is twice as fast, and lists run it per object
            if not requirement.matches(labels):
                return False
        return True

    @property
    def empty(self) -> bool:
        """Whether it restricts nothing."""
        return not self.requirements and not self.nothing

    def exact(self, key: str) -> str | None:
        """Return the one value that label `key` must have, or None when it may have several or is not asked for."""
        for requirement in self.requirements:
            if requirement.key == key and requirement.operator in _ONE_OF and len(requirement.values) == 1:
                return requirement.values[0]
        return None

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
"""Matches every object."""

NOTHING = Selector(nothing=True)
"""Matches no object."""


def selector_from_labels(labels: Mapping[str, str]) -> Selector:
    """Return the selector of objects that have all of these labels; the values are not checked."""
    return Selector(tuple(Requirement(key, Operator.EQUALS, (labels[key],)) for key in sorted(labels)))


@lru_cache(maxsize=1024)
def parse_selector(text: str) -> Selector:
    """Return the selector that `text` states; raises BadRequest worded as the API server words it."""
    return _Parser(text).parse()


_TOKENS = re.compile(r"==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">", ""})


class _Parser:
    """Reads tokens from left to right; the empty word is the end."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*_TOKENS.findall(text), ""]
        self._at = 0

    def parse(self) -> Selector:
        found: list[Requirement] = []
        while word := self._peek():
            if word in _SYMBOLS and word != "!":
                raise BadRequest(f"found '{word}', expected: !, identifier, or 'end of string'")
            found.append(self._requirement())
            word = self._next()
            if not word:
                break
            if word != ",":
                raise BadRequest(f"found '{word}', expected: ',' or 'end of string'")
            following = self._peek()
            if following in _SYMBOLS and following != "!":
                raise BadRequest(f"found '{following}', expected: identifier after ','")
        return Selector(tuple(sorted(found, key=lambda requirement: requirement.key)))

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        word = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return word

    def _requirement(self) -> Requirement:
        key = self._next()
        negated = key == "!"
        if negated:
            key = self._next()
        if key in _SYMBOLS:
            _refuse(f"found '{key}', expected: identifier")
        if errors := label_key_errors(key):
            _refuse(f"<nil>: Invalid value: {_quote(key)}: {'; '.join(errors)}")
        if negated:
            return Requirement(key, Operator.DOES_NOT_EXIST)
        if self._peek() in ("", ","):
            return Requirement(key, Operator.EXISTS)
        word = self._next()
        if word in ("in", "notin"):
            values = self._values()
        elif word in ("=", "==", "!=", "<", ">"):
            values = {self._value()}
        else:
            _refuse(f"found '{word}', expected: {_BINARY}")
        operator = Operator(word)
        faults = _value_faults(key, operator, ordered := sorted(values))
        if faults:
            _refuse(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
        return Requirement(key, operator, tuple(ordered))

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        word = self._next()
        if word in _SYMBOLS:
            _refuse(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> set[str]:
        """Read a parenthesised list; every empty place in it stands for the empty string, `()` too."""
        word = self._next()
        if word != "(":
            _refuse(f"found '{word}' expected: '('")
        word = self._peek()
        if word == ")":
            self._next()
            return {""}
        if word in _SYMBOLS and word != ",":
            _refuse(f"found '{word}', expected: ',', ')' or identifier")
        values: set[str] = set()
        while True:
            word = self._next()
            following = self._peek()
            if word not in _SYMBOLS:
                values.add(word)
                if following not in (",", ")"):
                    _refuse(f"found '{following}', expected: ',' or ')'")
            elif word == ",":
                if not values or following in (",", ")"):
                    values.add("")
            else:
                _refuse(f"found '{word}', expected: ',', or identifier")
            if following == ")":
                self._next()
                return values


def _refuse(why: str) -> NoReturn:
    raise BadRequest(f"unable to parse requirement: {why}")


def _quote(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _value_faults(key: str, operator: Operator, values: Iterable[str]) -> list[str]:
    faults: list[str] = []
    for index, value in enumerate(values):
        if operator in _ORDERED and _integer(value) is None:
            why = "for 'Gt', 'Lt' operators, the value must be an integer"
            faults.append(f"values[{index}]: Invalid value: {_quote(value)}: {why}")
    for index, value in enumerate(values):
        if errors := label_value_errors(value):
            faults.append(f"values[{index}][{key}]: Invalid value: {_quote(value)}: {'; '.join(errors)}")
    return faults


_STRUCTURED = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


@attrs.frozen
class _Expression:
    key: str
    operator: str
    values: tuple[str, ...]


def _parts(selector: Any) -> tuple[Mapping[str, str], tuple[_Expression, ...]]:
    """Return the labels and expressions of a LabelSelector, be it the typed object or its document."""
    if isinstance(selector, Mapping):
        expressions = tuple(
            _Expression(item.get("key") or "", item.get("operator") or "", tuple(item.get("values") or ()))
            for item in selector.get("matchExpressions") or ()
        )
        return selector.get("matchLabels") or {}, expressions
    expressions = tuple(_Expression(e.key, e.operator, tuple(e.values)) for e in selector.match_expressions)
    return selector.match_labels, expressions


def label_selector(selector: Any) -> Selector:
    """Return the selector that a LabelSelector (typed or document) states: None selects nothing, an empty one all.

    Raises BadRequest when an expression has an unknown operator, or values that do not go with it.
    """
    if selector is None:
        return NOTHING
    labels, expressions = _parts(selector)
    found = list(selector_from_labels(labels).requirements)
    for expression in expressions:
        operator = _STRUCTURED.get(expression.operator)
        if operator is None:
            raise BadRequest(f'"{expression.operator}" is not a valid label selector operator')
        if operator in (Operator.IN, Operator.NOT_IN) and not expression.values:
            raise BadRequest("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
        if operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST) and expression.values:
            shown = _quote(list(expression.values))
            raise BadRequest(f"values: Invalid value: {shown}: values set must be empty for exists and does not exist")
        found.append(Requirement(expression.key, operator, tuple(sorted(set(expression.values)))))
    return Selector(tuple(sorted(found, key=lambda requirement: requirement.key)))


def label_selector_causes(selector: Any, path: str) -> tuple[Cause, ...]:
    """Return every fault of a LabelSelector (typed or document) that stands at the field `path`.

    Source: apimachinery `ValidateLabelSelector`.
    """
    if selector is None:
        return ()
    labels, expressions = _parts(selector)
    causes: list[Cause] = []

    def fault(reason: str, message: str, field: str) -> None:
        causes.append(Cause(reason=f"FieldValue{reason}", message=message, field=f"{path}.{field}"))

    for key, value in labels.items():
        for error in label_key_errors(key):
            fault("Invalid", f"Invalid value: {_quote(key)}: {error}", "matchLabels")
        for error in label_value_errors(value):
            fault("Invalid", f"Invalid value: {_quote(value)}: {error}", "matchLabels")
    for index, expression in enumerate(expressions):
        at = f"matchExpressions[{index}]"
        if expression.operator in ("In", "NotIn"):
            if not expression.values:
                why = "Required value: must be specified when `operator` is 'In' or 'NotIn'"
                fault("Required", why, f"{at}.values")
        elif expression.operator in ("Exists", "DoesNotExist"):
            if expression.values:
                why = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                fault("Forbidden", why, f"{at}.values")
        else:
            why = f"Invalid value: {_quote(expression.operator)}: not a valid selector operator"
            fault("Invalid", why, f"{at}.operator")
        for error in label_key_errors(expression.key):
            fault("Invalid", f"Invalid value: {_quote(expression.key)}: {error}", f"{at}.key")
        for position, value in enumerate(expression.values):
            for error in label_value_errors(value):
                fault("Invalid", f"Invalid value: {_quote(value)}: {error}", f"{at}.values[{position}]")
    return tuple(causes)
