"""`matchLabelKeys` of a new Pod: each key becomes a requirement on the value that the Pod itself has.

Source: Pod affinity and topology spread in the Kubernetes API; the requirement is added once, when the Pod is created.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = dict[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _requirements(keys: Sequence[str] | None, operator: str, labels: Mapping[str, str]) -> list[Document]:
    return [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys or () if key in labels]


def _with_keys(term: Document, labels: Mapping[str, str]) -> Document:
    selector = term.get("labelSelector")
    added = [
        *_requirements(term.get("matchLabelKeys"), "In", labels),
        *_requirements(term.get("mismatchLabelKeys"), "NotIn", labels),
    ]
    if selector is None or not added:
        return term
    expressions = [*(selector.get("matchExpressions") or ()), *added]
    return {**term, "labelSelector": {**selector, "matchExpressions": expressions}}


def _affinity(affinity: Document, labels: Mapping[str, str]) -> Document:
    new = dict(affinity)
    if new.get(_REQUIRED):
        new[_REQUIRED] = [_with_keys(term, labels) for term in new[_REQUIRED]]
    if new.get(_PREFERRED):
        new[_PREFERRED] = [
            {**term, "podAffinityTerm": _with_keys(term.get("podAffinityTerm") or {}, labels)}
            for term in new[_PREFERRED]
        ]
    return new


def merge_match_label_keys(document: Document) -> Document:
    """Return a new Pod whose selectors hold what its matchLabelKeys and mismatchLabelKeys mean."""
    spec = document.get("spec") or {}
    affinity, spread = spec.get("affinity"), spec.get("topologySpreadConstraints")
    if not affinity and not spread:
        return document
    labels = (document.get("metadata") or {}).get("labels") or {}
    new = dict(spec)
    if affinity:
        found = {kind: affinity[kind] for kind in ("podAffinity", "podAntiAffinity") if affinity.get(kind)}
        new["affinity"] = {**affinity, **{kind: _affinity(value, labels) for kind, value in found.items()}}
    if spread:
        new["topologySpreadConstraints"] = [_with_keys(term, labels) for term in spread]
    return document if new == spec else {**document, "spec": new}
