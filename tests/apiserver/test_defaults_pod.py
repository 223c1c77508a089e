"""What a Pod means that does not say everything."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.api.core.pod import Pod
from orchestra.apiserver.defaults import qos_class
from orchestra.apiserver.defaults.canonical import canonical
from tests.apiserver.rule_cases import deployment, pod, rules


def default(document: dict[str, Any]) -> dict[str, Any]:
    return rules("Pod").default(document)


def main_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = default(document)["spec"]["containers"][0]
    return found


def test_a_pod_gets_its_usual_policies() -> None:
    spec = default(pod())["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["enableServiceLinks"] is True


def test_what_the_writer_said_is_kept() -> None:
    spec = default(pod(restartPolicy="Never", terminationGracePeriodSeconds=0, enableServiceLinks=False))["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 0
    assert spec["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("host:5000/web", "Always"),
        ("host:5000/web:1", "IfNotPresent"),
        ("web@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert main_of(pod(container={"image": image}))["imagePullPolicy"] == policy


def test_requests_default_to_limits() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    found = main_of(pod(container={"resources": resources}))["resources"]
    assert found["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_a_probe_gets_its_intervals() -> None:
    probe = main_of(pod(container={"livenessProbe": {"httpGet": {"port": 80}}}))["livenessProbe"]
    assert probe["httpGet"] == {"path": "/", "port": 80, "scheme": "HTTP"}
    assert (probe["timeoutSeconds"], probe["periodSeconds"]) == (1, 10)
    assert (probe["successThreshold"], probe["failureThreshold"]) == (1, 3)


def test_the_host_network_takes_host_ports_in_pods_but_not_in_templates() -> None:
    ports = {"ports": [{"containerPort": 80}]}
    assert main_of(pod(container=ports, hostNetwork=True))["ports"][0]["hostPort"] == 80
    made = deployment()
    made["spec"]["template"]["spec"] = pod(container=ports, hostNetwork=True)["spec"]
    found = rules("Deployment", "apps/v1").default(made)["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert "hostPort" not in found[0]


def test_volumes_of_files_are_readable() -> None:
    volumes = [{"name": "a", "configMap": {"name": "a"}}, {"name": "b", "secret": {"secretName": "b"}}, {"name": "c"}]
    first, second, third = default(pod(volumes=volumes))["spec"]["volumes"]
    assert first["configMap"]["defaultMode"] == second["secret"]["defaultMode"] == 0o644
    assert third == {"name": "c", "emptyDir": {}}


def test_a_complete_document_is_returned_itself() -> None:
    once = default(pod(container={"livenessProbe": {"exec": {"command": ["true"]}}}, volumes=[{"name": "c"}]))
    assert default(once) is once


def test_the_input_is_left_alone() -> None:
    given = pod(container={"resources": {"limits": {"cpu": "1"}}})
    copy = pod(container={"resources": {"limits": {"cpu": "1"}}})
    default(given)
    assert given == copy


def test_undeclared_fields_are_kept_unless_the_server_prunes() -> None:
    given = pod(container={"colour": "red"})
    assert main_of(given)["colour"] == "red"
    pruning = rules("Pod", prune_undeclared=True)
    assert "colour" not in pruning.default(given)["spec"]["containers"][0]


def test_nulls_and_empties_are_not_stored() -> None:
    given = pod(nodeSelector={}, hostNetwork=False, container={"args": [], "env": None})
    assert canonical(given, Pod) == pod()


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"cpu": "1", "memory": "1"}, "limits": {"cpu": "1", "memory": "1"}}, "Guaranteed"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_the_quality_of_service_follows_requests_and_limits(resources: dict[str, Any], quality: str) -> None:
    assert qos_class({"containers": [{"name": "main", "resources": resources}]}) == quality


def test_a_new_pod_is_pending_whatever_its_writer_says() -> None:
    of_pod = rules("Pod")
    created = of_pod.prepare_create(of_pod.default({**pod(), "status": {"phase": "Running", "podIP": "10.0.0.1"}}))
    assert created["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_gated_pod_says_so() -> None:
    of_pod = rules("Pod")
    created = of_pod.prepare_create(of_pod.default(pod(schedulingGates=[{"name": "wait"}])))
    assert created["status"]["conditions"][0]["reason"] == "SchedulingGated"


def test_an_app_armor_annotation_becomes_the_field() -> None:
    given = pod()
    key = "container.apparmor.security.beta.kubernetes.io/main"
    given["metadata"]["annotations"] = {key: "localhost/web"}
    created = rules("Pod").prepare_create(given)
    profile = created["spec"]["containers"][0]["securityContext"]["appArmorProfile"]
    assert profile == {"type": "Localhost", "localhostProfile": "web"}
