"""Which plugins a scheduler runs, in which order, with which weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any, Final

import attrs

from orchestra.errors import ConfigurationError
from orchestra.scheduler.interface import (
    BindPlugin,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
)
from orchestra.scheduler.plugins.basics import DefaultBinder, PrioritySort, SchedulingGates
from orchestra.scheduler.plugins.interpodaffinity import InterPodAffinity
from orchestra.scheduler.plugins.noderesources import NodeResourcesBalancedAllocation, NodeResourcesFit
from orchestra.scheduler.plugins.nodes import (
    ImageLocality,
    NodeAffinity,
    NodeName,
    NodePorts,
    NodeUnschedulable,
    TaintToleration,
)
from orchestra.scheduler.plugins.preemption import DefaultPreemption, DynamicResources
from orchestra.scheduler.plugins.topologyspread import PodTopologySpread
from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER, PodInfo

DEFAULT_PLUGINS: Final[tuple[Plugin, ...]] = (
    SchedulingGates(),
    PrioritySort(),
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    PodTopologySpread(),
    InterPodAffinity(),
    DynamicResources(),
    DefaultPreemption(),
    NodeResourcesBalancedAllocation(),
    ImageLocality(),
    DefaultBinder(),
)
"""The plugins of kube-scheduler's default profile that exist here, in its order: filters run, and refuse, in it."""

DEFAULT_WEIGHTS: Final[Mapping[str, int]] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
}
"""Weights other than 1."""


@attrs.frozen(slots=False)
class Profile:
    """The plugins for Pods whose `spec.schedulerName` is `name`; a plugin's place is the order of `plugins`."""

    name: str = DEFAULT_SCHEDULER
    plugins: tuple[Plugin, ...] = DEFAULT_PLUGINS
    weights: Mapping[str, int] = attrs.field(factory=lambda: dict(DEFAULT_WEIGHTS))

    def __attrs_post_init__(self) -> None:
        names = [plugin.name for plugin in self.plugins]
        if not all(names):
            raise ConfigurationError(f"profile {self.name}: every plugin needs a name")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"profile {self.name}: plugins named twice: {', '.join(twice)}")
        sorters = [plugin.name for plugin in self.having(QueueSortPlugin)]
        if len(sorters) > 1:
            raise ConfigurationError(f"profile {self.name}: only one plugin can sort the queue: {', '.join(sorters)}")
        for plugin, weight in self.weights.items():
            if weight < 0:
                raise ConfigurationError(f"profile {self.name}: the weight of {plugin} is negative")

    def without(self, *names: str) -> Profile:
        """Return a profile that lacks the named plugins."""
        return attrs.evolve(self, plugins=tuple(plugin for plugin in self.plugins if plugin.name not in names))

    def with_plugins(self, *plugins: Plugin, weights: Mapping[str, int] | None = None) -> Profile:
        """Return a profile that has these plugins too, in the place of those with the same name or at the end."""
        new = {plugin.name: plugin for plugin in plugins}
        kept = tuple(new.pop(plugin.name, plugin) for plugin in self.plugins)
        return attrs.evolve(self, plugins=(*kept, *new.values()), weights={**self.weights, **(weights or {})})

    def having(self, point: Any) -> tuple[Any, ...]:
        """Return the plugins that take part in an extension point, one of the protocols of `interface`."""
        return tuple(plugin for plugin in self.plugins if isinstance(plugin, point))

    def weight(self, plugin: str) -> int:
        """Return by how much a plugin's scores are multiplied."""
        return self.weights.get(plugin, 1)

    @cached_property
    def pre_enqueue(self) -> tuple[Any, ...]:
        """Plugins of PreEnqueue."""
        return self.having(PreEnqueuePlugin)

    @cached_property
    def pre_filters(self) -> tuple[Any, ...]:
        """Plugins of PreFilter."""
        return self.having(PreFilterPlugin)

    @cached_property
    def filters(self) -> tuple[Any, ...]:
        """Plugins of Filter."""
        return self.having(FilterPlugin)

    @cached_property
    def post_filters(self) -> tuple[Any, ...]:
        """Plugins of PostFilter."""
        return self.having(PostFilterPlugin)

    @cached_property
    def pre_scores(self) -> tuple[Any, ...]:
        """Plugins of PreScore."""
        return self.having(PreScorePlugin)

    @cached_property
    def scores(self) -> tuple[Any, ...]:
        """Plugins of Score with a weight above zero."""
        return tuple(plugin for plugin in self.having(ScorePlugin) if self.weight(plugin.name))

    @cached_property
    def reserves(self) -> tuple[Any, ...]:
        """Plugins of Reserve."""
        return self.having(ReservePlugin)

    @cached_property
    def permits(self) -> tuple[Any, ...]:
        """Plugins of Permit."""
        return self.having(PermitPlugin)

    @cached_property
    def pre_binds(self) -> tuple[Any, ...]:
        """Plugins of PreBind."""
        return self.having(PreBindPlugin)

    @cached_property
    def binds(self) -> tuple[Any, ...]:
        """Plugins of Bind."""
        return self.having(BindPlugin)

    @cached_property
    def post_binds(self) -> tuple[Any, ...]:
        """Plugins of PostBind."""
        return self.having(PostBindPlugin)

    @cached_property
    def _sorter(self) -> Any:
        return next(iter(self.having(QueueSortPlugin)), None)

    @cached_property
    def _curious(self) -> tuple[Plugin, ...]:
        """The plugins that read more of a Pod than every shape holds."""
        return tuple(plugin for plugin in self.plugins if not plugin.core_shape_only)

    def sort_key(self, pod: PodInfo, since_seconds: float) -> Any:
        """Return a Pod's place among those that wait."""
        sorter = self._sorter
        return (since_seconds,) if sorter is None else sorter.sort_key(pod, since_seconds)

    def shape_of(self, pod: PodInfo) -> Hashable:
        """Return what the plugins read of a Pod: Pods of equal shape share their answers."""
        return (pod.core_shape, tuple(plugin.shape_key(pod) for plugin in self._curious))
