"""Manifests: YAML and JSON as people write them, with many documents in one file.

`load_manifests` returns plain documents; `read_manifests` returns each with its place, so that what goes wrong later
still names file, document and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import yaml

from orchestra.api.frozen import thaw
from orchestra.api.object import Object
from orchestra.api.scheme import Scheme
from orchestra.api.yaml_values import MAX_NODES, Builder, child, line_of, nodes_of, scalar
from orchestra.errors import DecodeError, NotFound

Document = dict[str, Any]

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""The largest manifest that is read; a larger one is refused before it is parsed."""

try:
    from yaml import CSafeDumper as _Base
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeDumper as _Base  # type: ignore[assignment]

_WORDS: dict[type, str] = {list: "a list", str: "text", bool: "a boolean"}
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


@attrs.frozen(kw_only=True)
class Manifest:
    """One document and where it stands: `index` counts the documents of `source` from 1."""

    document: Document
    source: str
    index: int
    node: yaml.Node | None = attrs.field(default=None, repr=False, eq=False)

    def place(self, path: str = "") -> str:
        """Return `file: document 2, line 14` for the field at `path`, or for the nearest part that is there."""
        where = f"{self.source}: document {self.index}"
        node = self.node
        if node is None:
            return where
        line = line_of(node)
        for step in _STEP.findall(path):
            inner = step.strip("[]")
            found = child(node, int(inner) if step.startswith("[") and inner.isdigit() else inner)
            if found is None:
                break
            node, line = found, line_of(found)
        return f"{where}, line {line}"

    def decode(self, scheme: Scheme) -> Object:
        """Return the typed object; raises DecodeError naming the place of what does not fit or of an unknown kind."""
        try:
            return scheme.decode(self.document)
        except DecodeError as error:
            raise self._located(error) from None
        except NotFound as error:
            raise DecodeError(f"{self.place('kind')}: {error.message}") from None

    def _located(self, error: DecodeError) -> DecodeError:
        named = f"{error.path}: {error.message}" if error.path else error.message
        located = DecodeError(f"{self.place(error.path)}: {named}")
        located.path = error.path
        return located


def load_manifests(source: str | Path) -> list[Document]:
    """Return every document of a YAML or JSON text, or of the file at a Path; lists of kind `List` are flattened.

    Empty documents are left out. Raises DecodeError naming file, document and line.
    """
    return [manifest.document for manifest in read_manifests(source)]


def read_manifests(source: str | Path, *, name: str = "<text>", max_bytes: int = MAX_MANIFEST_BYTES) -> list[Manifest]:
    """Return every document with its place; `name` is what errors call a text, a Path is called by its own name.

    Raises DecodeError for what is no manifest, and for one larger than `max_bytes`.
    """
    if isinstance(source, Path):
        name = str(source)
        if source.stat().st_size > max_bytes:
            raise DecodeError(f"{name}: is larger than {max_bytes} bytes")
        try:
            source = source.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DecodeError(f"{name}: is no UTF-8 text: {error}") from None
    if len(source) > max_bytes:
        raise DecodeError(f"{name}: is larger than {max_bytes} bytes")
    result: list[Manifest] = []
    # Without aliases a text holds fewer values than characters: more of them are let be only where texts may be large.
    documents = _documents(source, MAX_NODES if max_bytes <= MAX_MANIFEST_BYTES else max(MAX_NODES, len(source)))
    index = 1
    try:
        while (found := next(documents, None)) is not None:
            value, node = found
            if value is not None:
                if not isinstance(value, dict):
                    raise DecodeError(f"expected an object, got {_WORDS.get(type(value), 'a number')}")
                result += _flatten(Manifest(document=value, source=name, index=index, node=node))
            index += 1
    except DecodeError as error:
        raise DecodeError(f"{name}: document {index}: {error.message}") from None
    return result


def _documents(text: str, max_nodes: int = MAX_NODES) -> Iterator[tuple[Any, yaml.Node | None]]:
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] == "{":
        try:
            values = list(_json_documents(text))
        except RecursionError:
            raise DecodeError("values are nested too deep") from None
        except ValueError:
            values = []  # YAML's own braces, or a fault that the YAML parser names with its line
        if values:
            yield from ((value, None) for value in values)
            return
    for node in nodes_of(text):
        yield Builder(max_nodes=max_nodes).value(node), node


def _json_documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(object_pairs_hook=_distinct)
    position = len(text) - len(text.lstrip())
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        yield value
        position += len(text[position:]) - len(text[position:].lstrip())


def _distinct(pairs: list[tuple[str, Any]]) -> Document:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DecodeError(f'key "{name}" already set in map')
    return result


def _flatten(manifest: Manifest) -> Iterator[Manifest]:
    document = manifest.document
    kind, items = document.get("kind"), document.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        yield manifest
        return
    nodes = child(manifest.node, "items") if manifest.node is not None else None
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise DecodeError(f"items[{index}]: expected an object, got {type(item).__name__}")
        if kind != "List":
            # The items of a typed list need not say what they are.
            item = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")} | item
        node = child(nodes, index) if nodes is not None else None
        yield from _flatten(attrs.evolve(manifest, document=item, node=node or manifest.node))


class _Dumper(_Base):
    """Writes what Kubernetes' YAML reader gives back unchanged: text that it would take for a number is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    style = None if _is_plain_text(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_plain_text(text: str) -> bool:
    try:
        return isinstance(scalar(text), str)
    except DecodeError:
        return False


_Dumper.add_representer(str, _represent_text)


def dump_yaml(documents: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> str:
    """Return documents as YAML in the form that kubectl prints: keys in order, lists not indented, `---` between."""
    many = [documents] if isinstance(documents, Mapping) else list(documents)
    return "---\n".join(
        yaml.dump(thaw(document), Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=1 << 30)
        for document in many
    )
