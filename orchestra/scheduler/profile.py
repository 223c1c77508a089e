"""Which plugins a scheduler runs, in which order, with which weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import attrs

from orchestra.errors import ConfigurationError, PluginError
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
from orchestra.scheduler.packing import BatchPlugin
from orchestra.scheduler.plugins.basics import DefaultBinder, PrioritySort, SchedulingGates
from orchestra.scheduler.plugins.gang import Gang
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
from orchestra.scheduler.plugins.optimiser import Optimiser
from orchestra.scheduler.plugins.preemption import DefaultPreemption, DynamicResources
from orchestra.scheduler.plugins.topologyspread import PodTopologySpread
from orchestra.scheduler.podgroups import GroupPlugin
from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER, PodInfo
from orchestra.scheduler.points import NAMES, POINTS

if TYPE_CHECKING:
    from orchestra.scheduler.nodetable import NodeTable

DEFAULT_PLUGINS: Final[tuple[Plugin, ...]] = (
    SchedulingGates(),
    Gang(),
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
"""The plugins of kube-scheduler's default profile that exist here, in its order: filters run, and refuse, in it.

Gang is added: it concerns only Pods that name a PodGroup.
"""

BUILTIN_PLUGINS: Final[tuple[type[Plugin], ...]] = (*(type(plugin) for plugin in DEFAULT_PLUGINS), Optimiser)
"""Every plugin that profiles can name without saying where it is."""

DEFAULT_WEIGHTS: Final[Mapping[str, int]] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
}
"""Weights other than 1."""


@attrs.frozen(slots=False)
class Profile:
    """The plugins for Pods whose `spec.schedulerName` is `name`; a plugin's place is the order of `plugins`.

    A plugin takes part in every extension point that it has methods for. `points` says otherwise: for an extension
    point, by its name as in `filter` or `preBind`, the names of the plugins that take part in it, in their order.
    PreScore and NormalizeScore go with Score.
    """

    name: str = DEFAULT_SCHEDULER
    plugins: tuple[Plugin, ...] = DEFAULT_PLUGINS
    weights: Mapping[str, int] = attrs.field(factory=lambda: dict(DEFAULT_WEIGHTS))
    points: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._check_names()
        self._check_points()
        for plugin, weight in self.weights.items():
            if weight < 0:
                raise ConfigurationError(f"profile {self.name}: the weight of {plugin} is negative")

    def _check_names(self) -> None:
        names = [plugin.name for plugin in self.plugins]
        if not all(names):
            raise ConfigurationError(f"profile {self.name}: every plugin needs a name")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"profile {self.name}: plugins named twice: {', '.join(twice)}")

    def _check_points(self) -> None:
        by_name = {plugin.name: plugin for plugin in self.plugins}
        for point, names in self.points.items():
            if point not in POINTS:
                raise ConfigurationError(f"profile {self.name}: no extension point {point!r}: {', '.join(POINTS)}")
            for name in names:
                if name not in by_name:
                    raise ConfigurationError(f"profile {self.name}: {point}: no plugin {name} among the profile's")
                if not isinstance(by_name[name], POINTS[point]):
                    raise ConfigurationError(f"profile {self.name}: plugin {name} does not take part in {point}")
        sorters = [plugin.name for plugin in self.having(QueueSortPlugin)]
        groupers = [plugin.name for plugin in self.plugins if isinstance(plugin, GroupPlugin)]
        if len(groupers) > 1:
            raise ConfigurationError(f"profile {self.name}: only one plugin can group Pods: {', '.join(groupers)}")
        if len(sorters) > 1:
            raise ConfigurationError(f"profile {self.name}: only one plugin can sort the queue: {', '.join(sorters)}")

    def without(self, *names: str) -> Profile:
        """Return a profile that lacks the named plugins."""
        kept = tuple(plugin for plugin in self.plugins if plugin.name not in names)
        points = {point: tuple(n for n in order if n not in names) for point, order in self.points.items()}
        return attrs.evolve(self, plugins=kept, points=points)

    def with_plugins(self, *plugins: Plugin, weights: Mapping[str, int] | None = None) -> Profile:
        """Return a profile that has these plugins too, in the place of those with the same name or at the end."""
        new = {plugin.name: plugin for plugin in plugins}
        kept = tuple(new.pop(plugin.name, plugin) for plugin in self.plugins)
        points = {
            point: (*order, *(name for name, plugin in new.items() if isinstance(plugin, POINTS[point])))
            for point, order in self.points.items()
        }
        merged = {**self.weights, **(weights or {})}
        return attrs.evolve(self, plugins=(*kept, *new.values()), weights=merged, points=points)

    def having(self, point: Any) -> tuple[Any, ...]:
        """Return the plugins that take part in an extension point, one of the protocols of `interface`."""
        order = self.points.get(NAMES[point])
        if order is None:
            return tuple(plugin for plugin in self.plugins if isinstance(plugin, point))
        by_name = {plugin.name: plugin for plugin in self.plugins}
        return tuple(by_name[name] for name in order)

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
    def batching(self) -> Any:
        """The plugin that places several Pods at once; None when there is none."""
        return next((plugin for plugin in self.plugins if isinstance(plugin, BatchPlugin)), None)

    @cached_property
    def checks_room(self) -> bool:
        """Whether Pods of this profile are kept from nodes that have too little of what they ask for."""
        return any(plugin.name == "NodeResourcesFit" for plugin in self.filters)

    @cached_property
    def binds_plainly(self) -> bool:
        """Whether nothing but the server is asked to bind a Pod."""
        return not self.pre_binds and all(isinstance(plugin, DefaultBinder) for plugin in self.binds)

    @cached_property
    def grouping(self) -> Any:
        """The plugin that places Pods together; None when there is none."""
        return next((plugin for plugin in self.plugins if isinstance(plugin, GroupPlugin)), None)

    @property
    def grouping_name(self) -> str:
        """The name of that plugin."""
        return self.grouping.name if self.grouping is not None else ""

    def group_of(self, pod: PodInfo, table: NodeTable) -> Hashable | None:
        """Return what a Pod is placed together with; None for a Pod that is on its own."""
        return None if self.grouping is None else self.grouping.group_of(pod, table)

    @property
    def sorter_name(self) -> str:
        """The name of the plugin that sorts the queue."""
        return self._sorter.name if self._sorter is not None else ""

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
        """Return what the plugins read of a Pod: Pods of equal shape share their answers. Raises PluginError."""
        if not self._curious:
            return (pod.core_shape, ())
        return (pod.core_shape, tuple(_shape_key(plugin, pod) for plugin in self._curious))


def _shape_key(plugin: Plugin, pod: PodInfo) -> Hashable:
    try:
        key = plugin.shape_key(pod)
        hash(key)
    except Exception as error:
        raise PluginError(f"plugin {plugin.name} failed in ShapeKey: {error!r}", plugin=plugin.name) from error
    return key
