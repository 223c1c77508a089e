from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.errors import RuntimeServiceError
from orchestra.testing.runtime_conformance import RUN_FOR_EVER
from tests.cri.kit import CI, bench


def namespaces_are_permitted() -> bool:
    code = "from orchestra.cri.process.host import mounts; mounts.enter_namespace(slave=False)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not (CI or namespaces_are_permitted()), reason="this host permits no mount namespaces")


def volume(tmp_path: Path, name: str = "volume") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "key").write_text(f"{name}\n")
    return folder


def mount(source: Path, target: str, *, readonly: bool = False) -> pb.Mount:
    return pb.Mount(host_path=str(source), container_path=target, readonly=readonly)


async def test_a_mount_whose_target_exists_covers_it_for_the_container_only(tmp_path: Path) -> None:
    source, target = volume(tmp_path), volume(tmp_path, "host")
    async with bench(tmp_path) as b:
        await b.run_to_end("c", "cat", f"{target}/key", mounts=[mount(source, str(target))])
        assert b.log("c") == "volume\n"
    assert (target / "key").read_text() == "host\n"


@pytest.mark.parametrize(
    "target", ["/orchestra-test", "/orchestra-test/a/b", "/etc/orchestra-test", "/usr/share/orchestra-test/x"]
)
async def test_a_mount_whose_target_does_not_exist_leaves_nothing_on_the_host(tmp_path: Path, target: str) -> None:
    source = volume(tmp_path)
    parent = Path("/" + target.partition("/orchestra-test")[0].strip("/"))
    before = sorted(os.listdir(parent))
    async with bench(tmp_path) as b:
        script = (
            f"cat {target}/key; echo new > {target}/written; ls {parent}; test -r /proc/self/status && date > /dev/null"
        )
        status = await b.run_to_end("c", "sh", "-c", script, mounts=[mount(source, target)])
        assert status.exit_code == 0
        lines = b.log("c").splitlines()
        assert lines[0] == "volume"
        # The host's entries are all there, beside the new one.
        assert sorted(lines[1:]) == sorted([*(name for name in before if not name.startswith(".")), "orchestra-test"])
    assert (source / "written").read_text() == "new\n"
    assert sorted(os.listdir(parent)) == before


async def test_a_read_only_mount_refuses_writes(tmp_path: Path) -> None:
    source = volume(tmp_path)
    async with bench(tmp_path) as b:
        script = "touch /orchestra-test/x; touch /orchestra-rw/y"
        both = [mount(source, "/orchestra-test", readonly=True), mount(source, "/orchestra-rw")]
        await b.run_to_end("c", "sh", "-c", script, mounts=both)
        assert "Read-only file system" in b.log("c", "stderr")
    assert not (source / "x").exists()
    assert (source / "y").exists()


async def test_files_and_mounts_inside_mounts(tmp_path: Path) -> None:
    outer, inner, file = volume(tmp_path, "outer"), volume(tmp_path, "inner"), tmp_path / "file"
    file.write_text("one file\n")
    async with bench(tmp_path) as b:
        wanted = [
            mount(inner, "/orchestra-test/in/deep"),
            mount(file, "/orchestra-test/file", readonly=True),
            mount(outer, "/orchestra-test"),
            mount(file, "/etc/hostname"),
            mount(file, "/dev/orchestra-termination-log"),
        ]
        script = "cat key in/deep/key file /etc/hostname; echo bye >> /dev/orchestra-termination-log; ls -d /dev/null"
        status = await b.run_to_end("c", "sh", "-c", script, mounts=wanted, working_dir="/orchestra-test")
        assert b.log("c") == "outer\ninner\none file\none file\n/dev/null\n", b.log("c", "stderr")
        assert status.exit_code == 0
    assert file.read_text() == "one file\nbye\n"
    assert not os.path.exists("/dev/orchestra-termination-log")


async def test_a_target_behind_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    source, real = volume(tmp_path), tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    async with bench(tmp_path) as b:
        await b.run_to_end("c", "cat", f"{real}/new/key", mounts=[mount(source, f"{tmp_path}/link/new")])
        assert b.log("c") == "volume\n"
    assert list(real.iterdir()) == []


async def test_commands_see_the_mounts_of_their_container(tmp_path: Path) -> None:
    source = volume(tmp_path)
    async with bench(tmp_path) as b:
        container_id = await b.run(
            "c", *RUN_FOR_EVER, mounts=[mount(source, "/orchestra-test")], working_dir="/orchestra-test"
        )
        assert (await b.command(container_id, "sh", "-c", "pwd; cat key")).stdout == b"/orchestra-test\nvolume\n"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/", "must be absolute"),
        ("relative", "must be absolute"),
        ("/a/../../etc", "without .."),
        ("/nul\0", "must be absolute"),
        ("/etc/passwd", "not a directory"),
        ("/etc/passwd/below", "not a directory"),
        ("/proc/orchestra-test", "cannot be made in /proc"),
    ],
)
async def test_an_impossible_mount_is_refused_when_the_container_is_created(
    tmp_path: Path, target: str, message: str
) -> None:
    source = volume(tmp_path)
    async with bench(tmp_path) as b:
        with pytest.raises(RuntimeServiceError, match=message) as caught:
            await b.create("c", *RUN_FOR_EVER, mounts=[mount(source, target)])
        assert caught.value.reason == "CreateContainerError"
        assert not (await b.runtime.list_containers(pb.ListContainersRequest())).containers


async def test_a_source_that_does_not_exist_or_leaves_its_path_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        for source, message in (
            (tmp_path / "gone", "no such file"),
            (Path("rel"), "absolute"),
            (tmp_path / ".." / "x", "without .."),
        ):
            with pytest.raises(RuntimeServiceError, match=message) as caught:
                await b.create("c", *RUN_FOR_EVER, mounts=[mount(source, "/orchestra-test")])
            assert caught.value.reason == "CreateContainerError"
        for unsupported in ({"image": pb.ImageSpec(image="x")}, {"propagation": pb.PROPAGATION_BIDIRECTIONAL}):
            wanted = pb.Mount(host_path="/etc", container_path="/orchestra-test", **unsupported)
            with pytest.raises(RuntimeServiceError):
                await b.create("c", *RUN_FOR_EVER, mounts=[wanted])


async def test_where_the_host_permits_no_namespace_a_mount_is_a_create_error(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:

        async def refuse(_role: str, _request: dict[str, str]) -> dict[str, str]:
            return {"error": "unshare a mount namespace: operation not permitted"}

        plain, link = await b.create("plain", *RUN_FOR_EVER), b.runtime._link
        ask, link.ask = link.ask, refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(RuntimeServiceError, match="operation not permitted") as caught:
            await b.create("c", *RUN_FOR_EVER, mounts=[mount(volume(tmp_path), "/orchestra-test")])
        assert caught.value.reason == "CreateContainerError"
        link.ask = ask  # type: ignore[method-assign]
        await b.start(plain)


UNPRIVILEGED = """
import os, sys
from orchestra.cri.process.host import mounts, proc

os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
proc.prctl(4, 1)  # PR_SET_DUMPABLE: changing the user without executing a program took it away
mounts.enter_namespace(slave=False)
wanted = mounts.Mount(source=sys.argv[1], target="/orchestra-test/x", readonly=True, slave=False)
mounts.mount_all([wanted], sys.argv[2])
sys.stdout.write(open("/orchestra-test/x/key").read() + str(os.getuid()))
"""


@pytest.mark.skipif(os.geteuid() != 0 and not CI, reason="needs another user to become")
def test_without_privileges_a_user_namespace_serves() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        source, staging = volume(Path(folder)), volume(Path(folder), "staging")
        command = [sys.executable, "-c", UNPRIVILEGED, str(source), str(staging)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in ended.stderr and not CI:
        pytest.skip("this host permits no user namespaces")
    assert ended.stdout == "volume\n65534", ended.stderr
