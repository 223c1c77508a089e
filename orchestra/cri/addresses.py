"""Addresses of sandboxes: which of a node's block are free. Pure."""

from __future__ import annotations

import ipaddress

from orchestra.errors import RuntimeServiceError

HOST_ADDRESS = "127.0.0.1"
"""Address of every sandbox as long as the node has no block."""


class AddressPool:
    """Hands out the addresses of one block, such as 127.31.4.0/24; without a block everybody gets `HOST_ADDRESS`.

    Free addresses are taken in turn, so an address is used again as late as possible: somebody may still be connecting
    to its last owner.
    """

    def __init__(self, cidr: str = "") -> None:
        self.cidr = ""
        self._first = self._last = self._next = 0
        self._used: set[int] = set()
        self.configure(cidr)

    def configure(self, cidr: str) -> None:
        """Take addresses from the block `cidr` from now on (the first of several, separated by commas).

        Addresses in use stay in use, also when they lie outside. Raises `RuntimeServiceError` (InvalidArgument).
        """
        if not cidr:
            self.cidr = ""
            return
        try:
            network = ipaddress.ip_network(cidr.partition(",")[0].strip(), strict=False)
        except ValueError as error:
            raise RuntimeServiceError(f"invalid pod CIDR {cidr!r}: {error}", code="InvalidArgument") from error
        if cidr == self.cidr:
            return
        self.cidr = cidr
        # The first address names the network and the last one is for broadcasts, where there is room for them.
        margin = 1 if network.num_addresses > 2 else 0
        self._first = int(network.network_address) + margin
        self._last = int(network.broadcast_address) - margin
        self._next = self._first
        self._text = type(network.network_address)

    def allocate(self) -> str:
        """Return a free address; raises `RuntimeServiceError` (ResourceExhausted) when there is none."""
        if not self.cidr:
            return HOST_ADDRESS
        for _ in range(len(self._used) + 1):
            candidate = self._next
            self._next = candidate + 1 if candidate < self._last else self._first
            if candidate not in self._used:
                self._used.add(candidate)
                return str(self._text(candidate))
        raise RuntimeServiceError(
            f"failed to setup network for sandbox: no IP addresses available in range {self.cidr}",
            code="ResourceExhausted",
        )

    def reserve(self, address: str) -> None:
        """Mark an address as used that was handed out earlier; the next ones come after it."""
        if address and address != HOST_ADDRESS:
            number = int(ipaddress.ip_address(address))
            self._used.add(number)
            if self.cidr and self._first <= number <= self._last:
                self._next = number + 1 if number < self._last else self._first

    def release(self, address: str) -> None:
        """Give an address back; one that is not in use is fine."""
        if address and address != HOST_ADDRESS:
            self._used.discard(int(ipaddress.ip_address(address)))
