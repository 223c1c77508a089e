"""The objects of one kind as a cache knows them, and the indexes over them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from orchestra.api.object import Object
from orchestra.api.rules.owners import controller_of
from orchestra.controller.interface import Change, Index, Key, LabelMatcher, key_of
from orchestra.errors import ConfigurationError

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

NAMESPACE = "namespace"
OWNER = "owner"
NODE_NAME = "spec.nodeName"


def _namespace(obj: Object) -> tuple[str, ...]:
    return (obj.metadata.namespace,)


def _owner(obj: Object) -> tuple[str, ...]:
    owner = controller_of(obj)
    return () if owner is None else (owner.uid,)


def _node_name(obj: Any) -> tuple[str, ...]:
    node = obj.spec.node_name if obj.spec is not None else None
    return (node,) if node else ()


def built_in_indexes(kind: type[O]) -> tuple[Index[O], ...]:
    """Return the indexes that the cache of every kind has."""
    indexes: list[Index[O]] = [Index(OWNER, kind, _owner)]
    if kind.resource_info.namespaced:
        indexes.append(Index(NAMESPACE, kind, _namespace))
    if (kind.resource_info.group, kind.resource_info.kind) == ("", "Pod"):
        indexes.append(Index(NODE_NAME, kind, _node_name))
    return tuple(indexes)


class _Filed:
    """One index: which keys each word leads to, and under which words each key stands."""

    __slots__ = ("buckets", "index", "values", "words")

    def __init__(self, index: Index[Any]) -> None:
        self.index = index
        self.values: Callable[[Any], Iterable[str]] = index.values
        self.buckets: dict[str, dict[Key, None]] = {}
        self.words: dict[Key, tuple[str, ...]] = {}

    def file(self, key: Key, obj: Object | None) -> None:
        words = () if obj is None else tuple(self.values(obj))
        before = self.words.get(key, ())
        if words == before:
            return
        for word in before:
            bucket = self.buckets[word]
            bucket.pop(key, None)  # a function may give a word twice
            if not bucket:
                del self.buckets[word]
        for word in words:
            self.buckets.setdefault(word, {})[key] = None
        if words:
            self.words[key] = words
        else:
            del self.words[key]


class Cache(Generic[O]):
    """Objects by key, in the order in which they first appeared; itself the `Lister` of the kind."""

    def __init__(self, kind: type[O]) -> None:
        self.kind = kind
        self.objects: dict[Key, O] = {}
        self._filed: dict[str, _Filed] = {}
        for index in built_in_indexes(kind):
            self.add_index(index)

    def __len__(self) -> int:
        return len(self.objects)

    def add_index(self, index: Index[O]) -> None:
        """Keep an index over the present and all future objects; the same one twice is harmless.

        Raises ConfigurationError when another index has this name.
        """
        known = self._filed.get(index.name)
        if known is not None:
            if known.values is not index.values:
                name = self.kind.resource_info.kind
                raise ConfigurationError(f"two different indexes of {name} are called {index.name!r}")
            return
        filed = self._filed[index.name] = _Filed(index)
        for key, obj in self.objects.items():
            filed.file(key, obj)

    def put(self, obj: O) -> Change[O]:
        """Store the newest state of an object and return the step from what was known."""
        key = key_of(obj)
        old = self.objects.get(key)
        self.objects[key] = obj
        for filed in self._filed.values():
            filed.file(key, obj)
        return Change(old, obj)

    def drop(self, key: Key) -> Change[O] | None:
        """Forget an object; None when it was not known."""
        old = self.objects.pop(key, None)
        if old is None:
            return None
        for filed in self._filed.values():
            filed.file(key, None)
        return Change(old, None)

    def replace(self, objects: Iterable[O]) -> tuple[Change[O], ...]:
        """Make `objects` the whole content and return the steps to it; unchanged ones make none."""
        changes: list[Change[O]] = []
        listed = {key_of(obj): obj for obj in objects}
        for key in [key for key in self.objects if key not in listed]:
            change = self.drop(key)
            if change is not None:
                changes.append(change)
        for key, obj in listed.items():
            old = self.objects.get(key)
            if old is None or old.metadata.resource_version != obj.metadata.resource_version:
                changes.append(self.put(obj))
        return tuple(changes)

    def get(self, namespace: str, name: str) -> O | None:
        """Return one object; the namespace of cluster-scoped kinds is empty."""
        return self.objects.get(Key(namespace, name))

    def list(self, namespace: str | None = None, selector: LabelMatcher | None = None) -> tuple[O, ...]:
        """Return the objects of one namespace, or of all, that the selector matches."""
        everywhere = namespace is None or not self.kind.resource_info.namespaced
        found = tuple(self.objects.values()) if everywhere else self.by_index(NAMESPACE, namespace or "")
        if selector is None:
            return found
        return tuple(obj for obj in found if selector.matches(obj.metadata.labels))

    def by_index(self, index: str | Index[O], value: str) -> tuple[O, ...]:
        """Return the objects that an index files under `value`; raises ConfigurationError for an unknown index."""
        name = index if isinstance(index, str) else index.name
        filed = self._filed.get(name)
        if filed is None:
            raise ConfigurationError(f"{self.kind.resource_info.kind} has no index {name!r}")
        objects = self.objects
        return tuple([objects[key] for key in filed.buckets.get(value, ())])
