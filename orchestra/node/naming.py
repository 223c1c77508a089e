"""How the containers of a Pod are found and named. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra.api.core import Pod

if TYPE_CHECKING:
    from orchestra.api.core import Container


def container_named(pod: Pod, name: str) -> Container:
    """Return the container of that name."""
    return next(c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == name)


def field_path(pod: Pod, container: Container) -> str:
    """Return how Events name a container of a Pod."""
    kind = "initContainers" if any(c.name == container.name for c in pod.spec.init_containers) else "containers"
    return f"spec.{kind}{{{container.name}}}"


def has_container(pod: Pod, name: str) -> bool:
    """Whether a Pod declares a container of that name."""
    return any(c.name == name for c in (*pod.spec.init_containers, *pod.spec.containers))
