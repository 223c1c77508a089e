"""AppArmor profiles of a new Pod: the annotation of a container that has no field for it becomes the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]
PREFIX = "container.apparmor.security.beta.kubernetes.io/"


def _profile(annotation: str) -> Document | None:
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    local = annotation.removeprefix("localhost/")
    return {"type": "Localhost", "localhostProfile": local} if local and local != annotation else None


def _with_profile(container: Document, annotations: Mapping[str, str]) -> Document:
    profile = _profile(annotations.get(PREFIX + (container.get("name") or ""), ""))
    security = container.get("securityContext") or {}
    if profile is None or security.get("appArmorProfile") is not None:
        return container
    return {**container, "securityContext": {**security, "appArmorProfile": profile}}


def with_profile_fields(document: Document) -> Document:
    """Return a new Pod whose containers name the profiles that its annotations give them."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    spec = document.get("spec") or {}
    if not any(key.startswith(PREFIX) for key in annotations):
        return document
    if (spec.get("os") or {}).get("name") == "windows" or (spec.get("securityContext") or {}).get("appArmorProfile"):
        return document
    new = dict(spec)
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            new[kind] = [_with_profile(container, annotations) for container in spec[kind]]
    return document if new == spec else {**document, "spec": new}
