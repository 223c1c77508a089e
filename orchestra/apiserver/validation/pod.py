"""Rules of a Pod and of a template of Pods. Source: Pod v1 API, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import orjson

from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import (
    MAX_INT32,
    Errors,
    FieldError,
    check_enum,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, range_error
from orchestra.apiserver.validation.metadata import check_annotations, check_labels, check_metadata
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod_annotations import check_profile_matches, check_special_annotations
from orchestra.apiserver.validation.pod_containers import (
    check_containers,
    check_ephemeral_containers,
    check_image_padding,
    check_init_containers,
)
from orchestra.apiserver.validation.pod_network import check_dns, check_host_aliases, check_host_network
from orchestra.apiserver.validation.pod_resources import check_pod_resources, check_resource_claims
from orchestra.apiserver.validation.pod_scheduling import (
    check_affinity,
    check_gates,
    check_spread,
    check_tolerations,
)
from orchestra.apiserver.validation.pod_security import check_os, check_pod_security
from orchestra.apiserver.validation.pod_volumes import check_volumes
from orchestra.apiserver.validation.resources import check_requirements
from orchestra.apiserver.validation.windows import check_host_process

Document = Mapping[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
REMEMBERED_SPECS = 256
"""How many specs' faults are remembered: all Pods of one ReplicaSet have the same."""
MAX_REMEMBERED_BYTES = 64 * 1024


def check_pod_spec(spec: Document, path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of a PodSpec, in Kubernetes' order."""
    if spec.get("terminationGracePeriodSeconds") is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = check_volumes(spec.get("volumes"), f"{path}.volumes", context, errors)
    context = attrs.evolve(context, volumes=volumes)
    if spec.get("resourceClaims"):
        check_resource_claims(spec["resourceClaims"], f"{path}.resourceClaims", errors)
    regular, initial = spec.get("containers"), spec.get("initContainers")
    check_containers(regular, f"{path}.containers", context, errors)
    check_init_containers(initial, regular, f"{path}.initContainers", context, errors)
    if spec.get("ephemeralContainers"):
        others = (*(regular or ()), *(initial or ()))
        at = f"{path}.ephemeralContainers"
        check_ephemeral_containers(spec["ephemeralContainers"], others, at, context, errors)
    if spec.get("resources") is not None:
        check_pod_resources(spec, f"{path}.resources", context, errors)
    if spec.get("hostNetwork"):
        check_host_network(spec, path, context, errors)
    check_enum(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES, errors)
    check_enum(f"{path}.dnsPolicy", spec.get("dnsPolicy"), DNS_POLICIES, errors)
    check_labels(spec.get("nodeSelector"), f"{path}.nodeSelector", errors)
    check_pod_security(spec, path, errors)
    _check_placement(spec, path, context, errors)
    _check_names(spec, path, context, errors)


def _check_placement(spec: Document, path: str, context: PodContext, errors: Errors) -> None:
    if spec.get("affinity") is not None:
        check_affinity(spec["affinity"], f"{path}.affinity", errors)
    check_dns(spec, f"{path}.dnsConfig", errors)
    check_gates(spec, path, errors)
    if spec.get("topologySpreadConstraints"):
        check_spread(spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints", errors)
    check_host_process(spec, path, errors, allow_privileged=context.options.allow_privileged)
    if spec.get("hostUsers") is False:
        for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(field):
                errors.append(forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false"))


def _check_names(spec: Document, path: str, context: PodContext, errors: Errors) -> None:
    for field in ("serviceAccountName", "nodeName"):
        if spec.get(field):
            each_invalid(f"{path}.{field}", spec[field], dns_subdomain(spec[field]), errors)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, range_error(1, MAX_INT32)))
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            each_invalid(f"{path}.{field}", spec[field], dns_label(spec[field]), errors)
    check_tolerations(spec.get("tolerations"), f"{path}.tolerations", errors)
    if spec.get("hostAliases"):
        check_host_aliases(spec["hostAliases"], f"{path}.hostAliases", errors)
    if spec.get("priorityClassName"):
        name = spec["priorityClassName"]
        each_invalid(f"{path}.priorityClassName", name, dns_subdomain(name), errors)
    if spec.get("runtimeClassName") is not None:
        name = spec["runtimeClassName"]
        each_invalid(f"{path}.runtimeClassName", name, dns_subdomain(name), errors)
    if spec.get("preemptionPolicy") is not None:
        check_enum(f"{path}.preemptionPolicy", spec["preemptionPolicy"], PREEMPTION_POLICIES, errors)
    if spec.get("overhead") is not None:
        check_requirements({"limits": spec["overhead"]}, f"{path}.overhead", context.claims, errors)
    if spec.get("os") is not None:
        check_os(spec, path, errors)


def _faults_of_spec(spec: Document, path: str, context: PodContext) -> tuple[FieldError, ...]:
    errors: Errors = []
    check_pod_spec(spec, path, context, errors)
    return tuple(errors)


@lru_cache(REMEMBERED_SPECS)
def _remembered_faults(spec: bytes, path: str, is_pod: bool, options: RuleOptions) -> tuple[FieldError, ...]:
    document = orjson.loads(spec)
    return _faults_of_spec(document, path, PodContext.of(document, is_pod=is_pod, pod_name="", options=options))


def spec_faults(
    spec: Document, path: str, *, is_pod: bool, pod_name: str = "", options: RuleOptions = DEFAULT_OPTIONS
) -> tuple[FieldError, ...]:
    """Return the faults of a PodSpec, remembering them: the Pods of one controller differ in their names only."""
    if any(volume.get("ephemeral") is not None for volume in spec.get("volumes") or ()):
        context = PodContext.of(spec, is_pod=is_pod, pod_name=pod_name, options=options)
        return _faults_of_spec(spec, path, context)
    encoded = dumps(spec)
    if len(encoded) > MAX_REMEMBERED_BYTES:
        context = PodContext.of(spec, is_pod=is_pod, pod_name="", options=options)
        return _faults_of_spec(spec, path, context)
    return _remembered_faults(encoded, path, is_pod, options)


def check_pod(document: Document, errors: Errors, options: RuleOptions) -> None:
    """Append the faults of a Pod's metadata and spec, at creation and at every update."""
    check_metadata(document, dns_subdomain, errors)
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    check_special_annotations(meta.get("annotations"), spec, "metadata.annotations", errors)
    errors += spec_faults(spec, "spec", is_pod=True, pod_name=meta.get("name") or "", options=options)
    if not spec.get("serviceAccountName"):
        _check_tokens(spec.get("volumes"), errors)
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            check_image_padding(container, f"spec.{kind}[{index}]", errors)


def _check_tokens(volumes: Sequence[Document] | None, errors: Errors) -> None:
    for index, volume in enumerate(volumes or ()):
        for position, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                at = f"spec.volumes[{index}].projected.sources[{position}].serviceAccountToken"
                errors.append(forbidden(at, "must not be specified when serviceAccountName is not set"))


def validate_pod(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a Pod that is about to be created."""
    errors: Errors = []
    check_pod(document, errors, options)
    spec = document.get("spec") or {}
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    check_profile_matches(document.get("metadata") or {}, spec, "spec", errors)
    return errors


def check_template(template: Document, path: str, errors: Errors, options: RuleOptions = DEFAULT_OPTIONS) -> None:
    """Append the faults of a template of Pods."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    check_labels(meta.get("labels"), f"{path}.labels", errors)
    check_annotations(meta.get("annotations"), f"{path}.annotations", errors)
    check_special_annotations(meta.get("annotations"), spec, f"{path}.annotations", errors)
    errors += spec_faults(spec, f"{path}.spec", is_pod=False, options=options)
    check_profile_matches(meta, spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", detail))


def check_restarting_template(
    template: Document, path: str, owner_kind: str, errors: Errors, options: RuleOptions = DEFAULT_OPTIONS
) -> None:
    """Append the faults of a template whose Pods run for ever: they restart always and have no deadline."""
    check_template(template, path, errors, options)
    spec = template.get("spec") or {}
    policy = spec.get("restartPolicy") or ""
    if policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {owner_kind} is not Supported"
        errors.append(forbidden(f"{path}.spec.activeDeadlineSeconds", detail))
