"""Volumes of Pods as directories on the node.

Each Pod has `<root>/pods/<uid>/volumes/<name>`. Contents of ConfigMaps, Secrets, downward API and projected volumes
are written to a new timestamped directory that a symbolic link `..data` is then turned to, so that a reader sees
either all old or all new files (Kubernetes' atomic writer).
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.errors import OrchestraError
from orchestra.node.downward import field_value, resource_value
from orchestra.node.environment import ContainerConfigError, Place, Sources, expand

if TYPE_CHECKING:
    from orchestra.api.core import Container, KeyToPath, Volume

_DEFAULT_MODE = 0o644
_HOST_PATH_KINDS = {
    "Directory": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}


def refreshes(pod: Pod) -> bool:
    """Whether a Pod has volumes whose contents follow API objects."""
    return any(v.config_map or v.secret or v.projected or v.downward_api for v in pod.spec.volumes)


class MountError(OrchestraError):
    """A volume cannot be set up: event `FailedMount`, and the Pod waits."""


@attrs.frozen
class File:
    """One file of a volume: its content and its mode."""

    content: bytes
    mode: int


class Volumes:
    """Sets up and removes the volumes of the Pods of one node, under `root`."""

    def __init__(self, root: Path) -> None:
        self._pods = root / "pods"

    def pod_directory(self, uid: str) -> Path:
        """Return where everything of one Pod lies."""
        return self._pods / uid

    def prepare(self, pod: Pod, sources: Sources, place: Place) -> None:
        """Make the volumes of a Pod, or bring them up to date; raises MountError naming one that cannot be had."""
        for volume in pod.spec.volumes:
            try:
                self._prepare(pod, volume, sources, place)
            except (ContainerConfigError, OSError) as error:
                raise MountError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error

    def paths(self, pod: Pod) -> dict[str, Path]:
        """Return the host paths of a Pod's volumes by name, as `prepare` made them."""
        own = self.pod_directory(pod.metadata.uid) / "volumes"
        return {v.name: Path(v.host_path.path) if v.host_path is not None else own / v.name for v in pod.spec.volumes}

    def remove(self, uid: str) -> None:
        """Remove everything of a Pod; nothing is left to follow out of the directory."""
        shutil.rmtree(self.pod_directory(uid), ignore_errors=True)

    def known(self) -> tuple[str, ...]:
        """Return the uids of the Pods that have a directory."""
        return tuple(sorted(entry.name for entry in self._pods.iterdir())) if self._pods.is_dir() else ()

    def _prepare(self, pod: Pod, volume: Volume, sources: Sources, place: Place) -> None:
        if volume.host_path is not None:
            _check_host_path(volume.host_path.path, volume.host_path.type or "")
            return
        directory = self.pod_directory(pod.metadata.uid) / "volumes" / volume.name
        directory.mkdir(parents=True, exist_ok=True)
        if volume.empty_dir is not None:
            directory.chmod(0o777)
            return
        files = _files(pod, volume, sources, place)
        if files is None:
            raise ContainerConfigError("this kind of volume is not supported by the node")
        _write_atomically(directory, files)


def container_mounts(
    container: Container, volumes: Mapping[str, Path], variables: Mapping[str, str]
) -> tuple[pb.Mount, ...]:
    """Return the CRI mounts of a container; a `subPath` that is missing becomes a directory."""
    result = []
    for mount in container.volume_mounts:
        source = volumes.get(mount.name)
        if source is None:
            raise ContainerConfigError(f'volume "{mount.name}" not found')
        sub_path = expand(mount.sub_path_expr, variables) if mount.sub_path_expr else mount.sub_path or ""
        if sub_path:
            source = _inside(source, sub_path)
            if not source.exists():
                source.mkdir(parents=True, mode=0o777)
        result.append(pb.Mount(container_path=mount.mount_path, host_path=str(source), readonly=bool(mount.read_only)))
    return tuple(result)


def _inside(base: Path, relative: str) -> Path:
    """Return `base/relative`, refusing every way out of `base`, symbolic links included."""
    path = base / relative
    if os.path.isabs(relative) or not path.resolve().is_relative_to(base.resolve()):
        raise ContainerConfigError(f'subPath "{relative}" leaves its volume')
    return path


def _check_host_path(path: str, kind: str) -> None:
    host = Path(path)
    if kind == "DirectoryOrCreate":
        host.mkdir(parents=True, exist_ok=True, mode=0o755)
    elif kind == "FileOrCreate" and not host.exists():
        host.touch(mode=0o644)
    check = _HOST_PATH_KINDS.get(kind.removesuffix("OrCreate"))
    if check is not None and not (host.exists() and check(host.stat().st_mode)):
        raise ContainerConfigError(
            f"hostPath type check failed: {path} is not a {kind.removesuffix('OrCreate').lower()}"
        )


def _files(pod: Pod, volume: Volume, sources: Sources, place: Place) -> dict[str, File] | None:
    """Return the files of a volume that is made of API objects; None for any other kind of volume."""
    if volume.config_map is not None:
        return _config_map(volume.config_map, pod, sources, volume.config_map.default_mode)
    if volume.secret is not None:
        return _secret(volume.secret, volume.secret.secret_name or "", pod, sources, volume.secret.default_mode)
    if volume.downward_api is not None:
        return _downward(volume.downward_api.items, pod, sources, place, volume.downward_api.default_mode)
    if volume.projected is None:
        return None
    files: dict[str, File] = {}
    mode = volume.projected.default_mode
    for source in volume.projected.sources:
        if source.config_map is not None:
            files |= _config_map(source.config_map, pod, sources, mode)
        elif source.secret is not None:
            files |= _secret(source.secret, source.secret.name or "", pod, sources, mode)
        elif source.downward_api is not None:
            files |= _downward(source.downward_api.items, pod, sources, place, mode)
        else:
            return None
    return files


def _config_map(source: object, pod: Pod, sources: Sources, mode: int | None) -> dict[str, File]:
    name = getattr(source, "name", None) or ""
    found = sources.config_maps.get(name)
    if found is None:
        if getattr(source, "optional", None):
            return {}
        raise ContainerConfigError(f'configmap "{name}" not found')
    contents = {key: value.encode() for key, value in found.data.items()}
    contents |= found.binary_data
    return _project(contents, source, mode, "configmap references non-existent config key: {}")


def _secret(source: object, name: str, pod: Pod, sources: Sources, mode: int | None) -> dict[str, File]:
    found = sources.secrets.get(name)
    if found is None:
        if getattr(source, "optional", None):
            return {}
        raise ContainerConfigError(f'secret "{name}" not found')
    return _project(found.data, source, mode, "references non-existent secret key: {}")


def _project(contents: Mapping[str, bytes], source: object, mode: int | None, missing: str) -> dict[str, File]:
    """Pick and rename keys as `items` says; without items every key is a file."""
    default = _DEFAULT_MODE if mode is None else mode
    items: Iterable[KeyToPath] = getattr(source, "items", ())
    if not items:
        return {key: File(value, default) for key, value in contents.items()}
    files = {}
    for item in items:
        if item.key in contents:
            files[item.path] = File(contents[item.key], default if item.mode is None else item.mode)
        elif not getattr(source, "optional", None):
            raise ContainerConfigError(missing.format(item.key))
    return files


def _downward(items: Iterable[object], pod: Pod, sources: Sources, place: Place, mode: int | None) -> dict[str, File]:
    files = {}
    for item in items:
        field, resource = getattr(item, "field_ref", None), getattr(item, "resource_field_ref", None)
        text = ""
        if field is not None:
            text = field_value(pod, field.field_path, place.pod_ip, place.host_ip)
        elif resource is not None:
            text = resource_value(pod, pod.spec.containers[0], resource, sources.allocatable)
        own = getattr(item, "mode", None)
        default = _DEFAULT_MODE if mode is None else mode
        files[getattr(item, "path", "")] = File(text.encode(), default if own is None else own)
    return files


def _write_atomically(directory: Path, files: Mapping[str, File]) -> None:
    """Make `files` the content of `directory` in one step; nothing is written when it is so already."""
    data = directory / "..data"
    if data.exists() and _same(data, files):
        return
    number = max((int(p.name.rsplit("_", 1)[1]) for p in directory.glob("..version_*")), default=0) + 1
    version = directory / f"..version_{number}"
    version.mkdir(mode=0o755)
    for name, file in files.items():
        target = _inside(version, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    fresh = directory / "..data_tmp"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(version.name)
    fresh.replace(data)
    visible = {name.split("/", 1)[0] for name in files}
    for name in visible:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    for entry in directory.iterdir():
        stale_link = not entry.name.startswith("..") and entry.name not in visible
        if stale_link:
            entry.unlink()
        elif entry.name.startswith("..version_") and entry != version:
            shutil.rmtree(entry)


def _same(data: Path, files: Mapping[str, File]) -> bool:
    """Say whether a version directory holds exactly these files."""
    base = data.resolve()
    held = {str(p.relative_to(base)): p for p in base.rglob("*") if p.is_file()}
    if held.keys() != files.keys():
        return False
    return all(
        held[name].read_bytes() == file.content and stat.S_IMODE(held[name].stat().st_mode) == file.mode
        for name, file in files.items()
    )
