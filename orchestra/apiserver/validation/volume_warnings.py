"""What Kubernetes warns of in valid volumes: sources that are gone, and files of one volume that hide one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import quoted

Document = Mapping[str, Any]
DEPRECATED_SOURCES = (
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)


def volume_warnings(volumes: Sequence[Document], path: str) -> Iterator[str]:
    """Yield the warnings of a Pod's volumes."""
    for index, volume in enumerate(volumes):
        for field, shown, told in DEPRECATED_SOURCES:
            if volume.get(field) is not None:
                yield f"{path}.volumes[{index}].{shown}: {told}"
    for volume in volumes:
        yield from _overlaps(volume)


def _overlaps(volume: Document) -> Iterator[str]:
    name = quoted(volume.get("name") or "")
    for field, title, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(field)
        if source is not None:
            told = f"volume {name} ({title} {quoted(source.get(key) or '')})"
            yield from _among([item.get("path") or "" for item in source.get("items") or ()], told)
    if volume.get("downwardAPI") is not None:
        files = [item.get("path") or "" for item in volume["downwardAPI"].get("items") or ()]
        yield from _among(files, f"volume {name} (DownwardAPI)")
    if volume.get("projected") is not None:
        yield from _projected(volume["projected"], name)


def _covers(path: str, other: str) -> bool:
    longer, shorter = max(path, other, key=len), min(path, other, key=len)
    return longer == shorter or longer.startswith(shorter.rstrip("/") + "/")


def _among(paths: Sequence[str], told: str) -> Iterator[str]:
    for index, path in enumerate(paths):
        for other in paths[:index]:
            if _covers(path, other):
                yield f"{told}: overlapping paths: {quoted(path)} with {quoted(other)}"


def _files(source: Document) -> tuple[str, list[str]]:
    """Return how a projected source is called, and the paths that it fills."""
    for field, title in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if source.get(field) is not None:
            found = source[field]
            items = [item.get("path") or "" for item in found.get("items") or ()]
            return f"{title} {quoted(found.get('name') or '')}", items
    if source.get("downwardAPI") is not None:
        return "DownwardAPI", [item.get("path") or "" for item in source["downwardAPI"].get("items") or ()]
    for field, title in (("serviceAccountToken", "ServiceAccountToken"), ("clusterTrustBundle", "ClusterTrustBundle")):
        if source.get(field) is not None:
            return title, [source[field].get("path") or ""]
    return "", []


def _projected(volume: Document, name: str) -> Iterator[str]:
    sources = volume.get("sources") or ()
    if any(not any(value is not None for value in source.values()) for source in sources):
        yield f"volume {name} (Projected) has no sources provided"
    known: list[tuple[str, str]] = []
    for source in sources:
        title, paths = _files(source)
        yield from _among(paths, f"volume {name} (Projected {title})")
        for path in paths:
            for other, owner in known:
                if _covers(path, other):
                    told = f"overlapping paths: {quoted(path)} with {quoted(other)} ({owner})"
                    yield f"volume {name} (Projected {title}): {told}"
        known += [(path, title) for path in paths]
