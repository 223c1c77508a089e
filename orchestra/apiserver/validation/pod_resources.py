"""Rules of resources of a whole Pod, and of the claims that its containers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import Errors, duplicate, each_invalid, forbidden, invalid, required
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.resources import ZERO, check_requirements

Document = Mapping[str, Any]
_SOURCES = ("resourceClaimName", "resourceClaimTemplateName")


def check_resource_claims(claims: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of a Pod's `resourceClaims`: each is named once and comes from one place."""
    names: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            errors.append(required(f"{at}.name"))
        elif name in names:
            errors.append(duplicate(f"{at}.name", name))
        else:
            each_invalid(f"{at}.name", name, dns_label(name), errors)
            names.add(name)
        given = [source for source in _SOURCES if claim.get(source) is not None]
        if len(given) == 2:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(at, go_value("PodResourceClaim", claim), detail))
        if not given:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(at, go_value("PodResourceClaim", claim), detail))
        for source in given:
            each_invalid(f"{at}.{source}", claim[source], dns_subdomain(claim[source]), errors)


def _sum_of_requests(spec: Document) -> dict[str, Quantity]:
    """Return what the containers ask for together: running ones summed, or the largest moment of the start-up."""
    running: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}

    def requests(container: Document) -> dict[str, Quantity]:
        found = (container.get("resources") or {}).get("requests") or {}
        return {name: Quantity(value) for name, value in found.items()}

    def grow(sums: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
        for name, amount in more.items():
            sums[name] = sums.get(name, ZERO) + amount

    sidecars: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        moment = dict(sidecars)
        grow(moment, requests(container))
        if container.get("restartPolicy") == "Always":
            sidecars = moment
        for name, amount in moment.items():
            peak[name] = max(peak.get(name, ZERO), amount)
    grow(running, sidecars)
    for container in spec.get("containers") or ():
        grow(running, requests(container))
    return {name: max(running.get(name, ZERO), peak.get(name, ZERO)) for name in sorted({*running, *peak})}


def check_pod_resources(spec: Document, path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of `spec.resources`: the containers fit into it."""
    resources = spec["resources"]
    if resources.get("claims"):
        errors.append(forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    check_requirements(resources, path, context.claims, errors, of_pod=True)
    requested, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, amount in _sum_of_requests(spec).items():
        own = Quantity(requested.get(name) or "0")
        if amount > own:
            detail = f"must be greater than or equal to aggregate container requests of {amount}"
            errors.append(invalid(f"{path}.requests[{name}]", str(own), detail))
    for index, container in enumerate(spec.get("containers") or ()):
        of_container = (container.get("resources") or {}).get("limits") or {}
        for name in sorted(set(of_container) & set(limits)):
            if Quantity(of_container[name]) > Quantity(limits[name]):
                at = f"{path}.containers[{index}][{name}].limits"
                detail = f"must be less than or equal to pod limits of {Quantity(limits[name])}"
                errors.append(invalid(at, str(Quantity(of_container[name])), detail))
