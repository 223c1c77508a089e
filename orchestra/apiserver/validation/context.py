"""What the rules of one part of a Pod need to know of the rest of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions


@attrs.frozen(kw_only=True)
class PodContext:
    """One Pod, or one template of Pods (`is_pod` false, no name), while its spec is checked."""

    is_pod: bool
    pod_name: str = ""
    options: RuleOptions = DEFAULT_OPTIONS
    grace_seconds: int | None = None
    restart_policy: str = ""
    host_users: bool = True
    volumes: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    claims: tuple[str, ...] = ()

    @staticmethod
    def of(spec: Mapping[str, Any], *, is_pod: bool, pod_name: str, options: RuleOptions) -> PodContext:
        """Return the context of `spec`, with no volumes yet: only the valid ones can be mounted."""
        return PodContext(
            is_pod=is_pod,
            pod_name=pod_name,
            options=options,
            grace_seconds=spec.get("terminationGracePeriodSeconds"),
            restart_policy=spec.get("restartPolicy") or "",
            host_users=spec.get("hostUsers") is not False,
            claims=tuple(claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")),
        )
