"""What one kind says of its writes: the form in which the modules of the kinds hand their rules to the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.validation import warnings
from orchestra.apiserver.validation.fields import Errors

Document = dict[str, Any]


def accept(_new: Document, _old: Document) -> Errors:
    """Find no fault: the rule of an update that everybody may make, or that does not happen."""
    return []


@attrs.frozen
class PartRules:
    """How an update through a subresource is read and judged: `prepare(new, old)` keeps all but the part it covers."""

    prepare: Callable[[Document, Document], Document]
    validate: Callable[[Document, Document], Errors]


@attrs.frozen(kw_only=True)
class KindRules:
    """What one kind says of its writes. All are pure and return the same document when nothing changes.

    `default` fills in what the writer left open, `prepare_*` give back what the writer has no say in,
    `finish_create` adds to a creation what its name and uid decide, `validate*` list
    every fault, `warnings(document, old)` says what is valid but will surprise. A status update of a kind without
    status does not happen.
    """

    default: Callable[[Document], Document]
    validate: Callable[[Document], Errors]
    validate_update: Callable[[Document, Document], Errors]
    prepare_create: Callable[[Document], Document] = prepare.keep_all
    finish_create: Callable[[Document], Document] = prepare.keep_all
    prepare_update: Callable[[Document, Document], Document] = prepare.keep_everything
    prepare_status_update: Callable[[Document, Document], Document] = prepare.only_status
    validate_status_update: Callable[[Document, Document], Errors] = accept
    warnings: Callable[[Document, Document | None], list[str]] = warnings.no_warnings
    parts: Mapping[str, PartRules] = attrs.field(factory=dict)
    """The rules of subresources that change a part of the spec."""
