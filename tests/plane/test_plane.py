from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from orchestra import ControlPlane, MemoryStore, NodeAgent, SQLiteStore
from orchestra.api.apps import Deployment
from orchestra.api.builders import deployment
from orchestra.api.core import ConfigMap, Container, Node, Pod, PodSpec, Service
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import Patch, PatchType
from orchestra.cri import FakeRuntime, ProcessRuntime
from orchestra.errors import AddressSpaceError, ConfigurationError, ServiceUnavailable, StoreLocked

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def sleeper(name: str) -> Pod:
    container = Container(name="main", image="sleep", command=("sleep", "1000"))
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(containers=(container,), termination_grace_period_seconds=1),
    )


async def test_a_plane_without_arguments_runs_a_pod() -> None:
    async with ControlPlane() as plane:
        await plane.client.create(sleeper("a"))
        pod = await plane.client.wait_for(Pod, "a", condition="Ready", timeout=20)
        assert pod.spec.node_name == "node-0"
        assert pod.status.pod_ip.startswith("127.")


async def test_the_web_example_becomes_available_behind_its_service(tmp_path: Path) -> None:
    nodes = [NodeAgent(f"node-{i}", runtime=ProcessRuntime(root=tmp_path / f"node-{i}")) for i in range(3)]
    async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=nodes) as plane:
        await plane.client.apply_file(EXAMPLES / "web.yaml")
        web = await plane.client.wait_for(Deployment, "web", condition="Available", timeout=30)
        assert web.status.available_replicas >= 3
        service = await plane.client.get(Service, "web")
        async with await anyio.connect_tcp(service.spec.cluster_ip, 8080) as stream:
            await stream.send(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            with pytest.raises(anyio.EndOfStream):
                while True:
                    answer += await stream.receive()
        assert b"v1 web-" in answer


async def test_a_clean_stop_leaves_no_process_behind(tmp_path: Path) -> None:
    node = NodeAgent("node-0", runtime=ProcessRuntime(root=tmp_path))
    async with ControlPlane(nodes=[node]) as plane:
        for name in ("a", "b"):
            await plane.client.create(sleeper(name))
        for name in ("a", "b"):
            await plane.client.wait_for(Pod, name, condition="Ready", timeout=20)
    assert not _processes_below(tmp_path)


def _processes_below(root: Path) -> list[str]:
    """Return the command lines of processes that were started below a runtime's root."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(root) in command:
            found.append(command)
    return found


async def test_two_planes_on_one_data_directory_are_refused(tmp_path: Path) -> None:
    async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=()):
        with pytest.raises(StoreLocked, match=r"cluster\.db"):
            async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=()):
                pass


async def test_a_runtime_root_in_use_is_refused_at_once(tmp_path: Path) -> None:
    async with ControlPlane(nodes=[NodeAgent("a", runtime=ProcessRuntime(root=tmp_path))]):
        with pytest.raises(ConfigurationError, match=tmp_path.name):
            async with ControlPlane(nodes=[NodeAgent("a", runtime=ProcessRuntime(root=tmp_path))]):
                pass


async def test_two_planes_never_share_addresses() -> None:
    async with (
        ControlPlane(nodes=[NodeAgent("a", runtime=FakeRuntime())]) as one,
        ControlPlane(nodes=[NodeAgent("a", runtime=FakeRuntime())]) as other,
    ):
        first = (await one.client.get(Node, "a")).spec.pod_cidr
        second = (await other.client.get(Node, "a")).spec.pod_cidr
        assert first.split(".")[1] != second.split(".")[1]


async def test_a_named_block_that_is_taken_is_refused() -> None:
    async with ControlPlane(nodes=(), network="127.77.0.0/16"):
        with pytest.raises(AddressSpaceError, match=r"127\.77\.0\.0/16"):
            async with ControlPlane(nodes=(), network="127.77.0.0/16"):
                pass


async def test_a_block_that_was_named_once_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with ControlPlane(store=SQLiteStore(path), nodes=(), network="127.78.0.0/16"):
        pass
    async with ControlPlane(store=SQLiteStore(path), nodes=[NodeAgent("a", runtime=FakeRuntime())]) as plane:
        assert (await plane.client.get(Node, "a")).spec.pod_cidr.startswith("127.78.")
    with pytest.raises(ConfigurationError, match=r"127\.78\.0\.0/16"):
        async with ControlPlane(store=SQLiteStore(path), nodes=(), network="127.79.0.0/16"):
            pass


async def test_a_stop_need_not_wait_for_a_part_that_never_gets_ready() -> None:
    class NeverReady:
        name = "never-ready"

        async def run(self, surroundings: object, *, task_status: object) -> None:
            raise ValueError("broken")

    with anyio.fail_after(10), anyio.move_on_after(0.5) as scope:
        async with ControlPlane(nodes=(), controllers=[NeverReady()], network=False):
            pass
    assert scope.cancelled_caught


async def test_a_node_that_cannot_work_does_not_take_the_plane_down(tmp_path: Path) -> None:
    async with ControlPlane(nodes=[NodeAgent("a", runtime=ProcessRuntime(root=tmp_path))], network=False) as plane:
        with pytest.raises(ConfigurationError, match=tmp_path.name):
            await plane.add_node(NodeAgent("b", runtime=ProcessRuntime(root=tmp_path)))
        assert [node.name for node in plane.nodes] == ["a"]
        await plane.client.create(sleeper("still-works"))
        await plane.client.wait_for(Pod, "still-works", condition="Ready", timeout=20)


async def test_a_plane_keeps_its_addresses_over_a_restart(tmp_path: Path) -> None:
    blocks = []
    for _ in range(2):
        node = NodeAgent("a", runtime=FakeRuntime())
        async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=[node]) as plane:
            blocks.append((await plane.client.get(Node, "a")).spec.pod_cidr)
    assert blocks[0] == blocks[1]


async def test_objects_survive_a_restart(tmp_path: Path) -> None:
    meta = ObjectMeta(name="kept", namespace="default")
    async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=()) as plane:
        made = await plane.client.create(ConfigMap(metadata=meta, data={"a": "1"}))
    async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=()) as plane:
        assert await plane.client.get(ConfigMap, "kept") == made


async def test_a_plane_that_is_not_open_says_so() -> None:
    plane = ControlPlane(nodes=())
    with pytest.raises(ConfigurationError, match="async with"):
        _ = plane.client
    async with plane:
        client = plane.client
    with pytest.raises(ServiceUnavailable):
        await client.get(Node, "a")


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with ControlPlane(nodes=()):
            _ = 1 // 0


async def test_a_plane_ends_with_the_error_of_its_store() -> None:
    class Failing(MemoryStore):
        async def __aenter__(self) -> Failing:
            raise StoreLocked("the disk is gone")

    with pytest.raises(StoreLocked, match="the disk is gone"):
        async with ControlPlane(store=Failing(), nodes=()):
            pass


async def test_nodes_come_and_go_while_the_plane_runs() -> None:
    async with ControlPlane(nodes=(), network=False) as plane:
        await plane.client.create(deployment("web", replicas=2))
        await plane.add_node(NodeAgent("late", runtime=FakeRuntime()))
        await plane.client.wait_for(Deployment, "web", condition="Available", timeout=20)
        with pytest.raises(ConfigurationError, match="late"):
            await plane.add_node(NodeAgent("late", runtime=FakeRuntime()))
        await plane.remove_node("late")
        with pytest.raises(ConfigurationError, match="late"):
            await plane.remove_node("late")


async def test_a_changed_template_replaces_every_pod() -> None:
    async with ControlPlane(nodes=[NodeAgent("a", runtime=FakeRuntime())], network=False) as plane:
        await plane.client.create(deployment("web", replicas=3, image="app:1"))
        await plane.client.wait_for(Deployment, "web", condition="Available", timeout=20)
        image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "app:2"}]
        await plane.client.patch(Deployment, "web", Patch(PatchType.JSON, image))
        await plane.client.wait_for(
            Deployment,
            "web",
            predicate=lambda d: d.status.updated_replicas == d.status.available_replicas == d.status.replicas == 3,
            timeout=20,
        )
        with anyio.fail_after(20):
            while any(p.spec.containers[0].image != "app:2" for p in (await plane.client.list(Pod)).items):
                await anyio.sleep(0.02)


def test_the_copy_of_the_example_that_travels_in_the_package_is_equal() -> None:
    packaged = Path(__file__).parent.parent.parent / "orchestra" / "cli" / "demo" / "web.yaml"
    assert packaged.read_bytes() == (EXAMPLES / "web.yaml").read_bytes()


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs(example: Path, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes((EXAMPLES / "web.yaml").read_bytes())
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
