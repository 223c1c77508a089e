"""Volumes as directories: contents, modes, atomic change, and no way out."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestra.api.core import (
    ConfigMap,
    ConfigMapProjection,
    ConfigMapVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    HostPathVolumeSource,
    KeyToPath,
    ObjectFieldSelector,
    ProjectedVolumeSource,
    Secret,
    SecretVolumeSource,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from orchestra.api.object import ObjectMeta
from orchestra.node.environment import ContainerConfigError, Place, Sources
from orchestra.node.volumes import MountError, Volumes, container_mounts

from .kit import container, pod

META = ObjectMeta(name="m", namespace="default")
PLACE = Place(pod_ip="127.1.2.3", host_ip="127.0.0.1", node_name="n")


def sources(**data: str) -> Sources:
    maps = {"m": ConfigMap(metadata=META, data=data or {"a": "1", "b": "2"}, binary_data={"raw": b"\xff"})}
    return Sources(config_maps=maps, secrets={"m": Secret(metadata=META, data={"key": b"\x00"})})


def prepared(tmp_path: Path, volume: Volume, given: Sources | None = None) -> Path:
    of = pod(volumes=(volume,))
    volumes = Volumes(tmp_path)
    volumes.prepare(of, given or sources(), PLACE)
    return volumes.paths(of)[volume.name]


def listed(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir() if not p.name.startswith("..") and p.is_file()}


def config(**fields: object) -> Volume:
    return Volume(name="v", config_map=ConfigMapVolumeSource(name="m", **fields))  # type: ignore[arg-type]


def test_every_key_is_a_file(tmp_path: Path) -> None:
    directory = prepared(tmp_path, config(default_mode=0o440))
    assert listed(directory) == {"a": b"1", "b": b"2", "raw": b"\xff"}
    assert stat.S_IMODE((directory / "a").stat().st_mode) == 0o440


def test_items_choose_rename_and_give_modes(tmp_path: Path) -> None:
    items = (KeyToPath(key="a", path="sub/x", mode=0o400), KeyToPath(key="b", path="y"))
    directory = prepared(tmp_path, config(items=items))
    assert (directory / "sub" / "x").read_text() == "1"
    assert stat.S_IMODE((directory / "sub" / "x").stat().st_mode) == 0o400
    assert listed(directory) == {"y": b"2"}


def test_a_change_shows_all_new_files_at_once(tmp_path: Path) -> None:
    directory = prepared(tmp_path, config())
    held = (directory / "..data").resolve()
    prepared(tmp_path, config())
    assert (directory / "..data").resolve() == held  # nothing has changed, nothing was written
    prepared(tmp_path, config(), sources(a="new", c="3"))
    assert listed(directory) == {"a": b"new", "c": b"3", "raw": b"\xff"}
    assert (directory / "..data").resolve() != held
    assert not held.exists()


def test_secrets_downward_fields_and_mixtures_are_volumes_too(tmp_path: Path) -> None:
    field = DownwardAPIVolumeFile(path="name", field_ref=ObjectFieldSelector(field_path="metadata.name"))
    secret = Volume(name="s", secret=SecretVolumeSource(secret_name="m"))
    assert listed(prepared(tmp_path / "1", secret)) == {"key": b"\x00"}
    downward = Volume(name="d", downward_api=DownwardAPIVolumeSource(items=(field,)))
    assert listed(prepared(tmp_path / "2", downward)) == {"name": b"p"}
    both = (VolumeProjection(config_map=ConfigMapProjection(name="m", items=(KeyToPath(key="a", path="z"),))),)
    mixed = Volume(name="p", projected=ProjectedVolumeSource(sources=both))
    assert listed(prepared(tmp_path / "3", mixed)) == {"z": b"1"}


def test_an_empty_directory_is_open_to_everybody(tmp_path: Path) -> None:
    directory = prepared(tmp_path, Volume(name="e", empty_dir=EmptyDirVolumeSource()))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o777
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (Volume(name="v", config_map=ConfigMapVolumeSource(name="no")), 'configmap "no" not found'),
        (Volume(name="v", secret=SecretVolumeSource(secret_name="no")), 'secret "no" not found'),
        (config(items=(KeyToPath(key="no", path="x"),)), "configmap references non-existent config key: no"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, volume: Volume, text: str) -> None:
    with pytest.raises(MountError) as caught:
        prepared(tmp_path, volume)
    assert str(caught.value) == f'MountVolume.SetUp failed for volume "v" : {text}'


def test_what_is_optional_may_be_missing(tmp_path: Path) -> None:
    volume = Volume(name="v", config_map=ConfigMapVolumeSource(name="no", optional=True))
    assert listed(prepared(tmp_path, volume)) == {}


def test_a_path_of_the_host_must_be_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    good = Volume(name="h", host_path=HostPathVolumeSource(path=str(tmp_path / "file"), type="File"))
    assert prepared(tmp_path, good) == tmp_path / "file"
    bad = Volume(name="h", host_path=HostPathVolumeSource(path=str(tmp_path / "file"), type="Directory"))
    with pytest.raises(MountError, match="hostPath type check failed"):
        prepared(tmp_path, bad)
    made = Volume(name="h", host_path=HostPathVolumeSource(path=str(tmp_path / "new"), type="DirectoryOrCreate"))
    assert prepared(tmp_path, made).is_dir()


def mounted(directory: Path, **fields: str) -> Path:
    mounting = container(volume_mounts=(VolumeMount(name="v", mount_path="/x", **fields),))  # type: ignore[arg-type]
    (mount,) = container_mounts(mounting, {"v": directory}, {"POD": "p"})
    return Path(mount.host_path)


def test_a_part_of_a_volume_can_be_mounted(tmp_path: Path) -> None:
    assert mounted(tmp_path, sub_path="a/b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert mounted(tmp_path, sub_path_expr="logs/$(POD)") == tmp_path / "logs" / "p"


@pytest.mark.parametrize("sub_path", ["../out", "a/../../out", "/etc", "link/x"])
def test_no_part_of_a_volume_leads_out_of_it(tmp_path: Path, sub_path: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "link").symlink_to(tmp_path)
    with pytest.raises(ContainerConfigError):
        mounted(volume, sub_path=sub_path)
    assert not (tmp_path / "out").exists()


def test_removing_a_pod_leaves_nothing(tmp_path: Path) -> None:
    volumes, of = Volumes(tmp_path), pod(volumes=(config(),))
    volumes.prepare(of, sources(), PLACE)
    assert volumes.known() == ("u",)
    volumes.remove("u")
    assert volumes.known() == ()
