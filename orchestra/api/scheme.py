"""Which kinds exist: an explicit registry, filled by calls and never by an import's side effect."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from orchestra.api.builtin import BUILTIN
from orchestra.api.codec import Document, decode, encode, from_document
from orchestra.api.object import Object, ResourceInfo
from orchestra.errors import ConfigurationError, DecodeError, NotFound

C = TypeVar("C", bound="type[Object]")

__all__ = ["Scheme", "from_document"]


class Scheme:
    """Kinds by apiVersion and kind, and by the names that people type.

    `Scheme()` holds the built-in kinds; `Scheme(builtin=False)` none.
    """

    def __init__(self, *, builtin: bool = True) -> None:
        self._infos: dict[tuple[str, str], ResourceInfo] = {}
        self._classes: dict[tuple[str, str], type[Object]] = {}
        self._names: dict[str, list[ResourceInfo]] = {}
        for info in BUILTIN if builtin else ():
            self._add(info)

    def register(self, cls: C) -> C:
        """Add a class that `@resource` named; usable as a decorator.

        Raises ConfigurationError when another class already has this apiVersion and kind.
        """
        info = getattr(cls, "resource_info", None)
        if info is None:
            raise ConfigurationError(f"{cls.__name__} is no kind: decorate it with @resource(...)")
        key = (info.api_version, info.kind)
        if self._infos.get(key, info) != info or self._classes.get(key, cls) is not cls:
            raise ConfigurationError(f"{info.kind} of {info.api_version} is registered already")
        self._add(info)
        self._classes[key] = cls
        return cls

    def __iter__(self) -> Iterator[ResourceInfo]:
        return iter(self._infos.values())

    def info(self, api_version: str, kind: str) -> ResourceInfo:
        """Return the names of a kind; raises NotFound, worded as kubectl words it, when there is none."""
        try:
            return self._infos[api_version, kind]
        except KeyError:
            raise NotFound(f'no matches for kind "{kind}" in version "{api_version}"') from None

    def type_of(self, info: ResourceInfo) -> type[Object]:
        """Return the class of a kind, importing its module when it is first asked for."""
        key = (info.api_version, info.kind)
        cls = self._classes.get(key)
        if cls is None:
            cls = self._classes[key] = getattr(importlib.import_module(info.module), info.kind)
        return cls

    def resolve(self, name: str) -> ResourceInfo:
        """Return the kind that somebody means by `pods`, `pod`, `po`, `Pod`, `deployments.apps`, `deployments.v1.apps`.

        Raises NotFound when nothing has that name.
        """
        short, _, rest = name.lower().partition(".")
        for info in self._names.get(short, ()):
            if rest in ("", info.group, f"{info.version}.{info.group}".rstrip(".")):
                return info
        raise NotFound(f'the server doesn\'t have a resource type "{name}"')

    def category(self, name: str) -> tuple[ResourceInfo, ...]:
        """Return the kinds of a category such as `all`; empty when there is no such category."""
        return tuple(info for info in self if name in info.categories)

    def decode(self, document: Mapping[str, Any]) -> Object:
        """Return the typed object of a document, by its apiVersion and kind.

        Raises DecodeError when either is missing or a value does not fit, NotFound when the kind is not registered.
        """
        for name in ("apiVersion", "kind"):
            if not isinstance(document.get(name), str) or not document[name]:
                raise DecodeError("must be set", path=name)
        return decode(document, self.type_of(self.info(document["apiVersion"], document["kind"])))

    def encode(self, obj: Object) -> Document:
        """Return the document of a typed object."""
        return encode(obj)

    def _add(self, info: ResourceInfo) -> None:
        self._infos[info.api_version, info.kind] = info
        for name in _names(info):
            known = self._names.setdefault(name, [])
            if info not in known:
                known.append(info)


def _names(info: ResourceInfo) -> Iterable[str]:
    return dict.fromkeys((info.plural, info.singular or info.kind.lower(), info.kind.lower(), *info.short_names))
