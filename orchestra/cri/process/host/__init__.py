"""What runs beside containers on the host: the zygote, the shims and the helpers of exec.

These modules run in processes of their own (`python -I -S`), so they import the standard library only and nothing that
is slow to start. The rest of `orchestra.cri.process` speaks with them over sockets and files.
"""

from __future__ import annotations

__all__: list[str] = []
