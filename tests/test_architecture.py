"""Budgets of the code: sizes, public names, imports. An exception stands here by name, with its reason."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(p for p in (ROOT / "orchestra").rglob("*.py") if "_proto" not in p.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6

MORE_PARAMETERS = {
    "list": "the verb has as many options as Kubernetes' ListOptions",
    "watch": "the verb has as many options as Kubernetes' ListOptions",
    "patch": "the verb names kind, object, patch and where",
    "wait_for": "one function for every form of `kubectl wait`",
    "__init__": "constructors take configuration, by keyword",
}
"""Functions with more parameters than the budget, all of them keywords, and why."""


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_its_budget() -> None:
    long = {_name(p): n for p in [*SOURCES, *TESTS] if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{_name(p)}:{f.name}": f.end_lineno - f.lineno + 1
        for p in SOURCES
        for f in _functions(p)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not long


def test_no_function_takes_more_parameters_than_a_reader_can_hold() -> None:
    greedy = {}
    for path in SOURCES:
        for function in _functions(path):
            arguments = function.args
            names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            count = len([name for name in names if name not in {"self", "cls"}])
            positional = len(names) - len(arguments.kwonlyargs)
            excused = function.name in MORE_PARAMETERS and positional <= MAX_PARAMETERS
            if count > MAX_PARAMETERS and not excused:
                greedy[f"{_name(path)}:{function.name}"] = count
    assert not greedy


PACKAGES = sorted(
    ".".join(p.parent.relative_to(ROOT).parts) for p in SOURCES if p.name == "__init__.py" and "cli" not in p.parts
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_a_package_can_be_imported(package: str) -> None:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_is(package: str) -> None:
    assert (importlib.import_module(package).__doc__ or "").strip()


def test_the_face_exports_at_most_fifty_names_and_hides_no_subpackage() -> None:
    face = importlib.import_module("orchestra")
    assert len(face.__all__) <= 50
    subpackages = {p.parent.name for p in (ROOT / "orchestra").glob("*/__init__.py")}
    assert not subpackages & set(face.__all__)


def test_importing_the_library_loads_none_of_its_heavy_parts() -> None:
    code = "import sys, orchestra; print(sorted(m for m in sys.modules if m.partition('.')[0] in {names}))"
    names = {"numpy", "grpc", "google", "yaml", "rich", "click", "structlog", "attrs", "cattrs", "anyio"}
    script = code.replace("{names}", repr(names))
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"


def test_nothing_names_a_path_of_a_machine() -> None:
    marks = ("/" + "work/", "/" + "root/", "/" + "farm/")
    texts = [*SOURCES, *TESTS, *ROOT.glob("*.md"), *ROOT.glob("*.toml"), *(ROOT / "docs").rglob("*.md")]
    guilty = [_name(p) for p in texts if any(mark in p.read_text(encoding="utf-8") for mark in marks)]
    assert not guilty
