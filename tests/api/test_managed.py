from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.managed import FieldSet, Writer, apply_document, track_update
from orchestra.api.managed.entries import MAX_UPDATE_MANAGERS, decode_entries
from orchestra.api.schema import Schema, struct_schema
from orchestra.api.scheme import Scheme
from orchestra.errors import BadRequest, Conflict, DecodeError

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "apply.json").read_text())
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
TIME = "2024-05-06T07:08:09Z"
STATUS = FieldSet.of("status")


def schema_of(document: dict[str, Any]) -> Schema:
    scheme = Scheme()
    return struct_schema(scheme.type_of(scheme.info(document["apiVersion"], document["kind"])))


CONFIG_MAP = schema_of({"apiVersion": "v1", "kind": "ConfigMap"})
DEPLOYMENT = schema_of({"apiVersion": "apps/v1", "kind": "Deployment"})
POD = schema_of({"apiVersion": "v1", "kind": "Pod"})


def entries(document: dict[str, Any]) -> list[str]:
    """Return the entries in one order, with times as the recordings show them."""
    shown = [
        {**entry, "time": "<time>"} if entry.get("time") else entry
        for entry in document["metadata"].get("managedFields", ())
    ]
    return sorted(json.dumps(entry, sort_keys=True) for entry in shown)


def bare(document: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": metadata}


def writer_of(step: dict[str, Any], live: dict[str, Any] | None) -> Writer:
    known = live or step.get("body") or step["document"]
    subresource = step.get("subresource", "")
    ignored = STATUS
    if subresource == "status":
        ignored = FieldSet.of("spec", "metadata.labels")
    now = None if subresource == "scale" else NOW
    return Writer(
        manager=step["manager"], api_version=known["apiVersion"], subresource=subresource, now=now, ignored=ignored
    )


@pytest.mark.parametrize("scenario", RECORDED, ids=[scenario["name"] for scenario in RECORDED])
def test_ownership_follows_the_recorded_writes(scenario: dict[str, Any]) -> None:
    live: dict[str, Any] | None = None
    for step in scenario["steps"]:
        schema = schema_of(live or step.get("body") or step["document"])
        writer = writer_of(step, live)
        before = copy.deepcopy(live)
        if "conflict" in step:
            with pytest.raises(Conflict) as caught:
                apply_document(live, step["body"], schema, writer)
            assert caught.value.message == step["conflict"]
            assert {cause.reason for cause in caught.value.causes} == {"FieldManagerConflict"}
        elif step["write"] == "apply":
            result = apply_document(live, step["body"], schema, writer, force=step.get("force", False))
            assert entries(result) == entries(step["document"])
            live = step["document"]
        elif writer.subresource == "scale":  # the answer is a Scale; what it means for the object is its replicas
            assert live is not None
            changed = {**live, "spec": {**live["spec"], **step["body"]["spec"]}}
            live = track_update(live, changed, schema, writer)
        else:
            result = track_update(live, bare(step["document"]), schema, writer, track_created=True)
            assert entries(result) == entries(step["document"])
            live = step["document"]
        if "conflict" in step:
            assert live == before


def config_map(**data: str | None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}, "data": data}


def by(manager: str, **changes: Any) -> Writer:
    return attrs.evolve(Writer(manager=manager, api_version="v1", now=NOW), **changes)


def owned(document: dict[str, Any], manager: str) -> tuple[str, ...]:
    for entry in document["metadata"].get("managedFields", ()):
        if entry.get("manager") == manager:
            return FieldSet(entry["fieldsV1"]).shown()
    return ()


def test_an_object_that_was_never_applied_is_updated_without_ownership_and_without_a_copy() -> None:
    old, new = config_map(a="1"), config_map(a="2")
    assert track_update(old, new, CONFIG_MAP, by("m")) is new
    assert track_update(None, new, CONFIG_MAP, by("m")) is new


def test_the_first_apply_attributes_what_was_there_to_before_first_apply() -> None:
    live = config_map(a="1", b="2")
    applied = apply_document(live, config_map(a="1"), CONFIG_MAP, by("m"))
    assert owned(applied, "before-first-apply") == (".data", ".data.a", ".data.b")
    assert owned(applied, "m") == (".data.a",)
    with pytest.raises(Conflict, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        apply_document(live, config_map(a="9"), CONFIG_MAP, by("m"))


def test_ownership_from_the_start_can_be_asked_for() -> None:
    created = track_update(None, config_map(a="1"), CONFIG_MAP, by("m"), track_created=True)
    assert owned(created, "m") == (".data", ".data.a")
    assert created["metadata"]["managedFields"][0]["time"] == TIME


def test_applying_the_same_again_changes_nothing() -> None:
    first = apply_document(None, config_map(a="1"), CONFIG_MAP, by("m"))
    again = apply_document(first, config_map(a="1"), CONFIG_MAP, by("m", now=datetime(2030, 1, 1, tzinfo=UTC)))
    assert again == first


def test_a_field_that_its_only_manager_drops_goes_and_its_defaults_stay() -> None:
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"a": "1"}},
        "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j", "args": ["x"]}]},
    }
    writer = by("m", ignored=STATUS)
    live = apply_document(None, body, POD, writer)
    live["metadata"]["uid"] = "u"
    live["spec"]["restartPolicy"] = "Always"
    live["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    less = copy.deepcopy(body)
    del less["metadata"]["labels"]
    del less["spec"]["containers"][1]["args"]
    result = apply_document(live, less, POD, writer)
    assert result["metadata"].get("labels") is None
    assert result["metadata"]["uid"] == "u"
    assert result["spec"]["containers"][1] == {"name": "b", "image": "j", "imagePullPolicy": "Always"}
    del less["spec"]["containers"][1]
    result = apply_document(result, less, POD, writer)
    assert [item["name"] for item in result["spec"]["containers"]] == ["a"]
    assert result["spec"]["restartPolicy"] == "Always"


def test_a_port_without_protocol_is_the_one_with_tcp() -> None:
    def pod(port: dict[str, Any]) -> dict[str, Any]:
        containers = [{"name": "a", "image": "i", "ports": [port]}]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}

    live = apply_document(None, pod({"containerPort": 80, "protocol": "TCP"}), POD, by("m"))
    result = apply_document(live, pod({"containerPort": 80, "name": "http"}), POD, by("n"))
    assert result["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "name": "http"}]


def test_applied_items_keep_their_order_and_items_of_others_their_place() -> None:
    def pod(*names: str) -> dict[str, Any]:
        containers = [{"name": name} for name in names]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}

    live = apply_document(None, pod("a", "b", "c"), POD, by("m"))
    result = apply_document(live, pod("c", "n", "a"), POD, by("other"))
    assert [item["name"] for item in result["spec"]["containers"]] == ["b", "c", "n", "a"]


def test_an_update_takes_a_field_away_from_who_applied_it() -> None:
    live = apply_document(None, config_map(a="1", b="1"), CONFIG_MAP, by("m"))
    changed = {**live, "data": {"a": "2"}}
    result = track_update(live, changed, CONFIG_MAP, by("editor"))
    assert owned(result, "m") == ()
    assert owned(result, "editor") == (".data.a",)


def test_an_update_that_changes_nothing_keeps_all_entries() -> None:
    live = apply_document(None, config_map(a="1"), CONFIG_MAP, by("m"))
    assert track_update(live, dict(live), CONFIG_MAP, by("editor")) == live


def test_a_writer_that_forgets_ownership_does_not_end_it_and_an_empty_list_does() -> None:
    live = apply_document(None, config_map(a="1"), CONFIG_MAP, by("m"))
    assert track_update(live, bare(live), CONFIG_MAP, by("editor")) == live
    reset = {**live, "metadata": {**live["metadata"], "managedFields": []}}
    assert "managedFields" not in track_update(live, reset, CONFIG_MAP, by("editor"))["metadata"]
    through_status = track_update(live, reset, CONFIG_MAP, by("editor", subresource="status"))
    assert entries(through_status) == entries(live)


def test_stored_ownership_that_makes_no_sense_counts_as_none() -> None:
    live = config_map(a="1")
    live["metadata"]["managedFields"] = [{"operation": "Apply", "fieldsV1": {"nonsense": {}}}]
    result = apply_document(live, config_map(a="1"), CONFIG_MAP, by("m"))
    assert owned(result, "m") == (".data.a",)
    with pytest.raises(DecodeError, match=r"metadata\.managedFields\[0\]"):
        decode_entries([{"operation": "Bogus"}])


def test_the_oldest_of_many_updates_become_one_entry() -> None:
    live = track_update(None, config_map(), CONFIG_MAP, by("first"), track_created=True)
    live = apply_document(live, config_map(own="1"), CONFIG_MAP, by("applier"))
    for number in range(15):
        changed = {**live, "data": {**live["data"], f"k{number}": "1"}}
        when = NOW.replace(minute=number)
        live = track_update(live, changed, CONFIG_MAP, by(f"m{number}", now=when))
    managers = [entry["manager"] for entry in live["metadata"]["managedFields"] if entry["operation"] == "Update"]
    assert len(managers) == MAX_UPDATE_MANAGERS
    assert managers[-1] == "m14"
    assert ".data.k0" in owned(live, "ancient-changes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bogus": 1},
            r"failed to create typed patch object \(o; v1, Kind=Pod\): \.spec\.bogus: field not declared in schema",
        ),
        ({"containers": {"name": "a"}}, r"\.spec\.containers: expected list, got map"),
        ({"containers": [{"name": "a"}, {"name": "a"}]}, r'\.spec\.containers: duplicate entries for key \[name="a"\]'),
        ({"containers": [{"image": "a"}]}, r'element 0: .* omits all key fields \["name"\]'),
        ({"containers": [None]}, "may not have a null element"),
        ({"containers": ["x"]}, "may not have non-map elements"),
        ({"containers": [{"name": {}}]}, "whose key is no scalar"),
        ({"affinity": "x"}, r"\.spec\.affinity: expected map, got str"),
    ],
)
def test_an_applied_document_that_does_not_fit_its_kind_is_refused(change: dict[str, Any], message: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "o"}, "spec": change}
    with pytest.raises(BadRequest, match=message):
        apply_document(None, body, POD, by("m"))


def test_an_applied_document_may_not_state_ownership() -> None:
    body = config_map(a="1")
    body["metadata"]["managedFields"] = []
    with pytest.raises(BadRequest, match=r"metadata\.managedFields must be nil"):
        apply_document(None, body, CONFIG_MAP, by("m"))


_data = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["m1", "m2", "m3"]), _data), max_size=6))
def test_a_forced_apply_makes_it_so_and_every_field_has_an_owner(writes: list[tuple[str, dict[str, str]]]) -> None:
    live: dict[str, Any] | None = None
    for manager, data in writes:
        before = copy.deepcopy(live)
        result = apply_document(live, config_map(**data), CONFIG_MAP, by(manager), force=True)
        assert live == before
        live = result
        assert (live.get("data") or {}).items() >= data.items()
        owners = {
            path for entry in live["metadata"].get("managedFields", ()) for path in FieldSet(entry["fieldsV1"]).shown()
        }
        assert {f".data.{key}" for key in live.get("data") or {}} <= owners


@given(_data, _data, _data)
def test_what_one_manager_applies_twice_is_what_it_applied_last(first: Any, second: Any, foreign: Any) -> None:
    live = apply_document(None, config_map(**foreign), CONFIG_MAP, by("other"))
    live = apply_document(live, config_map(**first), CONFIG_MAP, by("m"), force=True)
    live = apply_document(live, config_map(**second), CONFIG_MAP, by("m"), force=True)
    untouched = {key: value for key, value in foreign.items() if key not in first and key not in second}
    assert (live.get("data") or {}).items() >= {**untouched, **second}.items()
    assert not {key for key in first if key not in second and key not in foreign} & set(live.get("data") or {})
