"""`FakeRuntime`: a runtime that runs nothing and plays a script, under any clock.

`script.py` says what a container does, `runtime.py` plays it.
"""

from __future__ import annotations

__all__: list[str] = []
