"""Defaults and write strategies of the kinds beside Pods."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from orchestra.api.core.pod import Pod
from orchestra.apiserver.defaults import check_runtime_class, default_priority, default_toleration_seconds, presented
from orchestra.errors import Forbidden
from tests.apiserver.rule_cases import deployment, named, pod, rules, service, stored


def test_a_deployment_rolls_a_quarter_at_a_time() -> None:
    spec = rules("Deployment", "apps/v1").default(deployment())["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)


def test_a_service_gets_its_type_its_target_ports_and_its_family() -> None:
    spec = stored("Service", service())["spec"]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert spec["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def allocated(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 30080}]
    return stored("Service", service(type="NodePort", clusterIP="10.96.0.5", ports=ports, **spec))


def updated(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    of_service = rules("Service")
    found: dict[str, Any] = of_service.prepare_update(of_service.default(new), old)["spec"]
    return found


def test_an_update_of_a_service_keeps_what_was_allocated() -> None:
    spec = updated(service(type="NodePort"), allocated())
    assert spec["clusterIP"] == "10.96.0.5"
    assert spec["ports"][0]["nodePort"] == 30080


def test_a_service_gives_back_its_node_ports_with_its_type() -> None:
    old = allocated()
    new = {**old, "spec": {**old["spec"], "type": "ClusterIP"}}
    assert "nodePort" not in updated(new, old)["ports"][0]


def test_an_external_name_gives_back_the_address() -> None:
    old = allocated()
    new = {**old, "spec": {**old["spec"], "type": "ExternalName", "externalName": "example.org"}}
    spec = updated(new, old)
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"} & set(spec)


def test_text_of_a_secret_becomes_data() -> None:
    secret = rules("Secret").default(named("Secret", stringData={"key": "value"}))
    assert secret["data"] == {"key": base64.b64encode(b"value").decode()}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_a_new_namespace_is_active_and_labelled_with_its_name() -> None:
    namespace = stored("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    assert namespace["spec"] == {"finalizers": ["kubernetes"]}
    assert namespace["status"] == {"phase": "Active"}


def test_a_node_can_give_all_that_it_has() -> None:
    node = named("Node", status={"capacity": {"cpu": "4"}}, spec={"podCIDR": "10.0.0.0/24"})
    found = rules("Node").default(node)
    assert found["status"]["allocatable"] == {"cpu": "4"}
    assert found["spec"]["podCIDRs"] == ["10.0.0.0/24"]


def test_a_node_is_created_without_namespace() -> None:
    assert "namespace" not in rules("Node").prepare_create(named("Node"))["metadata"]


def test_an_update_keeps_the_status_and_a_status_update_the_spec() -> None:
    of_deployment, old = rules("Deployment", "apps/v1"), stored("Deployment", deployment(), "apps/v1")
    old = {**old, "status": {"replicas": 1}}
    new = {**old, "spec": {**old["spec"], "replicas": 5}, "status": {"replicas": 9}}
    assert of_deployment.prepare_update(new, old)["status"] == {"replicas": 1}
    prepared = of_deployment.prepare_status_update(new, old)
    assert prepared["spec"]["replicas"] == 1
    assert prepared["status"]["replicas"] == 9


def test_what_go_always_writes_is_added_for_others() -> None:
    shown = presented(stored("Pod", pod()), Pod)
    assert shown["spec"]["containers"][0]["resources"] == {}
    assert shown["spec"]["securityContext"] == {}


def test_a_pod_leaves_a_lost_node_after_five_minutes() -> None:
    found = default_toleration_seconds(pod())["spec"]["tolerations"]
    assert [(toleration["key"], toleration["tolerationSeconds"]) for toleration in found] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]


def test_a_pod_that_bears_everything_gets_no_tolerations() -> None:
    given = pod(tolerations=[{"operator": "Exists"}])
    assert default_toleration_seconds(given) is given


def test_the_priority_is_that_of_the_class() -> None:
    spec = default_priority(pod(priorityClassName="system-node-critical"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (2_000_001_000, "PreemptLowerPriority")
    with pytest.raises(Forbidden, match="no PriorityClass with name gold was found"):
        default_priority(pod(priorityClassName="gold"))
    with pytest.raises(Forbidden, match="must not be provided in pod spec"):
        default_priority(pod(priority=7))


def test_a_runtime_class_must_exist() -> None:
    check_runtime_class(pod(runtimeClassName="box"), ["box"])
    with pytest.raises(Forbidden, match='RuntimeClass "box" not found'):
        check_runtime_class(pod(runtimeClassName="box"))
