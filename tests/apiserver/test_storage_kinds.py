"""Rules of PersistentVolumes, claims to them, and StorageClasses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.rule_cases import faults, named, rules, stored, update_faults


def claim(size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return named("PersistentVolumeClaim", spec={**asked, **spec})


def volume(**spec: Any) -> dict[str, Any]:
    document = named(
        "PersistentVolume", spec={"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, **spec}
    )
    del document["metadata"]["namespace"]
    return document


def storage_class(**fields: Any) -> dict[str, Any]:
    document = named("StorageClass", "storage.k8s.io/v1", provisioner="example.com/disk", **fields)
    del document["metadata"]["namespace"]
    return document


def test_a_claim_and_a_volume_are_protected_while_they_are_in_use() -> None:
    assert stored("PersistentVolumeClaim", claim())["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert stored("PersistentVolume", volume(hostPath={"path": "/a"}))["metadata"]["finalizers"] == [
        "kubernetes.io/pv-protection"
    ]


def test_a_source_of_data_is_named_both_ways_and_never_in_another_namespace() -> None:
    spec = stored("PersistentVolumeClaim", claim(dataSourceRef={"kind": "X", "name": "y", "namespace": "z"}))["spec"]
    assert spec["dataSource"] == spec["dataSourceRef"] == {"kind": "X", "name": "y"}


def test_a_claim_that_is_not_bound_cannot_change() -> None:
    found = update_faults("PersistentVolumeClaim", claim("2Gi"), claim())
    assert len(found) == 1
    assert found[0].startswith("spec: Forbidden: spec is immutable after creation except resources.requests and ")
    assert ["1Gi" in line for line in found[0].splitlines() if line.startswith("-")] == [True]
    assert ["2Gi" in line for line in found[0].splitlines() if line.startswith("+")] == [True]
    assert update_faults("PersistentVolumeClaim", claim(volumeName="v"), claim()) == []


def test_a_bound_claim_can_grow_but_not_shrink_below_what_it_has() -> None:
    of_claim = rules("PersistentVolumeClaim")
    old = {
        **stored("PersistentVolumeClaim", claim("5Gi")),
        "status": {"phase": "Bound", "capacity": {"storage": "3Gi"}},
    }

    def told(size: str) -> list[str]:
        new = of_claim.prepare_update(of_claim.default(claim(size)), old)
        return [str(fault) for fault in of_claim.validate_update(new, old)]

    assert told("6Gi") == told("4Gi") == []
    assert told("3Gi") == ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, ["spec: Required value: must specify a volume type"]),
        (
            {"hostPath": {"path": "/a"}, "nfs": {"server": "s", "path": "/"}},
            ["spec.nfs: Forbidden: may not specify more than 1 volume type"],
        ),
        ({"local": {"path": "/a"}}, ["spec.nodeAffinity: Required value: Local volume requires node affinity"]),
        ({"csi": {"driver": "a"}}, ["spec.csi.volumeHandle: Required value"]),
        (
            {"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"},
            ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
        ),
    ],
)
def test_a_volume_has_one_source(spec: dict[str, Any], told: list[str]) -> None:
    assert faults("PersistentVolume", volume(**spec)) == told


def test_what_a_volume_is_stays_what_it_is() -> None:
    found = update_faults("PersistentVolume", volume(hostPath={"path": "/b"}), volume(hostPath={"path": "/a"}))
    assert [each.partition("\n")[0] for each in found] == [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
    ]


def test_a_storage_class_says_how_volumes_are_made_and_only_some_of_it_changes() -> None:
    version = "storage.k8s.io/v1"
    made = stored("StorageClass", storage_class(), version)
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    assert faults("StorageClass", storage_class(reclaimPolicy="Recycle"), version) == [
        'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'
    ]
    assert update_faults("StorageClass", storage_class(parameters={"a": "b"}), storage_class(), version) == [
        "parameters: Forbidden: updates to parameters are forbidden."
    ]


def test_what_is_valid_and_will_surprise_is_told() -> None:
    old = "volume.beta.kubernetes.io/storage-class"
    told = f'metadata.annotations[{old}]: deprecated since v1.8; use "storageClassName" attribute instead'
    asked = claim("1500m")
    asked["metadata"]["annotations"] = {old: "x"}
    assert rules("PersistentVolumeClaim").warnings(asked, None) == [
        told,
        'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
    ]
    given = volume(cephfs={"monitors": ["a"]}, persistentVolumeReclaimPolicy="Recycle")
    assert [each.partition(":")[0] for each in rules("PersistentVolume").warnings(given, None)] == [
        "spec.persistentVolumeReclaimPolicy",
        "spec.cephfs",
    ]
