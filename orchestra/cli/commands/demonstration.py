"""`orchestra demo`: the main job from end to end, each step verified."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from orchestra.cli.verb import verb


@verb("demo")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the plane keeps its files.")
@click.option("--keep", is_flag=True, help="Keep the temporary directory and say where it is.")
def demo_command(**given: Any) -> int:
    """Run the whole main job once: start a plane, apply, heal, scale, roll out, clean up."""
    return run(given["data_dir"], keep=given["keep"])


def run(data_dir: Path | None, *, keep: bool) -> int:
    """Run the demonstration; return 0 only when every step was verified."""
    import anyio

    from orchestra.cli.demo.run import run_demo
    from orchestra.cli.demo.show import Show

    if data_dir is not None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return 0 if anyio.run(run_demo, Show(), data_dir) else 1
    temporary = Path(tempfile.mkdtemp(prefix="orchestra-demo-"))
    try:
        return 0 if anyio.run(run_demo, Show(), temporary) else 1
    finally:
        if keep:
            click.echo(f"kept: {temporary}")
        else:
            shutil.rmtree(temporary, ignore_errors=True)
