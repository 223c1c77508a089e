"""Deployments and ReplicaSets, as `describe` shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestra.api.apps import Deployment, DeploymentCondition, ReplicaSet, ReplicaSetCondition
from orchestra.api.core.pod import Pod
from orchestra.api.rules.owners import controller_of, is_controlled_by
from orchestra.api.tables.workloads import selector_text
from orchestra.cli.describe.pods import write_template
from orchestra.cli.describe.sheet import Sheet, long_time
from orchestra.cli.rollouts import revision_of


def describe_deployment(sheet: Sheet, obj: Deployment, sets: Iterable[ReplicaSet]) -> None:
    """Write a Deployment; of `sets` those count that it controls."""
    meta, spec, status = obj.metadata, obj.spec, obj.status
    sheet.line(0, f"Name:\t{meta.name}")
    sheet.line(0, f"Namespace:\t{meta.namespace}")
    sheet.line(0, f"CreationTimestamp:\t{long_time(meta.creation_timestamp)}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)
    sheet.line(0, f"Selector:\t{selector_text(spec.selector)}")
    sheet.line(
        0,
        f"Replicas:\t{spec.replicas or 0} desired | {status.updated_replicas} updated | {status.replicas} total | "
        f"{status.available_replicas} available | {status.unavailable_replicas} unavailable",
    )
    sheet.line(0, f"StrategyType:\t{spec.strategy.type}")
    sheet.line(0, f"MinReadySeconds:\t{spec.min_ready_seconds}")
    rolling = spec.strategy.rolling_update
    if rolling is not None:
        sheet.line(
            0,
            f"RollingUpdateStrategy:\t{rolling.max_unavailable} max unavailable, {rolling.max_surge} max surge",
        )
    write_template(sheet, spec.template)
    _conditions(sheet, status.conditions)
    own = sorted((rs for rs in sets if is_controlled_by(rs, obj)), key=revision_of)
    newest = [rs for rs in own if revision_of(rs) == revision_of(obj)]
    sheet.line(0, f"OldReplicaSets:\t{_made([rs for rs in own if rs not in newest])}")
    sheet.line(0, f"NewReplicaSet:\t{_made(newest)}")


def describe_replica_set(sheet: Sheet, obj: ReplicaSet, pods: Iterable[Pod]) -> None:
    """Write a ReplicaSet; of `pods` those count that it controls."""
    meta, spec = obj.metadata, obj.spec
    sheet.line(0, f"Name:\t{meta.name}")
    sheet.line(0, f"Namespace:\t{meta.namespace}")
    sheet.line(0, f"Selector:\t{selector_text(spec.selector)}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)
    owner = controller_of(obj)
    if owner is not None:
        sheet.line(0, f"Controlled By:\t{owner.kind}/{owner.name}")
    sheet.line(0, f"Replicas:\t{obj.status.replicas} current / {spec.replicas or 0} desired")
    phases = [pod.status.phase for pod in pods if is_controlled_by(pod, obj)]
    counts = {phase: phases.count(phase) for phase in ("Running", "Pending", "Succeeded", "Failed")}
    sheet.line(
        0,
        f"Pods Status:\t{counts['Running']} Running / {counts['Pending']} Waiting / "
        f"{counts['Succeeded']} Succeeded / {counts['Failed']} Failed",
    )
    write_template(sheet, spec.template)
    _conditions(sheet, obj.status.conditions)


def _conditions(sheet: Sheet, conditions: Sequence[DeploymentCondition | ReplicaSetCondition]) -> None:
    if conditions:
        sheet.line(0, "Conditions:")
        sheet.line(1, "Type\tStatus\tReason")
        sheet.line(1, "----\t------\t------")
        for item in conditions:
            sheet.line(1, f"{item.type} \t{item.status}\t{item.reason}")


def _made(sets: Sequence[ReplicaSet]) -> str:
    words = [f"{rs.metadata.name} ({rs.status.replicas}/{rs.spec.replicas or 0} replicas created)" for rs in sets]
    return ", ".join(words) or "<none>"
