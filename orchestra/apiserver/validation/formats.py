"""Forms of strings: names, labels, keys, ports, percentages. Each rule returns the reasons why a value is malformed.

The grammars are RFC 1123 and RFC 1035 labels, IANA service names (RFC 6335), and the Kubernetes API conventions.
Results for the names that occur again and again are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_UNDERSCORE = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_UNDERSCORE = rf"{_LABEL_UNDERSCORE}(\.{_LABEL_UNDERSCORE})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_EDGE = "and must start and end with an alphanumeric character"
_QUALIFIED_TEXT = f"must consist of alphanumeric characters, '-', '_' or '.', {_EDGE}"

Rule = Callable[[str], tuple[str, ...]]
REMEMBERED_NAMES = 4096


def form_error(text: str, pattern: str, *examples: str) -> str:
    """Return the explanation of a value that does not match `pattern`."""
    shown = "e.g. " + "".join(f"'{example}',  or " for example in examples[:-1]) + f"'{examples[-1]}', "
    return f"{text} ({shown if examples else ''}regex used for validation is '{pattern}')"


def length_error(limit: int, unit: str = "characters") -> str:
    """Return the explanation of a value that is too long."""
    return f"must be no more than {limit} {unit}"


def range_error(low: int, high: int) -> str:
    """Return the explanation of a number outside a range."""
    return f"must be between {low} and {high}, inclusive"


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


_is_label = _matches(_LABEL)
_is_subdomain = _matches(_SUBDOMAIN)
_is_subdomain_underscore = _matches(_SUBDOMAIN_UNDERSCORE)
_is_label_1035 = _matches(_LABEL_1035)
_is_qualified = _matches(_QUALIFIED)
_is_label_value = _matches(_LABEL_VALUE)
_is_config_key = _matches(_CONFIG_KEY)
_is_percent = _matches(_PERCENT)
_is_header = _matches(_HEADER)
_is_c_identifier = _matches(_C_IDENTIFIER)
_is_port_charset = _matches("[-a-z0-9]+")


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


@lru_cache(REMEMBERED_NAMES)
def dns_label(value: str) -> tuple[str, ...]:
    """RFC 1123 label, at most 63 characters."""
    faults = (length_error(63),) if _size(value) > 63 else ()
    if _is_label(value):
        return faults
    if _is_subdomain(value):
        return (*faults, "must not contain dots")
    text = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_EDGE}"
    return (*faults, form_error(text, _LABEL, "my-name", "123-abc"))


@lru_cache(REMEMBERED_NAMES)
def dns_subdomain(value: str) -> tuple[str, ...]:
    """RFC 1123 subdomain, at most 253 characters."""
    faults = (length_error(253),) if _size(value) > 253 else ()
    if _is_subdomain(value):
        return faults
    text = f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_EDGE}"
    return (*faults, form_error(text, _SUBDOMAIN, "example.com"))


def dns_subdomain_underscore(value: str) -> tuple[str, ...]:
    """RFC 1123 subdomain whose labels may hold underscores, as DNS search paths do."""
    faults = (length_error(253),) if _size(value) > 253 else ()
    if _is_subdomain_underscore(value):
        return faults
    text = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', " + _EDGE
    )
    return (*faults, form_error(text, _SUBDOMAIN_UNDERSCORE, "example.com"))


def wildcard_subdomain(value: str) -> tuple[str, ...]:
    """RFC 1123 subdomain behind `*.`, at most 253 characters."""
    faults = (length_error(253),) if _size(value) > 253 else ()
    if value.startswith("*.") and _is_subdomain(value[2:]):
        return faults
    text = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    )
    return (*faults, form_error(text, rf"\*\.{_SUBDOMAIN}", "*.example.com"))


def dns_label_1035(value: str) -> tuple[str, ...]:
    """RFC 1035 label, at most 63 characters."""
    faults = (length_error(63),) if _size(value) > 63 else ()
    if _is_label_1035(value):
        return faults
    text = (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character"
    )
    return (*faults, form_error(text, _LABEL_1035, "my-name", "abc-123"))


@lru_cache(REMEMBERED_NAMES)
def qualified_name(value: str) -> tuple[str, ...]:
    """Label key: a name of at most 63 bytes behind an optional DNS subdomain and a slash."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        text = form_error(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
        return (f"a valid label key {text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    faults: list[str] = []
    if slash and not prefix:
        faults.append("prefix part must be non-empty")
    elif prefix:
        faults += (f"prefix part {fault}" for fault in _bytes_wording(dns_subdomain(prefix)))
    if not name:
        faults.append("name part must be non-empty")
    elif _size(name) > 63:
        faults.append(f"name part {length_error(63, 'bytes')}")
    if not _is_qualified(name):
        faults.append(f"name part {form_error(_QUALIFIED_TEXT, _QUALIFIED, 'MyName', 'my.name', '123-abc')}")
    return tuple(faults)


def _bytes_wording(faults: Sequence[str]) -> list[str]:
    return [fault.replace("253 characters", "253 bytes") for fault in faults]


@lru_cache(REMEMBERED_NAMES)
def label_value(value: str) -> tuple[str, ...]:
    """Label value, at most 63 bytes; may be empty."""
    faults = (length_error(63, "bytes"),) if _size(value) > 63 else ()
    if _is_label_value(value):
        return faults
    text = f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {_EDGE}"
    return (*faults, form_error(text, _LABEL_VALUE, "MyValue", "my_value", "12345"))


@lru_cache(REMEMBERED_NAMES)
def config_key(value: str) -> tuple[str, ...]:
    """Key of a ConfigMap or Secret: it becomes a file name."""
    faults = [length_error(253)] if _size(value) > 253 else []
    if not _is_config_key(value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        faults.append(form_error(text, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if value in (".", ".."):
        faults.append(f"must not be '{value}'")
    elif value.startswith(".."):
        faults.append("must not start with '..'")
    return tuple(faults)


def env_name(value: str) -> tuple[str, ...]:
    """Name of an environment variable: printable ASCII without `=`."""
    if not value:
        return ("environment variable name must be non-empty",)
    if value.isascii() and value.isprintable() and "=" not in value:
        return ()
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


def c_identifier(value: str) -> tuple[str, ...]:
    """Identifier of the C language."""
    if _is_c_identifier(value):
        return ()
    text = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
        "characters or '_'"
    )
    return (form_error(text, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName"),)


def port_name(value: str) -> tuple[str, ...]:
    """IANA service name (RFC 6335), at most 15 characters."""
    faults = [length_error(15)] if _size(value) > 15 else []
    if not _is_port_charset(value):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= char <= "z" for char in value):
        faults.append("must contain at least one letter (a-z)")
    if "--" in value:
        faults.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        faults.append("must not begin or end with a hyphen")
    return tuple(faults)


def port_number(value: int) -> tuple[str, ...]:
    """TCP, UDP or SCTP port."""
    return () if 1 <= value <= 65535 else (range_error(1, 65535),)


def id_number(value: int) -> tuple[str, ...]:
    """User or group id."""
    return () if 0 <= value <= 2**31 - 1 else (range_error(0, 2**31 - 1),)


def percent(value: str) -> tuple[str, ...]:
    """Percentage such as `25%`."""
    if _is_percent(value):
        return ()
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return (form_error(text, _PERCENT, "1%", "93%"),)


def http_header(value: str) -> tuple[str, ...]:
    """Name of an HTTP header."""
    if _is_header(value):
        return ()
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return (form_error(text, _HEADER, "X-Header-Name"),)


def path_segment(value: str) -> tuple[str, ...]:
    """A name that can stand in a URL's path."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{mark}'" for mark in "/%" if mark in value)


def generated(rule: Rule, prefix: str) -> tuple[str, ...]:
    """Apply a name's rule to a `generateName`, which may end in a dash because a suffix follows."""
    return rule(prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix)
