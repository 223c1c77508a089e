"""Replays recorded creates and updates through the pure rules of a kind, without a server or a store.

The state before each step is what the recording answered before; so each step is judged alone. What the server adds
(uids, times, generation, allocated addresses and ports) is left out of the comparison.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from orchestra.api.object import Object
from orchestra.api.patch import merge_patch
from orchestra.api.schema import struct_schema
from orchestra.api.scheme import Scheme
from orchestra.api.strategic import strategic_merge
from orchestra.apiserver.defaults import (
    check_runtime_class,
    default_priority,
    default_toleration_seconds,
    keep_priority,
    presented,
)
from orchestra.apiserver.validation import RuleOptions, rules_for, to_invalid
from orchestra.errors import APIError

Document = dict[str, Any]
RECORDING = Path(__file__).parent.parent / "data" / "golden_api.json.gz"
GROUPS = ("1-defaulting", "2-validation", "3-updates")
KINDS = frozenset(
    {
        "Namespace",
        "Node",
        "Pod",
        "ReplicaSet",
        "Deployment",
        "Service",
        "EndpointSlice",
        "ConfigMap",
        "Secret",
        "Event",
        "Lease",
        "Binding",
        "PriorityClass",
        "PodDisruptionBudget",
    }
)
NAMESPACE = "gold0001"
SUFFIX = "bcdfg"
# Added by the server around the rules, or the number of a revision that the recording gives a name.
_SERVERS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
_SCHEME = Scheme()


@attrs.frozen
class Step:
    """One recorded request that a kind's rules alone decide, with the answer of the real server."""

    scenario: str
    index: int
    method: str
    subresource: str
    content_type: str
    cls: type[Object]
    body: Document
    old: Document | None
    code: int
    answer: Document
    warnings: tuple[str, ...]


def steps() -> Iterator[Step]:
    """Yield the steps of every scenario that concern one object and no server."""
    recorded = json.loads(gzip.decompress(RECORDING.read_bytes()))
    for scenario in recorded["scenarios"]:
        if scenario["group"] in GROUPS and scenario["kind"] in KINDS:
            yield from _steps_of(json.loads(_concrete(json.dumps(scenario))))


def _concrete(text: str) -> str:
    """Give the recording's variables values that the rules accept."""
    text = re.sub(r"\bNS\b", NAMESPACE, text)
    text = re.sub(r'"<port-(\d+)>"', lambda match: str(30500 + int(match[1])), text)
    text = re.sub(r"<ip-(\d+)>", r"10.96.200.\1", text)
    text = re.sub(r"<gen(?:-\d+)?>", SUFFIX, text)
    return text.replace("<time>", "2020-01-01T00:00:00Z")


def _steps_of(scenario: Document) -> Iterator[Step]:
    state: dict[str, Document] = {}
    for index, step in enumerate(scenario["steps"]):
        path, method, response = step["path"], step["method"], step["response"]
        body, answer = step.get("body"), response.get("body") or {}
        subresource = "status" if path.endswith("/status") else ""
        target = path.removesuffix("/status")
        old = state.get(target)
        judged = response["code"] in (200, 201, 422) or (response["code"] == 403 and scenario["kind"] == "Pod")
        if judged and isinstance(body, dict) and _is_pure(method, old, step, answer):
            cls = _SCHEME.type_of(_SCHEME.info(*_kind_of(body, old, scenario["kind"])))
            warnings = tuple(text.split(" - ", 1)[1][1:-1] for text in response.get("warnings", ()))
            content = step.get("content_type", "application/json")
            yield Step(
                scenario["name"],
                index,
                method,
                subresource,
                content,
                cls,
                body,
                old,
                response["code"],
                answer,
                warnings,
            )
        if response["code"] < 300 and "metadata" in answer and method != "DELETE":
            name = answer["metadata"].get("name")
            key = f"{path}/{name}" if method == "POST" else target
            state[key] = answer


def _kind_of(body: Document, old: Document | None, kind: str) -> tuple[str, str]:
    versions = {info.kind: info.api_version for info in _SCHEME}
    return versions[kind], kind


def _is_pure(method: str, old: Document | None, step: Document, answer: Document) -> bool:
    if "query" in step:
        return False
    if method == "POST":
        return True
    if method == "PUT":
        # A missing object, and a revision that must be named, are the server's business.
        causes = [cause.get("field") for cause in (answer.get("details") or {}).get("causes", ())]
        return old is not None and causes != ["metadata.resourceVersion"]
    return method == "PATCH" and old is not None and "apply" not in step.get("content_type", "")


@attrs.frozen
class Outcome:
    """What the rules make of a step: a document, or a refusal."""

    code: int
    document: Document | None
    error: APIError | None
    warnings: tuple[str, ...]


def run(step: Step) -> Outcome:
    """Run one step through the rules of its kind."""
    rules = rules_for(step.cls.resource_info, RuleOptions(prune_undeclared=True))
    try:
        new, errors = _created(step, rules) if step.old is None or step.method == "POST" else _updated(step, rules)
    except APIError as error:
        return Outcome(error.code, None, error, ())
    if errors:
        name = (new.get("metadata") or {}).get("name") or ""
        return Outcome(422, None, to_invalid(step.cls.resource_info, name, errors), ())
    old = None if step.method == "POST" else step.old
    warnings = () if step.subresource else tuple(rules.warnings(new, old))
    return Outcome(201 if step.method == "POST" else 200, presented(new, step.cls), None, warnings)


def _created(step: Step, rules: Any) -> tuple[Document, list[Any]]:
    info = step.cls.resource_info
    given = {**step.body, "apiVersion": info.api_version, "kind": info.kind}
    new = rules.prepare_create(rules.default(given))
    meta = {name: value for name, value in (new.get("metadata") or {}).items() if name not in _SERVERS}
    if meta.get("generateName") and not meta.get("name"):
        meta["name"] = meta["generateName"] + SUFFIX
    if info.namespaced:
        meta.setdefault("namespace", NAMESPACE)
    new = {**new, "metadata": meta}
    if info.kind == "Pod":
        new = default_priority(default_toleration_seconds(new))
        check_runtime_class(new)
    return new, rules.validate(new)


def _updated(step: Step, rules: Any) -> tuple[Document, list[Any]]:
    old = rules.default(step.old)
    if step.method == "PUT":
        new = {**step.body, "apiVersion": old["apiVersion"], "kind": old["kind"]}
    elif "strategic" in step.content_type:
        new = strategic_merge(old, step.body, struct_schema(step.cls))
    else:
        new = merge_patch(old, step.body)
    kept = {name: value for name, value in old["metadata"].items() if name in _SERVERS}
    meta = {name: value for name, value in new["metadata"].items() if name not in _SERVERS}
    named = {name: value for name, value in old["metadata"].items() if name in ("name", "namespace")}
    new = {**new, "metadata": {**named, **meta, **kept}}
    if step.subresource:
        new = rules.prepare_status_update(new, old)
        return new, rules.validate_status_update(new, old)
    new = rules.prepare_update(rules.default(new), old)
    if step.cls.resource_info.kind == "Pod":
        new = keep_priority(default_toleration_seconds(new), old)
    return new, rules.validate_update(new, old)


def comparable(document: Document) -> Document:
    """Return a stored object without what the server adds, and without what it allocates to a Service."""
    meta = {name: value for name, value in document["metadata"].items() if name not in _SERVERS}
    result = {**document, "metadata": meta}
    if document.get("kind") == "Service":
        spec = {name: value for name, value in document["spec"].items() if not _is_allocated(value)}
        spec.pop("healthCheckNodePort", None)
        if "ports" in spec:
            spec["ports"] = [{n: v for n, v in port.items() if n != "nodePort"} for port in spec["ports"]]
        result["spec"] = spec
    return result


def _is_allocated(value: Any) -> bool:
    return "10.96.200." in str(value)


def differences(step: Step) -> list[str]:
    """Return how the rules' answer differs from the recorded one; empty when it does not."""
    outcome, answer = run(step), step.answer
    if outcome.code != step.code:
        told = outcome.error.message if outcome.error else ""
        return [f"code {outcome.code} instead of {step.code}: {told or answer.get('message')}"]
    if outcome.error is not None:
        status = outcome.error.to_status()
        wanted = [_cause(cause) for cause in (answer.get("details") or {}).get("causes", ())]
        found = [_cause(cause) for cause in status.get("details", {}).get("causes", ())]
        if "<varies>" in json.dumps(answer):
            return [] if len(wanted) == len(found) else [f"{len(found)} causes instead of {len(wanted)}"]
        result = [f"missing {cause}" for cause in wanted if cause not in found]
        result += [f"superfluous {cause}" for cause in found if cause not in wanted]
        if not result and wanted != found:
            result.append(f"order {found} instead of {wanted}")
        if not result and status["message"] != answer["message"]:
            result.append(f"message {status['message']} instead of {answer['message']}")
        return result
    mine, theirs = comparable(outcome.document or {}), comparable(answer)
    result = _compare(mine, theirs, "")
    wanted_warnings = [text.replace('\\"', '"') for text in step.warnings if not text.startswith("unknown field")]
    if wanted_warnings != [text for text in outcome.warnings if "nothing acts on it" not in text]:
        result.append(f"warnings {outcome.warnings} instead of {wanted_warnings}")
    return result


def _cause(cause: Document) -> tuple[str, str, str]:
    return cause.get("reason", ""), cause.get("message", ""), cause.get("field", "")


def _compare(mine: Any, theirs: Any, path: str) -> list[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        found: list[str] = []
        for name in sorted({*mine, *theirs}):
            here = f"{path}.{name}"
            if name not in theirs:
                found.append(f"superfluous {here} = {mine[name]!r}")
            elif name not in mine:
                found.append(f"missing {here} = {theirs[name]!r}")
            else:
                found += _compare(mine[name], theirs[name], here)
        return found
    if isinstance(mine, list | tuple) and isinstance(theirs, list) and len(mine) == len(theirs):
        return [each for index in range(len(mine)) for each in _compare(mine[index], theirs[index], f"{path}[{index}]")]
    return [] if mine == theirs else [f"{path}: {mine!r} instead of {theirs!r}"]
