"""What is said of a patch whose result does not have the shape of its kind: Kubernetes shows the result, or the patch.

Of a JSON or merge patch it shows the whole patched document, as Go would write it: members in alphabetical order where
the patch has been, in their declared order elsewhere. Of a strategic patch it shows the patch. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from orchestra.api.fields import fields_of
from orchestra.api.object import Struct
from orchestra.apiserver import refusals
from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.defaults.canonical import declared_type, presented
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import Invalid

Document = dict[str, Any]

_UNMARSHAL = re.compile(r"json: cannot unmarshal (\w+) into Go struct field (?:.*) of type (.*)")
_SOURCES = {"object": "map", "array": "slice", "number": "int64"}
_PART = re.compile(r"\d+|\D+")


def misfit(patch: Patch, old: Document, new: Document, cls: type[Struct], why: str) -> Invalid:
    """Return the refusal of a patch that made `new` of `old`."""
    if patch.type is PatchType.STRATEGIC:
        from orchestra.api.strategic import go_text

        return refusals.patch_misfit(go_text(patch.body), _of_conversion(why))
    shown = dumps(_as_written(new, old, cls)).decode()
    return refusals.patch_misfit(shown, why)


def in_patch_order(paths: Iterable[str]) -> list[str]:
    """Return the paths of fields in the order in which a patched document, whose members are sorted, is read."""
    return sorted(paths, key=_natural)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in _PART.findall(text)]


def _of_conversion(why: str) -> str:
    """Return what the conversion of a patched map says where the decoder of JSON says `why`."""
    found = _UNMARSHAL.fullmatch(why)
    if found is None:
        return why
    source, wanted = _SOURCES.get(found[1], found[1]), found[2]
    if wanted.startswith("[]"):
        return f"cannot restore slice from {source}"
    if wanted.startswith("map["):
        return f"cannot restore map from {source}"
    return f"cannot restore struct from: {source}" if "." in wanted else f"unrecognized type: {wanted}"


def _as_written(new: Any, old: Any, annotation: Any) -> Any:
    declared = declared_type(annotation)
    cls = declared if isinstance(declared, type) and issubclass(declared, Struct) else None
    if new is old or not isinstance(new, dict | list):
        return _in_declared_order(new, declared)
    if isinstance(new, list):
        item = get_args(declared)[0] if get_origin(declared) is tuple else None
        was = old if isinstance(old, list) else []
        return [_as_written(each, was[at] if at < len(was) else None, item) for at, each in enumerate(new)]
    whole = new if cls is None or old is None else presented(new, cls)
    fields = {} if cls is None else fields_of(cls)
    before = old if isinstance(old, dict) else {}
    if cls is not None and old is not None:
        before = {**presented(before, cls), **before}
    return {
        name: _as_written(new[name], before.get(name), fields[name].type if name in fields else None)
        if name in new
        else whole[name]
        for name in sorted(whole)
    }


def _in_declared_order(value: Any, annotation: Any) -> Any:
    declared = declared_type(annotation)
    if isinstance(value, list | tuple):
        item = get_args(declared)[0] if get_origin(declared) is tuple else None
        return [_in_declared_order(each, item) for each in value]
    if not isinstance(value, dict):
        return value
    if not (isinstance(declared, type) and issubclass(declared, Struct)):
        return {name: _in_declared_order(value[name], None) for name in sorted(value, key=_natural)}
    whole, fields = presented(value, declared), fields_of(declared)
    known = [name for name in fields if name in whole]
    return {name: _in_declared_order(whole[name], fields[name].type) for name in known} | {
        name: whole[name] for name in whole if name not in fields
    }
