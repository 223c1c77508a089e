"""Rules of where a Pod may run: affinity, tolerations, topology spread, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import (
    NOT_POSITIVE,
    Errors,
    check_enum,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, label_value, qualified_name
from orchestra.apiserver.validation.metadata import check_label_selector, check_operator_values

Document = Mapping[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"


def check_effect(effect: str, path: str, errors: Errors) -> None:
    """A taint has an effect."""
    check_enum(path, effect, EFFECTS, errors)


def check_tolerations(tolerations: Sequence[Document] | None, path: str, errors: Errors) -> None:
    """Append the faults of tolerations; an empty operator means Equal, an empty effect every effect."""
    for index, toleration in enumerate(tolerations or ()):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            each_invalid(f"{at}.key", key, qualified_name(key), errors)
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{at}.operator", operator, detail))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid(f"{at}.effect", effect, detail))
        _check_toleration_value(operator, value, f"{at}.operator", errors)
        if effect:
            check_effect(effect, f"{at}.effect", errors)


def _check_toleration_value(operator: str, value: str, path: str, errors: Errors) -> None:
    if operator in ("", "Equal"):
        faults = label_value(value)
        if faults:
            errors.append(invalid(path, value, ";".join(faults)))
    elif operator == "Exists":
        if value:
            errors.append(invalid(path, value, "value must be empty when `operator` is 'Exists'"))
    else:
        # Comparing tolerations are behind a gate that is off; the message names them all the same.
        known = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
        errors.append(not_supported(path, operator, known))


def _check_node_requirement(requirement: Document, path: str, errors: Errors, *, values: bool) -> None:
    operator, wanted = requirement.get("operator") or "", requirement.get("values") or ()
    if operator in ("Gt", "Lt"):
        if len(wanted) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", detail))
    else:
        check_operator_values(operator, wanted, path, errors)
    key = requirement.get("key") or ""
    each_invalid(f"{path}.key", key, qualified_name(key), errors)
    if values:
        for index, value in enumerate(wanted):
            each_invalid(f"{path}.values[{index}]", value, label_value(value), errors)


def _check_node_field(requirement: Document, path: str, errors: Errors) -> None:
    operator, wanted = requirement.get("operator") or "", requirement.get("values") or ()
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(wanted) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", detail))
    key = requirement.get("key") or ""
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return
    for index, value in enumerate(wanted):
        each_invalid(f"{path}.values[{index}]", value, dns_subdomain(value), errors)


def _check_node_term(term: Document, path: str, errors: Errors, *, values: bool) -> None:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        _check_node_requirement(requirement, f"{path}.matchExpressions[{index}]", errors, values=values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        _check_node_field(requirement, f"{path}.matchFields[{index}]", errors)


def check_node_selector(selector: Document, path: str, errors: Errors) -> None:
    """Append the faults of a node selector; it has at least one term."""
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        errors.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for index, term in enumerate(terms or ()):
        _check_node_term(term, f"{path}.nodeSelectorTerms[{index}]", errors, values=True)


def _check_node_affinity(affinity: Document, path: str, errors: Errors) -> None:
    if affinity.get(_REQUIRED) is not None:
        check_node_selector(affinity[_REQUIRED], f"{path}.{_REQUIRED}", errors)
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        at, weight = f"{path}.{_PREFERRED}[{index}]", term.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{at}.weight", weight, _WEIGHT))
        _check_node_term(term.get("preference") or {}, f"{at}.preference", errors, values=False)


def _check_label_keys(keys: Sequence[str] | None, selector: Document | None, path: str, errors: Errors) -> None:
    if keys and selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
        return
    for index, key in enumerate(keys or ()):
        each_invalid(f"{path}[{index}]", key, qualified_name(key), errors)


def _check_key_conflicts(term: Document, path: str, errors: Errors) -> None:
    """A key cannot be both in matchLabelKeys and in the selector or in mismatchLabelKeys.

    A Pod's selector already holds one requirement per key of matchLabelKeys, so the second of a key is the conflict.
    """
    matching, selector = term.get("matchLabelKeys") or (), term.get("labelSelector")
    seen = set((selector or {}).get("matchLabels") or ())
    for expression in (selector or {}).get("matchExpressions") or ():
        key = expression.get("key")
        if key in matching and key in seen:
            at = f"{path}[{len(matching) - 1 - list(reversed(matching)).index(key)}]"
            errors.append(invalid(at, key, "exists in both matchLabelKeys and labelSelector"))
        seen.add(key)
    for index, key in enumerate(matching):
        if key in (term.get("mismatchLabelKeys") or ()):
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, detail))


def _check_pod_term(term: Document, path: str, errors: Errors) -> None:
    selector = term.get("labelSelector")
    check_label_selector(selector, f"{path}.labelSelector", errors)
    check_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", errors)
    for name in term.get("namespaces") or ():
        each_invalid(f"{path}.namespace", name, dns_label(name), errors)
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        _check_label_keys(term.get(field), selector, f"{path}.{field}", errors)
    if term.get("matchLabelKeys"):
        _check_key_conflicts(term, path, errors)
    key = term.get("topologyKey") or ""
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    each_invalid(f"{path}.topologyKey", key, qualified_name(key), errors)


def _check_pod_affinity(affinity: Document, path: str, errors: Errors) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _check_pod_term(term, f"{path}.{_REQUIRED}[{index}]", errors)
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        at, weight = f"{path}.{_PREFERRED}[{index}]", term.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{at}.weight", weight, _WEIGHT))
        _check_pod_term(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm", errors)


def check_affinity(affinity: Document, path: str, errors: Errors) -> None:
    """Append the faults of node affinity, pod affinity and pod anti-affinity."""
    if affinity.get("nodeAffinity") is not None:
        _check_node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity", errors)
    for field in ("podAffinity", "podAntiAffinity"):
        if affinity.get(field) is not None:
            _check_pod_affinity(affinity[field], f"{path}.{field}", errors)


def check_spread(constraints: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of topology spread constraints; a pair of key and action occurs once."""
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in constraints]
    for index, constraint in enumerate(constraints):
        at, (key, action) = f"{path}[{index}]", pairs[index]
        skew, domains = constraint.get("maxSkew") or 0, constraint.get("minDomains")
        if skew <= 0:
            errors.append(invalid(f"{at}.maxSkew", skew, NOT_POSITIVE))
        if not key:
            errors.append(required(f"{at}.topologyKey", "can not be empty"))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            known = ("DoNotSchedule", "ScheduleAnyway")
            errors.append(not_supported(f"{at}.whenUnsatisfiable", action, known))
        if pairs[index] in pairs[index + 1 :]:
            errors.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        if domains is not None and domains <= 0:
            errors.append(invalid(f"{at}.minDomains", domains, NOT_POSITIVE))
        if domains is not None and action != "DoNotSchedule":
            detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            errors.append(invalid(f"{at}.minDomains", domains, detail))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(field)
            if policy is not None and policy not in ("Honor", "Ignore"):
                errors.append(not_supported(f"{at}.{field}", policy, ("Honor", "Ignore")))
        _check_spread_keys(constraint, f"{at}.matchLabelKeys", errors)
        check_label_selector(constraint.get("labelSelector"), f"{at}.labelSelector", errors)


def _check_spread_keys(constraint: Document, path: str, errors: Errors) -> None:
    keys, selector = constraint.get("matchLabelKeys") or (), constraint.get("labelSelector")
    if not keys:
        return
    if selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
    seen = set((selector or {}).get("matchLabels") or ())
    for index, key in enumerate(keys):
        each_invalid(f"{path}[{index}]", key, qualified_name(key), errors)
        if key in seen:
            errors.append(invalid(f"{path}[{index}]", key, "exists in both matchLabelKeys and labelSelector"))


def check_gates(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of readiness gates and scheduling gates."""
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        each_invalid(f"{path}.readinessGates[{index}].conditionType", kind, qualified_name(kind), errors)
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name") or ""
        each_invalid(at, name, qualified_name(name), errors)
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
