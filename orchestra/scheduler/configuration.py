"""Profiles from a document: kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration.

    configuration = load_configuration(Path("scheduler.yaml"))
    plane = ControlPlane(scheduler=Scheduler.configured(configuration))

How plugins are merged with the default ones, and `multiPoint` with single extension points, is what kube-scheduler 1.36
does (apis/config/v1 `mergePlugins`, framework/runtime `expandMultiPointPlugins`). Plugins of other packages are named
by a dotted name or an entry point, see `finding`. Settings that have no meaning here are listed in `ignored` when they
change nothing about which node a Pod gets, and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import yaml

from orchestra.backoff import Backoff
from orchestra.errors import ConfigurationError
from orchestra.scheduler.finding import find_plugin, make_plugin
from orchestra.scheduler.interface import Plugin
from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER
from orchestra.scheduler.points import POINTS
from orchestra.scheduler.profile import DEFAULT_PLUGINS, DEFAULT_WEIGHTS, Profile
from orchestra.scheduler.structuring import structured

API_VERSION: Final = "kubescheduler.config.k8s.io/v1"
KIND: Final = "KubeSchedulerConfiguration"
EVERY: Final = "*"
NOT_HERE: Final = frozenset(
    {"VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "NodeDeclaredFeatures", "GangScheduling"}
)
"""Plugins of kube-scheduler that do not exist here: disabling them, or telling them something, changes nothing."""
IGNORED: Final = (
    "parallelism",
    "leaderElection",
    "clientConnection",
    "healthzBindAddress",
    "metricsBindAddress",
    "enableProfiling",
    "enableContentionProfiling",
)
"""Settings of kube-scheduler's process, which this one gets from the plane that it is part of."""

Document = Mapping[str, Any]


@attrs.frozen
class PluginRef:
    """One plugin of a list: its name, and what its scores are multiplied by (0: not said)."""

    name: str
    weight: int = attrs.field(default=0)

    @weight.validator
    def _not_negative(self, _attribute: Any, value: int) -> None:
        if value < 0:
            raise ValueError(f"weight: {value} is negative")


@attrs.frozen
class PluginSet:
    """What is added to an extension point and what is taken away; `*` takes everything away."""

    enabled: tuple[PluginRef, ...] = ()
    disabled: tuple[PluginRef, ...] = ()

    @property
    def taken_away(self) -> frozenset[str]:
        """The names that are disabled."""
        return frozenset(each.name for each in self.disabled)


@attrs.frozen
class PluginConfig:
    """What one plugin is told."""

    name: str
    args: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Configuration:
    """What a document says: the profiles, and how long Pods rest between attempts."""

    profiles: tuple[Profile, ...]
    backoff: Backoff
    ignored: tuple[str, ...] = ()
    """Settings that have no meaning here."""


def load_configuration(source: Path | str | Document) -> Configuration:
    """Return what a KubeSchedulerConfiguration says: a file, its text in YAML or JSON, or the document itself.

    Raises ConfigurationError naming the profile, plugin and field at fault.
    """
    document = _document(source)
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        found = f"{document.get('apiVersion')} {document.get('kind')}"
        raise ConfigurationError(f"expected {API_VERSION} {KIND}, not {found}")
    known = {"apiVersion", "kind", "profiles", "percentageOfNodesToScore", "podInitialBackoffSeconds"}
    known |= {"podMaxBackoffSeconds", "extenders", "delayCacheUntilActive", *IGNORED}
    for name in document:
        if name not in known:
            raise ConfigurationError(f"{KIND}: unknown field {name}")
    if document.get("extenders"):
        raise ConfigurationError("extenders: there are none here; write a plugin instead")
    _check_percentage(document.get("percentageOfNodesToScore"), "percentageOfNodesToScore")
    listed = document.get("profiles")
    if listed is not None and not isinstance(listed, Sequence):
        raise ConfigurationError("profiles: expected a list")
    profiles = tuple(_profile(each, index) for index, each in enumerate(listed or ({},)))
    names = [profile.name for profile in profiles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"profiles: schedulerName given twice: {', '.join(twice)}")
    return Configuration(profiles, _backoff(document), tuple(name for name in IGNORED if name in document))


def _document(source: Path | str | Document) -> Document:
    if isinstance(source, Mapping):
        return source
    text = source
    if isinstance(source, Path):
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read {source}: {error}") from error
    try:
        found = yaml.safe_load(str(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"no YAML: {error}") from error
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"expected a {KIND}, not {type(found).__name__}")
    return found


def _check_percentage(value: Any, where: str) -> None:
    """Every node is always looked at, so only the values that allow that mean something."""
    if value not in (None, 0, 100):
        raise ConfigurationError(
            f"{where}: {value!r} is refused: every node is scored, always; leave it out or say 100"
        )


def _backoff(document: Document) -> Backoff:
    seconds = {}
    for name, usual in (("podInitialBackoffSeconds", 1), ("podMaxBackoffSeconds", 10)):
        value = document.get(name)
        if value is not None and (type(value) is not int or value <= 0):
            raise ConfigurationError(f"{name}: {value!r} is no whole number above zero")
        seconds[name] = float(value or usual)
    first, longest = seconds["podInitialBackoffSeconds"], seconds["podMaxBackoffSeconds"]
    if longest < first:
        raise ConfigurationError("podMaxBackoffSeconds is less than podInitialBackoffSeconds")
    return Backoff(initial_seconds=first, factor=2.0, max_seconds=longest)


def _profile(document: Any, index: int) -> Profile:
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"profiles[{index}]: expected fields")
    name = document.get("schedulerName", DEFAULT_SCHEDULER)
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"profiles[{index}].schedulerName: expected a name")
    for field in document:
        if field not in ("schedulerName", "plugins", "pluginConfig", "percentageOfNodesToScore"):
            raise ConfigurationError(f"profile {name}: unknown field {field}")
    _check_percentage(document.get("percentageOfNodesToScore"), f"profile {name}: percentageOfNodesToScore")
    sets = _sets(document.get("plugins") or {}, name)
    everywhere = _with_defaults(sets.pop("multiPoint", PluginSet()))
    told = _told(document.get("pluginConfig") or (), name)
    refs = {ref.name: ref for ref in (*everywhere, *(ref for each in sets.values() for ref in each.enabled))}
    plugins = tuple(make_plugin(ref, told.pop(_name(ref), None), profile=name) for ref in refs)
    strangers = [each for each in told if each not in NOT_HERE and not _exists(each)]
    if strangers:
        raise ConfigurationError(f"profile {name}: pluginConfig: no plugin {', '.join(strangers)}")
    points = {point: _expanded(point, sets.get(point, PluginSet()), everywhere, plugins, name) for point in POINTS}
    return Profile(name, plugins, _weights(sets.get("score", PluginSet()), everywhere), points)


def _sets(document: Any, profile: str) -> dict[str, PluginSet]:
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"profile {profile}: plugins: expected extension points")
    found = {}
    for point, each in document.items():
        if point != "multiPoint" and point not in POINTS:
            raise ConfigurationError(f"profile {profile}: plugins: no extension point {point}")
        found[point] = structured(each or {}, PluginSet, f"profile {profile}: plugins.{point}")
        for ref in found[point].disabled:
            if ref.name != EVERY and ref.name not in NOT_HERE:
                _named(ref.name, f"profile {profile}: plugins.{point}.disabled")
    return found


def _named(name: str, where: str) -> str:
    try:
        return find_plugin(name).name
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _name(ref: str) -> str:
    return find_plugin(ref).name


def _exists(name: str) -> bool:
    try:
        find_plugin(name)
    except ConfigurationError:
        return False
    return True


def _told(document: Any, profile: str) -> dict[str, Document]:
    where = f"profile {profile}: pluginConfig"
    if not isinstance(document, Sequence) or isinstance(document, str):
        raise ConfigurationError(f"{where}: expected a list")
    found: dict[str, Document] = {}
    for index, each in enumerate(document):
        config = structured(each, PluginConfig, f"{where}[{index}]")
        if config.name in found:
            raise ConfigurationError(f"{where}: {config.name} is given twice")
        found[config.name] = {key: v for key, v in config.args.items() if key not in ("apiVersion", "kind")}
    return found


def _with_defaults(told: PluginSet) -> tuple[PluginRef, ...]:
    """Return the plugins of all extension points: the default ones as they were changed, then the new ones."""
    enabled = {ref.name: ref for ref in told.enabled}
    kept = []
    if EVERY not in told.taken_away:
        for plugin in DEFAULT_PLUGINS:
            if plugin.name not in told.taken_away:
                usual = PluginRef(plugin.name, DEFAULT_WEIGHTS.get(plugin.name, 1))
                kept.append(enabled.pop(plugin.name, usual))
    return (*kept, *enabled.values())


def _expanded(
    point: str, told: PluginSet, everywhere: Sequence[PluginRef], plugins: Sequence[Plugin], profile: str
) -> tuple[str, ...]:
    """Return the names of the plugins of one extension point, in their order."""
    by_name = {plugin.name: plugin for plugin in plugins}
    own = [_name(ref.name) for ref in told.enabled]
    for name in own:
        if not isinstance(by_name[name], POINTS[point]):
            raise ConfigurationError(f"profile {profile}: plugins.{point}: {name} does not take part in {point}")
        if own.count(name) > 1:
            raise ConfigurationError(f"profile {profile}: plugins.{point}: {name} is given twice")
    if EVERY in told.taken_away:
        return tuple(own)
    general = [_name(ref.name) for ref in everywhere]
    general = [n for n in general if isinstance(by_name[n], POINTS[point]) and n not in told.taken_away]
    overridden = [name for name in own if name in general]
    return (
        *overridden,
        *(name for name in general if name not in own),
        *(name for name in own if name not in overridden),
    )


def _weights(told: PluginSet, everywhere: Sequence[PluginRef]) -> dict[str, int]:
    found: dict[str, int] = {}
    for ref in (*told.enabled, *everywhere):
        found.setdefault(_name(ref.name), ref.weight or 1)
    return found
