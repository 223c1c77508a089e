"""For users' tests: virtual time, a whole plane under control, conformance suites for own stores and runtimes.

What comes in: the real parts, composed in memory. What goes out: results without waiting, the same every time.
Only tests, and the command line, import it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.testing.linearizability import Model, Operation, SearchTooLarge, Verdict, linearize
    from orchestra.testing.plane_harness import PlaneHarness
    from orchestra.testing.store_conformance import STORE_CHECKS, StoreConformance, StoreFactory
    from orchestra.testing.store_history import Compact, History, Received, Revoke, Violation, WatchRecord
    from orchestra.testing.store_history_check import check_history
    from orchestra.testing.store_recorder import Recorder
    from orchestra.testing.store_values import KeyValues
    from orchestra.testing.virtual_time import SimulationError, VirtualClock, VirtualTimeLoop, run_virtual

_EXPORTS = {
    "STORE_CHECKS": ".store_conformance",
    "Compact": ".store_history",
    "History": ".store_history",
    "KeyValues": ".store_values",
    "Model": ".linearizability",
    "Operation": ".linearizability",
    "PlaneHarness": ".plane_harness",
    "Received": ".store_history",
    "Recorder": ".store_recorder",
    "Revoke": ".store_history",
    "SearchTooLarge": ".linearizability",
    "SimulationError": ".virtual_time",
    "StoreConformance": ".store_conformance",
    "StoreFactory": ".store_conformance",
    "Verdict": ".linearizability",
    "Violation": ".store_history",
    "VirtualClock": ".virtual_time",
    "VirtualTimeLoop": ".virtual_time",
    "WatchRecord": ".store_history",
    "check_history": ".store_history_check",
    "linearize": ".linearizability",
    "run_virtual": ".virtual_time",
}

__all__ = [
    "STORE_CHECKS",
    "Compact",
    "History",
    "KeyValues",
    "Model",
    "Operation",
    "PlaneHarness",
    "Received",
    "Recorder",
    "Revoke",
    "SearchTooLarge",
    "SimulationError",
    "StoreConformance",
    "StoreFactory",
    "Verdict",
    "Violation",
    "VirtualClock",
    "VirtualTimeLoop",
    "WatchRecord",
    "check_history",
    "linearize",
    "run_virtual",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)

_CHECKS = (
    "runtime_conformance",
    "store_conformance",
    "store_history_conformance",
    "store_key_conformance",
    "store_lease_conformance",
    "store_long_watch_conformance",
    "store_txn_conformance",
    "store_upkeep_conformance",
    "store_watch_conformance",
)

if (_pytest := sys.modules.get("pytest")) is not None:
    # A check that fails then shows the values it compared, as a test of one's own does.
    _pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _CHECKS))
