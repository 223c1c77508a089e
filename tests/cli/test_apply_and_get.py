"""`apply` and `get` on a plane in virtual time."""

from __future__ import annotations

import json

import anyio
import pytest

from orchestra.cli.commands.get import GetOptions, run
from orchestra.client.interface import Patch, PatchType
from tests.cli.conftest import Manifests, Shell

pytestmark = pytest.mark.virtual_time


async def test_apply_says_what_it_did_to_each_object(shell: Shell, manifests: Manifests) -> None:
    assert await shell.apply(manifests.web) == 0
    assert shell.out == "configmap/web created\ndeployment.apps/web created\nservice/web created\n"
    assert await shell.apply(manifests.web.replace("key: value", "key: other")) == 0
    assert shell.out == "configmap/web configured\ndeployment.apps/web unchanged\nservice/web unchanged\n"


async def test_a_dry_run_stores_nothing(shell: Shell, manifests: Manifests) -> None:
    assert await shell.apply(manifests.web, dry_run="server") == 0
    assert "configmap/web created (server dry run)" in shell.out
    assert await shell.get("cm", "web") == 1
    assert shell.err == 'Error from server (NotFound): configmaps "web" not found\n'


async def test_documents_after_a_refused_one_are_applied(shell: Shell) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}\n"
    cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y1}\n"
    assert await shell.apply(f"{pod}---\n{cm}") == 1
    assert shell.err == 'The Pod "x" is invalid: spec.containers: Required value\n'
    assert shell.out == "configmap/y1 created\n"


async def test_several_faults_stand_below_each_other(shell: Shell) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: A, image: a}, {name: b}]}\n"
    assert await shell.apply(pod) == 1
    lines = shell.err.splitlines()
    assert lines[0] == 'The Pod "x" is invalid: '
    assert all(line.startswith("* spec.containers[") for line in lines[1:])
    assert len(lines) >= 3


async def test_malformed_yaml_is_refused_with_file_and_line(shell: Shell) -> None:
    from orchestra.cli.commands.apply import ApplyOptions
    from orchestra.cli.commands.apply import run as apply

    path = shell.file("bad.yaml", "a: b\n c: d\n")
    assert await shell(apply, ApplyOptions(filename=(path,))) == 1
    assert shell.err.startswith(f"error: {path}: document 1: yaml: line 2:")


async def test_an_unknown_kind_is_refused_with_its_line(shell: Shell) -> None:
    assert await shell.apply("apiVersion: v1\nkind: Foo\nmetadata: {name: x}\n") == 1
    assert shell.err == 'error: STDIN: document 1, line 2: no matches for kind "Foo" in version "v1"\n'


async def test_a_name_that_yaml_takes_for_something_else_is_refused(shell: Shell) -> None:
    assert await shell.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: y}\n") == 1
    assert "metadata.name: expected text, got true" in shell.err


async def test_an_undeclared_field_is_refused_by_name(shell: Shell) -> None:
    assert await shell.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nfoo: 1\n") == 1
    assert shell.err.startswith("Error from server (BadRequest): ")
    assert ".foo: field not declared in schema" in shell.err


async def test_warnings_of_the_server_are_shown(shell: Shell) -> None:
    spec = "{nodeSelector: {beta.kubernetes.io/os: linux}, containers: [{name: a, image: b}]}"
    assert await shell.apply(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec: {spec}\n") == 0
    assert shell.err.startswith("Warning: spec.nodeSelector[beta.kubernetes.io/os]: deprecated")


async def test_a_conflict_over_a_field_comes_with_advice(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {key: mine}\n"
    assert await shell.apply(other, field_manager="other") == 1
    assert "conflict" in shell.err
    assert "--force-conflicts" in shell.err
    assert await shell.apply(other, field_manager="other", force_conflicts=True) == 0


async def test_a_folder_is_read_in_the_order_of_its_names(shell: Shell) -> None:
    from orchestra.cli.commands.apply import ApplyOptions
    from orchestra.cli.commands.apply import run as apply

    for name in ("b.yaml", "a.yml", "c.txt", "sub/d.yaml"):
        shell.file(f"m/{name}", f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name[0]}1}}\n")
    folder = str(shell.folder / "m")
    assert await shell(apply, ApplyOptions(filename=(folder,))) == 0
    assert shell.out == "configmap/a1 created\nconfigmap/b1 created\n"
    assert await shell(apply, ApplyOptions(filename=(folder,), recursive=True)) == 0
    assert shell.out.endswith("configmap/s1 created\n")


async def test_a_file_that_is_not_there_is_named(shell: Shell) -> None:
    from orchestra.cli.commands.apply import ApplyOptions
    from orchestra.cli.commands.apply import run as apply

    assert await shell(apply, ApplyOptions(filename=("nowhere.yaml",))) == 1
    assert shell.err == 'error: the path "nowhere.yaml" does not exist\n'


async def test_pods_are_a_table(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    await shell.harness.settle()
    assert await shell.get("pods") == 0
    assert shell.rows[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row[1:4] for row in shell.rows[1:]] == [["1/1", "Running", "0"]] * 2
    assert await shell.get("po", output="wide") == 0
    assert shell.rows[0][-6:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert all("node-0" in row for row in shell.rows[1:])


async def test_all_shows_the_kinds_of_that_category_with_their_names(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    await shell.harness.settle()
    assert await shell.get("all") == 0
    names = [row[0] for row in shell.rows if row and row[0] != "NAME"]
    assert [name.partition("/")[0] for name in names] == [
        "pod",
        "pod",
        "service",
        "deployment.apps",
        "replicaset.apps",
    ]
    assert shell.out.count("\n\n") == 3


async def test_an_empty_list_says_so(shell: Shell) -> None:
    assert await shell.get("pods") == 0
    assert (shell.out, shell.err) == ("", "No resources found in default namespace.\n")
    await shell.get("pods", all_namespaces=True)
    assert shell.err == "No resources found\n"


async def test_names_that_exist_are_shown_beside_those_that_do_not(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await shell.get("cm", "web", "nope") == 1
    assert shell.rows[1][:2] == ["web", "1"]
    assert shell.err == 'Error from server (NotFound): configmaps "nope" not found\n'
    assert await shell.get("cm", "nope", ignore_not_found=True) == 0
    assert shell.err == ""


async def test_an_unknown_kind_is_named(shell: Shell) -> None:
    assert await shell.get("foos") == 1
    assert shell.err == 'error: the server doesn\'t have a resource type "foos"\n'


async def test_namespaces_are_a_column_when_all_are_shown(shell: Shell) -> None:
    await shell.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
    await shell.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", namespace="other")
    assert await shell.get("cm", all_namespaces=True) == 0
    assert shell.rows[0] == ["NAMESPACE", "NAME", "DATA", "AGE"]
    assert ["other", "a", "0"] in [row[:3] for row in shell.rows]


async def test_documents_come_as_json_yaml_and_names(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await shell.get("deploy/web", output="json") == 0
    document = json.loads(shell.out)
    assert document["kind"] == "Deployment"
    assert "managedFields" not in document["metadata"]
    assert await shell.get("deploy,svc", output="yaml") == 0
    assert shell.out.startswith("apiVersion: v1\nitems:\n- apiVersion: apps/v1\n")
    assert await shell.get("deploy,svc", output="name") == 0
    assert shell.out == "deployment.apps/web\nservice/web\n"


async def test_a_jsonpath_picks_values(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await shell.get("svc", output="jsonpath={range .items[*]}{.metadata.name}={.spec.type}{'\\n'}{end}") == 0
    assert shell.out == "web=ClusterIP\n"
    assert await shell.get("svc", output="jsonpath={.items[") == 1
    assert shell.err.startswith("error: error parsing jsonpath")


async def test_labels_and_selectors(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await shell.get("deploy", selector="app=web", show_labels=True, label_columns=("app",)) == 0
    assert shell.rows[0][-2:] == ["APP", "LABELS"]
    assert shell.rows[1][-2:] == ["web", "app=web"]
    assert await shell.get("deploy", selector="app!=web") == 0
    assert shell.err == "No resources found in default namespace.\n"
    assert await shell.get("deploy", "web", selector="app=web") == 1


async def test_rows_are_sorted_by_a_path(shell: Shell) -> None:
    for name, size in (("a", 3), ("b", 1), ("c", 2)):
        await shell.apply(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{size: '{size}'}}\n")
    await shell.get("cm", sort_by="{.data.size}", output="name")
    sized = [line for line in shell.out.splitlines() if line != "configmap/kube-root-ca.crt"]
    assert sized == ["configmap/b", "configmap/c", "configmap/a"]


async def test_an_unknown_format_is_refused(shell: Shell) -> None:
    assert await shell.get("pods", output="table2") == 1
    assert 'output format "table2"' in shell.err


async def test_a_watch_prints_a_row_for_each_change(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    lines: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            try:
                await shell(run, GetOptions(resources=("cm", "web"), watch=True, output_watch_events=True))
            finally:
                lines.extend(shell.out.splitlines())

        tasks.start_soon(follow)
        await anyio.sleep(1)
        cm = shell.client.scheme.type_of(shell.client.scheme.resolve("cm"))
        await shell.client.patch(cm, "web", Patch(PatchType.MERGE, {"data": {"more": "1"}}))
        await shell.client.delete(cm, "web")
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert [line.split()[:3] for line in lines] == [
        ["EVENT", "NAME", "DATA"],
        ["ADDED", "web", "1"],
        ["MODIFIED", "web", "2"],
        ["DELETED", "web", "2"],
    ]
