"""What the bodies and parameters of requests are read as."""

from __future__ import annotations

import pytest

from orchestra.api.builtin import CONFIG_MAP, POD
from orchestra.api.scheme import Scheme
from orchestra.apiserver import bodies, parameters
from orchestra.apiserver.forms import Form, IncludeObject
from orchestra.apiserver.routes import check_method, route_of
from orchestra.client.interface import PatchType
from orchestra.errors import BadRequest, Invalid, MethodNotAllowed, NotFound, UnsupportedMediaType

COMPACT = b'{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1"}}'


def test_a_body_without_doubled_keys_has_no_faults() -> None:
    assert bodies.object_body(COMPACT, "application/json; charset=utf-8", CONFIG_MAP).faults == ()
    spaced = COMPACT.replace(b":", b" : ")
    assert bodies.object_body(spaced, "", CONFIG_MAP) == bodies.Body(
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    )


def test_every_doubled_key_of_json_is_named_once_by_its_path() -> None:
    body = bodies.read_json(b'{"a":[{"b":1,"b":2,"b":3}],"c":{"d":1},"c":{"e":1,"e":1}}')
    assert body.value == {"a": [{"b": 3}], "c": {"e": 1}}
    assert body.faults == ('duplicate field "a[0].b"', 'duplicate field "c"', 'duplicate field "c.e"')


def test_doubled_keys_of_yaml_are_one_fault_and_a_warning_each() -> None:
    body = bodies.read_yaml(b"a: 1\na: 2\nb: {c: 1, c: 2}\n---\nnot: read\n")
    assert body.value == {"a": 2, "b": {"c": 2}}
    assert list(bodies.warning_texts(body.faults)) == [
        'line 2: key "a" already set in map',
        'line 3: key "c" already set in map',
    ]
    assert body.faults[0].startswith("yaml: unmarshal errors:\n  line 2")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b"{", "unexpected end of JSON input ({)"),
        (b"[]", "cannot unmarshal array into Go value of type struct"),
        (b'"x"', "(227822)"),
    ],
)
def test_a_body_that_is_no_object_is_shown_in_the_refusal(content: bytes, told: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        bodies.object_body(content, "application/json", CONFIG_MAP)
    assert refusal.value.message.startswith("the object provided is unrecognized (must be of type ConfigMap): ")
    assert told in refusal.value.message


def test_unknown_media_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        bodies.object_body(COMPACT, "text/plain", CONFIG_MAP)
    with pytest.raises(UnsupportedMediaType):
        bodies.patch_body(b"{}", "application/json")


def test_an_operation_of_a_json_patch_has_no_other_members() -> None:
    patch, faults = bodies.patch_body(b'[{"op":"add","op":"add","path":"/a","value":1}]', "application/json-patch+json")
    assert (patch.type, faults) == (PatchType.JSON, ('json patch duplicate field "[0].op"',))
    assert list(bodies.json_patch_faults([{"op": "test", "path": "/a", "x": 1}])) == [
        'json patch unknown field "[0].x"'
    ]


@pytest.mark.parametrize(
    ("kind", "query", "told"),
    [
        ("CreateOptions", {"dryRun": "Bogus"}, 'dryRun: Unsupported value: ["Bogus"]: supported values: "All"'),
        ("PatchOptions", {"fieldValidation": "x"}, 'supported values: "", "Ignore", "Strict", "Warn"'),
        ("PatchOptions", {"force": "true"}, "force: Forbidden: may not be specified for non-apply patch"),
        ("UpdateOptions", {"fieldManager": "m" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind: str, query: dict[str, str], told: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parameters.write_options(kind, query)
    assert refusal.value.message.startswith(f'{kind}.meta.k8s.io "" is invalid: ')
    assert told in refusal.value.message


def test_the_body_of_a_deletion_counts_alone() -> None:
    body = {"kind": "DeleteOptions", "preconditions": {"uid": "u"}, "dryRun": ["All"]}
    options = parameters.delete_options({"gracePeriodSeconds": "7"}, body)
    assert (options.grace_period_seconds, options.preconditions.uid, options.dry_run) == (None, "u", True)
    assert parameters.delete_options({"gracePeriodSeconds": "7"}).grace_period_seconds == 7
    assert parameters.delete_options({"orphanDependents": "true"}).propagation_policy == "Orphan"
    with pytest.raises(Invalid, match="cannot be both set"):
        parameters.delete_options({"orphanDependents": "true", "propagationPolicy": "Orphan"})
    with pytest.raises(BadRequest, match='no kind "Pod" is registered'):
        parameters.delete_options({}, {"kind": "Pod", "apiVersion": "v1"})


@pytest.mark.parametrize("text", ["x", "1.5", "", "9" * 20, "٣"])
def test_a_limit_is_a_number(text: str) -> None:
    if text:
        with pytest.raises(BadRequest, match=r"strconv\.ParseInt"):
            parameters.list_query(POD, None, "", {"limit": text})
    else:
        assert parameters.list_query(POD, None, "", {"limit": text}).limit == 0


def test_the_first_form_that_there_is_counts() -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert parameters.form_of(table, {"includeObject": "None"}) == (Form.TABLE, IncludeObject.NONE)
    assert parameters.form_of("application/json", {})[0] is Form.OBJECT
    assert parameters.form_of("application/json;as=Table;v=v9;g=meta.k8s.io", {})[0] is Form.OBJECT
    listed = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    assert parameters.form_of(listed, {})[0] is Form.METADATA


@pytest.fixture
def scheme() -> Scheme:
    return Scheme()


@pytest.mark.parametrize("path", ["/api/v1/bogus", "/api/v1/pods/x", "/api/v1/namespaces/a/nodes", "/apis/apps/v1"])
def test_paths_without_a_kind_lead_nowhere(scheme: Scheme, path: str) -> None:
    with pytest.raises(NotFound, match="could not find the requested resource"):
        route_of(path, scheme)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"),
        ("DELETE", "/api/v1/pods"),
        ("PUT", "/api/v1/namespaces/a/pods"),
        ("POST", "/api/v1/namespaces/a/pods/x"),
        ("GET", "/api/v1/namespaces/a/pods/x/binding"),
        ("DELETE", "/api/v1/namespaces/a/pods/x/status"),
    ],
)
def test_each_place_takes_its_own_methods(scheme: Scheme, method: str, path: str) -> None:
    with pytest.raises(MethodNotAllowed):
        check_method(route_of(path, scheme), method)
    check_method(route_of("/api/v1/namespaces/a/status", scheme), "PATCH")
