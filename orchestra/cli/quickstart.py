"""What a process that is a plane may decide, and a library may not: when garbage is collected, how NumPy computes.

`begin` comes before anything heavy is imported, `settle` when everything that stays has been made.
"""

from __future__ import annotations

import gc
import os
from typing import Final

COLLECT_AFTER: Final = 50_000
"""Objects that are made before the youngest are looked over: by Python's own 700 the imports alone do so 150 times."""


def begin() -> None:
    """Collect seldom, and let NumPy start no threads: nothing here multiplies matrices."""
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Read when NumPy is imported: it has no other way to be told.


def settle() -> None:
    """Take what exists now, classes and modules above all, out of every later collection."""
    gc.freeze()
