"""Replays what kube-controller-manager did, on a plane without scheduler and nodes, in virtual time.

python -m tests.golden.workloads_replay [--area AREA] [--only SCENARIO] [--show]
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs

from orchestra.api.codec import to_document
from orchestra.api.core import Pod
from orchestra.api.discovery import EndpointSlice
from orchestra.api.scheme import Scheme
from orchestra.apiserver import APIServer
from orchestra.controller import Controller, Manager
from orchestra.errors import APIError, NotFound
from orchestra.lifecycle import MonitorSettings, NodeLifecycle
from orchestra.plane import default_controllers
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock, run_virtual
from tests.golden.workloads_driver import Driver
from tests.golden.workloads_snapshot import Observer, order

Document = dict[str, Any]

RECORDED = Path(__file__).parent.parent / "data" / "workloads.json.gz"
QUIET_SECONDS = 0.8
POLL_SECONDS = 0.1
MAX_SETTLE_SECONDS = 120.0
WRITE_SECONDS = 0.006
FAR_AWAY = {"grace_seconds": 3600.0}
"""How nodes were monitored except where a scenario says otherwise."""

FLAGS = {
    "--node-monitor-grace-period": "grace_seconds",
    "--node-monitor-period": "period_seconds",
    "--node-startup-grace-period": "startup_grace_seconds",
    "--node-eviction-rate": "evictions_per_second",
    "--secondary-node-eviction-rate": "secondary_evictions_per_second",
}
HASH_LABELS = ("pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash")
EITHER_PROGRESS = "NewReplicaSetCreated|ReplicaSetUpdated"

CONTROLLED = frozenset({"CronJob", "DaemonSet", "Job", "StatefulSet"})
"""Kinds that do nothing without a controller of their own."""


@attrs.frozen
class Difference:
    """A step that came out otherwise: what only the recording has, and what only we have."""

    step: int
    part: str
    recorded: tuple[str, ...]
    ours: tuple[str, ...]


@attrs.define
class Outcome:
    """How a scenario went: `needs` names the first kind that does not exist here, and then nothing was run."""

    name: str
    area: str
    steps: int
    needs: str = ""
    error: str = ""
    differences: list[Difference] = attrs.field(factory=list)
    other_pace: int = 0
    """In how many equal steps a Deployment scaled in other strides, which only its Events tell."""

    @property
    def equal_steps(self) -> int:
        return 0 if self.needs or self.error else self.steps - len({d.step for d in self.differences})

    @property
    def equal(self) -> bool:
        return self.equal_steps == self.steps


def scenarios(area: str = "", only: str = "") -> list[Document]:
    """Return the recorded scenarios."""
    found = json.loads(gzip.decompress(RECORDED.read_bytes()))["scenarios"]
    return [s for s in found if area in ("", s["area"]) and only in ("", s["name"])]


def missing_kind(scenario: Document, scheme: Scheme) -> str:
    """Return the first kind of a scenario that does not exist here or has no controller; empty when all do."""
    idle = CONTROLLED - {one.for_.resource_info.kind for one in default_controllers() if isinstance(one, Controller)}
    for step in scenario["steps"]:
        for op in step["ops"]:
            eviction = "Eviction" if op.get("action") == "evict" else None
            for kind in filter(None, (op.get("kind"), op.get("object", {}).get("kind"), eviction)):
                if not _exists(kind, scheme) or kind in idle:
                    return str(kind)
        for entry in step["snapshot"]["objects"]:
            if not _exists(entry["kind"], scheme) and not _is_left_out(entry):
                return str(entry["kind"])
    return ""


def _exists(kind: str, scheme: Scheme) -> bool:
    try:
        scheme.resolve(kind)
    except NotFound:
        return False
    return True


def _is_left_out(entry: Document) -> bool:
    return bool(entry["kind"] == "Endpoints")


def replay(scenario: Document) -> Outcome:
    """Run one scenario and compare every snapshot."""
    outcome = Outcome(scenario["name"], scenario["area"], len(scenario["steps"]))
    outcome.needs = missing_kind(scenario, Scheme())
    if not outcome.needs:
        run_virtual(_run, scenario, outcome)
    return outcome


def monitor_settings(flags: str) -> MonitorSettings:
    """Return how nodes were monitored in a run of kube-controller-manager with these flags."""
    values = dict(FAR_AWAY)
    for flag in flags.split():
        name, _, value = flag.partition("=")
        values[FLAGS[name]] = float(value.removesuffix("s"))
    return MonitorSettings(**values)


class _Distant:
    """A client whose writes take as long as those of a controller in another process did: what happens meanwhile is
    seen by the controllers together, as it was in the recording."""

    def __init__(self, server: APIServer) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._server, name)
        if name not in {"create", "update", "patch", "delete"}:
            return verb

        async def write(*arguments: Any, **options: Any) -> Any:
            await anyio.sleep(WRITE_SECONDS)
            return await verb(*arguments, **options)

        return write


async def _run(scenario: Document, outcome: Outcome) -> None:
    clock = VirtualClock()
    settings = monitor_settings(scenario.get("kcmFlags", ""))
    controllers = [NodeLifecycle(settings) if isinstance(one, NodeLifecycle) else one for one in default_controllers()]
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as server:
        manager = Manager(
            _Distant(server),  # type: ignore[arg-type]
            clock=clock,
            controllers=controllers,
        )
        driver = Driver(server, clock, scenario["name"])
        observer = Observer(server, scenario, driver.owners)
        await driver.prepare(heartbeats="kcmFlags" in scenario)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_follow, server, driver, observer)
            tasks.start_soon(driver.beat)
            await tasks.start(manager.run)
            await anyio.sleep(QUIET_SECONDS)
            try:
                await _steps(scenario, driver, observer, outcome)
            except (APIError, TimeoutError) as error:
                outcome.error = f"{type(error).__name__}: {error}"
            tasks.cancel_scope.cancel()


async def _steps(scenario: Document, driver: Driver, observer: Observer, outcome: Outcome) -> None:
    hashes: dict[str, str] = {}
    async for _ in _events_of_before(observer):
        pass
    for number, step in enumerate(scenario["steps"]):
        await _to_next_second(driver)
        for op in step["ops"]:
            await driver.run(op)
        await _settle(observer, driver, step.get("quiet", QUIET_SECONDS))
        found = compare(number, step, await observer.snapshot(), hashes)
        if is_pace(found):
            outcome.other_pace += 1
        else:
            outcome.differences += found


async def _events_of_before(observer: Observer) -> Any:
    for event in (await observer.snapshot())["events"]:
        yield event


async def _to_next_second(driver: Driver) -> None:
    """Begin every step with a second, so that what happens in one step has equal times where it had them."""
    now = driver.clock.monotonic()
    await anyio.sleep(-now % 1 + 0.01)


async def _follow(server: APIServer, driver: Driver, observer: Observer) -> None:
    """Number what is generated, in the order of creation."""
    numbers: dict[type[Any], dict[str, int]] = {Pod: driver.created, EndpointSlice: {}}

    async def follow(kind: type[Any]) -> None:
        async with server.watch(kind, namespace=observer.namespace) as watch:
            async for event in watch:
                observer.seen(to_document(event.object), numbers[kind])

    async with anyio.create_task_group() as tasks:
        for kind in numbers:
            tasks.start_soon(follow, kind)


async def _settle(observer: Observer, driver: Driver, quiet_seconds: float) -> None:
    """Wait until nothing of the scenario has changed for so long."""
    before, since = await observer.revisions(), driver.clock.monotonic()
    deadline = since + MAX_SETTLE_SECONDS
    while driver.clock.monotonic() - since < quiet_seconds:
        if driver.clock.monotonic() > deadline:
            raise TimeoutError("the scenario does not settle")
        await anyio.sleep(POLL_SECONDS)
        now = await observer.revisions()
        if now != before:
            before, since = now, driver.clock.monotonic()


# ---- comparing


def compare(number: int, step: Document, ours: Document, hashes: dict[str, str]) -> list[Difference]:
    """Return the differences of a step; `hashes` binds our template hashes to the recorded ones, on first sight."""
    recorded = dict(step["snapshot"])
    recorded["objects"] = [entry for entry in recorded["objects"] if not _is_left_out(entry)]
    best: tuple[int, list[Difference], dict[str, str]] | None = None
    for binding in _bindings(_hashes(recorded), _hashes(ours), hashes):
        found = _differences(number, step, recorded, _bound(ours, {**hashes, **binding}))
        size = sum(len(d.recorded) + len(d.ours) for d in found)
        if best is None or size < best[0]:
            best = (size, found, binding)
    assert best is not None
    hashes.update(best[2])
    return best[1]


def is_pace(found: list[Difference]) -> bool:
    """Say whether a step differs only in the strides of a rollout.

    When several Pods become ready one after the other, how many of them a Deployment sees at once is a matter of
    milliseconds: it scales by two, or twice by one.
    """
    if [one.part for one in found] != ["events"] or not found[0].recorded or not found[0].ours:
        return False
    return all('"ScalingReplicaSet"' in text for text in (*found[0].recorded, *found[0].ours))


def _hashes(snapshot: Document) -> list[str]:
    found = {
        entry["labels"][label].rpartition("-")[2]
        for entry in (*snapshot["objects"], *snapshot["pods"])
        for label in HASH_LABELS
        if label in entry.get("labels", {})
    }
    return sorted(found)


def _bindings(recorded: list[str], ours: list[str], known: dict[str, str]) -> Iterator[dict[str, str]]:
    new_ours = [one for one in ours if one not in known]
    new_recorded = [one for one in recorded if one not in known.values()]
    fewer = min(len(new_ours), len(new_recorded))
    for chosen in itertools.permutations(new_recorded, fewer):
        yield dict(zip(new_ours, chosen, strict=False))


def _bound(snapshot: Document, hashes: dict[str, str]) -> Document:
    text = json.dumps(snapshot)
    if hashes:
        pattern = re.compile("|".join(map(re.escape, hashes)))
        text = pattern.sub(lambda match: hashes[match.group()], text)
    result: Document = json.loads(text)
    return result


def _differences(number: int, step: Document, recorded: Document, ours: Document) -> list[Difference]:
    result = []
    for part in ("objects", "pods"):
        left, right = _texts(recorded[part]), _texts(ours[part])
        if part == "objects" and EITHER_PROGRESS in str(recorded[part]):
            right = _texts(_loosen(ours[part]))
        if left != right:
            result.append(Difference(number, part, tuple(_minus(left, right)), tuple(_minus(right, left))))
    left, right = _occurrences(recorded["events"]), _occurrences(ours["events"])
    for text in [text for text, count in left.items() if count is None and right.get(text)]:
        left.pop(text), right.pop(text)
    missing = [f"{count} x {text}" for text, count in left.items() if right.get(text) != count]
    extra = [f"{count} x {text}" for text, count in right.items() if left.get(text) != count]
    if missing or (extra and not step.get("eventsUnstable")):
        result.append(Difference(number, "events", tuple(missing), tuple(extra)))
    return result


def _texts(entries: Iterable[Document]) -> list[str]:
    return [json.dumps(entry, sort_keys=True) for entry in sorted(entries, key=order)]


def _minus(left: list[str], right: list[str]) -> list[str]:
    return list((Counter(left) - Counter(right)).elements())


def _loosen(entries: list[Document]) -> list[Document]:
    """Write the reason of Progressing as the recording does where it saw two."""
    result = []
    for entry in entries:
        conditions = entry.get("status", {}).get("conditions", ()) if entry["kind"] == "Deployment" else ()
        for condition in conditions:
            if condition["type"] == "Progressing" and condition["reason"] in EITHER_PROGRESS.split("|"):
                condition |= {"reason": EITHER_PROGRESS, "message": None}
        result.append(entry)
    return result


def _occurrences(events: Iterable[Document]) -> dict[str, int | None]:
    result: dict[str, int | None] = {}
    for event in events:
        text = json.dumps({k: v for k, v in event.items() if k not in {"count", "countSeen"}}, sort_keys=True)
        count = event["count"]
        result[text] = None if count is None else (result.get(text) or 0) + count
    return result


def main(arguments: list[str]) -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--area", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args(arguments)
    outcomes = [replay(scenario) for scenario in scenarios(options.area, options.only)]
    for outcome in outcomes:
        if not outcome.equal and not outcome.needs:
            lines = told(outcome) if options.show else told(outcome)[:1]
            sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(report(outcomes) + "\n")


def told(outcome: Outcome) -> list[str]:
    """Return lines that say how a scenario differs."""
    lines = [f"{outcome.name}: {outcome.equal_steps}/{outcome.steps} {outcome.error}"]
    for one in outcome.differences:
        lines.append(f"  step {one.step} {one.part}")
        lines += [f"    - {text}" for text in one.recorded]
        lines += [f"    + {text}" for text in one.ours]
    return lines


def report(outcomes: list[Outcome]) -> str:
    """Return a table: equal of run, per area, and what could not be run."""
    lines = []
    for area in dict.fromkeys(outcome.area for outcome in outcomes):
        ours = [o for o in outcomes if o.area == area]
        run = [o for o in ours if not o.needs]
        steps, equal = sum(o.steps for o in run), sum(o.equal_steps for o in run)
        needs = Counter(o.needs for o in ours if o.needs)
        missing = ", ".join(f"{count} need {kind}" for kind, count in sorted(needs.items()))
        share = f"{100 * equal / steps:5.1f} %" if steps else "    -  "
        whole = f"{sum(o.equal for o in run):3}/{len(run):3} scenarios"
        pace = sum(o.other_pace for o in run)
        strides = f"({pace} in other strides) " if pace else ""
        lines.append(f"{area:22} {whole}, {equal:4}/{steps:4} steps {share} {strides}{missing}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
