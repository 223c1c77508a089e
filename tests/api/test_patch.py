from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api import patch as patching
from orchestra.api.patch import json_equal, json_patch, merge_patch, merge_patch_between
from orchestra.errors import BadRequest, Invalid, RequestTooLarge

_scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
_objects = st.dictionaries(st.sampled_from("abc"), _json, max_size=3)
_without_null = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
_objects_without_null = st.dictionaries(st.sampled_from("abc"), _without_null, max_size=3)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # the examples of RFC 7396, appendix A, that have objects on both sides
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_the_rfc(document: Any, patch: Any, result: Any) -> None:
    assert merge_patch(document, patch) == result


@pytest.mark.parametrize(("body", "name"), [([], "array"), ("x", "string"), (1, "number"), (True, "bool")])
def test_a_merge_patch_that_is_no_object_is_refused(body: Any, name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        merge_patch({}, body)
    assert caught.value.message == (
        f"error decoding patch: json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
    )


@given(_objects, _objects)
def test_a_merge_patch_changes_none_of_its_inputs(document: Any, patch: Any) -> None:
    before = copy.deepcopy((document, patch))
    merge_patch(document, patch)
    assert (document, patch) == before


@given(_objects_without_null, _objects_without_null)
def test_the_merge_patch_between_two_documents_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    assert json_equal(merge_patch(old, merge_patch_between(old, new)), new)


def test_a_merge_patch_shares_what_it_does_not_touch() -> None:
    document = {"a": {"x": 1}, "b": {"y": 2}}
    assert merge_patch(document, {"a": {"x": 2}})["b"] is document["b"]


DOCUMENT: dict[str, Any] = {
    "metadata": {"labels": {"l1": "a", "x/y": "b"}},
    "spec": {"replicas": 1, "items": ["p", "q"]},
}


@pytest.mark.parametrize(
    ("operation", "pointer", "expected"),
    [
        ({"op": "replace", "path": "/spec/replicas", "value": 4}, ("spec", "replicas"), 4),
        ({"op": "add", "path": "/spec/items/-", "value": "r"}, ("spec", "items"), ["p", "q", "r"]),
        ({"op": "add", "path": "/spec/items/0", "value": "r"}, ("spec", "items"), ["r", "p", "q"]),
        ({"op": "add", "path": "/spec/items/2", "value": "r"}, ("spec", "items"), ["p", "q", "r"]),
        ({"op": "remove", "path": "/spec/items/0"}, ("spec", "items"), ["q"]),
        ({"op": "remove", "path": "/spec/items/-1"}, ("spec", "items"), ["p"]),
        ({"op": "replace", "path": "/spec/items/1", "value": "z"}, ("spec", "items"), ["p", "z"]),
        ({"op": "remove", "path": "/metadata/labels/x~1y"}, ("metadata", "labels"), {"l1": "a"}),
        (
            {"op": "move", "from": "/metadata/labels/l1", "path": "/metadata/labels/l9"},
            ("metadata", "labels"),
            {"x/y": "b", "l9": "a"},
        ),
        ({"op": "copy", "from": "/spec/replicas", "path": "/spec/more"}, ("spec", "more"), 1),
        ({"op": "test", "path": "/spec/items", "value": ["p", "q"]}, ("spec", "items"), ["p", "q"]),
        ({"op": "test", "path": "/spec/nothing", "value": None}, ("spec", "replicas"), 1),
    ],
)
def test_a_json_patch_operation_does_what_the_rfc_says(operation: Any, pointer: tuple[str, ...], expected: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    at: Any = json_patch(DOCUMENT, [operation])
    for step in pointer:
        at = at[step]
    assert at == expected
    assert before == DOCUMENT


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/replicas", "value": 9},
        {"op": "test", "path": "/spec/replicas", "value": True},
        {"op": "remove", "path": "/metadata/labels/nope"},
        {"op": "replace", "path": "/metadata/annotations/x", "value": "y"},
        {"op": "add", "path": "/metadata/annotations/x", "value": "y"},
        {"op": "add", "path": "/spec/items/9", "value": "y"},
        {"op": "add", "path": "/spec/items/01x", "value": "y"},
        {"op": "remove", "path": "/spec/items/9"},
        {"op": "add", "path": "spec", "value": {}},
        {"op": "add", "path": "/spec/replicas/deep", "value": 1},
        {"op": "move", "from": "/spec", "path": "/spec/inner"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "", "value": []},
        {"op": "bogus", "path": "/spec"},
        {"op": ["add"], "path": "/spec"},
        {"op": "add", "path": "/spec/x"},
        {"op": "add", "value": 1},
    ],
)
def test_an_operation_that_does_not_fit_is_refused_in_the_servers_words(operation: Any) -> None:
    with pytest.raises(Invalid) as caught:
        json_patch(DOCUMENT, [{"op": "replace", "path": "/spec/replicas", "value": 1}, operation])
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.causes == ()
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("body", [{}, "x", [1], None])
def test_a_json_patch_that_is_no_list_of_operations_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest):
        json_patch(DOCUMENT, body)


def test_a_json_patch_has_a_bounded_number_of_operations() -> None:
    with pytest.raises(RequestTooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch(DOCUMENT, [{"op": "test", "path": "", "value": None}] * 10_001)


def test_copies_of_a_json_patch_have_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "MAX_COPIED_BYTES", 100)
    doubling = [{"op": "copy", "from": "/spec", "path": f"/s{index}"} for index in range(5)]
    with pytest.raises(Invalid):
        json_patch(DOCUMENT, doubling)
    assert json_patch(DOCUMENT, doubling[:1])["s0"] == DOCUMENT["spec"]


@given(_json, _json)
def test_json_equality_tells_true_from_one(left: Any, right: Any) -> None:
    import json

    assert json_equal(left, right) == (json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True))
