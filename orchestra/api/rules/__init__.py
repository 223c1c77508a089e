"""Rules that several parts share, each in one place: what a Pod asks for, when it is ready, which node it accepts.

Typed objects come in, plain values go out; nothing is read, waited for or changed. Anybody may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.rules.affinity import accepts_node, node_selector_matches, term_matches
    from orchestra.api.rules.conditions import (
        condition,
        condition_true,
        is_active,
        is_available,
        is_ready,
        is_terminal,
        set_condition,
    )
    from orchestra.api.rules.names import generate_name, template_hash
    from orchestra.api.rules.owners import controller_of, is_controlled_by, owner_reference
    from orchestra.api.rules.resources import add_resources, pod_limits, pod_requests, qos_class
    from orchestra.api.rules.scaling import scaled_value
    from orchestra.api.rules.taints import tolerates, untolerated

_EXPORTS = {
    "accepts_node": ".affinity",
    "node_selector_matches": ".affinity",
    "term_matches": ".affinity",
    "condition": ".conditions",
    "condition_true": ".conditions",
    "is_active": ".conditions",
    "is_available": ".conditions",
    "is_ready": ".conditions",
    "is_terminal": ".conditions",
    "set_condition": ".conditions",
    "generate_name": ".names",
    "template_hash": ".names",
    "controller_of": ".owners",
    "is_controlled_by": ".owners",
    "owner_reference": ".owners",
    "add_resources": ".resources",
    "pod_limits": ".resources",
    "pod_requests": ".resources",
    "qos_class": ".resources",
    "scaled_value": ".scaling",
    "tolerates": ".taints",
    "untolerated": ".taints",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = [
    "accepts_node",
    "add_resources",
    "condition",
    "condition_true",
    "controller_of",
    "generate_name",
    "is_active",
    "is_available",
    "is_controlled_by",
    "is_ready",
    "is_terminal",
    "node_selector_matches",
    "owner_reference",
    "pod_limits",
    "pod_requests",
    "qos_class",
    "scaled_value",
    "set_condition",
    "template_hash",
    "term_matches",
    "tolerates",
    "untolerated",
]
