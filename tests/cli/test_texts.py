"""The pure parts of the command line: columns, sheets, JSONPath, spans of time, words for errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.codec import from_document
from orchestra.api.core.service import ServicePort
from orchestra.api.discovery import EndpointSlice
from orchestra.cli.columns import Columns
from orchestra.cli.describe.config import title_of
from orchestra.cli.describe.services import endpoints_text
from orchestra.cli.describe.sheet import Sheet, align
from orchestra.cli.failures import CommandError, conflict_hint, describe_error
from orchestra.cli.jsonpath import expand, relaxed, select
from orchestra.cli.spans import parse_span
from orchestra.errors import Cause, Conflict, Invalid, NotFound, ServiceUnavailable

DOCUMENT: dict[str, Any] = {
    "kind": "List",
    "items": [
        {"name": "a", "n": 1, "ok": True, "labels": {"x.y/z": "1"}},
        {"name": "b", "n": 2, "ok": False, "parts": [{"type": "Ready", "status": "True"}, {"type": "Other"}]},
        {"name": "c", "n": 3.5},
    ],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.kind}", "List"),
        ("{$.kind}", "List"),
        ("{.items[*].name}", "a b c"),
        ("{.items[0].name}", "a"),
        ("{.items[-1].name}", "c"),
        ("{.items[0:2].name}", "a b"),
        ("{.items[0,2].name}", "a c"),
        ("{.items[1:].name}", "b c"),
        ("{.items[9].name}", ""),
        ("{.nothing.here}", ""),
        ("{..type}", "Ready Other"),
        ("{.items[?(@.n>1)].name}", "b c"),
        ('{.items[?(@.name=="b")].n}', "2"),
        ("{.items[?(@.name!='b')].n}", "1 3.5"),
        ("{.items[?(@.parts)].name}", "b"),
        ('{.items[*].parts[?(@.type=="Ready")].status}', "True"),
        ("{.items[?(@.ok==true)].name}", "a"),
        ("{.items[0]['name','n']}", None),
        ("{.items[0].labels.x\\.y/z}", "1"),
        ("{.items[0].labels['x.y/z']}", "1"),
        ('{range .items[*]}{.name}={.n}{"\\n"}{end}', "a=1\nb=2\nc=3.5\n"),
        ("{range .items[*]}{@.name}{','}{end}{.kind}", "a,b,c,List"),
        ("names: {.items[*].name}!", "names: a b c!"),
        ("{.items[0].labels}", '{"x.y/z":"1"}'),
        ("{.items[0].ok}", "true"),
        ("plain", "plain"),
    ],
)
def test_a_jsonpath_template_is_filled_in(template: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(CommandError):
            expand(template, DOCUMENT)
    else:
        assert expand(template, DOCUMENT) == text


@pytest.mark.parametrize("template", ["{.a", "{.a[}", "{.a[0}", "{end}", "{range .items[*]}", "{.a[?(@.b=}", "{!}"])
def test_a_malformed_jsonpath_is_refused(template: str) -> None:
    with pytest.raises(CommandError, match="error parsing jsonpath"):
        expand(template, DOCUMENT)


@given(st.text(alphabet="{}[]()?@.*$'\":,= abrange0\\", max_size=30))
def test_no_template_does_more_than_be_refused(template: str) -> None:
    try:
        expand(template, DOCUMENT)
    except CommandError:
        return


def test_paths_may_be_written_without_braces() -> None:
    assert {relaxed(path) for path in (".a.b", "a.b", "{.a.b}", " {a.b} ")} == {"{.a.b}"}
    assert select(relaxed("kind"), DOCUMENT) == ["List"]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert Columns().lines([["NAME", "AGE"], ["longer", "1"], ["a", "22"]]) == [
        "NAME     AGE",
        "longer   1",
        "a        22",
    ]


def test_columns_only_grow() -> None:
    columns = Columns()
    columns.lines([["NAME", "AGE"], ["a-long-name", "1"]])
    assert columns.lines([["b", "2"]]) == ["b             2"]


def test_what_steers_a_terminal_does_not_reach_it() -> None:
    assert Columns().lines([["a\x1b[31m", "b\nc"]]) == ["a\\x1b[31m   b\\nc"]


def test_tabs_align_within_neighbouring_lines() -> None:
    assert align(["a:\tx", "long:\ty", "none", "b:\tz"]) == ["a:     x", "long:  y", "none", "b:  z"]


def test_a_sheet_shows_no_control_characters() -> None:
    sheet = Sheet()
    sheet.line(0, "Message:\ta\x1b[2Jb\rc\nd")
    assert sheet.text() == "Message:  a\\x1b[2Jb\\rc\nd\n"


def test_a_sheet_lists_one_item_below_the_other() -> None:
    sheet = Sheet()
    sheet.line(0, "Name:\tx")
    sheet.labels("Labels", {"b": "2", "a": "1"})
    sheet.annotations({"note": "n", "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    sheet.labels("None", {})
    assert (
        sheet.text()
        == "Name:         x\nLabels:       a=1\n              b=2\nAnnotations:  note: n\nNone:         <none>\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("0", 0), ("-1s", -1)]
)
def test_spans_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_span(text, "timeout") == seconds


@pytest.mark.parametrize("text", ["5", "5x", "", "s", "1m2", "1 s"])
def test_what_is_no_span_is_refused_by_the_name_of_its_option(text: str) -> None:
    with pytest.raises(CommandError, match='for "--timeout" flag'):
        parse_span(text, "timeout")


def test_errors_are_worded_as_kubectl_words_them() -> None:
    assert describe_error(NotFound('pods "x" not found')) == 'Error from server (NotFound): pods "x" not found'
    assert describe_error(CommandError("no")) == "error: no"
    nobody = describe_error(ServiceUnavailable("the API server cannot be reached: x"), server="unix:/s")
    assert nobody.startswith(
        "The connection to the server unix:/s was refused - did you specify the right host or port?"
    )
    assert "orchestra up" in nobody
    one = Invalid("m", kind="Pod", name="x", causes=(Cause(field="spec.a", message="Required value"),))
    assert describe_error(one) == 'The Pod "x" is invalid: spec.a: Required value'


def test_only_a_conflict_of_managers_comes_with_advice() -> None:
    mine = Conflict("Apply failed with 1 conflict", causes=(Cause(reason="FieldManagerConflict", field=".a"),))
    assert "--force-conflicts" in conflict_hint(mine)
    assert conflict_hint(Conflict("the object has been modified")) == ""


def test_titles_of_fields() -> None:
    titles = [title_of(key) for key in ("apiVersion", "podIP", "uid", "nodeName", "x.y/z")]
    assert titles == ["API Version", "Pod IP", "UID", "Node Name", "x.y/z"]


def test_endpoints_of_a_port_are_the_ready_ones_with_its_name() -> None:
    document = {
        "metadata": {"name": "s"},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1"]},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
            *({"addresses": [f"10.0.1.{index}"]} for index in range(3)),
        ],
        "ports": [{"name": "http", "port": 80}, {"name": "other", "port": 81}],
    }
    found = [from_document(document, EndpointSlice)]
    assert (
        endpoints_text(found, ServicePort(name="http", port=8080)) == "10.0.0.1:80,10.0.1.0:80,10.0.1.1:80 + 1 more..."
    )
    assert endpoints_text([], ServicePort(name="http", port=8080)) == "<none>"
