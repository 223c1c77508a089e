"""What Go's JSON decoder says of text that is no JSON: one of the few messages of Kubernetes that quote it."""

from __future__ import annotations

import json
import re

_LITERALS = {"t": "true", "f": "false", "n": "null"}
_STRING_ESCAPES = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')


def json_error(content: bytes) -> str:
    """Return why `content` is not JSON, in the words of Go's decoder; empty when it is."""
    text = content.decode("utf-8", "replace")
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else 0
        return _explain(text, position)
    return ""


def _refuse(name: str) -> None:
    raise json.JSONDecodeError("constant", name, 0)


def _quoted(char: str) -> str:
    return {"'": r"'\''", '"': "'\"'"}.get(char, f"'{char}'")


def _explain(text: str, position: int) -> str:
    rest = text[position:]
    if not rest.strip():
        return "unexpected end of JSON input"
    char = rest[0]
    literal = _LITERALS.get(char)
    if literal is not None and not rest.startswith(literal):
        for wanted, found in zip(literal[1:], rest[1:], strict=False):
            if wanted != found:
                return f"invalid character {_quoted(found)} in literal {literal} (expecting {_quoted(wanted)})"
        return "unexpected end of JSON input"
    before = text[:position].rstrip()
    if not before:
        return f"invalid character {_quoted(char)} looking for beginning of value"
    places = {
        "{": "looking for beginning of object key string",
        ":": "looking for beginning of value",
        "[": "looking for beginning of value",
        ",": "looking for beginning of object key string" if _in_object(before) else "looking for beginning of value",
    }
    place = places.get(before[-1])
    if place is None:
        place = "after object key:value pair" if _in_object(before) else "after top-level value"
    return f"invalid character {_quoted(char)} {place}"


def _in_object(before: str) -> bool:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", _STRING_ESCAPES.sub("", before))
    return bare.count("{") > bare.count("}")
