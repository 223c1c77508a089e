"""Exports that are imported when they are first used, so that importing a package stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(package: str, exports: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module `__getattr__` that resolves each name in `exports` from its module.

    `exports` maps a public name to the module that defines it; a leading dot is relative to `package`.
    A resolved name is stored in the package, so the second use costs a plain attribute look-up.
    Unknown names raise `AttributeError`, as for any module.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - this becomes the package's module-level hook
        module = exports.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module, package), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
