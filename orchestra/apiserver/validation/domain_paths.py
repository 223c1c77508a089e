"""Names of the form `acme.io/foo`: a domain and a path in it."""

from __future__ import annotations

import re
from typing import Final

from orchestra.apiserver.validation.fields import Errors, each_invalid, invalid, required
from orchestra.apiserver.validation.formats import dns_subdomain

_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def check_domain_path(path: str, value: str, errors: Errors) -> None:
    """Append the faults of a name that must have a domain before its path."""
    if not value:
        errors.append(required(path))
        return
    domain, _, rest = value.partition("/")
    if not domain or not rest:
        errors.append(invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")'))
        return
    each_invalid(path, domain, dns_subdomain(domain), errors)
    if not re.fullmatch(_PATH, rest):
        errors.append(invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')"))
