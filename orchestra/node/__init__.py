"""Make it so on one node: the agent that runs the Pods bound to it.

What comes in: Pods from the server, containers as a CRI runtime shows them. What goes out: calls to the runtime,
statuses, Events and a lease to the server. The heart, `next_actions`, is a pure function; a worker for each Pod
drives it. Imported by `plane`, `testing` and `cli` only; nothing else talks to a runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.node.actions import Actions, next_actions
    from orchestra.node.agent import NodeAgent
    from orchestra.node.model import ObservedContainer, ObservedPod, ObservedSandbox, PodMemory
    from orchestra.node.probes import Prober, ProbeResult, Verdict

_EXPORTS = {
    "Actions": ".actions",
    "NodeAgent": ".agent",
    "ObservedContainer": ".model",
    "ObservedPod": ".model",
    "ObservedSandbox": ".model",
    "PodMemory": ".model",
    "ProbeResult": ".probes",
    "Prober": ".probes",
    "Verdict": ".probes",
    "next_actions": ".actions",
}

__all__ = [
    "Actions",
    "NodeAgent",
    "ObservedContainer",
    "ObservedPod",
    "ObservedSandbox",
    "PodMemory",
    "ProbeResult",
    "Prober",
    "Verdict",
    "next_actions",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)
