"""Defaults of StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions, and what their writes may set.

Source: apps/v1 and core/v1 defaults and strategies of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.persistent_volumes import default_claim
from orchestra.apiserver.defaults.prepare import keep_status, only_status
from orchestra.apiserver.defaults.workloads import REVISION_HISTORY_LIMIT, filled, with_template

Document = dict[str, Any]
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_RETAINED = {"whenDeleted": "Retain", "whenScaled": "Retain"}
_NO_DAEMONS = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}
_NO_PODS = {"replicas": 0, "availableReplicas": 0}


def default_stateful_set(document: Document) -> Document:
    """Return a StatefulSet with its order, strategy and limits filled in."""
    from orchestra.api.apps import StatefulSet

    document = canonical(document, StatefulSet)
    given = document.get("spec") or {}
    defaults = {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "persistentVolumeClaimRetentionPolicy": _RETAINED,
    }
    spec = filled(given, defaults)
    policy = filled(spec["persistentVolumeClaimRetentionPolicy"], _RETAINED)
    strategy = _ordered_strategy(spec.get("updateStrategy") or {})
    changed = {"persistentVolumeClaimRetentionPolicy": policy, "updateStrategy": strategy}
    if spec.get("volumeClaimTemplates"):
        changed["volumeClaimTemplates"] = _claims(spec["volumeClaimTemplates"])
    if any(spec.get(name) is not value for name, value in changed.items()):
        spec = {**spec, **changed}
    return with_template(document, spec)


def _ordered_strategy(strategy: Mapping[str, Any]) -> Any:
    if strategy.get("type") not in (None, "", "RollingUpdate"):
        return strategy
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") and rolling is not None and rolling.get("partition") is not None:
        return strategy
    # A strategy that says RollingUpdate and nothing else is filled in too.
    return {**strategy, "type": "RollingUpdate", "rollingUpdate": filled(rolling or {}, {"partition": 0})}


def _claims(templates: list[Document]) -> list[Document]:
    named = [
        each if each.get("kind") else {"kind": "PersistentVolumeClaim", "apiVersion": "v1", **each}
        for each in templates
    ]
    new = [default_claim(with_status(each, {**(each.get("status") or {}), "phase": "Pending"})) for each in named]
    return templates if new == templates else new


def default_daemon_set(document: Document) -> Document:
    """Return a DaemonSet with its strategy and limits filled in."""
    from orchestra.api.apps import DaemonSet

    document = canonical(document, DaemonSet)
    spec = filled(document.get("spec") or {}, {"revisionHistoryLimit": REVISION_HISTORY_LIMIT})
    strategy = _daemon_strategy(spec.get("updateStrategy") or {})
    if strategy is not spec.get("updateStrategy"):
        spec = {**spec, "updateStrategy": strategy}
    return with_template(document, spec)


def _daemon_strategy(strategy: Mapping[str, Any]) -> Any:
    if strategy.get("type") not in (None, "", "RollingUpdate"):
        return strategy
    rolling = strategy.get("rollingUpdate") or {}
    complete = filled(rolling, {"maxUnavailable": 1, "maxSurge": 0})
    if strategy.get("type") and complete is rolling:
        return strategy
    return {**strategy, "type": "RollingUpdate", "rollingUpdate": complete}


def default_replication_controller(document: Document) -> Document:
    """Return a ReplicationController that selects and is labelled as its template is, if it does not say."""
    from orchestra.api.core.replicationcontroller import ReplicationController

    document = canonical(document, ReplicationController)
    spec, meta = document.get("spec") or {}, document.get("metadata") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec = {**spec, "selector": labels}
        if not meta.get("labels"):
            document = {**document, "metadata": {**meta, "labels": labels}}
    return with_template(document, filled(spec, {"replicas": 1}))


def default_controller_revision(document: Document) -> Document:
    """Return a ControllerRevision in canonical form."""
    from orchestra.api.apps import ControllerRevision

    new: Document = canonical(document, ControllerRevision)
    return new


def create_stateful_set(document: Document) -> Document:
    """Return a new StatefulSet, which has no Pods yet."""
    return with_status(_without_max_unavailable(document), dict(_NO_PODS))


def update_stateful_set(new: Document, old: Document) -> Document:
    """Return an update of a StatefulSet."""
    return keep_status(_without_max_unavailable(new), old)


def _without_max_unavailable(document: Document) -> Document:
    """Drop `maxUnavailable`, which stands behind a feature gate that is off by default (MaxUnavailableStatefulSet)."""
    spec = document.get("spec") or {}
    strategy = spec.get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    if "maxUnavailable" not in rolling:
        return document
    kept = {name: value for name, value in rolling.items() if name != "maxUnavailable"}
    return {**document, "spec": {**spec, "updateStrategy": {**strategy, "rollingUpdate": kept}}}


def update_stateful_set_status(new: Document, old: Document) -> Document:
    """Return an update of a StatefulSet's status, whose numbers are always there."""
    result = default_stateful_set(only_status(new, old))
    return with_status(result, {**_NO_PODS, **(result.get("status") or {})})


def create_daemon_set(document: Document) -> Document:
    """Return a new DaemonSet: no Pods yet, and the first generation of its template."""
    return with_status(_with_template_generation(document, 1), dict(_NO_DAEMONS))


def update_daemon_set(new: Document, old: Document) -> Document:
    """Return an update of a DaemonSet; a change of the template or of the strategy raises the template's generation."""
    new, before = keep_status(new, old), _template_generation(old)
    was, now = old.get("spec") or {}, new.get("spec") or {}
    changed = any(was.get(name) != now.get(name) for name in ("template", "updateStrategy"))
    return _with_template_generation(new, before + changed)


def update_daemon_set_status(new: Document, old: Document) -> Document:
    """Return an update of a DaemonSet's status, whose numbers are always there."""
    result = _with_template_generation(default_daemon_set(only_status(new, old)), _template_generation(old))
    return with_status(result, {**_NO_DAEMONS, **(result.get("status") or {})})


def _template_generation(document: Document) -> int:
    text = ((document.get("metadata") or {}).get("annotations") or {}).get(TEMPLATE_GENERATION, "0")
    return int(text) if text.isdecimal() else 0


def _with_template_generation(document: Document, number: int) -> Document:
    meta = document.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    if annotations.get(TEMPLATE_GENERATION) == str(number):
        return document
    return {**document, "metadata": {**meta, "annotations": {**annotations, TEMPLATE_GENERATION: str(number)}}}


def create_replication_controller(document: Document) -> Document:
    """Return a new ReplicationController, which has no Pods yet."""
    return with_status(document, {"replicas": 0})


def update_replication_controller_status(new: Document, old: Document) -> Document:
    """Return an update of a ReplicationController's status."""
    result = default_replication_controller(only_status(new, old))
    return with_status(result, {"replicas": 0, **(result.get("status") or {})})
