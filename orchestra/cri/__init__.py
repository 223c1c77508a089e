"""Container runtimes behind the container runtime interface (CRI v1).

What is it: `Runtime`, the contract (`interface.py`), with one async method per CRI call; `ProcessRuntime`, which runs
containers as process groups on the host; `FakeRuntime`, which runs nothing and plays a script under any clock.
What comes in and goes out: CRI protobuf messages; errors are `orchestra.errors.RuntimeServiceError`.
Who may import it: the node agent, the plane, the testing kit and the command line. It knows no Pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.cri.cleanup import remove_all
    from orchestra.cri.fake.runtime import FakeRuntime
    from orchestra.cri.fake.script import ContainerScript, ExecResult, PullResult, Script
    from orchestra.cri.interface import Probing, Runtime
    from orchestra.cri.process.runtime import ProcessRuntime
    from orchestra.cri.unimplemented import UnimplementedRuntime

_EXPORTS = {
    "ContainerScript": ".fake.script",
    "ExecResult": ".fake.script",
    "FakeRuntime": ".fake.runtime",
    "Probing": ".interface",
    "ProcessRuntime": ".process.runtime",
    "PullResult": ".fake.script",
    "Runtime": ".interface",
    "Script": ".fake.script",
    "UnimplementedRuntime": ".unimplemented",
    "remove_all": ".cleanup",
}

__all__ = [
    "ContainerScript",
    "ExecResult",
    "FakeRuntime",
    "Probing",
    "ProcessRuntime",
    "PullResult",
    "Runtime",
    "Script",
    "UnimplementedRuntime",
    "remove_all",
]

__getattr__ = lazy_exports(__name__, _EXPORTS)
