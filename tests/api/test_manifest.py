from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.core import ConfigMap, Pod
from orchestra.api.manifest import MAX_MANIFEST_BYTES, dump_yaml, load_manifests, read_manifests
from orchestra.api.scheme import Scheme
from orchestra.errors import DecodeError

WEB = """\
# a comment
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  a: text
---
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: c
    image: i
    ports:
    - containerPort: "80"
"""


def test_a_file_holds_many_documents_and_empty_ones_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(WEB)
    assert [document["kind"] for document in load_manifests(path)] == ["ConfigMap", "Pod"]
    assert load_manifests("") == load_manifests("---\n# nothing\n") == []


def test_a_manifest_decodes_to_its_kind() -> None:
    scheme = Scheme()
    config, _ = read_manifests(WEB)
    obj = config.decode(scheme)
    assert isinstance(obj, ConfigMap)
    assert obj.data == {"a": "text"}


def test_a_fault_names_file_document_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(WEB)
    _, pod = read_manifests(path)
    with pytest.raises(DecodeError) as caught:
        pod.decode(Scheme())
    wanted = "document 3, line 19: spec.containers[0].ports[0].containerPort: expected integer, got string"
    assert str(caught.value) == f"{path}: {wanted}"
    assert caught.value.path == "spec.containers[0].ports[0].containerPort"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Pod\n", "<text>: document 1, line 1: apiVersion: must be set"),
        ("\napiVersion: v1\nkind: Nope\n", '<text>: document 1, line 3: no matches for kind "Nope" in version "v1"'),
    ],
)
def test_a_document_of_no_known_kind_is_refused_with_its_place(text: str, message: str) -> None:
    (manifest,) = read_manifests(text)
    with pytest.raises(DecodeError) as caught:
        manifest.decode(Scheme())
    assert str(caught.value) == message


def test_lists_are_flattened_also_typed_and_nested_ones() -> None:
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}
    many = {"apiVersion": "v1", "kind": "List", "items": [pods, {"apiVersion": "v1", "kind": "Secret"}]}
    for text in (json.dumps(many), dump_yaml(many)):
        documents = load_manifests(text)
        assert [document["kind"] for document in documents] == ["Pod", "Pod", "Secret"]
        assert documents[0]["apiVersion"] == "v1"
    empty = {"apiVersion": "v1", "kind": "List", "items": []}
    assert load_manifests(dump_yaml(empty)) == []


def test_json_documents_may_follow_one_another() -> None:
    assert load_manifests('\ufeff {"a": 1}\n\t{"a": 2}') == [{"a": 1}, {"a": 2}]
    assert load_manifests("{a: 1}") == [{"a": 1}]


# What Kubernetes' YAML reader makes of plain scalars.
SCALARS: list[tuple[str, Any]] = [
    ("y", True),
    ("Yes", True),
    ("ON", True),
    ("true", True),
    ("n", False),
    ("off", False),
    ("No", False),
    ("yES", "yES"),
    ("~", None),
    ("", None),
    ("Null", None),
    ("nULL", "nULL"),
    ("12", 12),
    ("-3", -3),
    ("+4", 4),
    ("0644", 420),
    ("0o644", 420),
    ("0x1F", 31),
    ("0b101", 5),
    ("1_000", 1000),
    ("09", 9),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1e3", 1000),
    ("1E-2", 0.01),
    ("1.0", 1),
    ("22:22", "22:22"),
    ("190:20:30", "190:20:30"),
    ("2026-01-01", "2026-01-01"),
    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("1Gi", "1Gi"),
    ("0x", "0x"),
    ("=", "="),
    ("'12'", "12"),
    ('"y"', "y"),
    ("!!str 12", "12"),
    ("!!int 12", 12),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalars_are_what_kubernetes_makes_of_them(text: str, value: Any) -> None:
    (document,) = load_manifests(f"v: {text}\n")
    assert document["v"] == value
    assert type(document["v"]) is type(value)


def test_keys_become_text() -> None:
    assert load_manifests("on: 1\n5: 2\n1.5: 3\n'y': 4\n") == [{"true": 1, "5": 2, "1.5": 3, "y": 4}]


def test_anchors_and_merge_keys_work() -> None:
    text = "base: &b {a: 1, b: 2}\nmore: {<<: *b, b: 3}\nmany: {<<: [*b, {c: 4, a: 9}]}\n"
    (document,) = load_manifests(text)
    assert document["more"] == {"a": 1, "b": 3}
    assert document["many"] == {"a": 1, "b": 2, "c": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 'document 1: line 4: key "c" already set in map'),
        ('{"a": {"b": 1, "b": 2}}', 'document 1: key "b" already set in map'),
        ("a: [b", "document 1: yaml: line 1: did not find expected ',' or ']'"),
        ("a: 1\n---\n b: [}\n", "document 2: yaml: line 3: did not find expected node content"),
        ("a: b: c", "document 1: yaml: line 1: mapping values are not allowed in this context"),
        ("a: !!python/name:os x", "document 1: line 1: tag:yaml.org,2002:python/name:os has no form in JSON"),
        ("a: 1\n? [b]\n: 1\n", "document 1: line 2: a key is text, a number or a boolean"),
        ("~: 1", "document 1: line 1: a key is text, a number or a boolean"),
        ("a: .inf", "document 1: line 1: json: unsupported value: .inf"),
        ("- a", "document 1: expected an object, got a list"),
        ("text", "document 1: expected an object, got text"),
        ("a: &x {b: *x}", "document 1: line 1: values are nested more than 100 deep"),
        ("a: {<<: 1}", "document 1: line 1: map merge requires map or sequence of maps as the value"),
        ("a: *nope", "document 1: yaml: line 1: found undefined alias"),
        ("kind: List\nitems: [1]", "document 1: items[0]: expected an object, got int"),
        ("a: \x01", "document 1: yaml: control characters are not allowed"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        load_manifests(text)
    assert str(caught.value) == f"<text>: {message}"


def test_a_small_text_cannot_become_a_large_document() -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(DecodeError, match="excessive aliasing"):
        load_manifests("\n".join(lines))


def test_a_manifest_of_any_size_or_encoding_is_not_read(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    with big.open("wb") as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(DecodeError, match="is larger than"):
        load_manifests(big)
    odd = tmp_path / "odd.yaml"
    odd.write_bytes(b"a: \xff")
    with pytest.raises(DecodeError, match="is no UTF-8 text"):
        load_manifests(odd)


def test_yaml_is_written_as_kubectl_writes_it() -> None:
    document = {"kind": "Pod", "apiVersion": "v1", "spec": {"b": ["x", {"k": 1}], "a": {}}, "text": "one\ntwo\n"}
    assert dump_yaml([document, {"a": None}]) == (
        "apiVersion: v1\nkind: Pod\nspec:\n  a: {}\n  b:\n  - x\n  - k: 1\ntext: |\n  one\n  two\n---\na: null\n"
    )


@pytest.mark.parametrize(
    "text", [text for text, _ in SCALARS] + ["", " x ", "x\n", "- a", "a: b", "#", "é", "\ttab", "a\n b\n"]
)
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert load_manifests(dump_yaml({"v": text, text or "k": 1}))[0]["v"] == text


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=4))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    document = json.loads(json.dumps(document))
    try:
        text = dump_yaml(document)
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    assert load_manifests(text) == [document]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_manifests(text)
    except DecodeError:
        return


def test_the_bundled_pod_reads_like_any_yaml_reader_reads_it() -> None:
    text = WEB.replace('"80"', "80")
    manifests = read_manifests(text)
    assert [m.document for m in manifests] == [d for d in yaml.safe_load_all(text) if d]
    pod = manifests[1].decode(Scheme())
    assert isinstance(pod, Pod)
    assert pod.spec.containers[0].ports[0].container_port == 80
