"""Defaults of ResourceQuotas, LimitRanges and ServiceAccounts. Source: core/v1 defaults and strategies."""

from __future__ import annotations

from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.prepare import only_status

Document = dict[str, Any]


def default_resource_quota(document: Document) -> Document:
    """Return a ResourceQuota in canonical form."""
    from orchestra.api.core.quota import ResourceQuota

    new: Document = canonical(document, ResourceQuota)
    return new


def create_resource_quota(document: Document) -> Document:
    """Return a new ResourceQuota, whose use nobody has counted yet."""
    return with_status(document, {})


def update_resource_quota_status(new: Document, old: Document) -> Document:
    """Return an update of what a quota is known to be used for."""
    result = default_resource_quota(only_status(new, old))
    return with_status(result, result.get("status") or {})


def default_limit_range(document: Document) -> Document:
    """Return a LimitRange in which each bound of containers that is left open follows from those that are given."""
    from orchestra.api.core.quota import LimitRange

    document = canonical(document, LimitRange)
    spec = document.get("spec") or {}
    items = [_item(each) if each.get("type") == "Container" else each for each in spec.get("limits") or ()]
    if not items or items == list(spec["limits"]):
        return document
    return {**document, "spec": {**spec, "limits": items}}


def _item(item: Document) -> Document:
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    result = dict(item)
    if limits:
        result["default"] = limits
    if requests:
        result["defaultRequest"] = requests
    return result


def default_service_account(document: Document) -> Document:
    """Return a ServiceAccount in canonical form."""
    from orchestra.api.core.serviceaccount import ServiceAccount

    new: Document = canonical(document, ServiceAccount)
    return new


def create_service_account(document: Document) -> Document:
    """Return a new ServiceAccount, whose Secrets are known by their names alone."""
    return _named_secrets(document)


def update_service_account(new: Document, _old: Document) -> Document:
    """Return an update of a ServiceAccount."""
    return _named_secrets(new)


def _named_secrets(document: Document) -> Document:
    secrets = document.get("secrets")
    if not secrets:
        return document
    named = [{"name": each["name"]} if each.get("name") else {} for each in secrets]
    return document if named == secrets else {**document, "secrets": named}
