"""Cluster states from files: what kubectl prints is taken as it is, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestra.api import manifest
from orchestra.api.builders import node, pod
from orchestra.api.codec import encode
from orchestra.api.manifest import dump_yaml
from orchestra.errors import DecodeError
from orchestra.scheduler import ClusterState, load_state

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}


def listed(*items: Any, kind: str = "List") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": ""}, "items": list(items)}


def file(folder: Path, content: Any, name: str = "cluster.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_list_of_mixed_kinds_is_taken_and_other_kinds_are_noted(tmp_path: Path) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    strange = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "w"}}
    state = load_state(file(tmp_path, listed(NODE, POD, other, strange, other)))
    assert [item.metadata.name for item in state.nodes] == ["a"]
    assert [item.key for item in state.pending] == ["default/p"]
    assert state.notes == (
        "1 of kind example.dev/v1 Website left out: only Pods and what decides about them is read",
        "2 of kind v1 ConfigMap left out: only Pods and what decides about them is read",
    )


def test_typed_lists_yaml_and_several_json_documents_are_read_too(tmp_path: Path) -> None:
    nodes = encode(node("a"))
    bare = {"metadata": {"name": "b"}}
    texts = {
        "typed.json": json.dumps(listed(bare, kind="NodeList")),
        "many.json": json.dumps(nodes) + "\n" + json.dumps(encode(pod("p"))),
        "list.json": json.dumps([nodes, POD]),
        "many.yaml": dump_yaml([nodes, encode(pod("p"))]),
        "nested.yaml": dump_yaml(listed(listed(nodes), POD)),
    }
    found = {name: load_state(file(tmp_path, text, name)) for name, text in texts.items()}
    assert {name: len(state.nodes) for name, state in found.items()} == dict.fromkeys(texts, 1)
    assert sum(len(state.pods) for state in found.values()) == 4


def test_a_pod_in_a_later_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    first = file(tmp_path, listed(NODE, encode(pod("p", cpu=1))))
    second = file(tmp_path, encode(pod("p", cpu=2)), "more.json")
    (only,) = load_state(first, second).pods
    assert str(only.spec.containers[0].resources.requests["cpu"]) == "2"


def test_what_stands_twice_in_one_file_and_who_runs_nowhere_is_noted(tmp_path: Path) -> None:
    state = load_state(file(tmp_path, listed(NODE, NODE, encode(pod("p", node="gone")))))
    assert state.notes == (
        "Node a is there twice: the last one counts",
        "1 Pods are on nodes that are not there, default/p among them",
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"kind": "Node", "metadata": {"name": "a"}}, "document 1: apiVersion: is missing"),
        (listed({**NODE, "kind": 7}), r"items\[0\]: kind: expected a string, got a number"),
        (listed("text"), r"document 1: items\[0\]: expected an object, got a string"),
        ({**listed(), "items": "x"}, "document 1: items: expected a list, got a string"),
        (listed({**NODE, "metadata": {}}), r"items\[0\] \(Node\): metadata.name: must be set"),
        (listed({**NODE, "metadata": []}), r"items\[0\] \(Node\): metadata: "),
        (
            listed({**BUDGET, "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}}),
            r'items\[0\] \(PodDisruptionBudget b\): spec.selector: "Near" is not a valid label selector operator',
        ),
        (listed(NODE, {**POD, "spec": []}), r"items\[1\] \(Pod default/p\): spec: "),
        (
            listed({**POD, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "4x"}}}]}}),
            r"items\[0\] \(Pod default/p\): spec.containers\[0\].resources.requests\[cpu\]: ",
        ),
        (
            listed({**POD, "metadata": {"name": "p", "uid": "1"}}, {**POD, "metadata": {"name": "q", "uid": "1"}}),
            r"items\[1\]: metadata.uid: 1 is that of Pod default/p too",
        ),
        ("{", "cluster.json"),
        ("[1, 2", "cluster.json"),
        ("just text", "cluster.json: document 1: expected an object"),
        ("a: [", "cluster.json: document 1"),
        (json.dumps(listed()).replace("[]", "[" * 900 + "]" * 900), "cluster.json"),
        (json.dumps(listed()).replace("[]", "[" * 100_000 + "]" * 100_000), "nested too deep"),
        ("a: " + "[" * 100_000, "nested more than 100 deep"),
        ("- " * 100_000, "nested more than 100 deep"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_field(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(DecodeError, match=complaint) as caught:
        load_state(file(tmp_path, content))
    assert str(caught.value).startswith(str(tmp_path / "cluster.json"))


def test_lists_inside_of_lists_are_bounded() -> None:
    document: Any = NODE
    for _ in range(20):
        document = listed(document)
    with pytest.raises(DecodeError, match="nested more than 8 deep"):
        ClusterState.from_documents([document])


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.bin"
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DecodeError, match="no UTF-8 text"):
        load_state(path)
    with pytest.raises(OSError):
        load_state(tmp_path / "nothing")


def test_a_state_may_be_larger_than_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_NODES", 100)
    path = file(tmp_path, dump_yaml(listed(*(encode(pod(f"p{number}")) for number in range(50)))), "cluster.yaml")
    assert len(load_state(path).pods) == 50
    with pytest.raises(DecodeError, match="more than 100 values"):
        manifest.load_manifests(path)


def test_aliases_cannot_blow_a_file_up(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True)]
    with pytest.raises(DecodeError, match="excessive aliasing"):
        load_state(file(tmp_path, "\n".join(lines), "bomb.yaml"))
