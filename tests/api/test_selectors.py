from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.builtin import CONFIG_MAP, NODE, POD
from orchestra.api.field_selectors import parse_field_selector, selectable_fields
from orchestra.api.object import ResourceInfo
from orchestra.api.selectors import (
    EVERYTHING,
    NOTHING,
    Operator,
    Requirement,
    Selector,
    label_selector,
    label_selector_causes,
    parse_selector,
    selector_from_labels,
)
from orchestra.errors import BadRequest, Cause

C1 = {"a": "1"}
C2 = {"a": "2", "b": "2"}
C3: dict[str, str] = {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "123"),
        ("a=1", "1"),
        ("a==1", "1"),
        ("a!=1", "23"),
        ("a", "12"),
        ("!a", "3"),
        ("a in (1,2)", "12"),
        ("a notin (1)", "23"),
        ("a=2,b=2", "2"),
        ("a in (1),!b", "1"),
        ("a=", ""),
        ("a in ()", ""),
        ("a>1", "2"),
        ("a<2", "1"),
        (" a  in ( 1 , 3 ) , ! b ", "1"),
    ],
)
def test_a_text_selector_matches_as_recorded(text: str, names: str) -> None:
    selector = parse_selector(text)
    objects = {"1": C1, "2": C2, "3": C3}
    assert "".join(name for name, labels in objects.items() if selector.matches(labels)) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a=1,", "found '', expected: identifier after ','"),
        (",a=1", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("=1", "found '=', expected: !, identifier, or 'end of string'"),
        (
            "a>x",
            (
                'unable to parse requirement: values[0]: Invalid value: "x": '
                "for 'Gt', 'Lt' operators, the value must be an integer"
            ),
        ),
        (
            f"a={'x' * 64}",
            f'unable to parse requirement: values[0][a]: Invalid value: "{"x" * 64}": must be no more than 63 bytes',
        ),
        ("Bad Key=1", "unable to parse requirement: found 'Key', expected: in, notin, =, ==, !=, gt, lt"),
        ("!a=1", "found '=', expected: ',' or 'end of string'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
    ],
)
def test_text_that_is_no_selector_is_refused_in_the_servers_words(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_selector(text)
    assert caught.value.message == message


def test_a_key_with_two_slashes_names_the_rule_of_label_keys() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_selector("x/y/z=1")
    assert caught.value.message == (
        'unable to parse requirement: <nil>: Invalid value: "x/y/z": a valid label key must consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
        "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an "
        "optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    )


def test_a_selector_prints_itself_sorted_by_key() -> None:
    assert str(parse_selector("f,e in (y,x),!d,c!=3,b==2,a=1,g>4")) == "a=1,b==2,c!=3,!d,e in (x,y),f,g>4"


_labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "2", "x"]), max_size=3)
_requirements = st.builds(
    lambda key, operator, values: Requirement(
        key,
        operator,
        ()
        if operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST)
        else tuple(sorted(values))
        if operator in (Operator.IN, Operator.NOT_IN)
        else (min(values),),
    ),
    st.sampled_from("abc"),
    st.sampled_from([operator for operator in Operator if operator not in (Operator.GREATER, Operator.LESS)]),
    st.sets(st.sampled_from(["", "1", "2", "x"]), min_size=1),
)


@given(st.lists(_requirements, max_size=4), _labels)
def test_the_printed_form_means_the_same(requirements: list[Requirement], labels: dict[str, str]) -> None:
    selector = Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))
    assert parse_selector(str(selector)).matches(labels) == selector.matches(labels)


def test_an_absent_structured_selector_matches_nothing_and_an_empty_one_everything() -> None:
    assert label_selector(None) is NOTHING
    assert not NOTHING.matches({})
    assert label_selector({}) == EVERYTHING
    assert EVERYTHING.matches(C1)
    assert EVERYTHING.empty
    assert not NOTHING.empty


def test_a_structured_selector_combines_labels_and_expressions() -> None:
    selector = label_selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["cache"]},
                {"key": "zone", "operator": "Exists"},
            ],
        }
    )
    assert str(selector) == "app=web,tier notin (cache),zone"
    assert selector.matches({"app": "web", "zone": "a"})
    assert not selector.matches({"app": "web", "zone": "a", "tier": "cache"})


def test_a_selector_says_which_value_a_label_must_have() -> None:
    selector = parse_selector("a=1,b in (2),c in (1,2),d!=1")
    assert [selector.exact(key) for key in "abcde"] == ["1", "2", None, None, None]
    assert selector_from_labels({"b": "2", "a": "1"}).exact("b") == "2"


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        (
            {"key": "a", "operator": "In"},
            Cause(
                reason="FieldValueRequired",
                message="Required value: must be specified when `operator` is 'In' or 'NotIn'",
                field="spec.selector.matchExpressions[0].values",
            ),
        ),
        (
            {"key": "a", "operator": "Exists", "values": ["x"]},
            Cause(
                reason="FieldValueForbidden",
                message="Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                field="spec.selector.matchExpressions[0].values",
            ),
        ),
        (
            {"key": "a", "operator": "Bogus"},
            Cause(
                reason="FieldValueInvalid",
                message='Invalid value: "Bogus": not a valid selector operator',
                field="spec.selector.matchExpressions[0].operator",
            ),
        ),
    ],
)
def test_faults_of_a_structured_selector_name_their_field(expression: dict[str, object], cause: Cause) -> None:
    assert label_selector_causes({"matchExpressions": [expression]}, "spec.selector") == (cause,)
    with pytest.raises(BadRequest):
        label_selector({"matchExpressions": [expression]})


def test_a_valid_structured_selector_has_no_faults() -> None:
    assert label_selector_causes({"matchLabels": {"a.example.com/b": "c"}}, "spec.selector") == ()
    assert label_selector_causes(None, "spec.selector") == ()


POD_DOCUMENT = {
    "metadata": {"name": "o0", "namespace": "ns"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=o0", True),
        ("metadata.name==o0,metadata.namespace!=other", True),
        ("spec.nodeName=n1,status.phase=Running", True),
        ("spec.nodeName=", False),
        ("spec.host=n1", True),
        ("spec.hostNetwork=false,status.podIP=,spec.serviceAccountName=", True),
        ("status.phase!=Running", False),
    ],
)
def test_a_field_selector_matches_documents(text: str, matches: bool) -> None:
    assert parse_field_selector(text, POD).matches(POD_DOCUMENT) is matches


def test_a_flag_that_is_absent_is_false() -> None:
    selector = parse_field_selector("spec.unschedulable=false", NODE)
    assert selector.matches({"metadata": {"name": "n"}})
    assert not selector.matches({"spec": {"unschedulable": True}})


@pytest.mark.parametrize(
    ("text", "info", "message"),
    [
        ("spec.bogus=x", POD, "field label not supported: spec.bogus"),
        (
            "data.a=1",
            CONFIG_MAP,
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (
            "spec.x=1",
            ResourceInfo(group="batch", version="v1", kind="Job", plural="jobs"),
            'field label "spec.x" not supported for Job',
        ),
        ("metadata.name", POD, "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name=a=b", POD, "invalid field selector: unescaped character in value: 61"),
        ("metadata.name=a\\b", POD, "invalid field selector: invalid escape sequence: \\b"),
        ("metadata.name=a\\", POD, "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_a_field_selector_that_cannot_be_is_refused(text: str, info: ResourceInfo, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_field_selector(text, info)
    assert caught.value.message == message


def test_kinds_of_ones_own_offer_fields_of_their_own() -> None:
    info = ResourceInfo(group="gold.example.com", version="v1", kind="Widget", plural="widgets")
    selector = parse_field_selector("spec.color=red", info, ("spec.color",))
    assert selector.matches({"spec": {"color": "red"}})
    assert not selector.matches({"spec": {"color": "blue"}})
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.size"):
        parse_field_selector("spec.size=3", info, ("spec.color",))


def test_an_index_learns_the_node_from_a_field_selector() -> None:
    selector = parse_field_selector("spec.nodeName=n1,metadata.name!=x", POD)
    assert selector.exact("spec.nodeName") == "n1"
    assert selector.exact("metadata.name") is None
    assert "spec.nodeName" in selectable_fields(POD)


def test_special_characters_of_a_value_survive_printing() -> None:
    selector = parse_field_selector(r"metadata.name=a\,b\=c\\d", POD)
    assert selector.exact("metadata.name") == "a,b=c\\d"
    assert parse_field_selector(str(selector), POD) == selector
