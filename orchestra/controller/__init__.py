"""The loop: caches of the cluster's objects, and reconcilers that are called when something changes.

What comes in: a `Client` and `Controller` values. What goes out: reconciled objects, Events, health. Imported by the
parts that work as loops: workloads, lifecycle, network, scheduler, node. Start reading at `interface.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.controller.election import Election
    from orchestra.controller.health import Health
    from orchestra.controller.informer import SharedInformers
    from orchestra.controller.interface import (
        Change,
        Context,
        Controller,
        Deletable,
        Events,
        Handler,
        Index,
        Informer,
        Informers,
        Key,
        Lister,
        Listers,
        Part,
        Reconciler,
        Recorder,
        Result,
        Surroundings,
        controller,
        key_of,
    )
    from orchestra.controller.leader import Terms
    from orchestra.controller.manager import Manager
    from orchestra.controller.recorder import EventRecorder

_INTERFACE = (
    "Change",
    "Context",
    "Controller",
    "Deletable",
    "Events",
    "Handler",
    "Index",
    "Informer",
    "Informers",
    "Key",
    "Lister",
    "Listers",
    "Part",
    "Reconciler",
    "Recorder",
    "Result",
    "Surroundings",
    "controller",
    "key_of",
)
_EXPORTS = {
    **dict.fromkeys(_INTERFACE, ".interface"),
    "Election": ".election",
    "EventRecorder": ".recorder",
    "Health": ".health",
    "Manager": ".manager",
    "SharedInformers": ".informer",
    "Terms": ".leader",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = [
    "Change",
    "Context",
    "Controller",
    "Deletable",
    "Election",
    "EventRecorder",
    "Events",
    "Handler",
    "Health",
    "Index",
    "Informer",
    "Informers",
    "Key",
    "Lister",
    "Listers",
    "Manager",
    "Part",
    "Reconciler",
    "Recorder",
    "Result",
    "SharedInformers",
    "Surroundings",
    "Terms",
    "controller",
    "key_of",
]
