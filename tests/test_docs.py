"""Every block of Python in README and docs runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_documentation_runs(block: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes((ROOT / "examples" / "web.yaml").read_bytes())
    program = tmp_path / "test_block.py"
    program.write_text(block, encoding="utf-8")
    command = [sys.executable, str(program)]
    if "def test_" in block:
        options = ["-q", "-p", "no:cacheprovider", "-o", "anyio_mode=auto", "-o", "markers=virtual_time"]
        (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
        command = [sys.executable, "-m", "pytest", *options, str(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_setup_commands_stand_in_the_readme_as_one_line_each() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    setup = [line for line in lines if line.startswith("python3 -m venv .venv && ")]
    assert [line.rsplit(" ", 1)[-1] for line in setup] == ["demo", "pytest"]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    dead = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not dead
