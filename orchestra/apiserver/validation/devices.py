"""Rules of block devices in a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import Errors, invalid, not_found, required


def check_devices(
    devices: Sequence[Mapping[str, Any]],
    mounts: Mapping[str, str],
    path: str,
    context: PodContext,
    errors: Errors,
) -> None:
    """Append the faults of a container's volume devices; `mounts` maps its mounted volumes to their paths."""
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(devices):
        at = f"{path}[{index}]"
        name, point = device.get("name") or "", device.get("devicePath") or ""
        if not name:
            errors.append(required(f"{at}.name"))
        if name in names:
            errors.append(invalid(f"{at}.name", name, "must be unique"))
        volume = context.volumes.get(name)
        if volume is None:
            errors.append(not_found(f"{at}.name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{at}.name", name, detail))
        if not point:
            errors.append(required(f"{at}.devicePath"))
        if point in paths:
            errors.append(invalid(f"{at}.devicePath", point, "must be unique"))
        if ".." in point.split("/"):
            errors.append(invalid(f"{at}.devicePath", point, "can not contain backsteps ('..')"))
        else:
            paths.add(point)
        if name in mounts:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if point in mounts.values():
            detail = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{at}.devicePath", point, detail))
        if name:
            names.add(name)
