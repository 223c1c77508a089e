"""What the small shell programs of recorded Pods do, as scripts of a `FakeRuntime`.

No shell: it knows the handful of statements that the recordings are made of, and keeps files as names.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ContainerScript, ExecResult, PullResult, Script

START_SECONDS = 0.3
FOREVER = 1000
SIGNALS = {"KILL": 137, "SEGV": 139}
TRAP = re.compile(r"""trap ['"](?P<body>[^'"]*)['"] TERM""")


class Shell:
    """The containers of one recorded scenario: `texts` are messages of the real runtime, by container and purpose."""

    def __init__(self, texts: Mapping[tuple[str, str], str]) -> None:
        self._texts = texts
        self._files: set[str] = set()

    @property
    def script(self) -> Script:
        return Script(container=self._container, pull=self._pull)

    def _pull(self, reference: str) -> PullResult:
        if "nothere" in reference or "127.0.0.1:5999" in reference:
            return PullResult(seconds=0.1, error=self._texts[("", "pull")])
        return PullResult()

    def _container(self, _sandbox: pb.PodSandboxConfig, config: pb.ContainerConfig) -> ContainerScript:
        name = config.metadata.name
        fails = self._texts.get((name, "start"), "")
        if fails:
            return ContainerScript(start_error=fails, start_seconds=START_SECONDS)
        text = config.command[2] if len(config.command) > 2 else " ".join(config.command)
        return ContainerScript(
            start_seconds=START_SECONDS,
            run_command=self.execute,
            probe=lambda kind, _seconds: self._texts.get((name, kind), ""),
            **self._life(text, name, config.metadata.attempt),
        )

    def _life(self, text: str, name: str, attempt: int) -> dict[str, Any]:
        message = self._texts.get((name, "message"), "")
        trap = TRAP.search(text)
        life: dict[str, Any] = {"stop_exit_code": 137, "stop_seconds": 10_000.0, "message": message}
        if trap is not None:
            stop = self._statements(trap["body"])
            life |= {"stop_exit_code": stop.exit_code, "stop_seconds": stop.seconds}
        if "tail /dev/zero" in text:
            return {**life, "run_seconds": 0.3, "exit_code": 137, "reason": "OOMKilled"}
        if text.startswith("if [ -e"):
            return {**life, "run_seconds": 0.2, "exit_code": 0 if attempt else 1}
        if "& wait" in text or "; wait" in text or f"sleep {FOREVER}" in text:
            return life
        ends = self._statements(text)
        return {**life, "run_seconds": 0.2 + ends.seconds, "exit_code": ends.exit_code}

    def execute(self, command: tuple[str, ...], _seconds: float) -> ExecResult:
        if command[0] in {"touch", "rm"}:
            (self._files.add if command[0] == "touch" else self._files.discard)(command[1])
            return ExecResult()
        if command[0].startswith("/"):
            return ExecResult(error=self._texts.get(("", "exec"), "no such file"))
        return self._statements(command[2] if len(command) > 2 else command[0])

    def _statements(self, text: str) -> ExecResult:
        seconds, stdout, code = 0.0, b"", 0
        for statement in re.split(r"[;&\n]", text):
            words = statement.split()
            if not words:
                continue
            if words[0] == "sleep":
                seconds += float(words[1])
            elif words[0] == "exit":
                return ExecResult(exit_code=int(words[1]), stdout=stdout, seconds=seconds)
            elif words[0] == "echo" and ">" not in statement:
                stdout += " ".join(shlex.split(statement)[1:]).encode() + b"\n"
            elif words[0] == "kill" and words[1].lstrip("-") in SIGNALS:
                return ExecResult(exit_code=SIGNALS[words[1].lstrip("-")])
            elif words[0] == "kill":
                return ExecResult(exit_code=143)
            elif words[0] == "test":
                code = int((words[-1] in self._files) is ("!" in words))
            else:
                code = int(words[0] == "false")
        return ExecResult(exit_code=code, stdout=stdout, seconds=seconds)
