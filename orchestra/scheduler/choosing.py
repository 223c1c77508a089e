"""Profiles by what a person writes: a name, a file, or where a Python program has one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestra.errors import ConfigurationError
from orchestra.scheduler.configuration import load_configuration
from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER
from orchestra.scheduler.profile import Profile


def _with_strategy(strategy: str) -> Profile:
    """Return the default profile with NodeResourcesFit rating nodes by another strategy."""
    args = {"scoringStrategy": {"type": strategy, "resources": [{"name": n, "weight": 1} for n in ("cpu", "memory")]}}
    fit = {"name": "NodeResourcesFit", "args": args}
    document = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [{"schedulerName": DEFAULT_SCHEDULER, "pluginConfig": [fit]}],
    }
    return load_configuration(document).profiles[0]


NAMED: Final[dict[str, Callable[[], Profile]]] = {
    DEFAULT_SCHEDULER: Profile,
    "least-allocated": Profile,
    "most-allocated": lambda: _with_strategy("MostAllocated"),
}
"""The profiles that have names: the default one, which spreads Pods over nodes, and one that fills nodes up."""


def choose_profiles(text: str) -> tuple[Profile, ...]:
    """Return the profiles that `text` means; raises ConfigurationError.

    It is a name of `NAMED`, a file with a KubeSchedulerConfiguration, or `module:attribute` naming a `Profile` or a
    function that returns one. Only a file can mean several, which then each place the Pods that ask for them.
    """
    known = NAMED.get(text)
    if known is not None:
        return (known(),)
    module, separator, attribute = text.partition(":")
    if separator and attribute.isidentifier() and not Path(text).exists():
        return (_imported(text, module, attribute),)
    path = Path(text)
    if not path.is_file():
        names = ", ".join(NAMED)
        raise ConfigurationError(f"profile {text!r} is neither one of {names}, nor a file, nor MODULE:ATTRIBUTE")
    try:
        return load_configuration(path).profiles
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _imported(text: str, module: str, attribute: str) -> Profile:
    try:
        found = getattr(importlib.import_module(module), attribute)
        if callable(found) and not isinstance(found, Profile):
            found = found()
    except Exception as error:  # whatever the user's own module does
        raise ConfigurationError(f"profile {text!r}: {error}") from error
    if not isinstance(found, Profile):
        raise ConfigurationError(f"profile {text!r} is no Profile, but {type(found).__name__}")
    return found
