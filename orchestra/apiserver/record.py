"""One object at one revision: its bytes, its document and its typed view, each made once and shared by everybody.

The stored document has no resourceVersion: that is the revision of the write. The typed view has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from operator import attrgetter
from types import MemberDescriptorType
from typing import Any, Final, TypeVar, cast

import attrs
import orjson

from orchestra.api.codec import decode, encode, encoder_of, fields_of
from orchestra.api.object import Object, Struct
from orchestra.apiserver.bounds import dumps
from orchestra.errors import DecodeError

Document = dict[str, Any]
S = TypeVar("S", bound=Struct)

SHARED_SPECS: Final = 256
"""How many different specs are remembered in case that another object has the same."""


class Record:
    """What the store holds under one key at one revision. Frozen, but for views that are made when first asked for."""

    __slots__ = ("_document", "_object", "_wire", "cls", "name", "namespace", "revision", "value")

    def __init__(
        self,
        cls: type[Object],
        namespace: str,
        name: str,
        revision: int,
        value: bytes,
        document: Document | None = None,
    ) -> None:
        self.cls = cls
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.value = value
        self._document = document
        self._object: Object | None = None
        self._wire: bytes | None = None

    @property
    def document(self) -> Document:
        """The document as it is stored, without resourceVersion. Not to be changed."""
        if self._document is None:
            self._document = cast("Document", orjson.loads(self.value))
        return self._document

    @property
    def object(self) -> Object:
        """The typed view, with its resourceVersion."""
        if self._object is None:
            self._object = stamped(decode(self.document, self.cls), self.revision)
        return self._object

    @property
    def wire_document(self) -> Document:
        """The document with its resourceVersion."""
        return with_revision(self.document, self.revision)

    @property
    def wire(self) -> bytes:
        """The document with its resourceVersion, as JSON; made once for all remote readers."""
        if self._wire is None:
            self._wire = dumps(self.wire_document)
        return self._wire

    def adopt(self, obj: Object) -> None:
        """Take `obj`, fresh and shared with nobody, as the typed view: nothing has to be decoded again."""
        self._object = stamped(obj, self.revision)

    def know(self, document: Document, obj: Object) -> None:
        """Take the document that the value encodes, and its typed view, from who has just made them."""
        self._document = document
        self._object = stamped(obj, self.revision)

    def at(self, revision: int) -> Record:
        """Return the same state under another revision: what a deletion leaves to be seen."""
        record = Record(self.cls, self.namespace, self.name, revision, self.value, self._document)
        if self._object is not None:
            record._object = restamped(self._object, revision)
        return record

    def text(self, *path: str) -> str:
        """Return the string at `path` of the document, empty when there is none."""
        value: Any = self.document
        for step in path:
            value = value.get(step)
            if value is None:
                return ""
        return cast("str", value)

    def __repr__(self) -> str:
        return f"<Record {self.cls.__name__} {self.namespace}/{self.name} at {self.revision}>"


def with_revision(document: Document, revision: int) -> Document:
    """Return `document` with a resourceVersion, in the place where Kubernetes writes it; 0 is none (a dry run)."""
    if not revision:
        return document
    meta: Document = {}
    for key, value in document.get("metadata", {}).items():
        if key == "generation" or key == "creationTimestamp":
            meta.setdefault("resourceVersion", str(revision))
        meta[key] = value
    meta["resourceVersion"] = str(revision)
    return {**document, "metadata": meta}


def stamped(obj: Object, revision: int) -> Object:
    """Write the revision into an object that nobody else has seen yet. This is the only place that does so."""
    if revision:
        object.__setattr__(obj.metadata, "resource_version", str(revision))
    return obj


def restamped(obj: Object, revision: int) -> Object:
    """Return a copy of a shared object with another revision; everything but its metadata is shared."""
    return varied(obj, metadata=varied(obj.metadata, resource_version=str(revision)))


def varied(obj: S, **parts: Any) -> S:
    """Return a copy of a shared object, or of a part of one, with other parts; these must be of the right types."""
    twin = _copy(obj)
    for name, part in parts.items():
        object.__setattr__(twin, name, part)
    return cast("S", twin)


def _copy(obj: Any) -> Any:
    cls = type(obj)
    slots = _SLOTS.get(cls)
    if slots is None:
        slots = _SLOTS[cls] = tuple(_slot(cls, item.name) for item in cls.__attrs_attrs__)
    twin: Any = object.__new__(cls)
    for read, write in slots:
        write(twin, read(obj))
    return twin


def _slot(cls: type, name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
    slot = getattr(cls, name, None)
    if isinstance(slot, MemberDescriptorType):
        return slot.__get__, slot.__set__
    return attrgetter(name), lambda obj, value: object.__setattr__(obj, name, value)


_SLOTS: dict[type, tuple[tuple[Callable[[Any], Any], Callable[[Any, Any], None]], ...]] = {}
"""How the attributes of each class are read and written, past the guard that keeps objects from being changed."""


def encode_sharing(obj: Object, known: Record | None) -> Document:
    """Return the document of `obj`; parts that it shares with the known record's object share the document's parts.

    A status written back by who read the object from a cache costs the encoding of the status alone.
    """
    old = known._object if known is not None else None
    if known is None or old is None or type(old) is not type(obj) or obj.undeclared:
        return encode(obj)
    old_document = known.document
    document: Document = {"apiVersion": old_document["apiVersion"], "kind": old_document["kind"]}
    for name, info in fields_of(type(obj)).items():
        value = getattr(obj, info.attribute)
        if name in old_document and value is getattr(old, info.attribute):
            document[name] = old_document[name]
            if name == "metadata":  # who read this revision writes on condition that it is still the newest
                document[name] = {**old_document[name], "resourceVersion": str(known.revision)}
        elif not info.is_absent(value):
            hook = encoder_of(info.type)
            document[name] = value if hook is None else hook(value)
    return document


def decode_sharing(document: Document, cls: type[Object], *known: tuple[Document, Object]) -> Object:
    """Return the typed view of `document`; parts that are those of a known document take its object's parts.

    Parts are the fields of the object, and the fields of those: a new number of replicas costs neither the template
    nor the status. The metadata is always decoded anew, so that the result can be stamped. Raises DecodeError.
    """
    if _demanding(cls):
        return decode(document, cls)
    fields = fields_of(cls)
    taken: list[tuple[str, Any]] = []
    rest: Document = {}
    for name, value in document.items():
        if name == "metadata" or name not in fields or not isinstance(value, dict | list):
            rest[name] = value
            continue
        attribute = fields[name].attribute
        source = next((obj for old, obj in known if old.get(name) is value), None)
        if source is not None:
            taken.append((attribute, getattr(source, attribute)))
        elif known and isinstance(value, dict) and _has_parts(known[0], name, attribute):
            before, twin = known[0]
            taken.append((attribute, _decode_part(name, value, before[name], getattr(twin, attribute))))
        else:
            rest[name] = value
    obj = decode(rest, cls)
    for attribute, part in taken:
        object.__setattr__(obj, attribute, part)
    return obj


def _decode_part(name: str, value: Document, before: Document, known: Any) -> Any:
    """Return the typed view of one field of an object, sharing what it has in common with its former state."""
    cls = type(known)
    fields = fields_of(cls)
    taken: list[tuple[str, Any]] = []
    rest: Document = {}
    for inner, part in value.items():
        old = before.get(inner)
        if inner in fields and _same(part, old):
            attribute = fields[inner].attribute
            taken.append((attribute, getattr(known, attribute)))
        else:
            rest[inner] = part
    try:
        result = decode(rest, cls)
    except DecodeError as error:
        raise error.under(name) from None
    for attribute, part in taken:
        object.__setattr__(result, attribute, part)
    return result


def _has_parts(known: tuple[Document, Object], name: str, attribute: str) -> bool:
    part = getattr(known[1], attribute)
    return isinstance(known[0].get(name), dict) and isinstance(part, Struct) and not _demanding(type(part))


def _same(part: Any, old: Any) -> bool:
    # Bytes are compared because for Python true equals 1, which is another JSON value.
    if part is old:
        return isinstance(part, dict | list)
    return isinstance(part, dict | list) and type(part) is type(old) and dumps(part) == dumps(old)


_DEMANDING: dict[type[Struct], bool] = {}


def _demanding(cls: type[Struct]) -> bool:
    """Whether a class has fields without a default: its objects are only ever decoded whole."""
    known = _DEMANDING.get(cls)
    if known is None:
        known = _DEMANDING[cls] = any(item.default is attrs.NOTHING for item in attrs.fields(cls))
    return known


class SharedSpecs:
    """Specs that many objects have in common, such as those of the Pods of one ReplicaSet: decoded once, held once.

    Keeps the `SHARED_SPECS` that were used last.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Document, Object]] = OrderedDict()

    def known(self, document: Document) -> tuple[Document, tuple[Document, Object] | None]:
        """Return the document with the shared copy of its spec, and whose typed view has that spec."""
        spec = document.get("spec")
        if not spec:
            return document, None
        found = self._known.get(key := dumps(spec))
        if found is None:
            return document, None
        self._known.move_to_end(key)
        return {**document, "spec": found[0]["spec"]}, found

    def learn(self, document: Document, obj: Object) -> None:
        """Remember the spec of an object that was just decoded."""
        spec = document.get("spec")
        if not spec:
            return
        self._known[dumps(spec)] = ({"spec": spec}, obj)
        if len(self._known) > SHARED_SPECS:
            self._known.popitem(last=False)


class Remembered:
    """The keys that were met last, `SHARED_SPECS` of them."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, None] = OrderedDict()

    def knows(self, key: bytes) -> bool:
        """Whether the key was met; it is then the latest."""
        if key not in self._keys:
            return False
        self._keys.move_to_end(key)
        return True

    def learn(self, key: bytes) -> None:
        """Remember a key."""
        self._keys[key] = None
        if len(self._keys) > SHARED_SPECS:
            self._keys.popitem(last=False)
