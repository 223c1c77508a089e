from __future__ import annotations

from orchestra.api import builders
from orchestra.api.codec import decode, encode
from orchestra.api.quantity import Quantity
from orchestra.api.schema import undeclared_fields


def test_a_pod_says_what_it_was_told_and_no_more() -> None:
    pod = builders.pod("team/a", cpu="100m", labels={"app": "a"}, node="n1", priority=5)
    assert encode(pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "team", "labels": {"app": "a"}},
        "spec": {
            "containers": [{"name": "main", "image": "image", "resources": {"requests": {"cpu": "100m"}}}],
            "nodeName": "n1",
            "priority": 5,
        },
    }
    assert builders.pod("a").metadata.namespace == "default"


def test_a_running_pod_is_ready() -> None:
    pod = builders.running(builders.pod("a"), ip="127.8.0.1")
    assert pod.status.phase == "Running"
    assert {c.type: c.status for c in pod.status.conditions}["Ready"] == "True"
    assert pod.status.container_statuses[0].ready
    assert pod.status.pod_ips[0].ip == pod.status.pod_ip


def test_a_node_is_ready_and_has_room() -> None:
    node = builders.node("n1", cpu="2", labels={"zone": "a"}, taints=[builders.taint("gpu=a100:NoSchedule")])
    assert node.status.allocatable["cpu"] == Quantity("2")
    assert node.metadata.labels == {"kubernetes.io/hostname": "n1", "zone": "a"}
    assert (node.spec.taints[0].key, node.spec.taints[0].value, node.spec.taints[0].effect) == (
        "gpu",
        "a100",
        "NoSchedule",
    )


def test_a_toleration_without_a_value_tolerates_any() -> None:
    assert builders.toleration("gpu:NoSchedule").operator == "Exists"
    assert builders.toleration("gpu=x:NoExecute", seconds=5).toleration_seconds == 5


def test_workloads_select_the_pods_of_their_template() -> None:
    for workload in (builders.deployment("web", replicas=3), builders.replica_set("web", replicas=3)):
        assert workload.spec.selector is not None
        assert workload.spec.selector.match_labels == workload.spec.template.metadata.labels == {"app": "web"}
        assert workload.spec.replicas == 3
    assert builders.service("web", target_port="http").spec.selector == {"app": "web"}


def test_every_builder_makes_an_object_that_decodes_to_itself() -> None:
    objects = (
        builders.pod(cpu=1, memory="1Gi"),
        builders.node(),
        builders.deployment(),
        builders.replica_set(),
        builders.service(),
        builders.config_map("c", {"a": "b"}),
        builders.secret("s", {"a": "b", "c": b"\x00"}),
        builders.namespace("n"),
        builders.lease("l", holder="h"),
    )
    for obj in objects:
        document = encode(obj)
        assert decode(document, type(obj)) == obj
        assert undeclared_fields(document, type(obj)) == ()
