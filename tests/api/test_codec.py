from __future__ import annotations

import copy
import gzip
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from orchestra.api import builders
from orchestra.api.codec import decode, decode_like, encode, from_document, to_document, wire_name
from orchestra.api.coordination import Lease
from orchestra.api.core import Container, EnvVar, Pod, PodCondition, PodSpec, PodStatus, Secret
from orchestra.api.frozen import EMPTY_LIST
from orchestra.api.object import Object, ObjectMeta, Struct, freeze_fields, resource
from orchestra.api.quantity import Quantity
from orchestra.api.schema import undeclared_fields
from orchestra.api.scheme import Scheme
from orchestra.errors import DecodeError

DATA = Path(__file__).parents[1] / "data"
DECODING = json.loads((DATA / "recorded_decoding.json").read_text())


def pod_document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def test_every_recorded_object_comes_out_as_it_went_in() -> None:
    scheme = Scheme()
    documents = json.loads(gzip.decompress((DATA / "recorded_objects.json.gz").read_bytes()))
    assert len(documents) > 200
    for document in documents:
        assert scheme.encode(scheme.decode(document)) == document


@pytest.mark.parametrize("case", DECODING["refusals"], ids=lambda case: case["message"][-60:])
def test_a_recorded_refusal_has_kubernetes_words(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        Scheme().decode(case["document"])
    assert caught.value.go_message == case["message"]


@pytest.mark.parametrize("case", DECODING["unknown"], ids=lambda case: " ".join(case["unknown"]))
def test_recorded_undeclared_fields_are_found_in_order(case: dict[str, Any]) -> None:
    document = case["document"]
    scheme = Scheme()
    cls = scheme.type_of(scheme.info(document["apiVersion"], document["kind"]))
    assert list(undeclared_fields(document, cls)) == case["unknown"]


def test_the_wrong_type_of_a_value_is_named_with_its_path() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(pod_document(containers=[{"name": "c"}, {"name": "d", "ports": [{"containerPort": "80"}]}]), Pod)
    assert str(caught.value) == "spec.containers[1].ports[0].containerPort: expected integer, got string"
    assert (caught.value.owner, caught.value.expected, caught.value.got) == ("ContainerPort", "int32", "string")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"priority": 1 << 31}, "number 2147483648 into Go struct field PodSpec.spec.priority of type int32"),
        ({"activeDeadlineSeconds": 1 << 63}, f"number {1 << 63} into"),
        ({"activeDeadlineSeconds": 1.5}, "number 1.5 into"),
        ({"nodeSelector": {"a": 1}}, "number into Go struct field PodSpec.spec.nodeSelector of type string"),
        ({"restartPolicy": []}, "array into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"),
        ({"containers": {}}, "object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ({"affinity": True}, "bool into Go struct field PodSpec.spec.affinity of type v1.Affinity"),
        ({"containers": ["c"]}, "string into Go struct field PodSpec.spec.containers of type v1.Container"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_names_go_types(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(pod_document(**spec), Pod)
    assert f"json: cannot unmarshal {message}" in caught.value.go_message


def test_a_number_of_64_bits_fits_where_64_are_declared() -> None:
    pod = decode(pod_document(activeDeadlineSeconds=(1 << 63) - 1), Pod)
    assert pod.spec.active_deadline_seconds == (1 << 63) - 1


def test_absent_null_empty_and_zero_stay_distinct() -> None:
    document = pod_document(
        volumes=[], nodeSelector={}, hostNetwork=False, nodeName="", hostname=None, tolerations=None, affinity={}
    )
    pod = decode(document, Pod)
    assert encode(pod) == document
    assert pod.spec.volumes == pod.spec.tolerations == ()
    assert pod.spec.volumes is EMPTY_LIST
    assert pod.spec.hostname == ""
    changed = attrs.evolve(pod, spec=attrs.evolve(pod.spec, node_name="n1", hostname="h"))
    assert encode(changed)["spec"] == {**document["spec"], "nodeName": "n1", "hostname": "h"}


def test_undeclared_fields_are_carried_at_every_level() -> None:
    document = pod_document(future={"a": [1, {"b": None}]})
    document["spec"]["containers"][0]["alsoFuture"] = True
    document["top"] = []
    pod = decode(document, Pod)
    assert encode(pod) == document
    assert pod.spec.undeclared["future"]["a"] == (1, {"b": None})


def test_null_inside_a_list_or_a_map_is_the_zero_as_in_go() -> None:
    pod = decode(pod_document(containers=[None], nodeSelector={"a": None}), Pod)
    assert pod.spec.containers == (Container(),)
    assert pod.spec.node_selector == {"a": ""}


def test_nobody_can_change_an_object_through_its_containers() -> None:
    labels = {"a": "b"}
    command = ["sh"]
    pod = Pod(metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(command=command)]))  # type: ignore[arg-type]
    labels["a"] = "changed"
    command.append("changed")
    assert pod.metadata.labels == {"a": "b"}
    assert pod.spec.containers[0].command == ("sh",)
    with pytest.raises(TypeError, match="immutable"):
        pod.metadata.labels["a"] = "c"  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        pod.metadata = ObjectMeta()  # type: ignore[misc]
    decoded = decode(pod_document(nodeSelector={"a": "b"}), Pod)
    with pytest.raises(TypeError, match="immutable"):
        decoded.spec.node_selector.update(a="c")  # type: ignore[attr-defined]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        decoded.spec.node_name = "x"  # type: ignore[misc]


def test_a_new_object_writes_what_was_said_and_required_scalars() -> None:
    pod = Pod(metadata=ObjectMeta(name="a"), spec=PodSpec(containers=(Container(name="c", env=(EnvVar(name="E"),)),)))
    assert to_document(pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "env": [{"name": "E"}]}]},
    }
    ready = PodStatus(conditions=(PodCondition(type="Ready", status="True"),))
    assert encode(ready) == {"conditions": [{"type": "Ready", "status": "True"}]}


def test_times_are_utc_with_whole_seconds_and_micro_times_with_six_digits() -> None:
    document = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T01:00:00+01:00"},
        "spec": {"renewTime": "2026-01-01T00:00:00.123456Z"},
    }
    lease = decode(document, Lease)
    assert lease.metadata.creation_timestamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert lease.spec.renew_time == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    written = encode(lease)
    assert written["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert written["spec"]["renewTime"] == "2026-01-01T00:00:00.123456Z"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2026-13-01T00:00:00Z", ": month out of range"),
        ("2026-02-30T00:00:00Z", ": day out of range"),
        ("2026-01-01T25:00:00Z", ": hour out of range"),
        ("2026-01-01 00:00:00Z", ' as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T"'),
        ("2026-01-01T00:00:00", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"'),
        ("2026-01-01T00:00:00Zx", ': extra text: "x"'),
        ("20260101", ' as "2006-01-02T15:04:05Z07:00": cannot parse "0101" as "-"'),
    ],
)
def test_a_time_that_is_none_is_refused_in_gos_words(text: str, complaint: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode({"metadata": {"creationTimestamp": text}}, Pod)
    assert caught.value.message == f'parsing time "{text}"{complaint}'


def test_the_data_of_a_secret_is_bytes() -> None:
    secret = decode({"metadata": {"name": "s"}, "data": {"a": "AAEC\n", "b": ""}}, Secret)
    assert secret.data == {"a": b"\x00\x01\x02", "b": b""}
    assert encode(secret)["data"] == {"a": "AAEC", "b": ""}


@pytest.mark.parametrize(
    ("text", "byte"), [("a", 0), ("ab!d", 2), ("abcde", 4), ("ab==cd==", 2), ("YW=x", 2), ("é", 0)]
)
def test_bad_base64_is_refused_with_the_byte(text: str, byte: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode({"data": {"a": text}}, Secret)
    assert caught.value.message == f"illegal base64 data at input byte {byte}"


def test_a_quantity_is_kept_in_its_spelling_and_rewritten_where_kubernetes_rewrites_it() -> None:
    document = pod_document(
        containers=[{"name": "c", "resources": {"requests": {"cpu": "0.1", "memory": "64Mi", "x": 2}}}]
    )
    pod = decode(document, Pod)
    assert pod.spec.containers[0].resources.requests["cpu"] == Quantity("100m")
    assert encode(pod)["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "64Mi", "x": "2"}


def test_another_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"^kind: expected Pod, got Node$"):
        from_document({"apiVersion": "v1", "kind": "Node"}, Pod)


def test_copies_and_pickles_are_the_same_document() -> None:
    document = pod_document(volumes=[], securityContext={})
    pod = decode(document, Pod)
    assert copy.deepcopy(pod) is copy.copy(pod) is pod
    twin = pickle.loads(pickle.dumps(pod))
    assert twin == pod
    assert hash(twin) == hash(pod)
    assert encode(twin) == document


def test_a_new_status_shares_the_spec_with_the_object_before() -> None:
    document = encode(builders.running(builders.pod("a", labels={"app": "a"})))
    before = decode(document, Pod)
    after = json.loads(json.dumps(document))
    after["status"]["phase"] = "Succeeded"
    after["metadata"]["labels"]["app"] = "b"
    after["extra"] = 1
    result = decode_like(after, document, before)
    assert result == decode(after, Pod)
    assert encode(result) == after
    assert result.spec is before.spec
    assert result.status.conditions is before.status.conditions
    assert result.status.phase == "Succeeded"
    with pytest.raises(DecodeError, match=r"^status.phase: expected string"):
        decode_like({**after, "status": {**after["status"], "phase": 1}}, document, before)


@pytest.mark.parametrize(
    ("attribute", "wire"),
    [
        ("pod_ip", "podIP"),
        ("host_pid", "hostPID"),
        ("from_", "from"),
        ("cluster_ips", "clusterIPs"),
        ("pod_cidr", "podCIDR"),
    ],
)
def test_wire_names_follow_from_attributes(attribute: str, wire: str) -> None:
    assert wire_name(attribute) == wire


@frozen(kw_only=True, repr=False, field_transformer=freeze_fields)
class GaugeSpec(Struct):
    size: int = field(validator=attrs.validators.gt(0))
    mode: Literal["fast", "slow"] = "fast"
    ratio: float | None = None
    tags: tuple[str, ...] = field(factory=tuple)


@resource("example.dev/v1", plural="gauges")
@frozen(kw_only=True, repr=False, field_transformer=freeze_fields)
class Gauge(Object):
    spec: GaugeSpec


def test_a_users_class_keeps_its_validators_factories_and_own_types() -> None:
    document = {
        "apiVersion": "example.dev/v1",
        "kind": "Gauge",
        "metadata": {"name": "g"},
        "spec": {"size": 1 << 40, "mode": "slow", "ratio": 2, "tags": ["a"]},
    }
    gauge = from_document(document, Gauge)
    assert gauge.spec.size == 1 << 40
    assert gauge.spec.ratio == 2.0
    assert encode(gauge) == document


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, r"^spec.size: must be set$"),
        ({"size": 0}, r"^spec: 'size' must be > 0"),
        ({"size": 1, "mode": "odd"}, r"^spec.mode: must be one of 'fast', 'slow', not 'odd'"),
    ],
)
def test_a_users_class_refuses_with_the_path(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode({"metadata": {"name": "g"}, "spec": spec}, Gauge)
    with pytest.raises(DecodeError, match=r"^spec: must be set$"):
        decode({"metadata": {"name": "g"}}, Gauge)
