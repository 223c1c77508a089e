"""For users' tests: virtual time, a whole plane under control, conformance suites for own stores and runtimes.

What comes in: the real parts, composed in memory. What goes out: results without waiting, the same every time.
Only tests, and the command line, import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.testing.plane_harness import PlaneHarness
    from orchestra.testing.virtual_time import SimulationError, VirtualClock, VirtualTimeLoop, run_virtual

_EXPORTS = {
    "PlaneHarness": ".plane_harness",
    "SimulationError": ".virtual_time",
    "VirtualClock": ".virtual_time",
    "VirtualTimeLoop": ".virtual_time",
    "run_virtual": ".virtual_time",
}

__all__ = ["PlaneHarness", "SimulationError", "VirtualClock", "VirtualTimeLoop", "run_virtual"]
__getattr__ = lazy_exports(__name__, _EXPORTS)
