"""Which kinds are stored: those that can own, be owned, or fill a namespace."""

from __future__ import annotations

from orchestra.api.object import ResourceInfo
from orchestra.api.scheme import Scheme

_NEVER_STORED = frozenset({("", "Binding"), ("autoscaling", "Scale"), ("policy", "Eviction")})


def stored_kinds(scheme: Scheme) -> tuple[ResourceInfo, ...]:
    """Return the kinds of a scheme without those that exist only as requests; of several versions the first."""
    found: dict[tuple[str, str], ResourceInfo] = {}
    for info in scheme:
        if (info.group, info.kind) not in _NEVER_STORED:
            found.setdefault((info.group, info.kind), info)
    return tuple(found.values())
