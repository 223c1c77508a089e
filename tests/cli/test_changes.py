"""Commands that change objects, and those that wait for it, on a plane in virtual time."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.core import Pod
from orchestra.cli.commands import delete, label, rollout, scale, wait
from tests.cli.conftest import Manifests, Shell

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def web(shell: Shell, manifests: Manifests) -> Shell:
    await shell.apply(manifests.web)
    await shell.harness.settle()
    return shell


async def _rollout(shell: Shell, verb: Any, *words: str, **options: Any) -> int:
    return await shell(verb, rollout.RolloutOptions(resources=words or ("deploy/web",), **options))


async def _wait(shell: Shell, what: str, *words: str, **options: Any) -> int:
    return await shell(wait.run, wait.WaitOptions(resources=words, for_=what, **options))


async def test_scale_changes_the_number_of_replicas(web: Shell) -> None:
    options = scale.ScaleOptions(resources=("deploy", "web"), replicas=3, timeout="30s")
    assert await web(scale.run, options) == 0
    assert web.out == "deployment.apps/web scaled\n"
    assert (await web.client.get(Deployment, "web")).status.replicas == 3


async def test_scale_refuses_when_the_size_is_another_one(web: Shell) -> None:
    options = scale.ScaleOptions(resources=("deploy/web",), replicas=3, current_replicas=5)
    assert await web(scale.run, options) == 1
    assert web.err == "error: Expected replicas to be 5, was 2\n"


async def test_scale_needs_a_number(web: Shell) -> None:
    assert await web(scale.run, scale.ScaleOptions(resources=("deploy/web",))) == 1
    assert web.err.startswith("error: The --replicas=COUNT flag is required")


async def test_delete_waits_until_the_object_is_gone(web: Shell) -> None:
    name = (await web.harness.pods())[0].metadata.name
    assert await web(delete.run, delete.DeleteCommand(resources=("pod", name))) == 0
    assert web.out == f'pod "{name}" deleted\n'
    assert name not in [pod.metadata.name for pod in await web.harness.pods()]


async def test_delete_takes_the_objects_of_a_manifest(web: Shell, manifests: Manifests) -> None:
    path = web.file("web.yaml", manifests.web)
    assert await web(delete.run, delete.DeleteCommand(filename=(path,))) == 0
    assert web.out == 'configmap "web" deleted\ndeployment.apps "web" deleted\nservice "web" deleted\n'
    await web.harness.settle()
    assert await web.harness.pods() == ()


async def test_delete_of_what_is_not_there(web: Shell) -> None:
    assert await web(delete.run, delete.DeleteCommand(resources=("pod", "nope"))) == 1
    assert web.err == 'Error from server (NotFound): pods "nope" not found\n'
    assert await web(delete.run, delete.DeleteCommand(resources=("pod", "nope"), ignore_not_found=True)) == 0


async def test_delete_wants_names_or_a_selector(web: Shell) -> None:
    assert await web(delete.run, delete.DeleteCommand(resources=("pods",))) == 1
    assert web.err == "error: resource(s) were provided, but no name was specified\n"
    assert await web(delete.run, delete.DeleteCommand(resources=("pods", "a"), all=True)) == 1
    assert await web(delete.run, delete.DeleteCommand(resources=("deploy",), selector="app=web")) == 0
    assert web.out == 'deployment.apps "web" deleted\n'


async def test_a_forced_delete_does_not_wait_and_warns(web: Shell) -> None:
    name = (await web.harness.pods())[0].metadata.name
    assert await web(delete.run, delete.DeleteCommand(resources=("pod", name), force=True)) == 0
    assert web.out == f'pod "{name}" force deleted\n'
    assert web.err.startswith("Warning: Immediate deletion")


async def test_an_orphaning_delete_leaves_the_pods(web: Shell) -> None:
    options = delete.DeleteCommand(resources=("deploy", "web"), cascade="orphan")
    assert await web(delete.run, options) == 0
    await web.harness.settle()
    assert len(await web.harness.pods()) == 2


async def test_wait_for_a_condition(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await _wait(shell, "condition=available", "deploy/web") == 0
    assert shell.out == "deployment.apps/web condition met\n"
    assert await _wait(shell, "condition=Available=False", "deploy/web", timeout="2s") == 1
    assert shell.err == "error: timed out waiting for the condition on deployments/web\n"


async def test_wait_looks_once_with_a_timeout_of_zero(web: Shell) -> None:
    assert await _wait(web, "condition=Ready", "pod", all=True, timeout="0") == 0
    assert len(web.rows) == 2
    assert await _wait(web, "condition=Nothing", "deploy/web", timeout="0s") == 1


async def test_wait_for_a_value_at_a_path(web: Shell) -> None:
    assert await _wait(web, "jsonpath={.status.readyReplicas}=2", "deploy/web") == 0
    assert await _wait(web, "jsonpath=.metadata.uid", "deploy/web") == 0
    assert await _wait(web, 'jsonpath={.status.conditions[?(@.type=="Available")].status}=True', "deploy/web") == 0
    assert await _wait(web, "jsonpath={.status.readyReplicas}=9", "deploy/web", timeout="1s") == 1
    assert await _wait(web, "jsonpath={.status", "deploy/web") == 1


async def test_wait_for_an_object_to_be_created_and_to_go(shell: Shell) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_wait, shell, "create", "cm/late")
        await anyio.sleep(2)
        await shell.client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}})
    assert shell.out == "configmap/late condition met\n"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_wait, shell, "delete", "cm/late")
        await anyio.sleep(2)
        await shell.client.delete(shell.client.scheme.type_of(shell.client.scheme.resolve("cm")), "late")
    assert shell.out == "configmap/late condition met\n"
    assert await _wait(shell, "delete", "cm/late") == 0


async def test_wait_refuses_what_it_does_not_understand(web: Shell) -> None:
    assert await _wait(web, "happiness", "deploy/web") == 1
    assert web.err == 'error: unrecognized condition: "happiness"\n'
    assert await _wait(web, "condition=Ready", "deploy/nope") == 1
    assert web.err == 'Error from server (NotFound): deployments.apps "nope" not found\n'
    assert await _wait(web, "condition=Ready", "pods", selector="app=nope") == 1
    assert web.err == "error: no matching resources found\n"


async def test_rollout_status_follows_until_it_is_done(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web)
    assert await _rollout(shell, rollout.status, timeout="1m") == 0
    assert shell.out.startswith("Waiting for deployment ")
    assert shell.out.endswith('deployment "web" successfully rolled out\n')


async def test_rollout_status_ends_when_time_is_up(shell: Shell, manifests: Manifests) -> None:
    await shell.apply(manifests.web.replace("containers:", "nodeSelector: {no: where}\n      containers:"))
    assert await _rollout(shell, rollout.status, timeout="5s") == 1
    assert shell.err == "error: timed out waiting for the condition\n"
    assert await _rollout(shell, rollout.status, timeout="20m") == 1
    assert shell.err == 'error: deployment "web" exceeded its progress deadline\n'


async def test_rollout_history_and_undo(web: Shell, manifests: Manifests) -> None:
    await web.apply(manifests.web.replace("web:1", "web:2"))
    await web.harness.settle()
    assert await _rollout(web, rollout.history) == 0
    assert web.out == "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n"
    assert await _rollout(web, rollout.undo) == 0
    assert web.out == "deployment.apps/web rolled back\n"
    await web.harness.settle()
    deployment = await web.client.get(Deployment, "web")
    assert deployment.spec.template.spec.containers[0].image == "web:1"
    assert "pod-template-hash" not in deployment.spec.template.metadata.labels
    assert await _rollout(web, rollout.undo, to_revision=3) == 0
    assert "skipped rollback (current template already matches revision 3)" in web.out
    assert await _rollout(web, rollout.undo, to_revision=9) == 1
    assert web.err == "error: unable to find specified revision 9 in history\n"


async def test_rollout_undo_without_a_history(web: Shell) -> None:
    assert await _rollout(web, rollout.undo) == 1
    assert web.err == 'error: no rollout history found for deployment "web"\n'


async def test_rollout_history_shows_the_template_of_a_revision(web: Shell) -> None:
    assert await _rollout(web, rollout.history, revision=1) == 0
    assert web.out.startswith("deployment.apps/web with revision #1\nPod Template:\n  Labels:")
    assert re.search(r"\n    Image: +web:1\n", web.out)
    assert await _rollout(web, rollout.history, revision=7) == 1
    assert web.err == "error: unable to find the specified revision\n"


async def test_rollout_restart_replaces_every_pod(web: Shell) -> None:
    before = {pod.metadata.name for pod in await web.harness.pods()}
    assert await _rollout(web, rollout.restart) == 0
    assert web.out == "deployment.apps/web restarted\n"
    await web.harness.settle()
    after = {pod.metadata.name for pod in await web.harness.pods()}
    assert len(after) == 2
    assert not before & after


async def test_rollout_pause_and_resume(web: Shell) -> None:
    assert await _rollout(web, rollout.resume) == 1
    assert web.err == 'error: deployments.apps "web" is not paused\n'
    assert await _rollout(web, rollout.pause) == 0
    assert web.out == "deployment.apps/web paused\n"
    assert await _rollout(web, rollout.pause) == 1
    assert await _rollout(web, rollout.restart) == 1
    assert "can't restart paused deployment" in web.err
    assert await _rollout(web, rollout.undo) == 1
    assert "cannot rollback a paused deployment" in web.err
    assert await _rollout(web, rollout.resume) == 0
    assert not (await web.client.get(Deployment, "web")).spec.paused


async def test_only_deployments_have_rollouts(web: Shell) -> None:
    assert await _rollout(web, rollout.status, "svc/web") == 1
    assert web.err == "error: no rollout of Service is known: only Deployments have one\n"


async def test_labels_are_set_and_taken_away(web: Shell) -> None:
    def options(*words: str, **more: Any) -> label.LabelOptions:
        return label.LabelOptions(resources=("deploy", "web", *words), **more)

    assert await web(label.run, options("tier=a", "app-")) == 0
    assert web.out == "deployment.apps/web labeled\n"
    assert dict((await web.client.get(Deployment, "web")).metadata.labels) == {"tier": "a"}
    assert await web(label.run, options("tier=b")) == 1
    assert web.err == "error: 'tier' already has a value (a), and --overwrite is false\n"
    assert await web(label.run, options("tier=b", overwrite=True)) == 0
    assert await web(label.run, options("note=x", field="annotations")) == 0
    assert web.out == "deployment.apps/web annotated\n"
    assert await web(label.run, options()) == 1


async def test_a_pod_that_is_deleted_shows_as_terminating(web: Shell) -> None:
    name = (await web.harness.pods())[0].metadata.name
    options = delete.DeleteCommand(resources=("pod", name), wait=False)
    pod = await web.client.get(Pod, name)
    assert pod.metadata.deletion_timestamp is None
    assert await web(delete.run, options) == 0
