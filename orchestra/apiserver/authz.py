"""What a caller may do: simple authorizers by group, and the one for nodes. None of this is RBAC."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from orchestra.apiserver.authn import MASTERS
from orchestra.apiserver.interface import Attributes, Authorizer

READ_VERBS: Final = frozenset({"get", "list", "watch"})
WRITE_VERBS: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})

NODES: Final = "system:nodes"
NODE_PREFIX: Final = "system:node:"
VIEWERS: Final = "system:viewers"

_NODE_READS: Final = frozenset({"pods", "nodes", "services", "configmaps", "secrets", "endpointslices", "namespaces"})
_POD_WRITES: Final = frozenset({("update", "status"), ("patch", "status"), ("delete", "")})


class GroupAuthorizer:
    """Says by a caller's groups which verbs it may use, on every kind alike; `*` stands for all verbs.

    `system:masters` may do everything, always: the parts of the plane itself belong to it.
    """

    def __init__(self, verbs: Mapping[str, Collection[str]] | None = None) -> None:
        self._verbs = {MASTERS: frozenset({"*"})} | {
            group: frozenset(allowed) for group, allowed in (verbs or {}).items() if group != MASTERS
        }

    async def authorize(self, attributes: Attributes) -> str | None:
        """Allow what one of the caller's groups may do."""
        for group in attributes.user.groups:
            allowed = self._verbs.get(group)
            if allowed is not None and ("*" in allowed or attributes.verb in allowed):
                return None
        return ""


class NodeAuthorizer:
    """Lets an agent, user `system:node:NAME` of the group `system:nodes`, do its work and nothing else.

    It reads what Pods are made of, writes its own Node, Lease and session, Events, and the status of Pods. It does not
    look up which node a Pod is bound to: agents are trusted with the status of each other's Pods, and with all Secrets.
    """

    async def authorize(self, attributes: Attributes) -> str | None:
        """Allow what a node's agent needs."""
        user, plural, verb = attributes.user, attributes.info.plural, attributes.verb
        if NODES not in user.groups or not user.name.startswith(NODE_PREFIX):
            return ""
        own = attributes.name == user.name.removeprefix(NODE_PREFIX)
        allowed = (
            (verb in READ_VERBS and (plural in _NODE_READS or (plural == "leases" and own)))
            or (plural == "nodes" and verb in ("create", "update", "patch") and own)
            or (plural == "leases" and attributes.namespace == "kube-node-lease" and verb in WRITE_VERBS and own)
            or (plural == "events" and verb in ("create", "update", "patch"))
            or (plural == "pods" and (verb, attributes.subresource) in _POD_WRITES)
        )
        return None if allowed else "a node's agent may not"


class AnyAuthorizer:
    """Allows what one of several authorizers allows; the last one's reason is the answer otherwise."""

    def __init__(self, *authorizers: Authorizer) -> None:
        self._authorizers = authorizers

    async def authorize(self, attributes: Attributes) -> str | None:
        """Ask them in their order."""
        reason: str | None = ""
        for authorizer in self._authorizers:
            reason = await authorizer.authorize(attributes)
            if reason is None:
                return None
        return reason


def default_authorizer() -> AnyAuthorizer:
    """Return the authorizer for a plane with remote callers: administrators, readers and node agents.

    `system:masters` may do everything, `system:viewers` may read, Secrets included, and agents do their work.
    """
    return AnyAuthorizer(NodeAuthorizer(), GroupAuthorizer({VIEWERS: READ_VERBS}))
