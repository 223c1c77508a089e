"""The example of a plugin does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from orchestra.testing import Words, check_plugin

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "plugin.py"


def test_the_example_runs_and_its_test_passes(capsys: pytest.CaptureFixture[str]) -> None:
    found = runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    assert "1 gpu pods do not run on spot nodes" in out
    assert "it would fit with: drop the label kind=gpu, or the label spot of spot" in out
    words = Words(node_labels={"spot": ("true", None)}, pod_labels={"kind": ("gpu", "web")})
    for plugin in (found["AvoidSpot"](), found["Quiet"]()):
        check_plugin(plugin, words, seeds=2)
