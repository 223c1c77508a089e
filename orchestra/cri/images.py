"""The table of image references of a runtime that keeps no image data. Pure.

A reference is normalised as Docker's and containerd's tools do it (`nginx` means `docker.io/library/nginx:latest`),
and everything else about the image follows from it, so that the same reference is the same image everywhere.
"""

from __future__ import annotations

import hashlib
import re

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.errors import RuntimeServiceError

_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")
_PATH = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_LONGEST_REFERENCE = 1024


@attrs.frozen(kw_only=True)
class ImageRecord:
    """One image: `reference` is the normalised name with its tag or digest, `digest_reference` names it for ever."""

    reference: str
    digest_reference: str
    id: str

    def to_message(self) -> pb.Image:
        """Return the CRI's form."""
        tags = [] if "@" in self.reference else [self.reference]
        # Nothing is stored, but the CRI wants a size above 0.
        return pb.Image(
            id=self.id,
            repo_tags=tags,
            repo_digests=[self.digest_reference],
            size=1,
            spec=pb.ImageSpec(image=self.reference),
        )


def resolve(reference: str) -> ImageRecord:
    """Return the image that a reference means; raises `RuntimeServiceError` (InvalidArgument, InvalidImageName)."""
    head, _, rest = reference.partition("/")
    if not rest:
        domain, path = "docker.io", f"library/{reference}"
    elif "." in head or ":" in head or head == "localhost":
        domain, path = head, rest
    else:
        domain, path = "docker.io", reference
    match = _PATH.fullmatch(path)
    if match is None or len(reference) > _LONGEST_REFERENCE or not _DOMAIN.fullmatch(domain):
        message = f'failed to parse image reference "{reference}": invalid reference format'
        raise RuntimeServiceError(message, code="InvalidArgument", reason="InvalidImageName")
    name = f"{domain}/{match['name']}"
    digest = match["digest"]
    full = f"{name}@{digest}" if digest else f"{name}:{match['tag'] or 'latest'}"
    return ImageRecord(
        reference=full,
        digest_reference=f"{name}@{digest or _digest('manifest', full)}",
        id=_digest("image", full),
    )


def _digest(what: str, reference: str) -> str:
    return f"sha256:{hashlib.sha256(f'{what} {reference}'.encode()).hexdigest()}"


class ImageTable:
    """The images that have been pulled, by id and by every name."""

    def __init__(self) -> None:
        self._images: dict[str, ImageRecord] = {}
        self._by_name: dict[str, ImageRecord] = {}

    def pull(self, reference: str) -> ImageRecord:
        """Record the image of a reference and return it."""
        known = self._by_name.get(reference)
        if known is not None:
            return known
        image = self._by_name[reference] = resolve(reference)
        self._images[image.id] = image
        for name in (image.id, image.reference, image.digest_reference):
            self._by_name[name] = image
        return image

    def find(self, reference: str) -> ImageRecord | None:
        """Return a pulled image by reference or id."""
        image = self._by_name.get(reference)
        if image is not None or reference.startswith("sha256:"):
            return image
        try:
            return self._by_name.get(resolve(reference).reference)
        except RuntimeServiceError:
            return None

    def remove(self, reference: str) -> bool:
        """Forget an image and all of its names; say whether there was one."""
        image = self.find(reference)
        if image is None:
            return False
        del self._images[image.id]
        self._by_name = {name: other for name, other in self._by_name.items() if other.id != image.id}
        return True

    def all(self) -> list[ImageRecord]:
        """Return every image in the order of pulling."""
        return list(self._images.values())
