"""Claims of cluster addresses on this machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestra.errors import AddressSpaceError
from orchestra.network import AddressBlock, blocks, claim_block, claim_free_block

CLAIM = """
import sys
from orchestra.network import claim_free_block
claim = claim_free_block(60)
print(claim.block.number, flush=True)
sys.stdin.read()
"""
NO_BLOCKS = ["127.20.0.0/15", "10.20.0.0/16", "127.3.0.0/16", "127.251.0.0/16", "127.20.1.0/16", "x"]


def test_two_claims_never_get_one_block() -> None:
    with claim_free_block(40) as first, claim_free_block(first.block.number - 16) as second:
        assert first.block != second.block
        with pytest.raises(AddressSpaceError, match="another plane on this machine uses"):
            claim_block(first.block)


def test_a_block_is_free_again_when_its_claim_ends() -> None:
    with claim_free_block(50) as first:
        pass
    with claim_block(first.block) as again:
        assert again.block == first.block


def test_a_process_that_is_killed_gives_its_block_back() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        block = AddressBlock(int(other.stdout.readline()))
        with pytest.raises(AddressSpaceError):
            claim_block(block)
        other.kill()
    with claim_block(block) as ours:
        assert ours.block == block


def test_when_all_are_taken_there_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_hold", lambda _: None)
    with pytest.raises(AddressSpaceError, match="all 235 blocks of cluster addresses on this machine are taken"):
        claim_free_block(0)


def test_a_block_is_divided_into_services_and_ranges_for_nodes() -> None:
    block = AddressBlock.of("127.20.0.0/16")
    assert (block.cidr, block.service_cidr) == ("127.20.0.0/16", "127.20.0.0/20")
    ranges = block.pod_cidrs()
    assert (len(ranges), ranges[0], ranges[-1]) == (240, "127.20.16.0/24", "127.20.255.0/24")


@pytest.mark.parametrize("text", NO_BLOCKS)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(AddressSpaceError, match="is no block of cluster addresses"):
        AddressBlock.of(text)
