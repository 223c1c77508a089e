"""What Kubernetes warns of in a valid Pod or template: deprecated fields, values that do not do what they seem to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import quoted
from orchestra.apiserver.validation.formats import dns_label
from orchestra.apiserver.validation.pod_annotations import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD, containers_of
from orchestra.apiserver.validation.unsupported import unsupported_fields
from orchestra.apiserver.validation.volume_warnings import volume_warnings

Document = Mapping[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def _node_term(term: Document, path: str) -> Iterator[str]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        key = expression.get("key")
        if key in _LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {_LABELS[key]}"


def _placement(spec: Document, path: str) -> Iterator[str]:
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in _LABELS:
            yield f"{path}.nodeSelector[{key}]: {_LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    at = f"{path}.affinity.nodeAffinity"
    for index, term in enumerate((affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from _node_term(term, f"{at}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        yield from _node_term(term.get("preference") or {}, f"{at}.{_PREFERRED}[{index}].preference")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here, key = f"{path}.topologySpreadConstraints[{index}]", constraint.get("topologyKey")
        if key in _LABELS:
            yield f"{here}.topologyKey: {key} is {_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: {_NO_SELECTOR}"


def _repeated(spec: Document, path: str) -> Iterator[str]:
    for field, key, shown in (("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")):
        seen: set[str] = set()
        for index, item in enumerate(spec.get(field) or ()):
            value = item.get(key) or ""
            if value in seen:
                yield f"{path}.{field}[{index}].{shown}: duplicate {shown} {quoted(value)}"
            seen.add(value)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'


def _fractions(amounts: Document | None, path: str) -> Iterator[str]:
    for name in _BYTES:
        if amounts and name in amounts and Quantity(amounts[name]).milli_value() % 1000:
            shown = quoted(str(Quantity(amounts[name])))
            yield f"{path}[{name}]: fractional byte value {shown} is invalid, must be an integer"


def _variables(container: Document, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        hides = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            told = f"hides previous definition of {quoted(name)}, which may be dropped when using apply"
            yield f"{path}.env[{index}]: {told}"
        seen.add(name)


def _containers(spec: Document, annotations: Document, path: str, *, template: bool) -> Iterator[str]:
    profiled = (spec.get("securityContext") or {}).get("appArmorProfile") is not None
    root = path.removesuffix("spec")
    for at, container in containers_of(spec, path):
        name, security = container.get("name") or "", container.get("securityContext") or {}
        key = SECCOMP_CONTAINER + name
        if security.get("seccompProfile") is None and key in annotations:
            yield f'{root}metadata.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead'
        key = APP_ARMOR + name
        if template and key in annotations and not profiled and security.get("appArmorProfile") is None:
            told = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            yield f"{root}metadata.annotations[{key}]: {told}"
        resources = container.get("resources") or {}
        for kind in ("limits", "requests"):
            yield from _fractions(resources.get(kind), f"{at}.resources.{kind}")
        yield from _variables(container, at)


def _ports(spec: Document, path: str) -> Iterator[str]:
    known: dict[tuple[Any, Any], list[tuple[str, Document]]] = {}
    for at, container in containers_of(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            here = f"{at}.ports[{index}]"
            if port.get("hostIP") and not port.get("hostPort"):
                yield f"{here}: hostIP set without hostPort: {_shown_port(port)}"
            others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for there, other in others:
                what = _overlap(port, other)
                if what:
                    yield f"{here}: {what} port definition with {there}"
            others.append((here, port))


def _shown_port(port: Document) -> str:
    """Return a port as Go prints the struct."""
    fields = (("Name", ""), ("HostPort", 0), ("ContainerPort", 0), ("Protocol", ""), ("HostIP", ""))
    return "{" + " ".join(f"{name}:{port.get(name[0].lower() + name[1:]) or zero}" for name, zero in fields) + "}"


def _overlap(port: Document, other: Document) -> str:
    address, there = port.get("hostIP") or "", other.get("hostIP") or ""
    number, taken = port.get("hostPort") or 0, other.get("hostPort") or 0
    if address == there and number == taken:
        return "duplicate"
    if not number or not taken:
        return "overlapping"
    return "dangerously ambiguous" if number == taken and (not address) != (not there) else ""


def _affinity(spec: Document, path: str) -> Iterator[str]:
    for field in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(field) or {}
        at = f"{path}.affinity.{field}"
        for index, term in enumerate(affinity.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield f"{at}.{_REQUIRED}[{index}].labelSelector: {_NO_SELECTOR}"
        for index, term in enumerate(affinity.get(_PREFERRED) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{at}.{_PREFERRED}[{index}].podAffinityTerm.labelSelector: {_NO_SELECTOR}"


def spec_warnings(spec: Document, meta: Document, root: str = "") -> Iterator[str]:
    """Yield the warnings of a PodSpec, in Kubernetes' order; `root` is the path of a template with its dot."""
    path, annotations = f"{root}spec", meta.get("annotations") or {}
    yield from _placement(spec, path)
    for key, told in _ANNOTATIONS.items():
        if key in annotations:
            yield f"{root}metadata.annotations[{key}]: {told}"
    yield from volume_warnings(spec.get("volumes") or (), path)
    yield from _repeated(spec, path)
    yield from _fractions(spec.get("overhead"), f"{path}.overhead")
    if SECCOMP_POD in annotations and (spec.get("securityContext") or {}).get("seccompProfile") is None:
        told = 'non-functional in v1.27+; use the "seccompProfile" field instead'
        yield f"{root}metadata.annotations[{SECCOMP_POD}]: {told}"
    yield from _containers(spec, annotations, path, template=bool(root))
    yield from _ports(spec, path)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        told = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {told}"
    yield from _affinity(spec, path)


def pod_warnings(document: Document, old: Document | None) -> Iterator[str]:
    """Yield Kubernetes' warnings of a Pod."""
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    if old is None:
        annotations = meta.get("annotations") or {}
        profiled = (spec.get("securityContext") or {}).get("appArmorProfile") is not None
        for _, container in containers_of(spec, "spec"):
            key = APP_ARMOR + (container.get("name") or "")
            if key in annotations and not profiled:
                told = 'deprecated since v1.30; use the "appArmorProfile" field instead'
                yield f"metadata.annotations[{key}]: {told}"
        faults = dns_label(meta.get("name") or "")
        if faults:
            told = "this is used in the Pod's hostname, which can result in surprising behavior"
            yield f"metadata.name: {told}; a DNS label is recommended: [{' '.join(faults)}]"
    yield from spec_warnings(spec, meta)


def warnings_of_pod(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a Pod; fields without effect are told at creation only, for they cannot change."""
    told = list(pod_warnings(document, old))
    if old is None and not _is_owned(document):
        told += unsupported_fields(document.get("spec") or {}, "spec")
    return told


def _is_owned(document: Document) -> bool:
    owners = (document.get("metadata") or {}).get("ownerReferences") or ()
    return any(owner.get("controller") for owner in owners)


def warnings_of_template(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a workload's template; an update that leaves the template alone has none."""
    template = (document.get("spec") or {}).get("template") or {}
    if old is not None and ((old.get("spec") or {}).get("template") or {}) == template:
        return []
    spec = template.get("spec") or {}
    told = list(spec_warnings(spec, template.get("metadata") or {}, "spec.template."))
    if not _is_owned(document):
        told += unsupported_fields(spec, "spec.template.spec")
    return told
