"""Cluster states from what others have written down: `kubectl get -o json` and -o yaml, and manifests.

A file is JSON or YAML, one document or many, lists of every kind among them. Whatever is wrong is told with the file,
the object and the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from orchestra.api.apps import ReplicaSet
from orchestra.api.codec import decode
from orchestra.api.core.pod import Pod
from orchestra.api.manifest import MAX_MANIFEST_BYTES, read_manifests
from orchestra.api.object import Object
from orchestra.api.policy import PodDisruptionBudget
from orchestra.api.selectors import label_selector
from orchestra.errors import BadRequest, DecodeError
from orchestra.scheduler.clusterstate import STATE_KINDS, ClusterState

MAX_STATE_BYTES: Final = 1024 * 1024 * 1024
"""The largest file that is read: 100,000 Pods as kubectl prints them are about half of it."""
MAX_YAML_BYTES: Final = 128 * 1024 * 1024
"""The largest YAML file that is read; it takes about a second for each megabyte, so write large states as JSON."""
MAX_DEPTH: Final = 8
"""Lists inside of lists."""

_KINDS: Final = {(kind.resource_info.api_version, kind.resource_info.kind): kind for kind in STATE_KINDS}
Document = Mapping[str, Any]


def load_state(*paths: Path) -> ClusterState:
    """Return the state that files describe; of objects in several the last one counts, with a note.

    Raises DecodeError naming file, object and field, and OSError when a file cannot be read.
    """
    return state_of({str(path): load_documents(path) for path in paths})


def state_of(files: Mapping[str, Iterable[Document]]) -> ClusterState:
    """Return the state that the documents of named files describe; raises DecodeError."""
    state = ClusterState()
    for name, documents in files.items():
        try:
            add_documents(state, documents)
        except DecodeError as error:
            raise DecodeError(f"{name}: {error}") from None
    strays = [key for key, node in state.placements().items() if node and not state.has_node(node)]
    if strays:
        state.note(f"{len(strays)} Pods are on nodes that are not there, {strays[0]} among them")
    return state


def load_documents(path: Path) -> list[Document]:
    """Return the documents of a JSON or YAML file; raises DecodeError naming the file, OSError."""
    if path.stat().st_size > MAX_STATE_BYTES:
        raise DecodeError(f"{path}: is larger than {MAX_STATE_BYTES} bytes")
    return read_documents(path.read_bytes(), str(path))


def read_documents(content: bytes, name: str) -> list[Document]:
    """Return the documents of a JSON or YAML text; raises DecodeError, which calls the text `name`."""
    json_error = ""
    if content.lstrip()[:1] in (b"{", b"["):
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            json_error = str(error)  # several documents, or YAML's own braces: the slower reader knows
        else:
            return found if isinstance(found, list) else [found]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecodeError(f"{name}: is no UTF-8 text: {error}") from None
    if json_error and len(text) > MAX_MANIFEST_BYTES:
        raise DecodeError(f"{name}: {json_error}")
    return [manifest.document for manifest in read_manifests(text, name=name, max_bytes=MAX_YAML_BYTES)]


def add_documents(state: ClusterState, documents: Iterable[Document]) -> None:
    """Add what documents describe; kinds that decide nothing are left out with a note. Raises DecodeError."""
    left_out: dict[str, int] = {}
    seen: set[tuple[type[Object], str]] = set()
    owner_of_uid: dict[str, str] = {}
    for place, document in _flat(enumerate(documents, 1)):
        kind = _kind_of(place, document)
        if kind is None:
            name = f"{document.get('apiVersion')} {document.get('kind')}"
            left_out[name] = left_out.get(name, 0) + 1
            continue
        obj = _decoded(place, document, kind)
        key, uid = state.add(obj), obj.metadata.uid
        if (kind, key) in seen:
            state.note(f"{kind.resource_info.kind} {key} is there twice: the last one counts")
        seen.add((kind, key))
        if kind is Pod and uid and owner_of_uid.setdefault(uid, key) != key:
            raise DecodeError(f"{place}: metadata.uid: {uid} is that of Pod {owner_of_uid[uid]} too")
    for name, number in sorted(left_out.items()):
        state.note(f"{number} of kind {name} left out: only Pods and what decides about them is read")


def _flat(documents: Iterable[tuple[Any, Any]], depth: int = 0) -> Iterator[tuple[str, Document]]:
    """Yield the documents with their places, the items of lists in place of the lists."""
    for number, document in documents:
        place = number if isinstance(number, str) else f"document {number}"
        if not isinstance(document, Mapping):
            raise DecodeError(f"{place}: expected an object, got {_word(document)}")
        kind, items = document.get("kind"), document.get("items")
        if not isinstance(kind, str) or not kind.endswith("List") or "items" not in document:
            yield place, document
            continue
        if items is None:
            continue
        if not isinstance(items, list):
            raise DecodeError(f"{place}: items: expected a list, got {_word(items)}")
        if depth >= MAX_DEPTH:
            raise DecodeError(f"{place}: lists are nested more than {MAX_DEPTH} deep")
        # The items of a typed list need not say what they are.
        implied = (
            {} if kind == "List" else {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
        )
        inner = (
            (f"{place}: items[{index}]", {**implied, **item} if isinstance(item, Mapping) else item)
            for index, item in enumerate(items)
        )
        yield from _flat(inner, depth + 1)


def _kind_of(place: str, document: Document) -> type[Object] | None:
    """Return the kind of a document, None for one that decides nothing."""
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str):
            found = "is missing" if field not in document else f"expected a string, got {_word(document[field])}"
            raise DecodeError(f"{place}: {field}: {found}")
    return _KINDS.get((document["apiVersion"], document["kind"]))


def _decoded(place: str, document: Document, kind: type[Object]) -> Object:
    name = f"{place} ({kind.resource_info.kind}{_name_of(document)})"
    try:
        obj = decode(document, kind)
    except DecodeError as error:
        raise DecodeError(f"{name}: {error}") from None
    if not obj.metadata.name:
        raise DecodeError(f"{name}: metadata.name: must be set")
    if isinstance(obj, ReplicaSet | PodDisruptionBudget):
        try:
            label_selector(obj.spec.selector)
        except BadRequest as error:
            raise DecodeError(f"{name}: spec.selector: {error}") from None
    return obj


def _name_of(document: Document) -> str:
    meta = document.get("metadata")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("name"), str):
        return ""
    namespace = meta.get("namespace")
    return f" {namespace}/{meta['name']}" if isinstance(namespace, str) and namespace else f" {meta['name']}"


def _word(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return words.get(type(value), "a number")
