from __future__ import annotations

from pathlib import Path

import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ContainerScript, ExecResult, FakeRuntime, ProcessRuntime, Script
from orchestra.testing.runtime_conformance import (
    END_BADLY,
    END_WELL,
    EXEC,
    MISSING,
    RuntimeConformance,
    RuntimeFactory,
)

LIVES = {
    END_WELL: ContainerScript(run_seconds=0),
    END_BADLY: ContainerScript(run_seconds=0, exit_code=3),
    MISSING: ContainerScript(start_error=f'exec: "{MISSING[0]}": no such file or directory'),
}


def answer(command: tuple[str, ...], _running_seconds: float) -> ExecResult:
    return ExecResult(exit_code=4, stdout=b"out\n", stderr=b"err\n") if command == EXEC else ExecResult()


def life(_sandbox: pb.PodSandboxConfig, container: pb.ContainerConfig) -> ContainerScript:
    return LIVES.get(tuple(container.command), ContainerScript(run_command=answer))


class TestFakeRuntime(RuntimeConformance):
    @pytest.fixture
    def open_runtime(self) -> RuntimeFactory:
        runtime = FakeRuntime(script=Script(container=life))
        return lambda: runtime


class TestProcessRuntime(RuntimeConformance):
    @pytest.fixture
    def open_runtime(self, tmp_path: Path) -> RuntimeFactory:
        return lambda: ProcessRuntime(tmp_path / "runtime")
