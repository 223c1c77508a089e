"""What a start must not load: everything here is imported when it is first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PLANE = """
import anyio
from orchestra import ControlPlane, MemoryStore

async def main():
    async with ControlPlane(store=MemoryStore(), nodes={nodes}):
        pass

anyio.run(main)
"""
_NO_NODES = _PLANE.format(nodes="()")
_FAKE_NODE = f"""
from orchestra import NodeAgent
from orchestra.cri import FakeRuntime
{_PLANE.format(nodes="[NodeAgent('n', runtime=FakeRuntime())]")}
"""

_OTHERS = {"cattrs", "click", "grpc", "h11", "rich", "sqlite3", "starlette", "structlog", "yaml"}
_FIRST_POD = {
    "orchestra.api.core.container",
    "orchestra.api.core.container_status",
    "orchestra.api.core.volume_network",
    "orchestra.apiserver.validation.pod",
    "orchestra.cri.process",
    "orchestra.node.asking",
    "orchestra.node.worker",
}
_FIRST_PATCH = {"orchestra.api.managed", "orchestra.api.strategic", "orchestra.api.manifest"}
_NODE = {"google", "orchestra.cri", "orchestra.node"}
_UNUSED = {"orchestra.controller.election", "orchestra.store.sqlite", "orchestra.client.remote", "orchestra.testing"}


def _loaded(code: str, unwanted: set[str]) -> list[str]:
    """Run code in a new process and return which of the unwanted modules it has loaded."""
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules.keys() & {unwanted!r}), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_the_command_loads_nothing_before_it_knows_what_to_do() -> None:
    heavy = {"anyio", "asyncio", "attrs", "google", "grpc", "numpy", "orchestra.api", "orchestra.plane", "rich", "yaml"}
    assert _loaded("import orchestra.cli.main", heavy) == []


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        pytest.param(_NO_NODES, _OTHERS | _FIRST_POD | _FIRST_PATCH | _UNUSED | _NODE, id="no nodes"),
        pytest.param(_FAKE_NODE, _OTHERS | _FIRST_POD | _FIRST_PATCH | _UNUSED, id="a fake node"),
    ],
)
def test_a_plane_in_memory_starts_without_what_nobody_has_asked_for_yet(code: str, unwanted: set[str]) -> None:
    assert _loaded(code, unwanted) == []
