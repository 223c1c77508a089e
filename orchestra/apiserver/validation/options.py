"""What a cluster decides about its rules: the flags of a server that change which documents are valid."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class RuleOptions:
    """Settings of one server.

    `allow_privileged`: whether containers may ask for `privileged`. `loopback_endpoints`: whether EndpointSlices may
    hold addresses of 127.0.0.0/8, as a single-machine network needs. `ip_families`: those of the cluster's Services,
    the primary one first. `prune_undeclared`: whether fields that a built-in kind does not declare are dropped before a
    document is stored, as Kubernetes does; otherwise they are carried. `own_every_write`: whether an object records who
    wrote which of its fields from its creation on, as Kubernetes does; otherwise from its first apply on, which makes
    writes faster and objects smaller.
    """

    allow_privileged: bool = False
    loopback_endpoints: bool = False
    prune_undeclared: bool = False
    own_every_write: bool = False
    ip_families: tuple[str, ...] = ("IPv4",)


DEFAULT_OPTIONS = RuleOptions()
