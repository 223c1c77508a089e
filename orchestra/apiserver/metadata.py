"""What the server itself writes into metadata, as pure functions over documents."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any, Final

from orchestra.api.codec import format_time
from orchestra.errors import BadRequest

Document = dict[str, Any]

SUFFIX_LENGTH: Final = 5
MAX_GENERATED_BASE: Final = 63 - SUFFIX_LENGTH
"""A longer generateName is cut, so that the result is still a DNS label (apiserver `storage/names`)."""
SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"

_SYSTEM = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def condition_of(document: Document) -> str:
    """Return the resourceVersion on which a write is conditional; empty, and "0", mean none.

    Raises BadRequest when it is no revision.
    """
    text = meta_of(document).get("resourceVersion") or ""
    if not text or text == "0":
        return ""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise BadRequest(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return text


def meta_of(document: Document) -> Document:
    """Return the metadata of a document; an empty one when it has none."""
    meta = document.get("metadata")
    return meta if isinstance(meta, dict) else {}


def generated_name(base: str, choose: random.Random) -> str:
    """Return `base`, cut if need be, with a suffix of letters that make no words."""
    return base[:MAX_GENERATED_BASE] + "".join(choose.choices(SUFFIX_ALPHABET, k=SUFFIX_LENGTH))


def for_create(document: Document, *, namespace: str, uid: str, now: datetime, generation: int) -> Document:
    """Return the document with what every new object gets; a name is not given here.

    What a creation may not set (deletion times, resourceVersion) is dropped; `generation` 0 means that the kind has
    none.
    """
    given = meta_of(document)
    meta: Document = {}
    if given.get("name"):
        meta["name"] = given["name"]
    if given.get("generateName"):
        meta["generateName"] = given["generateName"]
    if namespace:
        meta["namespace"] = namespace
    meta["uid"] = uid
    if generation:
        meta["generation"] = generation
    meta["creationTimestamp"] = format_time(now)
    for key, value in given.items():
        if key not in _SYSTEM and key not in _KEPT and key != "selfLink" and value is not None:
            meta[key] = value
    return {**document, "metadata": meta}


def named(document: Document, name: str) -> Document:
    """Return the document under a name."""
    return {**document, "metadata": {"name": name, **document["metadata"]}}


def for_update(document: Document, old: Document) -> Document:
    """Return the document with what an update cannot change (apiserver `rest.BeforeUpdate`).

    Another name, namespace or uid that the writer gave stays, for validation to refuse; the times, the generation and
    the resourceVersion are never the writer's.
    """
    given, kept = meta_of(document), meta_of(old)
    if given is kept:
        return document
    meta = {key: value for key, value in given.items() if value is not None}
    meta.pop("resourceVersion", None)
    meta.pop("selfLink", None)
    meta.pop("generation", None)
    if "generation" in kept:
        meta["generation"] = kept["generation"]
    for key in ("name", "namespace", "uid"):
        if key in kept and not meta.get(key):
            meta[key] = kept[key]
    for key in ("creationTimestamp", "deletionTimestamp"):
        if key in kept:
            meta[key] = kept[key]
    if "deletionGracePeriodSeconds" in kept:
        meta.setdefault("deletionGracePeriodSeconds", kept["deletionGracePeriodSeconds"])
    return document if meta == given else {**document, "metadata": meta}


def raised(document: Document) -> Document:
    """Return the document with its generation raised by one; a document without generation as it is."""
    meta = document["metadata"]
    if "generation" not in meta:
        return document
    return {**document, "metadata": {**meta, "generation": meta["generation"] + 1}}


def finalizers(document: Document) -> tuple[str, ...]:
    """Return metadata.finalizers."""
    return tuple(meta_of(document).get("finalizers") or ())


def deleting(document: Document) -> bool:
    """Whether the object is on its way out."""
    return bool(meta_of(document).get("deletionTimestamp"))


def with_meta(document: Document, **changes: Any) -> Document:
    """Return the document with metadata fields (by wire name) set, or removed where None."""
    meta = {**meta_of(document), **changes}
    return {**document, "metadata": {key: value for key, value in meta.items() if value is not None}}
