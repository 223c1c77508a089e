"""`orchestra why`: in words why a Pod is where it is, or nowhere."""

from __future__ import annotations

import json

import anyio
import attrs
import pytest

from orchestra.api.builders import node, pod, taint
from orchestra.api.core.pod import Pod, PodSchedulingGate
from orchestra.apiserver import diagnoses
from orchestra.cli.commands.why import WhyOptions, run
from tests.cli.conftest import Shell

pytestmark = pytest.mark.virtual_time


async def why(shell: Shell, *words: str, **options: str) -> int:
    return await shell(run, WhyOptions(resources=words or ("pod", "p"), **options))


async def test_a_running_pod_says_what_spoke_for_its_node(shell: Shell) -> None:
    await shell.client.create(node("spare", cpu=1, memory="1Gi"))
    await shell.client.create(node("gpu", taints=(taint("gpu:NoSchedule"),)))
    await shell.client.create(pod("p", cpu="100m", memory="64Mi"))
    await anyio.sleep(2)
    assert await why(shell) == 0
    assert shell.out.startswith("Pod p is on node node-0.\nLatest: attempt 1 by default-scheduler, 2s ago: Placed\n")
    assert "Nodes: 2 of 3 could run it" in shell.out
    assert next(row for row in shell.rows if row[:1] == ["NODE"])[:2] == ["NODE", "TOTAL"]
    assert [row[0] for row in shell.rows if row and row[0] in ("node-0", "spare")] == ["node-0", "spare"]
    assert "1 node: gpu: TaintToleration: node(s) had untolerated taint(s)" in shell.out
    assert "(100x3)" in shell.out


async def test_a_waiting_pod_says_what_refuses_it_what_would_help_and_when_it_is_tried_again(shell: Shell) -> None:
    await shell.client.create(pod("p", cpu="6"))
    await anyio.sleep(0.5)
    assert await why(shell) == 0
    assert shell.out.startswith("Pod p has no node: no node can run it now.\n")
    assert "Message: 0/1 nodes are available: 1 Insufficient cpu." in shell.out
    assert "  - 2 more cpu free on the node, or as much less asked for (1 node: node-0)" in shell.out
    assert "Preemption:" in shell.out
    assert "  after an event: Node: add, update allocatable" in shell.out
    assert "  at the latest in 29s" in shell.out


async def test_a_pod_that_nobody_has_tried_says_so(shell: Shell) -> None:
    await shell.client.create(pod("p", scheduler_name="mine"))
    await shell.client.create(pod("q", scheduling_gates=(PodSchedulingGate(name="quota"),)))
    await anyio.sleep(2)
    assert await why(shell) == 0
    assert "Pod p has no node yet." in shell.out
    assert "asks for the scheduler mine, and no scheduler of that name has reported" in shell.out
    assert await why(shell, "pod/q") == 0
    assert "it is held back by its scheduling gates: quota" in shell.out
    assert "after an event: the Pod itself: update gates" in shell.out


async def test_a_pod_that_was_created_with_its_node_has_had_no_scheduler(shell: Shell) -> None:
    await shell.client.create(pod("p", node="node-0"))
    assert await why(shell) == 0
    assert "Pod p is on node node-0." in shell.out
    assert "no scheduler has chosen" in shell.out


async def test_a_record_that_made_room_for_others_is_missed_in_words(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnoses, "MAX_PLACED", 1)
    await shell.client.create(pod("p"))
    await anyio.sleep(2)
    await shell.client.create(pod("q"))
    await anyio.sleep(2)
    assert await why(shell) == 0
    assert "is not kept any more" in shell.out


async def test_a_pod_that_has_ended_and_one_that_is_going_say_so(shell: Shell) -> None:
    made = await shell.client.create(pod("p", scheduler_name="mine", containers=pod().spec.containers))
    await shell.client.update(
        attrs.evolve(made, status=attrs.evolve(made.status, phase="Failed")), subresource="status"
    )
    assert await why(shell) == 0
    assert "Pod p has ended (Failed) without a node." in shell.out


async def test_the_record_is_printed_as_a_document(shell: Shell) -> None:
    await shell.client.create(pod("p", cpu="100m"))
    await shell.client.create(pod("q", scheduler_name="mine"))
    await anyio.sleep(2)
    assert await why(shell, "pod/p", output="json") == 0
    found = json.loads(shell.out)
    assert (found["kind"], found["metadata"]["name"], found["node"]) == ("PodDiagnosis", "p", "node-0")
    assert await why(shell, "pod/p", output="yaml") == 0
    assert "outcome: Placed" in shell.out
    assert await why(shell, "pod/p", "pod/q", output="jsonpath={.items[*].outcome}") != 0 or shell.out
    assert await why(shell, "pod", "p", "q", output="json") == 0
    assert [item["metadata"]["name"] for item in json.loads(shell.out)["items"]] == ["p", "q"]


async def test_only_pods_that_exist_are_explained(shell: Shell) -> None:
    assert await why(shell, "pod", "nobody") == 1
    assert 'pods "nobody" not found' in shell.err
    assert await why(shell, "node", "node-0") == 1
    assert "only Pods are placed on nodes" in shell.err
    assert await why(shell, "pods") == 1


async def test_control_characters_of_names_and_reasons_do_not_reach_the_terminal(shell: Shell) -> None:
    await shell.client.create(pod("p", scheduler_name="evil\x1b[31m"))
    await anyio.sleep(1)
    assert (await shell.client.get(Pod, "p")).spec.scheduler_name == "evil\x1b[31m"
    assert await why(shell) == 0
    assert "\x1b" not in shell.out


async def test_a_pod_that_somebody_else_bound_says_so(shell: Shell) -> None:
    await shell.client.create(pod("p", cpu="64"))
    await anyio.sleep(1)
    await shell.client.bind("p", "node-0")
    assert await why(shell) == 0
    assert shell.out.startswith("Pod p is on node node-0.\nSomebody else bound it there")
    assert "Unschedulable" in shell.out
