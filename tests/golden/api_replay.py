"""Replays what kube-apiserver answered, through the verbs of a server in this process, in virtual time.

python -m tests.golden.api_replay [--group N] [--kind KIND] [--only SCENARIO] [--show] [--top]
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import attrs

from orchestra.apiserver import APIServer
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock, run_virtual
from tests.golden.api_adapter import Adapter, Answer, transport_reason
from tests.golden.api_match import Variables, differences, without_descriptions, without_managed_fields

Document = dict[str, Any]

RECORDED = Path(__file__).parent.parent / "data" / "golden_api.json.gz"
RULES = RuleOptions(own_every_write=True)
DURING_SECONDS = 0.4
"""So long after a watch was opened the steps during it were sent."""


@attrs.define
class Outcome:
    """How a scenario went: for each step why it was left out, or its differences."""

    name: str
    group: str
    kind: str
    left_out: dict[int, str] = attrs.field(factory=dict)
    steps: list[list[str]] = attrs.field(factory=list)

    @property
    def counted(self) -> int:
        return len(self.steps) - len(self.left_out)

    @property
    def equal_steps(self) -> int:
        return sum(not found for number, found in enumerate(self.steps) if number not in self.left_out)

    @property
    def equal(self) -> bool:
        return self.equal_steps == self.counted


def recording() -> Document:
    """Return the whole recording."""
    loaded: Document = json.loads(gzip.decompress(RECORDED.read_bytes()))
    return loaded


def replay(scenario: Document, fixtures: list[Document], number: int = 0) -> Outcome:
    """Run one scenario on a server of its own and compare every answer."""
    outcome = Outcome(scenario["name"], scenario["group"], scenario["kind"])
    run_virtual(_run, scenario, fixtures, outcome, number)
    return outcome


async def _run(scenario: Document, fixtures: list[Document], outcome: Outcome, number: int) -> None:
    namespace = "".join("abcdefghij"[int(digit)] for digit in f"{number:08d}")
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock, rules=RULES) as server:
        adapter = Adapter(server)
        for fixture in fixtures:
            for step in fixture["steps"]:
                await adapter.send(step)
        if scenario["namespace"]:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            await adapter.send({"method": "POST", "path": "/api/v1/namespaces", "body": body})
        runner = _Runner(adapter, Variables(namespace), scenario["keep_managed_fields"])
        for index, step in enumerate(scenario["steps"]):
            reason = transport_reason(step)
            if reason:
                outcome.left_out[index] = reason
                outcome.steps.append([])
            else:
                outcome.steps.append(await runner.step(step))


class _Runner:
    """Sends the steps of one scenario."""

    def __init__(self, adapter: Adapter, variables: Variables, managed_fields: bool) -> None:
        self._adapter = adapter
        self._variables = variables
        self._managed_fields = managed_fields
        self._versions: dict[str, str] = {}
        """The last resourceVersion of each uid."""

    async def step(self, step: Document) -> list[str]:
        """Send one step and return the differences."""
        await anyio.sleep(step.get("wait_before_ms", 0) / 1e3)
        request = {key: self._variables.fill(value) for key, value in step.items() if key not in ("response", "during")}
        try:
            if step.get("watch"):
                return await self._watch(step, request)
            return self._compare(step["response"], await self._adapter.send(request))
        except Exception as error:  # noqa: BLE001 - a crash is the worst difference of all, and is counted as one
            return [f"{type(error).__name__}: {error}"]

    async def _watch(self, step: Document, request: Document) -> list[str]:
        answers: list[Answer] = []
        found: list[str] = []
        opened = anyio.Event()

        async def watch() -> None:
            answers.append(await self._adapter.watch(request, opened))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await opened.wait()
            await anyio.sleep(DURING_SECONDS)
            for inner in step.get("during", ()):
                found += [f"during: {text}" for text in await self.step(inner)]
        return found + self._compare(step["response"], answers[0])

    def _compare(self, recorded: Document, answer: Answer) -> list[str]:
        found = [] if recorded["code"] == answer.code else [f"code: recorded {recorded['code']}, is {answer.code}"]
        if recorded.get("warnings", []) != answer.warnings:
            want = self._variables.fill(recorded.get("warnings", []))
            found += differences(want, answer.warnings, self._variables, "warnings")
        if recorded.get("skip_body"):
            return found
        name = "events" if "events" in recorded else "body"
        ours = json.loads(json.dumps(getattr(answer, name)))
        if not self._managed_fields:
            ours = without_managed_fields(ours)
        want = recorded.get(name)
        if name == "body" and "text" in recorded:
            return found if recorded["text"] == ours else [*found, "text: an answer that is no JSON"]
        found += differences(without_descriptions(want), without_descriptions(ours), self._variables, "")
        if "rv_changed" in recorded and isinstance(ours, dict):
            found += self._version_changed(recorded["rv_changed"], ours)
        return found

    def _version_changed(self, recorded: bool, body: Document) -> list[str]:
        meta = body.get("metadata") or {}
        uid, version = meta.get("uid", ""), meta.get("resourceVersion", "")
        before = self._versions.get(uid)
        self._versions[uid] = version
        if before is None or (before != version) == recorded:
            return []
        return [f"rv_changed: recorded {recorded}, is {before != version}"]


def replay_all(only: Iterable[Document], fixtures: list[Document]) -> list[Outcome]:
    """Run scenarios one after the other."""
    return [replay(scenario, fixtures, number) for number, scenario in enumerate(only, 1)]


def table(outcomes: Iterable[Outcome], attribute: str = "group") -> str:
    """Return the shares of equal steps and scenarios for each value of `attribute`."""
    lines = [f"{attribute:26} {'steps':>12} {'':>7} {'scenarios':>12}"]
    rows = sorted(outcomes, key=lambda o: str(getattr(o, attribute)))
    groups = [(key, list(part)) for key, part in itertools.groupby(rows, lambda o: getattr(o, attribute))]
    for key, part in [*groups, ("all", rows)]:
        counted, equal = sum(o.counted for o in part), sum(o.equal_steps for o in part)
        whole = sum(o.equal for o in part)
        share = 100 * equal / counted if counted else 100.0
        lines.append(f"{key:26} {equal:5} / {counted:4} {share:6.1f}% {whole:5} / {len(part):4}")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--group", default="", help="the first letters of a group, such as 4")
    parser.add_argument("--kind", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true", help="print every difference")
    parser.add_argument("--top", action="store_true", help="print the most frequent differences")
    wanted = parser.parse_args()
    recorded = recording()
    chosen = [
        s
        for s in recorded["scenarios"]
        if s["group"].startswith(wanted.group) and wanted.kind in ("", s["kind"]) and wanted.only in ("", s["name"])
    ]
    outcomes = replay_all(chosen, recorded["fixtures"])
    by_name = {s["name"]: s for s in chosen}
    common: Counter[str] = Counter()
    for outcome in outcomes:
        for number, found in enumerate(outcome.steps):
            common.update(text[:160] for text in found[:1])
            if wanted.show and found:
                step = by_name[outcome.name]["steps"][number]
                request = json.dumps(step.get("body", step.get("raw_body", "")))[:300]
                sys.stdout.write(f"\n{outcome.group} {outcome.name} [{number}] {step['method']} {step['path']}")
                sys.stdout.write(f" {step.get('query', '')} {request}\n" + "".join(f"    {text}\n" for text in found))
    if wanted.top:
        sys.stdout.write("".join(f"{count:5} {text}\n" for text, count in common.most_common(60)))
    sys.stdout.write(table(outcomes) + "\n\n" + table(outcomes, "kind") + "\n")


if __name__ == "__main__":
    main()
