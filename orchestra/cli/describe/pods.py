"""Pods and their templates, as `describe` shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from orchestra.api.core.affinity import Toleration
from orchestra.api.core.pod import Pod, PodSpec, PodTemplateSpec
from orchestra.api.core.volume import Volume
from orchestra.api.rules.owners import controller_of
from orchestra.api.tables.durations import human_age
from orchestra.cli.describe.containers import describe_containers
from orchestra.cli.describe.sheet import Sheet, long_time


def describe_pod(sheet: Sheet, pod: Pod, now: datetime) -> None:
    """Write a Pod."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    sheet.line(0, f"Name:\t{meta.name}")
    sheet.line(0, f"Namespace:\t{meta.namespace}")
    if spec.priority is not None:
        sheet.line(0, f"Priority:\t{spec.priority}")
    if spec.priority_class_name:
        sheet.line(0, f"Priority Class Name:\t{spec.priority_class_name}")
    sheet.line(0, f"Service Account:\t{spec.service_account_name}")
    sheet.line(0, f"Node:\t{_node(pod)}")
    if status.start_time is not None:
        sheet.line(0, f"Start Time:\t{long_time(status.start_time)}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)
    if meta.deletion_timestamp is not None and status.phase not in ("Succeeded", "Failed"):
        sheet.line(0, f"Status:\tTerminating (lasts {human_age(meta.deletion_timestamp, now)})")
        sheet.line(0, f"Termination Grace Period:\t{meta.deletion_grace_period_seconds or 0}s")
    else:
        sheet.line(0, f"Status:\t{status.phase}")
    if status.reason:
        sheet.line(0, f"Reason:\t{status.reason}")
    if status.message:
        sheet.line(0, f"Message:\t{status.message}")
    sheet.line(0, f"IP:\t{status.pod_ip}")
    sheet.line(0, "IPs:" if status.pod_ips else "IPs:\t<none>")
    for address in status.pod_ips:
        sheet.line(1, f"IP:\t{address.ip}")
    owner = controller_of(pod)
    if owner is not None:
        sheet.line(0, f"Controlled By:\t{owner.kind}/{owner.name}")
    if status.nominated_node_name:
        sheet.line(0, f"NominatedNodeName:\t{status.nominated_node_name}")
    _containers(sheet, pod)
    _conditions(sheet, pod)
    describe_volumes(sheet, spec.volumes)
    if status.qos_class:
        sheet.line(0, f"QoS Class:\t{status.qos_class}")
    _placement(sheet, spec)


def describe_template(template: PodTemplateSpec) -> str:
    """Return a template as text of its own, for the history of a rollout."""
    sheet = Sheet()
    write_template(sheet, template)
    return sheet.text()


def write_template(sheet: Sheet, template: PodTemplateSpec) -> None:
    """Write the Pods that a controller makes."""
    sheet.line(0, "Pod Template:")
    sheet.labels("  Labels", template.metadata.labels)
    if template.metadata.annotations:
        shown = [f"{key}: {template.metadata.annotations[key]}" for key in sorted(template.metadata.annotations)]
        sheet.listed("  Annotations", shown)
    if template.spec.service_account_name:
        sheet.line(0, f"  Service Account:\t{template.spec.service_account_name}")
    if template.spec.init_containers:
        describe_containers(sheet, "Init Containers", template.spec.init_containers, space="  ")
    describe_containers(sheet, "Containers", template.spec.containers, space="  ")
    describe_volumes(sheet, template.spec.volumes, space="  ")
    _placement(sheet, template.spec, space="  ")


def _node(pod: Pod) -> str:
    if not pod.spec.node_name:
        return "<none>"
    return f"{pod.spec.node_name}/{pod.status.host_ip}"


def _containers(sheet: Sheet, pod: Pod) -> None:
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.podIP": pod.status.pod_ip,
        "status.hostIP": pod.status.host_ip,
    }

    def resolve(path: str) -> str:
        return fields.get(path, "")

    spec, status = pod.spec, pod.status
    for title, containers, statuses in (
        ("Init Containers", spec.init_containers, status.init_container_statuses),
        ("Containers", spec.containers, status.container_statuses),
        ("Ephemeral Containers", spec.ephemeral_containers, status.ephemeral_container_statuses),
    ):
        if containers:
            describe_containers(sheet, title, containers, statuses=statuses, resolve=resolve)


def _conditions(sheet: Sheet, pod: Pod) -> None:
    known = {condition.type: condition.status for condition in pod.status.conditions}
    if pod.spec.readiness_gates:
        sheet.line(0, "Readiness Gates:\n  Type\tStatus")
        for gate in pod.spec.readiness_gates:
            sheet.line(1, f"{gate.condition_type} \t{known.get(gate.condition_type, '<none>')} ")
    if known:
        sheet.line(0, "Conditions:\n  Type\tStatus")
        for kind, state in known.items():
            sheet.line(1, f"{kind} \t{state} ")


def describe_volumes(sheet: Sheet, volumes: Iterable[Volume], *, space: str = "") -> None:
    """Write volumes, and where each comes from."""
    every = list(volumes)
    if not every:
        sheet.line(0, f"{space}Volumes:\t<none>")
        return
    sheet.line(0, f"{space}Volumes:")
    for volume in every:
        sheet.line(1, f"{' ' if space else ''}{volume.name}:")
        for text in _source(volume):
            sheet.line(2, text)


def _source(volume: Volume) -> list[str]:
    if volume.empty_dir is not None:
        limit = volume.empty_dir.size_limit
        return [
            "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
            f"Medium:\t{volume.empty_dir.medium}",
            f"SizeLimit:\t{'<unset>' if limit is None else limit}",
        ]
    if volume.config_map is not None:
        return [
            "Type:\tConfigMap (a volume populated by a ConfigMap)",
            f"Name:\t{volume.config_map.name}",
            f"Optional:\t{str(bool(volume.config_map.optional)).lower()}",
        ]
    if volume.secret is not None:
        return [
            "Type:\tSecret (a volume populated by a Secret)",
            f"SecretName:\t{volume.secret.secret_name}",
            f"Optional:\t{str(bool(volume.secret.optional)).lower()}",
        ]
    if volume.host_path is not None:
        return [
            "Type:\tHostPath (bare host directory volume)",
            f"Path:\t{volume.host_path.path}",
            f"HostPathType:\t{volume.host_path.type or ''}",
        ]
    if volume.downward_api is not None:
        return ["Type:\tDownwardAPI (a volume populated by information about the pod)"]
    if volume.projected is not None:
        return ["Type:\tProjected (a volume that contains injected data from multiple sources)"]
    return ["<unknown>"]


def _placement(sheet: Sheet, spec: PodSpec, *, space: str = "") -> None:
    sheet.labels(f"{space}Node-Selectors", spec.node_selector)
    sheet.listed(f"{space}Tolerations", [toleration_text(item) for item in spec.tolerations])


def toleration_text(item: Toleration) -> str:
    """Return a toleration as `key=value:effect`."""
    text = item.key
    if item.value:
        text += f"={item.value}"
    if item.effect:
        text += f":{item.effect}"
    if item.operator == "Exists" and not item.value:
        text += " op=Exists" if text else "op=Exists"
    if item.toleration_seconds is not None:
        text += f" for {item.toleration_seconds}s"
    return text
