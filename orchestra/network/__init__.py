"""One address for many Pods: endpoints of Services, address ranges, and a proxy that balances over ready endpoints.

What comes in: Services, Pods and Nodes from the caches. What goes out: EndpointSlices, `spec.podCIDR` of nodes, and
bytes between clients and Pods. The embedded network is that of one machine: its addresses are loopback addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.network.blocks import AddressBlock, BlockClaim, claim_block, claim_free_block
    from orchestra.network.endpoints import endpoints_controller
    from orchestra.network.nodeipam import node_ipam_controller
    from orchestra.network.proxy import ServiceProxy

_EXPORTS = {
    "AddressBlock": ".blocks",
    "BlockClaim": ".blocks",
    "ServiceProxy": ".proxy",
    "claim_block": ".blocks",
    "claim_free_block": ".blocks",
    "endpoints_controller": ".endpoints",
    "node_ipam_controller": ".nodeipam",
}

__all__ = [
    "AddressBlock",
    "BlockClaim",
    "ServiceProxy",
    "claim_block",
    "claim_free_block",
    "endpoints_controller",
    "node_ipam_controller",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)
