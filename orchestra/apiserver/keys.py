"""Where objects lie in the store: `/registry/<group>/<plural>/<namespace>/<name>`.

A cluster-scoped kind has no namespace there; the core group is written `core`. Beside the objects lie reservations of
addresses and ports under `/registry/ranges/` and terms of leadership under `/registry/fences/`: no kind may be in a
group of one of these three names.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from orchestra.api.object import ResourceInfo

ROOT: Final = b"/registry/"
RANGES: Final = b"/registry/ranges/"
FENCES: Final = b"/registry/fences/"


@lru_cache(maxsize=1024)
def kind_prefix(info: ResourceInfo) -> bytes:
    """Return the prefix of every object of a kind."""
    return f"/registry/{info.group or 'core'}/{info.plural}/".encode()


def object_key(info: ResourceInfo, namespace: str, name: str) -> bytes:
    """Return the key of one object."""
    return kind_prefix(info) + (f"{namespace}/{name}" if info.namespaced else name).encode()


def collection_prefix(info: ResourceInfo, namespace: str | None) -> bytes:
    """Return the prefix of a kind's objects, in one namespace or in all."""
    prefix = kind_prefix(info)
    return prefix + f"{namespace}/".encode() if namespace and info.namespaced else prefix


def split_key(key: bytes) -> tuple[bytes, str, str] | None:
    """Return (kind prefix, namespace, name) of an object's key; None for a key that is no object's."""
    parts = key.split(b"/", 4)
    if len(parts) != 5 or not key.startswith(ROOT):
        return None
    _, _, group, plural, rest = parts
    namespace, slash, name = rest.decode().rpartition("/")
    return b"/registry/%b/%b/" % (group, plural), namespace if slash else "", name


def fence_key(name: str) -> bytes:
    """Return the key whose creation begins a term of leadership."""
    return FENCES + name.encode()
