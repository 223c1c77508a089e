"""Cluster addresses on one machine: each plane owns one /16 of the loopback network.

All of 127.0.0.0/8 can be bound on Linux without configuration or privileges. A block is `127.N.0.0/16`; its first
/20 holds Service addresses, the other 240 ranges of /24 go to nodes for their Pods. Who owns a block holds an
abstract Unix socket of its name: such a name belongs to the network namespace, as the addresses do, and the kernel
gives it back when the process ends, however it ends.
"""

from __future__ import annotations

import ipaddress
import socket
from types import TracebackType
from typing import Self

import attrs

from orchestra.errors import AddressSpaceError

FIRST_BLOCK, LAST_BLOCK = 16, 250
"""The second octets that planes use; the rest of the loopback network is left to others."""

_PODS_BEGIN = 16
"""The third octet of the first range of Pod addresses."""


@attrs.frozen
class AddressBlock:
    """One /16 of the loopback network, and how it is divided."""

    number: int

    @property
    def cidr(self) -> str:
        """The whole block."""
        return f"127.{self.number}.0.0/16"

    @property
    def service_cidr(self) -> str:
        """Where Services have their addresses."""
        return f"127.{self.number}.0.0/20"

    def pod_cidrs(self) -> tuple[str, ...]:
        """The ranges that nodes get."""
        return tuple(f"127.{self.number}.{third}.0/24" for third in range(_PODS_BEGIN, 256))

    @staticmethod
    def of(cidr: str) -> AddressBlock:
        """Return the block that a CIDR names; raises AddressSpaceError when it names none."""
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise AddressSpaceError(f"{cidr!r} is no block of cluster addresses: {error}") from None
        octets = network.network_address.packed
        if network.prefixlen != 16 or octets[0] != 127 or not FIRST_BLOCK <= octets[1] <= LAST_BLOCK:
            raise AddressSpaceError(f"{cidr!r} is no block of cluster addresses: use 127.N.0.0/16, N from 16 to 250")
        return AddressBlock(octets[1])


class BlockClaim:
    """Holds a block for as long as the context is open; no other plane on this machine can have it."""

    def __init__(self, block: AddressBlock, held: socket.socket) -> None:
        self.block = block
        self._held = held

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


def claim_block(block: AddressBlock) -> BlockClaim:
    """Claim one certain block; raises AddressSpaceError when another plane has it."""
    held = _hold(block)
    if held is None:
        raise AddressSpaceError(f"another plane on this machine uses the cluster addresses {block.cidr}")
    return BlockClaim(block, held)


def claim_free_block(preference: int) -> BlockClaim:
    """Claim any free block, the one that `preference` hits first; raises AddressSpaceError when there is none."""
    count = LAST_BLOCK - FIRST_BLOCK + 1
    for step in range(count):
        block = AddressBlock(FIRST_BLOCK + (preference + step) % count)
        held = _hold(block)
        if held is not None:
            return BlockClaim(block, held)
    raise AddressSpaceError(f"all {count} blocks of cluster addresses on this machine are taken")


def _hold(block: AddressBlock) -> socket.socket | None:
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0orchestra/cluster-addresses/{block.number}")
    except OSError:
        held.close()
        return None
    return held
