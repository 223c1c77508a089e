"""Defaults: what a document means that does not say everything.

In come documents as clients write them; out come complete ones, in which unchanged parts are shared with the input and
nothing unset is written; `presented` adds what Go always writes. All functions are pure. The admission functions are
for a plane to hang into its server. Only the API server imports this package, and its tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.apiserver.defaults.admission import (
        SYSTEM_PRIORITIES,
        Priority,
        check_runtime_class,
        default_priority,
        default_toleration_seconds,
        keep_priority,
    )
    from orchestra.apiserver.defaults.canonical import presented, pruned
    from orchestra.apiserver.defaults.pod import default_pod_spec
    from orchestra.apiserver.defaults.qos import qos_class

__all__ = [
    "SYSTEM_PRIORITIES",
    "Priority",
    "check_runtime_class",
    "default_pod_spec",
    "default_priority",
    "default_toleration_seconds",
    "keep_priority",
    "presented",
    "pruned",
    "qos_class",
]

_EXPORTS = {
    "SYSTEM_PRIORITIES": ".admission",
    "Priority": ".admission",
    "check_runtime_class": ".admission",
    "default_pod_spec": ".pod",
    "default_priority": ".admission",
    "default_toleration_seconds": ".admission",
    "keep_priority": ".admission",
    "presented": ".canonical",
    "pruned": ".canonical",
    "qos_class": ".qos",
}
__getattr__ = lazy_exports(__name__, _EXPORTS)
