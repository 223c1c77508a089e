"""Generate `orchestra/_proto` from the .proto files beside this script.

    python proto/generate.py            write the generated code
    python proto/generate.py --check    exit 1 when the committed code is not what would be written

`proto/cri/v1/api.proto` becomes `orchestra._proto.cri.v1.api_pb2` (messages, with a .pyi) and, when it declares
services, `api_pb2_grpc` (stubs and servicers, with a .pyi). Needs the extra `test` (grpcio-tools, mypy-protobuf).
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
TARGET = SOURCE.parent / "orchestra" / "_proto"
PACKAGE = "orchestra._proto"
ROOT_INIT = '"""Generated protobuf messages and gRPC stubs; see `proto/generate.py`."""\n'
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def protos() -> list[str]:
    """Return every .proto file, relative to `SOURCE`, in a fixed order."""
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.proto"))


def compile_protos(names: list[str], out: Path) -> None:
    """Run the protobuf compiler with all three plugins into `out`."""
    from grpc_tools import protoc

    # The plugins of mypy-protobuf lie beside this interpreter, which need not be on PATH.
    scripts = Path(sys.executable).parent
    arguments = [
        "protoc",
        f"-I{SOURCE}",
        f"-I{importlib.resources.files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--mypy_out=quiet:{out}",
    ]
    services = [name for name in names if re.search(r"^service\s", (SOURCE / name).read_text(), re.MULTILINE)]
    if status := protoc.main([*arguments, *names]):
        raise SystemExit(status)
    grpc_arguments = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"]
    if services and (status := protoc.main([*arguments[:5], *grpc_arguments, *services])):
        raise SystemExit(status)


def absolute_imports(text: str, packages: list[str]) -> str:
    """Return `text` with imports of our own packages moved below `PACKAGE`.

    protoc writes `from cri.v1 import api_pb2`, and mypy-protobuf `import cri.v1.api_pb2` too, as if the source
    folder were on the path.
    """
    for package in packages:
        name = re.escape(package)
        text = re.sub(rf"^from {name} import ", f"from {PACKAGE}.{package} import ", text, flags=re.MULTILINE)
        text = re.sub(rf"^import {name}\.(\w+)$", rf"import {PACKAGE}.{package}.\1", text, flags=re.MULTILINE)
        text = re.sub(rf"(?<![\w.]){name}\.(\w+_pb2)\b", rf"{PACKAGE}.{package}.\1", text)
    return text


def accept_older_grpc(text: str) -> str:
    """Return a `_pb2_grpc.py` or `.pyi` without the check that the installed grpcio is at least as new as the compiler.

    What the generated code uses (registered methods) exists since grpcio 1.63; pyproject.toml asks for more.
    """
    text = re.sub(r"^GRPC_GENERATED_VERSION = .*?(?=^class |\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^GRPC_(GENERATED_)?VERSION: str\n", "", text, flags=re.MULTILINE)
    return text.replace("import warnings\n", "")


def generated() -> dict[str, str]:
    """Return the wanted content of every generated file by its path relative to `TARGET`."""
    names = protos()
    packages = sorted({Path(name).parent.as_posix().replace("/", ".") for name in names}, key=len, reverse=True)
    files = {"__init__.py": ROOT_INIT}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        compile_protos(names, out)
        for path in sorted(out.rglob("*.py*")):
            text = absolute_imports(path.read_text(), packages)
            if "_pb2_grpc.py" in path.name:
                text = accept_older_grpc(text)
            files[path.relative_to(out).as_posix()] = text
    for package in packages:
        parts = package.split(".")
        for depth in range(1, len(parts) + 1):
            doc = f'"""Generated code of `proto/{"/".join(parts[:depth])}`."""\n'
            files.setdefault("/".join([*parts[:depth], "__init__.py"]), doc)
    return files


def committed() -> dict[str, str]:
    """Return what lies in `TARGET` now."""
    paths = (path for path in TARGET.rglob("*") if path.suffix in {".py", ".pyi"})
    return {path.relative_to(TARGET).as_posix(): path.read_text() for path in paths}


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    check = parser.parse_args().check
    want, have = generated(), committed()
    changed = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    for name in changed:
        print(f"{'differs' if check else 'wrote' if name in want else 'removed'}: orchestra/_proto/{name}")
        if check:
            continue
        path = TARGET / name
        if name in want:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(want[name])
        elif name.endswith((*SUFFIXES, "__init__.py")):
            path.unlink()
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
