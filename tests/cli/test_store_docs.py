"""The procedures of docs/store.md, as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.processes import TIMEOUT, Commands, Running
from tests.plane.processes import containers_of, end_users

PAGE = Path(__file__).parents[2] / "docs" / "store.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: any
          command: [sleep, "600"]
          env:
            - {name: STARTS, value: STARTS_FOLDER}
            - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
"""


def blocks() -> list[list[str]]:
    """The commands of each block of the section."""
    found = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


class Reader(Commands):
    """Somebody who types what the page says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        tools = folder / "bin"
        tools.mkdir()
        (tools / "orchestra").write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestra.cli.main "$@"\n')
        (tools / "orchestra").chmod(0o755)
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"

    def types(self, lines: list[str], stack: ExitStack) -> list[Running]:
        """Type the lines; a plane that they start goes on running."""
        planes = []
        for line in lines:
            if line.startswith("orchestra up "):
                planes.append(stack.enter_context(self.running(*shlex.split(line)[1:])))
                assert planes[-1].first.startswith("ready: "), planes[-1].stop()
                continue
            done = subprocess.run(
                line, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT
            )
            assert (done.returncode, done.stderr) == (0, ""), line
        return planes

    def pods(self) -> set[str]:
        """The uids of the Pods, when all are ready."""
        self.output("wait", "deployment/web", "--for=condition=Available", "--timeout=30s")
        self.output("wait", "pod", "-l", "app=web", "--for=condition=Ready", "--timeout=30s")
        return set(self.output("get", "pods", "-o", "jsonpath={.items[*].metadata.uid}").split())


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("d")  # short, since sockets have short paths
    yield Reader(folder)
    end_users(folder)  # of a test that has failed


def test_the_procedures_for_backup_and_restore_work_as_they_are_written(reader: Reader) -> None:
    backup, restore, beside, care = blocks()
    manifest = WEB.replace("STARTS_FOLDER", str(reader.folder / "starts"))
    with ExitStack() as stack:
        [plane] = reader.types(["orchestra up --data-dir cluster"], stack)
        reader.output("apply", "-f", "-", stdin=manifest)
        pods = reader.pods()
        reader.types([*care, *backup], stack)
        reader.output("scale", "deployment/web", "--replicas=1")
        plane.stop()
        [plane] = reader.types(restore, stack)
        assert reader.pods() == pods
        assert containers_of(reader.folder).keys() == pods
        plane.stop()
    with ExitStack() as stack:
        [plane] = reader.types(["orchestra up --data-dir cluster --on-exit leave"], stack)
        assert len(reader.pods()) == 1
        plane.stop()
        kept = containers_of(reader.folder)
        assert len(kept) == 1
        reader.types(beside, stack)
        assert reader.pods() == pods
        assert kept.items() <= containers_of(reader.folder).items()
        reader.types(care, stack)
