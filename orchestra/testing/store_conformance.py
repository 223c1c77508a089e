"""Proof that a store keeps its contract: one check per sentence of `orchestra.store`, to run on your own.

Each check is a plain async function that takes a function which makes the store. Called again it must make a store
on the same contents, opened after the one before was closed; a check begins with no keys and no leases, at whatever
revision. With pytest, derive:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "data")

What a store need not do is said by the class: see `StoreConformance`. Semantics are those of etcd 3.4 to 3.6, on which
the same checks run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, TypeAlias

import pytest

from orchestra.testing.store_history_conformance import HISTORY_CHECKS
from orchestra.testing.store_key_conformance import KEY_CHECKS, StoreFactory
from orchestra.testing.store_lease_conformance import LEASE_CHECKS
from orchestra.testing.store_long_watch_conformance import LONG_WATCH_CHECKS
from orchestra.testing.store_txn_conformance import TXN_CHECKS
from orchestra.testing.store_upkeep_conformance import UPKEEP_CHECKS
from orchestra.testing.store_watch_conformance import WATCH_CHECKS

__all__ = ["STORE_CHECKS", "Check", "StoreConformance", "StoreFactory"]

Check: TypeAlias = Callable[[StoreFactory], Awaitable[None]]

STORE_CHECKS: Final[tuple[Check, ...]] = (
    *KEY_CHECKS,
    *TXN_CHECKS,
    *LEASE_CHECKS,
    *UPKEEP_CHECKS,
    *WATCH_CHECKS,
    *LONG_WATCH_CHECKS,
    *HISTORY_CHECKS,
)

POWERS: Final[dict[str, str]] = {
    "a_quiet_watch_is_told_how_far_things_are_by_itself": "waits_for_progress",
    "a_snapshot_can_be_restored": "snapshots",
    "a_snapshot_leaves_nothing_behind_when_it_fails": "snapshots",
    "a_restart_shortens_no_lease_and_forgets_none": "restarts",
    "a_revision_is_never_used_again": "restarts",
    "a_watch_resumes_over_a_restart": "restarts",
    "a_delete_at_the_compact_revision_is_still_told": "restarts",
    "everything_is_there_after_it_is_opened_again": "restarts",
    "histories_go_on_over_restarts": "restarts",
}
"""Checks that not every store can be asked, and the attribute of `StoreConformance` that admits them."""


@pytest.mark.anyio
class StoreConformance:
    """The checks as pytest tests: derive and give it the fixture `open_store`."""

    restarts: ClassVar[bool] = True
    """Whether a store that was closed can be opened again with what it held."""

    snapshots: ClassVar[bool] = True
    """Whether `snapshot` writes what `orchestra.store.restore_snapshot` reads."""

    waits_for_progress: ClassVar[bool] = False
    """Whether to wait for a periodic notice, `PROGRESS_SECONDS`: for stores that run in virtual time."""

    @pytest.fixture
    def open_store(self) -> StoreFactory:
        """Return the function that makes the store; see the module."""
        raise NotImplementedError("a class derived from StoreConformance gives the fixture open_store")

    @pytest.fixture
    def anyio_backend(self) -> Any:
        """Stores run on asyncio."""
        return "asyncio"

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_store(self, check: Check, open_store: StoreFactory) -> None:
        """Run one check."""
        power = POWERS.get(check.__name__)
        if power is not None and not getattr(self, power):
            pytest.skip(f"{type(self).__name__}.{power} is off")
        await check(open_store)
