"""Gives every node a range of Pod addresses (`spec.podCIDR`), never the same one to two nodes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from orchestra.api.core import Node
from orchestra.controller.interface import Context, Controller, Result


def node_ipam_controller(ranges: Sequence[str]) -> Controller[Node]:
    """Return the controller that hands out `ranges`, each to one node."""

    async def reconcile(node: Node, ctx: Context) -> Result | None:
        """Give a node the first free range; without one it stays not ready, and an Event says why."""
        if node.spec.pod_cidr or node.metadata.deletion_timestamp is not None:
            return None
        # Asked of the server: the cache may not show yet what the node before this one was given.
        taken = {other.spec.pod_cidr for other in (await ctx.client.list(Node)).items}
        free = next((one for one in ranges if one not in taken), None)
        if free is None:
            text = f"all {len(ranges)} ranges of pod addresses are taken"
            ctx.events.warning(node, "CIDRNotAvailable", text)
            return ctx.requeue(after=30)
        spec = attrs.evolve(node.spec, pod_cidr=free, pod_cidrs=(free,))
        await ctx.client.update(attrs.evolve(node, spec=spec))
        return None

    # One worker gives one range after the other: two nodes cannot be given the same one.
    return Controller(name="node-ipam", for_=Node, reconcile=reconcile, workers=1, component="cidrAllocator")
