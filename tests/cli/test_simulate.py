"""`orchestra simulate schedule`: a cluster from files or a live one, changed, placed and compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestra.api.builders import namespace, node, pod, taint
from orchestra.api.codec import encode
from orchestra.api.manifest import dump_yaml
from orchestra.api.object import Object
from orchestra.cli.commands.simulate import ScheduleOptions, run, simulate_command
from orchestra.cli.main import cli
from orchestra.scheduler import Plugin, Profile
from tests.cli.conftest import Shell

NODES = [node("a", cpu=4, memory="8Gi"), node("b", cpu=4, memory="8Gi"), node("c", taints=(taint("gpu:NoSchedule"),))]
PODS = [pod("team/old", cpu=1, memory="1Gi", node="a"), pod("new", cpu=1, memory="1Gi"), pod("huge", cpu=64)]


def text_of(*objects: Object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [encode(item) for item in objects]})


@pytest.fixture
def cluster(tmp_path: Path) -> str:
    path = tmp_path / "cluster.json"
    path.write_text(text_of(*NODES, *PODS))
    return str(path)


def simulated(*arguments: str) -> tuple[int, str]:
    """Run the command as its users do; it needs no server."""
    done = CliRunner().invoke(cli, ["simulate", "schedule", *arguments], standalone_mode=False)
    status = done.return_value if isinstance(done.return_value, int) else 1
    return status, done.output if done.exception is None else f"{done.output}{done.exception}"


def test_placements_reasons_and_figures_are_printed(cluster: str) -> None:
    status, out = simulated("-f", cluster)
    rows = [line.split() for line in out.splitlines()]
    assert status == 0
    assert ["default", "new", "b"] in rows
    assert "PLACEMENTS (1)" in out
    assert "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu." in out
    assert ["Pods", "placed", "2"] in rows
    assert ["utilisation", "of", "cpu", "16.7%"] in rows
    assert any(row[:1] == ["fairness"] for row in rows)
    assert "61 more cpu free on the node, or as much less asked for" in out


def test_json_has_everything(cluster: str) -> None:
    status, out = simulated("-f", cluster, "-o", "json", "--compare", "most-allocated")
    found = json.loads(out)
    assert status == 0
    assert found["profiles"]["default-scheduler"]["placements"] == {"default/new": "b"}
    assert found["profiles"]["most-allocated"]["placements"] == {"default/new": "a"}
    assert found["comparison"]["moved"] == {"default/new": {"from": "b", "to": "a"}}
    pending = found["profiles"]["default-scheduler"]["pending"]["default/huge"]
    assert (pending["kind"], pending["outcome"]) == ("PodDiagnosis", "Unschedulable")
    assert found["profiles"]["default-scheduler"]["figures"]["utilisation"]["cpu"] == 0.1667
    assert "figures" in simulated("-f", cluster, "-o", "yaml")[1]


def test_profiles_stand_side_by_side(cluster: str) -> None:
    _, out = simulated("-f", cluster, "--compare", "most-allocated")
    assert "NODE (default-scheduler)   NODE (most-allocated)" in out
    assert ["default", "new", "b", "a"] in [line.split() for line in out.splitlines()]


def test_pods_come_from_further_files_and_from_standard_input(cluster: str, tmp_path: Path) -> None:
    more = tmp_path / "pods.yaml"
    more.write_text(dump_yaml([encode(pod("extra", cpu=1, memory="1Gi"))]))
    _, out = simulated("-f", cluster, "-f", str(more))
    assert "PLACEMENTS (2)" in out
    done = CliRunner().invoke(
        simulate_command, ["schedule", "-f", "-"], input=text_of(*NODES, *PODS), standalone_mode=False
    )
    assert "PLACEMENTS (1)" in done.output


def test_nodes_can_be_cordoned_drained_and_taken_away(cluster: str) -> None:
    _, out = simulated("-f", cluster, "--cordon", "b", "-o", "json")
    assert json.loads(out)["profiles"]["default-scheduler"]["placements"] == {"default/new": "a"}
    _, out = simulated("-f", cluster, "--drain", "a", "-o", "json")
    assert json.loads(out)["drained"] == {"a": {"kept": [], "lost": ["team/old"], "moved": []}}
    _, out = simulated("-f", cluster, "--remove-node", "b")
    assert "NODES DRAINED" in out
    assert ["nodes", "in", "use", "1", "of", "2"] in [line.split() for line in out.splitlines()]


def test_the_same_seed_prints_the_same(tmp_path: Path) -> None:
    path = tmp_path / "even.json"
    path.write_text(text_of(*(node(f"n{n}") for n in range(9)), *(pod(f"p{n}", cpu=1) for n in range(30))))
    assert simulated("-f", str(path), "--seed", "3") == simulated("-f", str(path), "--seed", "3")
    assert simulated("-f", str(path), "--seed", "3") != simulated("-f", str(path), "--seed", "4")


class Reverse(Plugin):
    name = "Reverse"

    def score(self, _state: object, _pod: object, nodes: object) -> object:
        import numpy as np

        return np.arange(nodes.count)  # type: ignore[attr-defined]


MINE = Profile().with_plugins(Reverse(), weights={"Reverse": 1000})


def test_a_profile_can_come_from_a_file_or_a_module(cluster: str, tmp_path: Path) -> None:
    path = tmp_path / "scheduler.yaml"
    path.write_text(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
        "profiles: [{schedulerName: mine, pluginConfig: [{name: NodeResourcesFit, args: "
        "{scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}}}]}]\n"
    )
    _, out = simulated("-f", cluster, "--profile", str(path), "-o", "json")
    assert json.loads(out)["profiles"][str(path)]["placements"] == {"default/new": "a"}
    _, out = simulated("-f", cluster, "--profile", "tests.cli.test_simulate:MINE", "-o", "json")
    assert json.loads(out)["profiles"]["tests.cli.test_simulate:MINE"]["placements"] == {"default/new": "b"}


def test_a_plot_is_drawn_on_request(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.svg"
    assert simulated("-f", cluster, "--plot", str(path), "--compare", "most-allocated")[0] == 0
    assert b"<svg" in path.read_bytes()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out = simulated("-f", cluster, "--plot", str(path))
    assert status == 1
    assert "pip install 'orchestra-control-plane[plot]'" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("-f", "nowhere.json"), "nowhere.json: No such file or directory"),
        (("--profile", "nonsense"), "profile 'nonsense' is neither one of default-scheduler"),
        (("--profile", "no_such_module:x"), "No module named 'no_such_module'"),
        (("--profile", "json:dumps"), "profile 'json:dumps'"),
        (("--profile", "json:nothing"), "has no attribute 'nothing'"),
        (("--compare", "default-scheduler"), "is the profile that it is to be compared with"),
        (("--drain", "nobody"), "there is no Node 'nobody'"),
        (("--plot", "plan.txt"), "a plot is written as one of .png, .svg, .pdf"),
        (("--plot", "no/such/folder/plan.png"), "no/such/folder/plan.png: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_refused(cluster: str, arguments: tuple[str, ...], complaint: str) -> None:
    status, out = simulated("-f", cluster, *arguments)
    assert status == 1
    assert complaint in out


def test_a_cluster_without_nodes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert "there are no nodes" in simulated("-f", str(path))[1]


@pytest.mark.virtual_time
async def test_without_files_the_live_cluster_is_taken_and_left_alone(shell: Shell) -> None:
    await shell.client.create(namespace("team"))
    await shell.client.create(pod("team/asks", cpu="1", scheduler_name="nobody"))
    assert await shell(run, ScheduleOptions()) == 0
    assert ["team", "asks", "node-0"] in shell.rows
    from orchestra.api.core.pod import Pod

    assert (await shell.client.get(Pod, "asks", namespace="team")).spec.node_name == ""
