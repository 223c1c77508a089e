"""What may be a label: the rules for keys and values of labels, annotations and selectors, in Kubernetes' words.

Source: apimachinery `pkg/api/validate/content` (label keys are "qualified names": an optional DNS prefix and a name).
"""

from __future__ import annotations

import re
from functools import lru_cache

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_NAME})?"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_NAME_RE, _VALUE_RE, _SUBDOMAIN_RE = (re.compile(pattern) for pattern in (_NAME, _VALUE, _SUBDOMAIN))

MAX_NAME_BYTES = 63
MAX_VALUE_BYTES = 63
MAX_PREFIX_BYTES = 253

_NAME_FORM = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_PREFIX_HINT = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_VALUE_FORM = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)
_SUBDOMAIN_FORM = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


@lru_cache(maxsize=4096)
def label_key_errors(key: str) -> tuple[str, ...]:
    """Return what is wrong with a label key (a qualified name); empty when it is valid."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return (
            f"a valid label key {_NAME_FORM} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        )
    errors: list[str] = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        if len(prefix.encode()) > MAX_PREFIX_BYTES:
            errors.append(f"prefix part {_too_long(MAX_PREFIX_BYTES)}")
        if not _SUBDOMAIN_RE.fullmatch(prefix):
            errors.append(f"prefix part {_SUBDOMAIN_FORM}")
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > MAX_NAME_BYTES:
        errors.append(f"name part {_too_long(MAX_NAME_BYTES)}")
    if not _NAME_RE.fullmatch(name):
        errors.append(f"name part {_NAME_FORM}")
    return tuple(errors)


@lru_cache(maxsize=4096)
def label_value_errors(value: str) -> tuple[str, ...]:
    """Return what is wrong with a label value; empty when it is valid."""
    errors: list[str] = []
    if len(value.encode()) > MAX_VALUE_BYTES:
        errors.append(_too_long(MAX_VALUE_BYTES))
    if not _VALUE_RE.fullmatch(value):
        errors.append(_VALUE_FORM)
    return tuple(errors)
