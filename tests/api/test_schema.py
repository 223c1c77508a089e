from __future__ import annotations

import pytest

from orchestra.api.apps import Deployment
from orchestra.api.core import Pod, Service
from orchestra.api.schema import ANY, Schema, struct_schema, undeclared_fields

# Path in a Deployment, list type and keys of server-side apply, key of strategic merge patch, as Kubernetes' OpenAPI
# document has them.
LISTS = [
    ("spec.template.spec.containers", "map", ("name",), "name"),
    ("spec.template.spec.containers.0.ports", "map", ("containerPort", "protocol"), "containerPort"),
    ("spec.template.spec.containers.0.env", "map", ("name",), "name"),
    ("spec.template.spec.containers.0.envFrom", "atomic", (), ""),
    ("spec.template.spec.containers.0.command", "atomic", (), ""),
    ("spec.template.spec.containers.0.volumeMounts", "map", ("mountPath",), "mountPath"),
    ("spec.template.spec.containers.0.resources.claims", "map", ("name",), ""),
    ("spec.template.spec.volumes", "map", ("name",), "name"),
    ("spec.template.spec.tolerations", "atomic", (), ""),
    ("spec.template.spec.hostAliases", "map", ("ip",), "ip"),
    ("spec.template.spec.imagePullSecrets", "map", ("name",), "name"),
    ("spec.template.spec.topologySpreadConstraints", "map", ("topologyKey", "whenUnsatisfiable"), "topologyKey"),
    ("spec.template.spec.schedulingGates", "map", ("name",), "name"),
    ("status.conditions", "map", ("type",), "type"),
    ("metadata.finalizers", "set", (), ""),
    ("metadata.ownerReferences", "map", ("uid",), "uid"),
    ("metadata.managedFields", "atomic", (), ""),
]


def node_at(root: Schema, path: str) -> Schema:
    return root.at(*path.split("."))


@pytest.mark.parametrize(("path", "list_type", "keys", "merge_key"), LISTS, ids=lambda value: str(value))
def test_lists_combine_as_the_openapi_document_says(
    path: str, list_type: str, keys: tuple[str, ...], merge_key: str
) -> None:
    node = node_at(struct_schema(Deployment), path)
    assert (node.kind, node.list_type, node.list_keys, node.merge_key) == ("list", list_type, keys, merge_key)


def test_the_ports_of_a_service_are_merged_by_port_and_their_protocol_defaults_to_tcp() -> None:
    ports = struct_schema(Service).at("spec", "ports")
    assert (ports.list_keys, ports.merge_key, ports.key_defaults) == (("port", "protocol"), "port", {"protocol": "TCP"})


def test_pod_addresses_are_a_map_for_apply_and_host_addresses_only_for_strategic_merge() -> None:
    status = struct_schema(Pod).at("status")
    assert status.at("podIPs").list_type == "map"
    assert (status.at("hostIPs").list_type, status.at("hostIPs").merge_key) == ("atomic", "ip")


def test_some_maps_and_structs_are_owned_whole() -> None:
    spec = struct_schema(Deployment).at("spec")
    assert spec.at("selector").atomic
    pod = spec.at("template", "spec")
    assert pod.at("nodeSelector").atomic
    assert pod.at("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution").atomic
    assert pod.at("containers", 0, "env", 0, "valueFrom", "secretKeyRef").atomic
    assert not pod.at("securityContext").atomic
    assert not spec.at("template", "metadata", "labels").atomic


def test_some_places_understand_retain_keys_and_finalizers_are_added_to() -> None:
    deployment = struct_schema(Deployment)
    assert deployment.at("spec", "strategy").retain_keys
    volumes = deployment.at("spec", "template", "spec", "volumes")
    assert volumes.retain_keys
    assert volumes.item.retain_keys
    assert deployment.at("metadata", "finalizers").patch_merge


def test_types_are_those_of_go() -> None:
    pod = struct_schema(Pod).at("spec")
    assert pod.at("containers").go == "[]v1.Container"
    assert pod.at("priority").go == "int32"
    assert pod.at("terminationGracePeriodSeconds").go == "int64"
    assert pod.at("containers", 0, "securityContext", "capabilities", "add").go == "[]v1.Capability"
    assert pod.at("nodeSelector").go == "map[string]string"
    assert pod.at("containers", 0, "livenessProbe", "httpGet", "port").scalar == "int-or-string"


def test_nothing_is_known_of_what_is_not_declared() -> None:
    assert struct_schema(Pod).at("spec", "future", "deep", 0) is ANY
    assert struct_schema(Pod) is struct_schema(Pod)
    assert struct_schema(Pod).at("kind").scalar == "string"


def test_undeclared_fields_are_named_by_path() -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"anything": "goes"}, "Name": "x"},
        "spec": {"containers": [{"name": "c"}, {"name": "d", "bogus": {"inner": 1}}], "Volumes": []},
        "top": 1,
    }
    assert undeclared_fields(document, Pod) == ("metadata.Name", "spec.containers[1].bogus", "spec.Volumes", "top")
