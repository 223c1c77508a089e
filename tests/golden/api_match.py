"""Compares an answer with a recorded one: placeholders are variables, bound when they are first seen."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

PLACEHOLDER = re.compile(
    r"<(?:uid|rv|list-rv|continue|gen|ip|port)-\d+>|<(?:rv|bookmark-rv|token|time|gen|varies|age|continue)>"
)
NUMBERED = re.compile(r"<(?:uid|rv|list-rv|continue|gen|ip|port)-\d+>")


@attrs.define
class Variables:
    """What the placeholders of one scenario stand for; `namespace` is what NS stands for."""

    namespace: str
    bound: dict[str, str] = attrs.field(factory=dict)

    def fill(self, value: Any) -> Any:
        """Return a part of a request with its placeholders replaced; an unknown one becomes `1`, as it was sent."""
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        return NUMBERED.sub(lambda found: self.bound.get(found[0], "1"), self.named(value))

    def named(self, text: str) -> str:
        """Return a text with the namespace's name."""
        return re.sub(r"\bNS\b", self.namespace, text)


def differences(recorded: Any, actual: Any, variables: Variables, path: str = "") -> list[str]:
    """Return where `actual` is not what was recorded; binds placeholders on the way."""
    if isinstance(recorded, dict):
        if not isinstance(actual, dict):
            return [_said(path, recorded, actual)]
        found: list[str] = []
        names = {variables.named(key): key for key in recorded}
        for name in [*names, *(key for key in actual if key not in names)]:
            where = f"{path}.{name}" if path else name
            if name not in names:
                found.append(f"{where}: not recorded, is {_short(actual[name])}")
            elif name not in actual:
                found.append(f"{where}: missing, recorded {_short(recorded[names[name]])}")
            elif name == "causes":
                found += _unordered(recorded[names[name]], actual[name], variables, where)
            else:
                found += differences(recorded[names[name]], actual[name], variables, where)
        return found
    if isinstance(recorded, list):
        if not isinstance(actual, list) or len(recorded) != len(actual):
            return [_said(path, recorded, actual)]
        pairs = zip(recorded, actual, strict=True)
        return [d for number, (a, b) in enumerate(pairs) for d in differences(a, b, variables, f"{path}[{number}]")]
    if isinstance(recorded, str):
        return [] if _same_text(recorded, actual, variables) else [_said(path, variables.named(recorded), actual)]
    equal = type(recorded) is type(actual) and recorded == actual
    return [] if equal or _same_number(recorded, actual) else [_said(path, recorded, actual)]


def _same_number(recorded: Any, actual: Any) -> bool:
    kinds = {type(recorded), type(actual)}
    return kinds == {int, float} and recorded == actual


def _unordered(recorded: list[Any], actual: Any, variables: Variables, path: str) -> list[str]:
    """Compare causes in their order, and else as sets: the recorded order is that of a Go map in places."""
    found = differences(recorded, actual, variables, path) if not isinstance(recorded, list) else []
    if found or not isinstance(actual, list) or len(recorded) != len(actual):
        return found or [_said(path, recorded, actual)]
    left = list(actual)
    for number, item in enumerate(recorded):
        match = next((other for other in left if not differences(item, other, variables)), None)
        if match is None:
            return differences(item, actual[number], variables, f"{path}[{number}]") or [_said(path, recorded, actual)]
        left.remove(match)
    return []


def _same_text(recorded: str, actual: Any, variables: Variables) -> bool:
    if recorded == "<varies>":
        return isinstance(actual, str)
    if not isinstance(actual, str):
        return bool(PLACEHOLDER.fullmatch(recorded)) and _same_text(recorded, str(actual), variables)
    pattern, names = "", []
    end = 0
    for found in PLACEHOLDER.finditer(recorded):
        pattern += re.escape(variables.named(recorded[end : found.start()]))
        end = found.end()
        known = variables.bound.get(found[0])
        if known is not None:
            pattern += re.escape(known)
        else:
            pattern += "(.*)" if found[0] == "<varies>" else "(.+?)"
            names.append(found[0])
    pattern += re.escape(variables.named(recorded[end:]))
    match = re.fullmatch(pattern, actual, re.DOTALL)
    if match is None:
        return False
    for name, value in zip(names, match.groups(), strict=True):
        if NUMBERED.fullmatch(name):
            if variables.bound.setdefault(name, value) != value:
                return False
            if name.startswith(("<uid", "<rv", "<gen", "<ip", "<port")) and _taken(name, value, variables):
                del variables.bound[name]
                return False
    return True


def _taken(name: str, value: str, variables: Variables) -> bool:
    """Say whether another placeholder of the same sort has this value: different ones mean different values."""
    sort = name.rpartition("-")[0]
    return any(v == value and n != name and n.rpartition("-")[0] == sort for n, v in variables.bound.items())


def _said(path: str, recorded: Any, actual: Any) -> str:
    return f"{path}: recorded {_short(recorded)}, is {_short(actual)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 400 else text[:400] + "..."


def without_managed_fields(value: Any) -> Any:
    """Return an answer without managedFields."""
    if isinstance(value, dict):
        return {key: without_managed_fields(item) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list):
        return [without_managed_fields(item) for item in value]
    return value


def without_descriptions(body: Any) -> Any:
    """Return a table without the descriptions of its columns, which come from the API's documentation."""
    if isinstance(body, dict) and body.get("kind") == "Table":
        columns = [{k: v for k, v in c.items() if k != "description"} for c in body.get("columnDefinitions") or ()]
        return {**body, "columnDefinitions": columns}
    return body
