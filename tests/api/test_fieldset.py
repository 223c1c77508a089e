from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.managed.fieldset import EMPTY, FieldSet, key_step, show_step, value_step
from orchestra.errors import DecodeError

_paths = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join), max_size=6)


def members(fields: FieldSet) -> set[str]:
    return {"".join(path) for path in fields}


def as_set(paths: list[str]) -> set[str]:
    return {"".join(f"f:{name}" for name in path.split(".")) for path in paths}


@given(_paths, _paths)
def test_operations_are_those_of_sets_of_paths(left: list[str], right: list[str]) -> None:
    one, two = FieldSet.of(*left), FieldSet.of(*right)
    assert members(one) == as_set(left)
    assert members(one | two) == as_set(left) | as_set(right)
    assert members(one & two) == as_set(left) & as_set(right)
    assert members(one - two) == as_set(left) - as_set(right)


@given(_paths, _paths)
def test_taking_out_with_all_below_leaves_no_path_that_begins_with_a_member(left: list[str], right: list[str]) -> None:
    def below(path: str) -> bool:
        return any(path == other or path.startswith(f"{other}.") for other in right)

    rest = FieldSet.of(*left).without(FieldSet.of(*right))
    assert members(rest) == as_set([path for path in left if not below(path)])


@given(_paths)
def test_the_wire_form_of_a_set_states_the_same_set(paths: list[str]) -> None:
    fields = FieldSet.of(*paths)
    assert FieldSet.from_fields_v1(fields.fields) == fields
    assert bool(fields) == bool(paths)


def test_steps_of_the_wire_are_rewritten_in_one_form() -> None:
    document = {"f:ports": {'k:{ "protocol":"TCP", "port":80 }': {".": {}, 'v: "x"': {}}}}
    fields = FieldSet.from_fields_v1(document).fields
    assert fields == {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, 'v:"x"': {}}}}


@pytest.mark.parametrize("document", [{"x": {}}, {"k:[1]": {}}, {"k:{": {}}, {"f:a": 1}, [1], {"i:x": {}}])
def test_a_document_that_is_no_set_is_refused(document: Any) -> None:
    with pytest.raises(DecodeError):
        FieldSet.from_fields_v1(document)


def test_a_tree_has_a_bounded_depth() -> None:
    document: dict[str, Any] = {}
    for _ in range(300):
        document = {"f:a": document}
    with pytest.raises(DecodeError):
        FieldSet.from_fields_v1(document)


def test_paths_are_shown_as_messages_show_them() -> None:
    step = key_step(("containerPort", 80), ("protocol", "TCP"))
    assert show_step(step) == '[containerPort=80,protocol="TCP"]'
    assert show_step(value_step("a.dev/x")) == '[="a.dev/x"]'
    assert show_step("i:3") == "[3]"
    assert FieldSet({"f:spec": {"f:containers": {key_step(("name", "a")): {"f:image": {}}}}}).shown() == (
        '.spec.containers[name="a"].image',
    )


def test_nothing_is_in_the_empty_set() -> None:
    assert not EMPTY
    assert list(EMPTY) == []
    assert EMPTY - FieldSet.of("a") == EMPTY
    assert (FieldSet.of("a") & EMPTY) == EMPTY
