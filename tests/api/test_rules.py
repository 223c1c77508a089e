from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.apps import Deployment
from orchestra.api.core import (
    Affinity,
    Container,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    ResourceRequirements,
    Taint,
    Toleration,
)
from orchestra.api.object import ObjectMeta, OwnerReference
from orchestra.api.quantity import Quantity
from orchestra.api.rules import (
    accepts_node,
    condition,
    condition_true,
    controller_of,
    generate_name,
    is_active,
    is_available,
    is_controlled_by,
    is_ready,
    is_terminal,
    owner_reference,
    pod_limits,
    pod_requests,
    qos_class,
    scaled_value,
    set_condition,
    template_hash,
    tolerates,
    untolerated,
)
from orchestra.errors import DecodeError

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def asks(cpu: str = "", memory: str = "", *, limits: bool = False, sidecar: bool = False) -> Container:
    wanted = {name: Quantity(value) for name, value in (("cpu", cpu), ("memory", memory)) if value}
    resources = ResourceRequirements(requests=wanted, limits=wanted if limits else {})
    return Container(name="c", resources=resources, restart_policy="Always" if sidecar else None)


def pod(*containers: Container, init: tuple[Container, ...] = (), **spec: object) -> Pod:
    return Pod(spec=PodSpec(containers=containers, init_containers=init, **spec))  # type: ignore[arg-type]


def amounts(resources: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(quantity) for name, quantity in resources.items()}


def test_containers_run_together_and_init_containers_one_by_one() -> None:
    wanted = pod(asks("100m", "1Gi"), asks("200m"), init=(asks("250m", "3Gi"), asks("400m")))
    assert amounts(pod_requests(wanted)) == {"cpu": "400m", "memory": "3Gi"}


def test_a_sidecar_runs_beside_containers_and_later_init_containers() -> None:
    wanted = pod(asks("100m"), init=(asks("300m"), asks("200m", sidecar=True), asks("250m")))
    assert amounts(pod_requests(wanted)) == {"cpu": "450m"}


def test_what_the_pod_itself_states_wins_and_overhead_comes_on_top() -> None:
    own = ResourceRequirements(requests={"cpu": Quantity("1")}, limits={"cpu": Quantity("2")})
    overhead = {"cpu": Quantity("10m"), "memory": Quantity("5Mi")}
    wanted = pod(asks("100m", "64Mi"), resources=own, overhead=overhead)
    assert amounts(pod_requests(wanted)) == {"cpu": "1010m", "memory": "69Mi"}
    assert amounts(pod_limits(wanted)) == {"cpu": "2010m"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((asks(),), "BestEffort"),
        ((asks("1"),), "Burstable"),
        ((asks("1", "1Gi", limits=True),), "Guaranteed"),
        ((asks("1", limits=True),), "Burstable"),
        ((asks("1", "1Gi", limits=True), asks()), "Burstable"),
        ((asks("0", "0", limits=True),), "BestEffort"),
    ],
)
def test_the_class_of_service_follows_from_requests_and_limits(
    containers: tuple[Container, ...], expected: str
) -> None:
    assert qos_class(pod(*containers)) == expected


def ready(status: str = "True", since: datetime = NOW, phase: str = "Running") -> Pod:
    conditions = (PodCondition(type="Ready", status=status, last_transition_time=since),)
    return Pod(status=PodStatus(phase=phase, conditions=conditions))


def test_a_pod_is_available_after_it_was_ready_for_long_enough() -> None:
    assert is_ready(ready())
    assert not is_ready(ready("False"))
    assert not is_ready(Pod())
    assert is_available(ready(), 0, NOW)
    assert not is_available(ready(), 10, NOW + timedelta(seconds=9))
    assert is_available(ready(), 10, NOW + timedelta(seconds=10))
    assert not is_available(ready("False"), 0, NOW)


def test_a_pod_that_ended_or_is_deleted_is_no_replica() -> None:
    assert is_active(ready())
    assert is_terminal(ready(phase="Failed"))
    assert not is_active(ready(phase="Succeeded"))
    assert not is_active(Pod(metadata=ObjectMeta(name="a", deletion_timestamp=NOW)))


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    later = NOW + timedelta(hours=1)
    before = ready().status.conditions
    assert set_condition(before, PodCondition(type="Ready", status="True"), later) is before
    reworded = set_condition(before, PodCondition(type="Ready", status="True", reason="R"), later)
    assert reworded[0].last_transition_time == NOW
    assert reworded[0].reason == "R"
    changed = set_condition(before, PodCondition(type="Ready", status="False"), later)
    assert changed[0].last_transition_time == later
    added = set_condition(before, PodCondition(type="Other", status="True"), later)
    assert [item.type for item in added] == ["Ready", "Other"]
    assert added[1].last_transition_time == later


def test_a_condition_is_found_by_its_type() -> None:
    assert condition(ready(), "Ready").status == "True"
    assert condition(ready(), "Nothing") is None
    assert condition_true(ready(), "Ready")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (Toleration(operator="Exists"), True),
        (Toleration(key="k", operator="Exists"), True),
        (Toleration(key="k", value="v"), True),
        (Toleration(key="k", operator="Equal", value="v", effect="NoSchedule"), True),
        (Toleration(key="k", operator="Equal", value="w"), False),
        (Toleration(key="k", operator="Exists", effect="NoExecute"), False),
        (Toleration(key="other", operator="Exists"), False),
        (Toleration(key="k", operator="Bogus", value="v"), False),
    ],
)
def test_a_toleration_covers_taints(toleration: Toleration, expected: bool) -> None:
    taint = Taint(key="k", value="v", effect="NoSchedule")
    assert tolerates(toleration, taint) is expected
    assert (untolerated((taint,), (toleration,)) is None) is expected


def test_a_taint_that_only_prefers_is_not_in_the_way() -> None:
    assert untolerated((Taint(key="k", effect="PreferNoSchedule"),), ()) is None


def requirement(key: str, operator: str, *values: str) -> NodeSelectorRequirement:
    return NodeSelectorRequirement(key=key, operator=operator, values=values)


def affine(*terms: NodeSelectorTerm) -> Pod:
    required = NodeSelector(node_selector_terms=terms)
    node_affinity = NodeAffinity(required_during_scheduling_ignored_during_execution=required)
    return Pod(spec=PodSpec(affinity=Affinity(node_affinity=node_affinity)))


NODE = Node(metadata=ObjectMeta(name="n1", labels={"zone": "a", "cores": "8"}))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (requirement("zone", "In", "a", "b"), True),
        (requirement("zone", "NotIn", "a"), False),
        (requirement("rack", "NotIn", "a"), True),
        (requirement("zone", "Exists"), True),
        (requirement("zone", "DoesNotExist"), False),
        (requirement("cores", "Gt", "4"), True),
        (requirement("cores", "Lt", "8"), False),
        (requirement("zone", "Gt", "4"), False),
        (requirement("cores", "Gt"), False),
        (requirement("zone", "In"), False),
        (requirement("zone", "Bogus", "a"), False),
    ],
)
def test_a_node_meets_requirements_on_its_labels(found: NodeSelectorRequirement, expected: bool) -> None:
    assert accepts_node(affine(NodeSelectorTerm(match_expressions=(found,))), NODE) is expected


def test_one_term_is_enough_and_an_empty_one_matches_nothing() -> None:
    by_name = NodeSelectorTerm(match_fields=(requirement("metadata.name", "In", "n1"),))
    unknown_field = NodeSelectorTerm(match_fields=(requirement("metadata.uid", "In", "n1"),))
    assert accepts_node(affine(NodeSelectorTerm(), by_name), NODE)
    assert not accepts_node(affine(NodeSelectorTerm()), NODE)
    assert not accepts_node(affine(unknown_field), NODE)
    assert not accepts_node(affine(), NODE)


def test_a_node_selector_wants_every_label() -> None:
    assert accepts_node(Pod(spec=PodSpec(node_selector={"zone": "a"})), NODE)
    assert not accepts_node(Pod(spec=PodSpec(node_selector={"zone": "a", "rack": "1"})), NODE)
    assert accepts_node(Pod(), NODE)


def test_an_owner_reference_names_kind_and_uid() -> None:
    owner = Deployment(metadata=ObjectMeta(name="web", uid="u1"))
    reference = owner_reference(owner)
    assert (reference.api_version, reference.kind, reference.name, reference.uid) == (
        "apps/v1",
        "Deployment",
        "web",
        "u1",
    )
    other = OwnerReference(api_version="v1", kind="Pod", name="x", uid="u2")
    owned = Pod(metadata=ObjectMeta(name="p", owner_references=(other, reference)))
    assert controller_of(owned) == reference
    assert is_controlled_by(owned, owner)
    assert not is_controlled_by(owned, Deployment(metadata=ObjectMeta(name="web", uid="u9")))
    assert controller_of(Pod()) is None


def test_equal_templates_have_equal_hashes() -> None:
    def template(image: str) -> PodTemplateSpec:
        return PodTemplateSpec(spec=PodSpec(containers=(Container(name="c", image=image),)))

    assert template_hash(template("a")) == template_hash(template("a")) == "vdwn6hj66c"
    assert template_hash(template("a")) != template_hash(template("b"))
    assert template_hash(template("a"), 1) != template_hash(template("a"))
    assert template_hash(template("a"), 0) == template_hash(template("a"))
    assert set(template_hash(template("a"))) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_generated_name_fits_into_a_dns_label() -> None:
    name = generate_name("p" * 80, random.Random(1))
    assert len(name) == 63
    assert generate_name("web-", random.Random(1)) == generate_name("web-", random.Random(1))
    assert len(generate_name("web-", random.Random(1))) == 9


@pytest.mark.parametrize(
    ("value", "total", "round_up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0), ("100%", 7, False, 7)],
)
def test_a_percentage_is_rounded_as_asked(value: int | str, total: int, round_up: bool, expected: int) -> None:
    assert scaled_value(value, total, round_up=round_up) == expected


@pytest.mark.parametrize("value", ["25", "x%", "%", "1.5%"])
def test_text_that_is_no_percentage_is_refused(value: str) -> None:
    with pytest.raises(DecodeError):
        scaled_value(value, 10, round_up=True)


@given(st.integers(0, 200), st.integers(0, 1000))
def test_rounding_up_and_down_differ_by_at_most_one(percent: int, total: int) -> None:
    up, down = (scaled_value(f"{percent}%", total, round_up=way) for way in (True, False))
    assert down <= percent * total / 100 <= up <= down + 1


def test_rules_do_not_change_what_they_look_at() -> None:
    wanted = pod(asks("100m"), init=(asks("200m", sidecar=True),))
    before = attrs.evolve(wanted)
    pod_requests(wanted)
    qos_class(wanted)
    assert wanted == before
