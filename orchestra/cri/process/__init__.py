"""`ProcessRuntime`: containers as process groups on the host, each under a shim that outlives the control plane.

`runtime.py` answers the CRI, `keeper.py` starts, watches, ends and re-adopts containers, `spec.py` translates a
configuration into what a shim runs, `state.py` keeps records on disk, `link.py` speaks with the zygote; `host/` is
what runs in processes of its own.
"""

from __future__ import annotations

__all__: list[str] = []
