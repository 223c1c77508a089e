from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.schema import Schema, struct_schema
from orchestra.api.scheme import Scheme
from orchestra.api.strategic import strategic_merge
from orchestra.errors import BadRequest

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "strategic.json").read_text())


def schema_of(document: dict[str, Any]) -> Schema:
    scheme = Scheme()
    return struct_schema(scheme.type_of(scheme.info(document["apiVersion"], document["kind"])))


POD = schema_of({"apiVersion": "v1", "kind": "Pod"})


def missing(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Return the paths at which what we made is not in what the server stored, which has defaults besides."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        skipped = ("resourceVersion", "generation")
        return [
            fault
            for name, value in ours.items()
            if name not in skipped
            for fault in (missing(value, theirs[name], f"{path}.{name}") if name in theirs else [f"{path}.{name}"])
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            fault
            for index, pair in enumerate(zip(ours, theirs, strict=True))
            for fault in missing(*pair, f"{path}[{index}]")
        ]
    return [] if ours == theirs else [path]


@pytest.mark.parametrize("case", RECORDED, ids=[case["name"] for case in RECORDED])
def test_a_patch_does_what_was_recorded(case: dict[str, Any]) -> None:
    schema = schema_of(case["before"])
    before = copy.deepcopy((case["before"], case["patch"]))
    if "refused" in case:
        with pytest.raises(BadRequest) as caught:
            strategic_merge(case["before"], case["patch"], schema)
        assert caught.value.message == case["refused"]
    else:
        assert missing(strategic_merge(case["before"], case["patch"], schema), case["after"]) == []
    assert (case["before"], case["patch"]) == before


def containers(*names: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": "i"} for name in names]}}


def names(document: dict[str, Any]) -> list[str]:
    return [item["name"] for item in document["spec"]["containers"]]


def test_new_items_follow_what_the_patch_puts_before_them() -> None:
    patch = {"spec": {"containers": [{"name": "c"}, {"name": "a"}]}}
    assert names(strategic_merge(containers("a", "b"), patch, POD)) == ["c", "a", "b"]


def test_an_order_directive_arranges_new_and_old_items() -> None:
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "n"}, {"name": "a"}],
            "containers": [{"name": "n", "image": "j"}],
        }
    }
    assert names(strategic_merge(containers("a", "b", "c"), patch, POD)) == ["b", "n", "a", "c"]


def test_replace_in_a_list_keeps_only_what_the_patch_states() -> None:
    patch = {"spec": {"containers": [{"$patch": "replace"}, {"name": "z", "image": "i"}]}}
    assert names(strategic_merge(containers("a", "b"), patch, POD)) == ["z"]


def test_replace_in_a_map_keeps_only_what_the_patch_states() -> None:
    result = strategic_merge(
        {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}, POD
    )
    assert result["metadata"]["labels"] == {"b": "2"}


def test_elements_of_a_merged_list_of_strings_are_added_once_and_deleted_by_value() -> None:
    document = {"metadata": {"finalizers": ["a.dev/1", "a.dev/2"]}}
    added = strategic_merge(document, {"metadata": {"finalizers": ["a.dev/2", "a.dev/3"]}}, POD)
    assert added["metadata"]["finalizers"] == ["a.dev/1", "a.dev/2", "a.dev/3"]
    deleted = strategic_merge(document, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.dev/1"]}}, POD)
    assert deleted["metadata"]["finalizers"] == ["a.dev/2"]


def test_directives_in_what_is_new_are_not_stored() -> None:
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "ports": [{"$patch": "replace"}]}],
        }
    }
    assert strategic_merge({}, patch, POD) == {"spec": {"containers": [{"name": "a", "ports": []}]}}


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"containers": [{"$patch": "merge"}]}},
        {"spec": {"containers": ["x"]}},
        {"spec": {"$setElementOrder/containers": 1}},
        {"spec": {"$setElementOrder": []}},
        {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": 1}},
        {"spec": {"$setElementOrder/restartPolicy": []}},
    ],
)
def test_directives_that_make_no_sense_are_refused(patch: Any) -> None:
    document = {
        "metadata": {"finalizers": ["a.dev/1"]},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "a"}], "volumes": [{"name": "v"}]},
    }
    with pytest.raises(BadRequest):
        strategic_merge(document, patch, POD)


_item = st.fixed_dictionaries({"name": st.sampled_from("abcd"), "image": st.sampled_from("xy")})
_containers = st.lists(_item, max_size=4, unique_by=lambda item: item["name"])


@given(_containers, _containers)
def test_every_item_of_either_side_is_in_the_result_once(live: list[Any], stated: list[Any]) -> None:
    result = strategic_merge({"spec": {"containers": live}}, {"spec": {"containers": stated}}, POD)
    images = {item["name"]: item["image"] for item in (*live, *stated)}
    assert sorted((item["name"], item["image"]) for item in result["spec"]["containers"]) == sorted(images.items())
