"""What is to be said of a Deployment's rollout, and which revisions it has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.codec import encode
from orchestra.api.rules.conditions import condition
from orchestra.api.rules.owners import is_controlled_by
from orchestra.cli.columns import Columns
from orchestra.cli.failures import CommandError

REVISION: Final = "deployment.kubernetes.io/revision"
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
HASH_LABEL: Final = "pod-template-hash"
RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

KEPT_ANNOTATIONS: Final = frozenset(
    {
        LAST_APPLIED,
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)
"""Annotations that stay the Deployment's own when it goes back to an older revision."""


@attrs.frozen
class Progress:
    """How far a rollout is, in words."""

    message: str
    done: bool = False


def progress(deployment: Deployment, revision: int = 0) -> Progress:
    """Return how far a rollout is; raises CommandError when it has failed, or is not of that revision."""
    name, spec, status = deployment.metadata.name, deployment.spec, deployment.status
    if revision:
        running = revision_of(deployment)
        if revision != running:
            raise CommandError(f"desired revision ({revision}) is different from the running revision ({running})")
    if deployment.metadata.generation > status.observed_generation:
        return Progress("Waiting for deployment spec update to be observed...")
    progressing = condition(deployment, "Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        raise CommandError(f'deployment "{name}" exceeded its progress deadline')
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    updated = status.updated_replicas
    if spec.replicas is not None and updated < spec.replicas:
        return Progress(f"{waiting}{updated} out of {spec.replicas} new replicas have been updated...")
    if status.replicas > updated:
        return Progress(f"{waiting}{status.replicas - updated} old replicas are pending termination...")
    if status.available_replicas < updated:
        return Progress(f"{waiting}{status.available_replicas} of {updated} updated replicas are available...")
    return Progress(f'deployment "{name}" successfully rolled out', done=True)


def revision_of(obj: Deployment | ReplicaSet) -> int:
    """Return the number of an object's revision; 0 when it has none."""
    text = obj.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def history(deployment: Deployment, sets: Iterable[ReplicaSet]) -> dict[int, ReplicaSet]:
    """Return the ReplicaSets of a Deployment by their revision, the oldest first."""
    own = [rs for rs in sets if is_controlled_by(rs, deployment)]
    return {revision_of(rs): rs for rs in sorted(own, key=revision_of) if revision_of(rs)}


def history_table(revisions: Mapping[int, ReplicaSet]) -> str:
    """Return the revisions and why they came to be."""
    rows = [("REVISION", "CHANGE-CAUSE")]
    rows += [(str(n), rs.metadata.annotations.get(CHANGE_CAUSE) or "<none>") for n, rs in revisions.items()]
    return "\n".join(Columns(padding=2, min_width=0).lines(rows))


def choose(deployment: Deployment, revisions: Mapping[int, ReplicaSet], revision: int) -> ReplicaSet:
    """Return what an undo goes back to: that revision, or with 0 the one before the present one."""
    if revision:
        if revision not in revisions:
            raise CommandError(f"unable to find specified revision {revision} in history")
        return revisions[revision]
    known: Sequence[int] = sorted(revisions)
    if len(known) < 2:
        raise CommandError(f'no rollout history found for deployment "{deployment.metadata.name}"')
    return revisions[known[-2]]


def template_of(rs: ReplicaSet) -> dict[str, Any]:
    """Return the template of a revision, as the Deployment had it."""
    template: dict[str, Any] = encode(rs.spec.template)
    return without_hash(template)


def without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template without the label that the controller adds."""
    meta = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    meta.pop("labels", None)
    if labels:
        meta["labels"] = labels
    return {**template, "metadata": meta}


def undo_annotations(deployment: Deployment, rs: ReplicaSet) -> dict[str, str | None]:
    """Return the change of the Deployment's annotations that goes with an undo; None takes one away."""
    own, old = deployment.metadata.annotations, rs.metadata.annotations
    change: dict[str, str | None] = {key: None for key in own if key not in KEPT_ANNOTATIONS and key not in old}
    return change | {key: value for key, value in old.items() if key not in KEPT_ANNOTATIONS}
