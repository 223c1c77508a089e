from __future__ import annotations

import inspect
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import FakeRuntime, ProcessRuntime, Runtime, UnimplementedRuntime
from orchestra.cri.addresses import AddressPool
from orchestra.cri.images import ImageTable, resolve
from orchestra.cri.process.host.crilog import ENTRY_BYTES, LineSplitter, timestamp
from orchestra.cri.process.spec import signal_number
from orchestra.errors import RuntimeServiceError

ROOT = Path(__file__).parents[2]


def rpc_methods() -> dict[str, bool]:
    """Each CRI method's name in Python, and whether it streams."""
    services = pb.DESCRIPTOR.services_by_name.values()
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower(): method.server_streaming
        for service in services
        for method in service.methods
    }


def test_the_contract_has_one_method_for_each_call_of_the_cri() -> None:
    methods = rpc_methods()
    assert len(methods) == 43
    declared = {name for name in vars(Runtime) if not name.startswith("_")}
    assert declared == set(methods)
    for runtime in (UnimplementedRuntime, FakeRuntime, ProcessRuntime):
        for name, streams in methods.items():
            function = getattr(runtime, name)
            assert callable(function)
            assert streams != inspect.iscoroutinefunction(function)


async def test_the_base_refuses_every_call_by_its_name() -> None:
    runtime = UnimplementedRuntime()
    with pytest.raises(RuntimeServiceError, match="CheckpointContainer") as caught:
        await runtime.checkpoint_container(pb.CheckpointContainerRequest())
    assert caught.value.code == "Unimplemented"
    with pytest.raises(RuntimeServiceError, match="GetContainerEvents"):
        runtime.get_container_events(pb.GetEventsRequest())


def test_the_generated_code_is_what_the_protos_give() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "proto/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("module", ["orchestra.cri", "orchestra.cri.fake.runtime", "orchestra._proto.cri.v1.api_pb2"])
def test_importing_a_runtime_does_not_import_grpc(module: str) -> None:
    code = f"import {module}, sys; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_what_runs_beside_containers_needs_the_standard_library_only() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import orchestra.cri.process.host.zygote"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_addresses_are_handed_out_in_turn_and_used_again_late() -> None:
    pool = AddressPool("127.9.9.0/29")
    taken = [pool.allocate() for _ in range(6)]
    assert taken == [f"127.9.9.{number}" for number in range(1, 7)]
    with pytest.raises(RuntimeServiceError, match=r"no IP addresses available in range 127\.9\.9\.0/29"):
        pool.allocate()
    pool.release(taken[4])
    pool.release(taken[1])
    assert [pool.allocate(), pool.allocate()] == [taken[1], taken[4]]


def test_without_a_block_every_address_is_the_host_s() -> None:
    pool = AddressPool()
    assert [pool.allocate(), pool.allocate()] == ["127.0.0.1", "127.0.0.1"]
    pool.release("127.0.0.1")
    with pytest.raises(RuntimeServiceError, match="invalid pod CIDR"):
        pool.configure("nonsense")
    pool.configure("fd00::/120")
    assert pool.allocate() == "fd00::1"
    pool.configure("10.0.0.7/32")
    assert pool.allocate() == "10.0.0.7"


@given(st.lists(st.integers(0, 20), max_size=60))
def test_no_address_has_two_owners(steps: list[int]) -> None:
    pool, owned = AddressPool("127.9.9.0/28"), list[str]()
    for step in steps:
        if step < 12 and len(owned) < 14:
            owned.append(pool.allocate())
        elif owned:
            pool.release(owned.pop(step % len(owned)))
        assert len(set(owned)) == len(owned)


@pytest.mark.parametrize(
    ("reference", "normalised"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("me/app", "docker.io/me/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        ("127.0.0.1:5999/x:1", "127.0.0.1:5999/x:1"),
        ("example.test/a/b@sha256:" + "0" * 64, "example.test/a/b@sha256:" + "0" * 64),
    ],
)
def test_references_are_normalised(reference: str, normalised: str) -> None:
    assert resolve(reference).reference == normalised
    assert resolve(reference) == resolve(normalised)


@pytest.mark.parametrize(
    "reference",
    ["", "Bad UPPER::1", "a/", "/a", "a b", "x" * 2000, "a@sha256:12", "example.test/", "Bad/x", "a..b:x/y"],
)
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(RuntimeServiceError, match="invalid reference format") as caught:
        resolve(reference)
    assert caught.value.reason == "InvalidImageName"
    assert ImageTable().find(reference) is None


@given(st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\xfe", b"\n")), max_size=20))
def test_a_log_keeps_every_byte_whatever_the_pieces(parts: list[bytes]) -> None:
    splitter = LineSplitter()
    entries = [entry for part in parts for entry in splitter.feed(part)] + splitter.finish()
    text = b"".join(line + (b"\n" if tag == b"F" else b"") for tag, line in entries)
    assert text == b"".join(parts)
    assert all(b"\n" not in line for _tag, line in entries)


def test_a_long_line_is_cut_into_parts() -> None:
    splitter = LineSplitter()
    entries = splitter.feed(b"a" * (2 * ENTRY_BYTES) + b"\n" + b"b" * (ENTRY_BYTES + 1))
    assert [(tag, len(line)) for tag, line in entries] == [
        (b"P", ENTRY_BYTES),
        (b"F", ENTRY_BYTES),
        (b"P", ENTRY_BYTES),
    ]
    assert splitter.finish() == [(b"P", b"b")]


def test_times_have_nine_decimals() -> None:
    assert timestamp(1_700_000_000_000_000_042) == b"2023-11-14T22:13:20.000000042Z"


def test_signals_have_this_machine_s_numbers() -> None:
    assert signal_number(pb.SIGNAL_RUNTIME_DEFAULT) == signal.SIGTERM
    assert signal_number(pb.SIGNAL_SIGUSR1) == signal.SIGUSR1
    assert signal_number(pb.SIGNAL_SIGRTMINPLUS3) == signal.SIGRTMIN + 3
    assert signal_number(pb.SIGNAL_SIGRTMAXMINUS1) == signal.SIGRTMAX - 1
    numbers = [signal_number(value) for value in pb.Signal.values()]
    assert all(0 < number <= signal.SIGRTMAX for number in numbers)
