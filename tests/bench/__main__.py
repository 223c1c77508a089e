"""Measure everything: `python -m tests.bench [NAME...]`, names as in the files bench_NAME.py; all without one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.bench.figure import show

FOLDER = Path(__file__).parent


def main(names: list[str]) -> None:
    """Run the benchmarks of these names and print their figures beside the goals."""
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in names or known:
        sys.stdout.write(f"\n{name}\n")
        show(importlib.import_module(f"tests.bench.bench_{name}").run())


if __name__ == "__main__":
    main(sys.argv[1:])
