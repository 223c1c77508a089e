"""Names that are made up: suffixes of generated names, hashes of templates."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

import orjson

from orchestra.api.codec import encode
from orchestra.api.object import Struct

SAFE_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits that make no words and are not mistaken for one another (apimachinery `util/rand`)."""

MAX_GENERATED_PREFIX: Final = 58
"""How much of `generateName` is kept, so that the name with its suffix stays within 63 bytes."""

SUFFIX_LENGTH: Final = 5
HASH_LENGTH: Final = 10


class Chance(Protocol):
    """The part of `random.Random` that is needed here."""

    def choice(self, seq: str, /) -> str:
        """Return one character of `seq`."""
        ...


def generate_name(prefix: str, random: Chance) -> str:
    """Return a name for an object with `generateName`: the prefix and five characters of chance."""
    return prefix[:MAX_GENERATED_PREFIX] + "".join(random.choice(SAFE_ALPHABET) for _ in range(SUFFIX_LENGTH))


def template_hash(template: Struct, collision_count: int | None = None) -> str:
    """Return a short text that is equal for equal templates: the value of the label `pod-template-hash`.

    `collision_count` is raised when two templates come out equal and makes another text of the same template.
    """
    text = orjson.dumps(encode(template), option=orjson.OPT_SORT_KEYS)
    if collision_count:
        text += b"#%d" % collision_count
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    letters = []
    for _ in range(HASH_LENGTH):
        number, index = divmod(number, len(SAFE_ALPHABET))
        letters.append(SAFE_ALPHABET[index])
    return "".join(letters)
