"""For users' tests: virtual time, a whole plane under control, conformance suites for own stores, runtimes, plugins.

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
    from orchestra.testing.plugin_conformance import PluginConformance, check_plugin
    from orchestra.testing.plugin_costs import PluginCost, plugin_costs
    from orchestra.testing.random_clusters import RandomCluster, Words, random_cluster
    from orchestra.testing.store_conformance import STORE_CHECKS, StoreConformance, StoreFactory
    from orchestra.testing.store_history import Compact, History, Received, Revoke, Violation, WatchRecord
    from orchestra.testing.store_history_check import check_history
    from orchestra.testing.store_recorder import Recorder
    from orchestra.testing.store_values import KeyValues
    from orchestra.testing.virtual_time import SimulationError, VirtualClock, VirtualTimeLoop, run_virtual

_EXPORTS = {
    "Compact": ".store_history",
    "History": ".store_history",
    "KeyValues": ".store_values",
    "Model": ".linearizability",
    "Operation": ".linearizability",
    "PlaneHarness": ".plane_harness",
    "PluginConformance": ".plugin_conformance",
    "PluginCost": ".plugin_costs",
    "RandomCluster": ".random_clusters",
    "Received": ".store_history",
    "Recorder": ".store_recorder",
    "Revoke": ".store_history",
    "STORE_CHECKS": ".store_conformance",
    "SearchTooLarge": ".linearizability",
    "SimulationError": ".virtual_time",
    "StoreConformance": ".store_conformance",
    "StoreFactory": ".store_conformance",
    "Verdict": ".linearizability",
    "Violation": ".store_history",
    "VirtualClock": ".virtual_time",
    "VirtualTimeLoop": ".virtual_time",
    "WatchRecord": ".store_history",
    "Words": ".random_clusters",
    "check_history": ".store_history_check",
    "check_plugin": ".plugin_conformance",
    "linearize": ".linearizability",
    "plugin_costs": ".plugin_costs",
    "random_cluster": ".random_clusters",
    "run_virtual": ".virtual_time",
}

__all__ = [
    "Compact",
    "History",
    "KeyValues",
    "Model",
    "Operation",
    "PlaneHarness",
    "PluginConformance",
    "PluginCost",
    "RandomCluster",
    "Received",
    "Recorder",
    "Revoke",
    "STORE_CHECKS",
    "SearchTooLarge",
    "SimulationError",
    "StoreConformance",
    "StoreFactory",
    "Verdict",
    "Violation",
    "VirtualClock",
    "VirtualTimeLoop",
    "WatchRecord",
    "Words",
    "check_history",
    "check_plugin",
    "linearize",
    "plugin_costs",
    "random_cluster",
    "run_virtual",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)

_CHECKS = (
    "plugin_conformance",
    "plugin_conformance_reuse",
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
