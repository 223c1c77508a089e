"""Names of images, as far as defaults depend on them. Source: the distribution reference grammar."""

from __future__ import annotations

import re
from functools import lru_cache

REMEMBERED_IMAGES = 1024
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::(?P<tag>[\w][\w.-]{{0,127}}))?(?P<digest>@[a-z0-9+._-]+:[0-9a-fA-F]{{32,}})?"
)


@lru_cache(REMEMBERED_IMAGES)
def default_pull_policy(image: str) -> str:
    """Return `Always` for an image that can change under its name: tagged `latest`, or with neither tag nor digest."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"
