"""What is wrong with a document, in the words of Kubernetes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra.apiserver.validation import rules_for, to_invalid
from orchestra.apiserver.validation.fields import FieldError, invalid, not_supported, quoted, required, too_long
from tests.apiserver.rule_cases import (
    SCHEME,
    deployment,
    faults,
    named,
    pod,
    rules,
    service,
    stored,
    update_faults,
)

POD = SCHEME.info("v1", "Pod")


def test_a_single_fault_stands_alone_in_the_message() -> None:
    error = to_invalid(POD, "web", [required("spec.containers")])
    assert error.message == 'Pod "web" is invalid: spec.containers: Required value'


def test_several_faults_are_listed_and_equal_ones_told_once() -> None:
    found = [required("a"), invalid("b", "x", "must be y"), required("a")]
    error = to_invalid(POD, "web", found)
    assert error.message == 'Pod "web" is invalid: [a: Required value, b: Invalid value: "x": must be y]'
    assert [cause.field for cause in error.causes] == ["a", "b", "a"]
    assert error.to_status()["code"] == 422


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (not_supported("a", "x", ["y", "z"]), 'a: Unsupported value: "x": supported values: "y", "z"'),
        (too_long("a", 63), "a: Too long: may not be more than 63 bytes"),
        (invalid("a", {"b": "<"}, ""), 'a: Invalid value: {"b":"\\u003c"}'),
        (invalid("a", -1, "too small"), "a: Invalid value: -1: too small"),
    ],
)
def test_values_are_shown_as_go_shows_them(fault: FieldError, text: str) -> None:
    assert str(fault) == text


def test_text_is_quoted_as_go_quotes_it() -> None:
    assert quoted('a"b\\\n\x01é') == '"a\\"b\\\\\\n\\x01é"'


@pytest.mark.parametrize("document", [pod(), pod(restartPolicy="Never", hostNetwork=True)])
def test_a_usual_pod_has_no_faults(document: dict[str, Any]) -> None:
    assert faults("Pod", document) == []


def test_every_fault_of_a_pod_is_told_at_once() -> None:
    found = faults("Pod", pod(container={"name": "Main", "image": "", "imagePullPolicy": "Maybe"}, restartPolicy="No"))
    assert [fault.partition(":")[0] for fault in found] == [
        "spec.containers[0].name",
        "spec.containers[0].image",
        "spec.containers[0].imagePullPolicy",
        "spec.restartPolicy",
    ]


def test_a_pod_needs_containers() -> None:
    assert faults("Pod", pod(containers=[])) == ["spec.containers: Required value"]


def test_a_mount_needs_its_volume() -> None:
    found = faults("Pod", pod(container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}))
    assert found == ['spec.containers[0].volumeMounts[0].name: Not found: "data"']


def test_a_request_may_not_exceed_its_limit() -> None:
    found = faults("Pod", pod(container={"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}))
    told = "must be less than or equal to cpu limit of 1"
    assert found == [f'spec.containers[0].resources.requests: Invalid value: "2": {told}']


def test_privileged_containers_need_a_server_that_allows_them() -> None:
    document = pod(container={"securityContext": {"privileged": True}})
    assert faults("Pod", document) == [
        "spec.containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy"
    ]
    assert faults("Pod", document, allow_privileged=True) == []


def test_a_name_is_a_dns_subdomain() -> None:
    document = pod()
    document["metadata"]["name"] = "Web_1"
    (found,) = faults("Pod", document)
    assert found.startswith('metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of')


def test_labels_are_checked_in_the_order_of_their_keys() -> None:
    document = pod()
    document["metadata"]["labels"] = {"b": "-", "a": "-"}
    assert [fault[:15] for fault in faults("Pod", document)] == ["metadata.labels"] * 2


def test_only_a_few_fields_of_a_pod_may_change() -> None:
    changed = pod(container={"image": "web:2"}, activeDeadlineSeconds=5)
    assert update_faults("Pod", changed, pod()) == []
    (found,) = update_faults("Pod", pod(hostNetwork=True), pod())
    assert found.startswith("spec: Forbidden: pod updates may not change fields other than ")


def test_the_selector_of_a_deployment_must_match_its_template_and_stay() -> None:
    other = deployment(selector={"matchLabels": {"app": "other"}})
    told = "`selector` does not match template `labels`"
    assert faults("Deployment", other, "apps/v1") == [
        f'spec.template.metadata.labels: Invalid value: {{"app":"web"}}: {told}'
    ]
    found = update_faults("Deployment", other, deployment(), "apps/v1")
    assert found[-1].startswith("spec.selector: Invalid value: ")
    assert found[-1].endswith("field is immutable")


def test_a_service_needs_ports_unless_headless() -> None:
    assert faults("Service", service(ports=[])) == ["spec.ports: Required value"]
    assert faults("Service", service(ports=[], clusterIP="None")) == []


def test_several_ports_need_names() -> None:
    found = faults("Service", service(ports=[{"port": 80}, {"port": 81}]))
    assert found == ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"]


def test_an_immutable_config_map_stays_so() -> None:
    old = named("ConfigMap", data={"a": "1"}, immutable=True)
    told = "field is immutable when `immutable` is set"
    assert update_faults("ConfigMap", named("ConfigMap", data={"a": "1"}), old) == [f"immutable: Forbidden: {told}"]
    assert update_faults("ConfigMap", named("ConfigMap", data={}, immutable=True), old) == [f"data: Forbidden: {told}"]
    assert update_faults("ConfigMap", old, old) == []


def test_loopback_endpoints_need_a_server_that_allows_them() -> None:
    version = "discovery.k8s.io/v1"
    document = named("EndpointSlice", version, addressType="IPv4", endpoints=[{"addresses": ["127.0.0.2"]}])
    assert len(faults("EndpointSlice", document, version)) == 1
    assert faults("EndpointSlice", document, version, loopback_endpoints=True) == []


def test_a_kind_without_rules_has_those_of_metadata() -> None:
    info = SCHEME.info("v1", "ConfigMap")
    custom = rules_for(attrs.evolve(info, kind="Widget", group="example.org", module=""))
    document = {"metadata": {"name": "W", "namespace": "default"}, "spec": {}}
    assert custom.default(document) is document
    assert [fault.field for fault in custom.validate(document)] == ["metadata.name"]


def test_a_repeated_container_port_is_warned_of() -> None:
    ports = [{"name": "a", "containerPort": 80}, {"name": "b", "containerPort": 80}]
    of_pod, document = rules("Pod"), stored("Pod", pod(container={"ports": ports}))
    assert of_pod.validate(document) == []
    (told,) = of_pod.warnings(document, None)
    assert told.startswith("spec.containers[0].ports[1]: duplicate port definition")


def test_only_fields_that_ask_for_something_are_warned_of() -> None:
    of_pod = rules("Pod")
    assert of_pod.warnings(stored("Pod", pod(hostPID=False, dnsPolicy="ClusterFirst")), None) == []
    (told,) = of_pod.warnings(stored("Pod", pod(hostPID=True)), None)
    assert told.startswith("spec.hostPID: accepted, but nothing acts on it")


def test_a_pod_of_a_controller_is_not_warned_of_again() -> None:
    document = stored("Pod", pod(hostPID=True))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    document = {**document, "metadata": {**document["metadata"], "ownerReferences": [owner]}}
    assert rules("Pod").warnings(document, None) == []
