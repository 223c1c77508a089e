"""Where Pods run: the Kubernetes scheduling framework, vectorised.

What is it: a queue of Pods that wait, a table of nodes as NumPy columns, plugins that refuse and rate nodes, and a
driver that binds. What comes in: Nodes, Pods, Namespaces, Services and workloads from shared informers. What goes out:
bindings, the PodScheduled condition, Events, and a `Diagnosis` of each attempt. It imports `api`, `client` and
`controller`; only `plane`, `testing` and `cli` import it.

Start with `interface` to write a plugin and with `Harness` to test one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.builders import node, pod
    from orchestra.scheduler.advice import AdvisingPlugin
    from orchestra.scheduler.choosing import choose_profiles
    from orchestra.scheduler.clusterstate import ClusterState, Difference, Drained, difference
    from orchestra.scheduler.configuration import Configuration, load_configuration
    from orchestra.scheduler.diagnosis import Diagnosis
    from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
    from orchestra.scheduler.figures import Figures, figures_of
    from orchestra.scheduler.finding import find_plugin, make_plugin
    from orchestra.scheduler.harness import Harness, Scheduled
    from orchestra.scheduler.interface import (
        CycleState,
        OnlyNodes,
        Plugin,
        Rejection,
        Rejections,
        Status,
        Verdict,
        per_node,
        unschedulable,
    )
    from orchestra.scheduler.noderow import NodeRow
    from orchestra.scheduler.nodetable import NodeTable
    from orchestra.scheduler.packing import BatchPlugin
    from orchestra.scheduler.permitting import WaitingPod
    from orchestra.scheduler.plugins.optimiser import Optimiser
    from orchestra.scheduler.podgroups import GroupPlugin
    from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER, PodInfo
    from orchestra.scheduler.profile import DEFAULT_PLUGINS, Profile
    from orchestra.scheduler.scheduler import Scheduler
    from orchestra.scheduler.simulating import Plan
    from orchestra.scheduler.stateload import load_state
    from orchestra.scheduler.view import Nodes

_EXPORTS = {
    "Action": ".events",
    "AdvisingPlugin": ".advice",
    "BatchPlugin": ".packing",
    "ClusterEvent": ".events",
    "ClusterState": ".clusterstate",
    "Configuration": ".configuration",
    "CycleState": ".interface",
    "DEFAULT_PLUGINS": ".profile",
    "DEFAULT_SCHEDULER": ".podinfo",
    "Diagnosis": ".diagnosis",
    "Difference": ".clusterstate",
    "Drained": ".clusterstate",
    "EventHint": ".events",
    "Figures": ".figures",
    "GroupPlugin": ".podgroups",
    "Harness": ".harness",
    "NodeRow": ".noderow",
    "NodeTable": ".nodetable",
    "Nodes": ".view",
    "OnlyNodes": ".interface",
    "Optimiser": ".plugins.optimiser",
    "Plan": ".simulating",
    "Plugin": ".interface",
    "PodInfo": ".podinfo",
    "Profile": ".profile",
    "Rejection": ".interface",
    "Rejections": ".interface",
    "Resource": ".events",
    "Scheduled": ".harness",
    "Scheduler": ".scheduler",
    "Status": ".interface",
    "Verdict": ".interface",
    "WaitingPod": ".permitting",
    "choose_profiles": ".choosing",
    "difference": ".clusterstate",
    "figures_of": ".figures",
    "find_plugin": ".finding",
    "load_configuration": ".configuration",
    "load_state": ".stateload",
    "make_plugin": ".finding",
    "node": "orchestra.api.builders",
    "per_node": ".interface",
    "pod": "orchestra.api.builders",
    "unschedulable": ".interface",
}

__all__ = [
    "Action",
    "AdvisingPlugin",
    "BatchPlugin",
    "ClusterEvent",
    "ClusterState",
    "Configuration",
    "CycleState",
    "DEFAULT_PLUGINS",
    "DEFAULT_SCHEDULER",
    "Diagnosis",
    "Difference",
    "Drained",
    "EventHint",
    "Figures",
    "GroupPlugin",
    "Harness",
    "NodeRow",
    "NodeTable",
    "Nodes",
    "OnlyNodes",
    "Optimiser",
    "Plan",
    "Plugin",
    "PodInfo",
    "Profile",
    "Rejection",
    "Rejections",
    "Resource",
    "Scheduled",
    "Scheduler",
    "Status",
    "Verdict",
    "WaitingPod",
    "choose_profiles",
    "difference",
    "figures_of",
    "find_plugin",
    "load_configuration",
    "load_state",
    "make_plugin",
    "node",
    "per_node",
    "pod",
    "unschedulable",
]

__getattr__ = lazy_exports(__name__, _EXPORTS)
