"""The bodies of requests: bytes and a media type in, a JSON value and what is doubtful about it out.

Two keys of one name are no error to a parser, so they are looked for here, for field validation to judge. Texts are
those of Kubernetes (apimachinery `runtime/serializer/json`, apiserver `endpoints/handlers/rest.go`). Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs
import orjson

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.validation.json_errors import json_error
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import BadRequest, DecodeError, UnsupportedMediaType

APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
YAML: Final = "application/yaml"
PATCH_TYPES: Final = (PatchType.JSON, PatchType.MERGE, PatchType.STRATEGIC)

_SUMMARY: Final = 30
"""How many bytes of a body that is no object an answer repeats."""

_YAML_FAULTS: Final = "yaml: unmarshal errors:\n"
_PATCH_MEMBERS: Final = frozenset({"op", "path", "from", "value"})
_NO_TYPE = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


@attrs.frozen
class Body:
    """What a body says. `faults` are for field validation: one text for each doubled key."""

    value: Any
    faults: tuple[str, ...] = ()


def object_body(content: bytes, media_type: str, info: ResourceInfo) -> Body:
    """Return the document of a kind; raises BadRequest for what is none and UnsupportedMediaType."""
    media = _media(media_type)
    if media not in (JSON, YAML):
        known = f"{JSON}, {YAML}, application/vnd.kubernetes.protobuf"
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {known}"
        )
    try:
        body = read_yaml(content) if media == YAML else read_json(content)
    except DecodeError as error:
        raise BadRequest(_unrecognized(content, info, error.message)) from None
    if body.value is None and info.module:
        return Body({})
    if not isinstance(body.value, dict):
        if body.value is None:
            raise BadRequest(_unrecognized(content, info, f"Object 'Kind' is missing in '{content.decode()}'"))
        why = f"json: cannot unmarshal {_word(body.value)} into Go value of type {_NO_TYPE}"
        raise BadRequest(_unrecognized(content, info, f"couldn't get version/kind; json parse error: {why}"))
    if not info.module:
        _check_custom(content, body.value, info)
    return body


def patch_body(content: bytes, media_type: str) -> tuple[Patch, tuple[str, ...]]:
    """Return a patch and what is doubtful about it; raises BadRequest and UnsupportedMediaType."""
    media = _media(media_type)
    if media not in PATCH_TYPES:
        known = ", ".join((*PATCH_TYPES, APPLY))
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {known}"
        )
    kind = PatchType(media)
    try:
        body = read_json(content)
    except DecodeError as error:
        why = error.message.rpartition("json parse error: ")[2]
        raise BadRequest(f"error decoding patch: {why}") from None
    if kind is PatchType.JSON:
        return Patch(kind, body.value), tuple(f"json patch {fault}" for fault in body.faults)
    return Patch(kind, body.value), body.faults


def json_patch_faults(operations: Any) -> Iterator[str]:
    """Yield a text for each member of an operation of a JSON patch that RFC 6902 does not know."""
    for index, operation in enumerate(operations if isinstance(operations, list) else ()):
        if isinstance(operation, dict):
            for name in operation:
                if name not in _PATCH_MEMBERS:
                    yield f'json patch unknown field "[{index}].{name}"'


def applied_body(content: bytes) -> Body:
    """Return the document of a server-side apply, which is YAML; raises BadRequest."""
    try:
        body = read_yaml(content)
    except DecodeError as error:
        raise BadRequest(f"error decoding YAML: error converting YAML to JSON: {error.message}") from None
    if body.value is not None and not isinstance(body.value, dict):
        why = f"json: cannot unmarshal {_word(body.value)} into Go value of type map[string]interface {{}}"
        raise BadRequest(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return attrs.evolve(body, value=body.value or {})


def options_body(content: bytes) -> Any:
    """Return the options that the body of a deletion states; None when there is no body."""
    if not content:
        return None
    try:
        return read_json(content).value
    except DecodeError as error:
        raise BadRequest(error.message) from None


def warning_texts(faults: Iterable[str]) -> Iterator[str]:
    """Yield the warnings that faults become: the YAML parser's, which are one fault together, by line."""
    for fault in faults:
        if fault.startswith(_YAML_FAULTS):
            yield from (line.strip() for line in fault.removeprefix(_YAML_FAULTS).splitlines())
        else:
            yield fault


def read_json(content: bytes) -> Body:
    """Return the value of a JSON text; raises DecodeError in the words of Go's decoder."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        why = json_error(content) or str(error)
        raise DecodeError(f"couldn't get version/kind; json parse error: {why}") from None
    # What is written again byte for byte has no key twice; everything else is read a second time.
    if orjson.dumps(value) == content or orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) == content:
        return Body(value)
    pairs = json.loads(content, object_pairs_hook=_Pairs)
    return Body(value, tuple(f'duplicate field "{path}"' for path in _doubled(pairs, "")))


def read_yaml(content: bytes) -> Body:
    """Return the value of the first document of a YAML text; raises DecodeError."""
    from orchestra.api.yaml_values import Builder, nodes_of

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DecodeError("yaml: invalid leading UTF-8 octet") from None
    node = next(iter(nodes_of(text)), None)
    if node is None:
        return Body(None)
    doubled: list[str] = []
    value = Builder(doubled).value(node)
    if not doubled:
        return Body(value)
    return Body(value, (_YAML_FAULTS + "\n".join(f"  {text}" for text in doubled),))


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, as they are written."""


def _doubled(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        told: set[str] = set()
        for name, part in value:
            inner = f"{path}.{name}" if path else name
            if name in seen and name not in told:
                told.add(name)
                yield inner
            seen.add(name)
            yield from _doubled(part, inner)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _doubled(part, f"{path}[{index}]")


def _media(text: str) -> str:
    media = text.partition(";")[0].strip().lower()
    return media or JSON


def _check_custom(content: bytes, value: dict[str, Any], info: ResourceInfo) -> None:
    if not value.get("kind"):
        text = re.sub(r"\s+$", "", content.decode(errors="replace"))
        raise BadRequest(_unrecognized(content, info, f"Object 'Kind' is missing in '{text}'"))
    version = value.get("apiVersion") or ""
    if version != info.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version ({info.api_version})"
        )


def _unrecognized(content: bytes, info: ResourceInfo, why: str) -> str:
    return f"the object provided is unrecognized (must be of type {info.kind}): {why} ({_summary(content)})"


def _summary(content: bytes) -> str:
    if not content:
        return "<empty>"
    part, rest = content[:_SUMMARY], " ..." if len(content) > _SUMMARY else ""
    return (part.decode(errors="replace") if content[:1] == b"{" else part.hex()) + rest


def _word(value: Any) -> str:
    return {str: "string", list: "array", bool: "bool", dict: "object"}.get(type(value), "number")
