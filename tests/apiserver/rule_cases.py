"""Documents and shorthands that the tests of defaults and validation share."""

from __future__ import annotations

from typing import Any

from orchestra.api.scheme import Scheme
from orchestra.apiserver.validation import KindRules, RuleOptions, rules_for

Document = dict[str, Any]
SCHEME = Scheme()


def rules(kind: str, version: str = "v1", **options: Any) -> KindRules:
    return rules_for(SCHEME.info(version, kind), RuleOptions(**options))


def pod(*, container: Document | None = None, **spec: Any) -> Document:
    main = {"name": "main", "image": "web:1", **(container or {})}
    meta = {"name": "web", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [main], **spec}}


def deployment(**spec: Any) -> Document:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def service(**spec: Any) -> Document:
    meta = {"name": "web", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}], **spec}}


def named(kind: str, version: str = "v1", **fields: Any) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web", "namespace": "default"}, **fields}


def stored(kind: str, document: Document, version: str = "v1") -> Document:
    """Return a document as its creation would have stored it, without what a server adds."""
    of_kind = rules(kind, version)
    return of_kind.prepare_create(of_kind.default(document))


def faults(kind: str, document: Document, version: str = "v1", **options: Any) -> list[str]:
    """Return the faults of a creation as text."""
    of_kind = rules(kind, version, **options)
    return [str(fault) for fault in of_kind.validate(of_kind.prepare_create(of_kind.default(document)))]


def update_faults(kind: str, new: Document, old: Document, version: str = "v1") -> list[str]:
    """Return the faults of an update of what `old` would have been stored as."""
    of_kind, before = rules(kind, version), stored(kind, old, version)
    prepared = of_kind.prepare_update(of_kind.default(new), before)
    return [str(fault) for fault in of_kind.validate_update(prepared, before)]
