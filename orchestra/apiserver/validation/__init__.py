"""Validation: whether a document is what its kind allows, and what exactly is wrong with it.

In come documents that were decoded and defaulted; out comes every fault at once, each with its field's path, in the
order and words of Kubernetes. `rules_for(info)` gives the rules of one kind, defaults and write strategies included;
`to_invalid` makes the 422 answer. All functions are pure. Only the API server imports this package, and its tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.apiserver.validation.fields import FieldError, to_invalid
    from orchestra.apiserver.validation.kind_rules import KindRules
    from orchestra.apiserver.validation.options import RuleOptions
    from orchestra.apiserver.validation.registry import RULES, rules_for

__all__ = ["RULES", "FieldError", "KindRules", "RuleOptions", "rules_for", "to_invalid"]

_EXPORTS = {
    "RULES": ".registry",
    "FieldError": ".fields",
    "KindRules": ".kind_rules",
    "RuleOptions": ".options",
    "rules_for": ".registry",
    "to_invalid": ".fields",
}
__getattr__ = lazy_exports(__name__, _EXPORTS)
