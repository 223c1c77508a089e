"""Plugins by name, and with what they are told: from the words of a document to an object.

A plugin is found by its class, by a dotted name (`package.module:Class` or `package.module.Class`), by the name of one
that is built in, or by the name of an entry point of the group `orchestra.scheduler.plugins`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Final

import attrs

from orchestra.errors import ConfigurationError
from orchestra.scheduler.interface import Plugin
from orchestra.scheduler.structuring import structured

ENTRY_POINTS: Final = "orchestra.scheduler.plugins"
"""Group of the entry points by which other packages offer plugins."""

Document = Mapping[str, Any]


def find_plugin(plugin: str | type[Plugin]) -> type[Plugin]:
    """Return the class of a plugin; raises ConfigurationError when there is none, or it is no plugin."""
    if not isinstance(plugin, str):
        return _checked(plugin, getattr(plugin, "__name__", repr(plugin)))
    known = _builtin().get(plugin)
    if known is not None:
        return known
    if ":" in plugin or "." in plugin:
        return _imported(plugin)
    offered = tuple(entry_points(group=ENTRY_POINTS, name=plugin))
    if not offered:
        raise ConfigurationError(
            f"no plugin {plugin!r}: it is neither built in ({', '.join(sorted(_builtin()))}), nor a dotted name, "
            f"nor an entry point of {ENTRY_POINTS}"
        )
    try:
        loaded = offered[0].load()
    except Exception as error:
        raise ConfigurationError(f"plugin {plugin!r}: its entry point {offered[0].value} fails: {error!r}") from error
    return _checked(loaded, plugin)


def make_plugin(plugin: str | type[Plugin], told: Document | None = None, *, profile: str = "") -> Plugin:
    """Return a plugin with arguments in wire form; raises ConfigurationError naming profile, plugin and field."""
    cls = find_plugin(plugin)
    where = f"profile {profile}: plugin {cls.name}" if profile else f"plugin {cls.name}"
    if cls.arguments is None and not attrs.has(cls):
        if told:
            raise ConfigurationError(f"{where}: it takes no arguments, but was given {', '.join(sorted(told))}")
        return _made(cls, where)
    arguments = structured(told or {}, cls if cls.arguments is None else cls.arguments, where)
    if cls.arguments is None:
        assert isinstance(arguments, Plugin)
        return arguments
    try:
        return cls.configured(arguments)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _made(cls: type[Plugin], where: str) -> Plugin:
    try:
        return cls()
    except TypeError as error:
        raise ConfigurationError(f"{where}: cannot be made without arguments: {error}") from error


@lru_cache(1)
def _builtin() -> Mapping[str, type[Plugin]]:
    from orchestra.scheduler.profile import BUILTIN_PLUGINS

    return {cls.name: cls for cls in BUILTIN_PLUGINS}


def _imported(name: str) -> type[Plugin]:
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"no plugin {name!r}: {error}") from error
    return _checked(found, name)


def _checked(found: Any, name: str) -> type[Plugin]:
    if not inspect.isclass(found) or not issubclass(found, Plugin):
        raise ConfigurationError(f"{name!r} is no plugin: it is not a subclass of orchestra.scheduler.Plugin")
    if not found.name:
        raise ConfigurationError(f"{name!r} is no plugin: it has no `name`")
    return found
