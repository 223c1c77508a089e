"""Defaults of ReplicaSets and Deployments. Source: apps/v1 defaults of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.pod import default_template

Document = dict[str, Any]
REVISION_HISTORY_LIMIT = 10
PROGRESS_DEADLINE_SECONDS = 600
ROLLING_SHARE = "25%"


def with_template(document: Document, spec: Document) -> Document:
    """Return `document` with `spec`, whose template has its defaults."""
    template = default_template(spec.get("template"))
    if template is spec.get("template") and spec is document.get("spec"):
        return document
    return {**document, "spec": spec if template is spec.get("template") else {**spec, "template": template}}


def filled(spec: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    """Return `spec` with the values of `defaults` that it does not have."""
    missing = {name: value for name, value in defaults.items() if spec.get(name) is None}
    return {**spec, **missing} if missing else spec


def default_replica_set(document: Document) -> Document:
    """Return a ReplicaSet of one Pod, if it does not say how many."""
    from orchestra.api.apps import ReplicaSet

    document = canonical(document, ReplicaSet)
    return with_template(document, filled(document.get("spec") or {}, {"replicas": 1}))


def _strategy(strategy: Mapping[str, Any]) -> Any:
    if strategy.get("type") not in (None, "", "RollingUpdate"):
        return strategy
    rolling = strategy.get("rollingUpdate") or {}
    complete = filled(rolling, {"maxUnavailable": ROLLING_SHARE, "maxSurge": ROLLING_SHARE})
    if strategy.get("type") and complete is rolling:
        return strategy
    return {**strategy, "type": "RollingUpdate", "rollingUpdate": complete}


def default_deployment(document: Document) -> Document:
    """Return a Deployment with its replicas, strategy and limits filled in."""
    from orchestra.api.apps import Deployment

    document = canonical(document, Deployment)
    defaults = {
        "replicas": 1,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
    }
    spec = filled(document.get("spec") or {}, defaults)
    strategy = _strategy(spec.get("strategy") or {})
    if strategy is not spec.get("strategy"):
        spec = {**spec, "strategy": strategy}
    return with_template(document, spec)
