"""What each plugin of a profile costs: microseconds per Pod, by extension point.

    for cost in plugin_costs(profile, nodes=nodes, pods=pods):
        print(cost)

The Pods are placed on the nodes one after another by the cycle that production runs, with a watch on every plugin.
Pods of one shape share answers, so give Pods as they come in life: a thousand replicas cost less than a thousand kinds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import wraps
from random import Random
from time import perf_counter_ns
from typing import Any, Final

import attrs

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.scheduler import Harness, Plugin, PodInfo, Profile
from orchestra.scheduler.cycle import Cycle, Placed

METHODS: Final = {
    "pre_filter": "PreFilter",
    "filter": "Filter",
    "row_filter": "Filter",
    "post_filter": "PostFilter",
    "pre_score": "PreScore",
    "score": "Score",
    "row_score": "Score",
    "normalize": "NormalizeScore",
    "shape_key": "shape_key",
    "fixed_key": "fixed_key",
    "pods_version": "pods_version",
}
"""The methods that a cycle calls, and the extension point that their time is booked to."""


@attrs.frozen
class PluginCost:
    """What one plugin cost at one extension point: how often it was asked, and the time by the number of Pods."""

    plugin: str
    point: str
    calls: int
    microseconds_per_pod: float

    def __str__(self) -> str:
        return f"{self.plugin:<32} {self.point:<15} {self.calls:>8} calls {self.microseconds_per_pod:>10.2f} us/Pod"


class _Watch:
    """Sums up calls and time by plugin and extension point; what is called inside of a call counts once."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], int] = {}
        self.nanoseconds: dict[tuple[str, str], int] = {}
        self._running = False

    def timed(self, plugin: str, point: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the watch on it, and on the function that it returns, if it returns one."""
        key = (plugin, point)

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            if self._running:
                return function(*args, **kwargs)
            self._running = True
            begin = perf_counter_ns()
            try:
                answer = function(*args, **kwargs)
            finally:
                self._running = False
                self.nanoseconds[key] = self.nanoseconds.get(key, 0) + perf_counter_ns() - begin
                self.calls[key] = self.calls.get(key, 0) + 1
            # The functions for single rows are where most of the time goes.
            return self.timed(plugin, point, answer) if function.__name__.startswith("row_") else answer

        return measured


def plugin_costs(
    profile: Profile, *, nodes: Iterable[Node], pods: Iterable[Pod], running: Iterable[Pod] = (), seed: int = 0
) -> tuple[PluginCost, ...]:
    """Place Pods, and return what each plugin cost, the dearest first. Raises PluginError.

    The watch itself costs some tenths of a microsecond a call, which the figures hold.
    """
    watch = _Watch()
    watched = attrs.evolve(profile, plugins=tuple(_watched(plugin, watch) for plugin in profile.plugins))
    table = Harness(nodes=nodes, pods=running, profile=profile).table
    cycle, waiting = Cycle(watched, table, Random(seed)), [PodInfo(pod) for pod in pods]
    for pod in waiting:
        outcome = cycle.schedule(pod)
        if not isinstance(outcome, Placed) and hasattr(outcome, "error"):
            raise outcome.error
    number = max(len(waiting), 1)
    costs = [
        PluginCost(plugin, point, watch.calls[plugin, point], spent / 1000 / number)
        for (plugin, point), spent in watch.nanoseconds.items()
    ]
    return tuple(sorted(costs, key=lambda cost: -cost.microseconds_per_pod))


def _watched(plugin: Plugin, watch: _Watch) -> Plugin:
    """Return a copy of a plugin whose class has the watch on every method of the cycle that it has."""
    kind = type(plugin)
    methods = {
        name: watch.timed(plugin.name, point, getattr(kind, name))
        for name, point in METHODS.items()
        if hasattr(kind, name)
    }
    # Which extension points a plugin takes part in is read from its class, so the watch must be on a class too.
    watched = type(kind.__name__, (kind,), {"__slots__": (), "__module__": kind.__module__, **methods})
    twin: Plugin = copy.copy(plugin)
    object.__setattr__(twin, "__class__", watched)
    return twin
