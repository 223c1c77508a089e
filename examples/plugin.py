"""A placement policy of your own, with its test in three lines: GPU Pods avoid spot nodes, and prefer quiet ones."""

from typing import ClassVar

import numpy as np

from orchestra.scheduler import CycleState, Harness, NodeRow, Nodes, Plugin, PodInfo, Profile, node, per_node, pod


class AvoidSpot(Plugin):
    """A function of one node is enough. It looks at nothing but that node, and says so: then its answers are kept."""

    name: ClassVar[str] = "AvoidSpot"
    node_local: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False

    @per_node
    def filter(self, pod: PodInfo, node: NodeRow) -> str | None:
        if pod.labels.get("kind") == "gpu" and node.labels.get("spot"):
            return "gpu pods do not run on spot nodes"
        return None

    def advise(self, pod: PodInfo, node: NodeRow) -> str:
        return f"drop the label kind=gpu, or the label spot of {node.name}"


class Quiet(Plugin):
    """The fast way is arrays: one answer for all nodes, here 100 for an empty node and one less for each Pod on it."""

    name: ClassVar[str] = "Quiet"
    node_local: ClassVar[bool] = True

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> np.ndarray:
        return np.maximum(100 - nodes.pod_count, 0)


PROFILE = Profile().with_plugins(AvoidSpot(), Quiet(), weights={"Quiet": 5})


def test_gpu_pods_avoid_spot_nodes() -> None:
    h = Harness(profile=PROFILE, nodes=[node("a", cpu="4", labels={"spot": "true"}), node("b", cpu="4")])
    result = h.schedule(pod("train", cpu="1", labels={"kind": "gpu"}))
    assert (result.node, result.why("a")) == ("b", "AvoidSpot: gpu pods do not run on spot nodes")


if __name__ == "__main__":
    test_gpu_pods_avoid_spot_nodes()
    harness = Harness(profile=PROFILE, nodes=[node("spot", labels={"spot": "true"})])
    refused = harness.evaluate(pod("train", labels={"kind": "gpu"}))
    print(refused.message)
    for advice in refused.advice:
        print("it would fit with:", "; ".join(change.text for change in advice.changes))
