"""Pods of real processes, from their creation to their end."""

from __future__ import annotations

import socket
import sys
from typing import Any

import anyio
import pytest

from orchestra.api.core import (
    ConfigMap,
    ConfigMapKeySelector,
    ConfigMapVolumeSource,
    Container,
    EmptyDirVolumeSource,
    EnvVar,
    EnvVarSource,
    ExecAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    ObjectFieldSelector,
    Pod,
    Probe,
    Secret,
    SecretVolumeSource,
    SleepAction,
    TCPSocketAction,
    Volume,
    VolumeMount,
)
from orchestra.api.object import ObjectMeta

from .machine import LISTEN, Machine, sh, sleeper


def run(*command: str) -> LifecycleHandler:
    return LifecycleHandler(exec=ExecAction(command=command))


def asking(**action: Any) -> Probe:
    return Probe(period_seconds=1, failure_threshold=1, **action)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def restarted(pod: Pod) -> bool:
    return any(status.restart_count > 0 for status in pod.status.container_statuses)


async def test_a_pod_runs_to_its_end_and_its_log_can_be_read(host: Machine) -> None:
    await host.create(sh("echo out; echo err >&2"), restart_policy="Never")
    pod = await host.phase("Succeeded")
    ended = pod.status.container_statuses[0].state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason) == (0, "Completed")
    assert sorted((await host.log()).split()) == ["err", "out"]
    assert pod.status.container_statuses[0].user is not None


async def test_a_crash_is_restarted_at_once_and_then_later(host: Machine) -> None:
    await host.create(sh("echo run; exit 3"))
    pod = await host.waiting("CrashLoopBackOff")
    status = pod.status.container_statuses[0]
    assert status.restart_count == 1
    assert status.state.waiting is not None
    assert status.state.waiting.message.startswith("back-off 10s restarting failed container=c pod=p_default(")
    assert status.last_state.terminated is not None
    assert status.last_state.terminated.exit_code == 3
    assert await host.log(previous=True) == "run\n"


async def test_a_command_that_is_missing_is_told_and_retried(host: Machine) -> None:
    await host.create(sleeper(name="good"), Container(name="bad", image="i:1", command=("/no/such",)))
    pod = await host.wait(lambda pod: any(s.restart_count for s in pod.status.container_statuses))
    bad = next(s for s in pod.status.container_statuses if s.name == "bad")
    ended = bad.last_state.terminated or bad.state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert "/no/such" in ended.message


async def test_an_image_that_may_not_be_pulled_keeps_a_container_waiting(host: Machine) -> None:
    await host.create(sleeper(image_pull_policy="Never"))
    pod = await host.waiting("ErrImageNeverPull")
    waiting = pod.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert waiting.message == 'Container image "example.test/sh:1" is not present with pull policy of Never'
    assert pod.status.phase == "Pending"


@pytest.mark.parametrize("kind", ["exec", "http", "tcp"])
async def test_a_container_that_is_not_alive_is_restarted(host: Machine, kind: str) -> None:
    port = free_port()
    action = {
        "exec": {"exec": ExecAction(command=("/bin/false",))},
        "http": {"http_get": HTTPGetAction(path="/", port=port)},
        "tcp": {"tcp_socket": TCPSocketAction(port=port)},
    }[kind]
    await host.create(sleeper(liveness_probe=asking(**action)))
    pod = await host.wait(restarted)
    last = pod.status.container_statuses[0].last_state.terminated
    assert last is not None
    # The probe can fail before the shell has set its trap; then it is SIGTERM itself that ends it.
    assert last.exit_code in (0, 143)
    await host.event("Killing", "Container c failed liveness probe, will be restarted")


async def test_a_server_is_ready_when_it_answers(host: Machine) -> None:
    port = free_port()
    server = f"{LISTEN}\nwhile True:\n c, _ = s.accept(); c.recv(999)\n"
    server += " c.send(b'HTTP/1.1 204 No Content\\r\\n\\r\\n'); c.close()"
    probe = Probe(period_seconds=1, http_get=HTTPGetAction(path="/ok", port=port, host="127.0.0.1"))
    command = (sys.executable, "-c", server, str(port))
    await host.create(Container(name="c", image="i:1", command=command, readiness_probe=probe))
    pod = await host.ready()
    assert pod.status.container_statuses[0].ready


async def test_readiness_follows_its_probe(host: Machine, tmp_path: Any) -> None:
    file = tmp_path / "ok"
    probe = asking(exec=ExecAction(command=("/usr/bin/test", "-e", str(file))))
    await host.create(sleeper(readiness_probe=probe))
    await host.wait(lambda pod: bool(pod.status.container_statuses) and pod.status.phase == "Running")
    await host.event("Unhealthy", "Readiness probe failed")
    file.touch()
    await host.ready()


async def test_a_hook_runs_after_the_start_and_one_before_the_end(host: Machine, tmp_path: Any) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    hooks = Lifecycle(
        post_start=run("/usr/bin/touch", str(started)),
        pre_stop=run("/bin/sh", "-c", f"sleep 0.1; touch {stopped}"),
    )
    await host.create(sleeper(lifecycle=hooks))
    await host.ready()
    assert started.exists()
    assert not stopped.exists()
    await host.delete()
    assert stopped.exists()


async def test_a_hook_that_fails_ends_the_container(host: Machine) -> None:
    await host.create(sleeper(lifecycle=Lifecycle(post_start=run("/bin/sh", "-c", "echo oops; exit 5"))))
    pod = await host.waiting("PostStartHookError")
    waiting = pod.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert 'exited with 5: , message: "oops\\n"' in waiting.message


async def test_a_hook_of_the_end_may_just_wait(host: Machine) -> None:
    hook = Lifecycle(pre_stop=LifecycleHandler(sleep=SleepAction(seconds=0)))
    await host.create(sleeper(lifecycle=hook))
    await host.ready()
    await host.delete()


async def test_deletion_gives_a_container_its_grace_period(host: Machine, tmp_path: Any) -> None:
    file = tmp_path / "bye"
    await host.create(sh(f"trap 'sleep 0.3; echo bye > {file}; exit 0' TERM; sleep 600 & wait"))
    await host.ready()
    with anyio.fail_after(5):
        await host.delete()
    assert file.read_text() == "bye\n"


async def test_configuration_comes_as_files_and_can_change(host: Machine) -> None:
    meta = ObjectMeta(name="conf", namespace="default")
    await host.server.create(ConfigMap(metadata=meta, data={"a": "one", "b": "two"}))
    await host.server.create(Secret(metadata=meta, data={"key": b"\x00\xff"}))
    volumes = (
        Volume(name="conf", config_map=ConfigMapVolumeSource(name="conf")),
        Volume(name="secret", secret=SecretVolumeSource(secret_name="conf", default_mode=0o400)),
        Volume(name="scratch", empty_dir=EmptyDirVolumeSource()),
    )
    mounts = (
        VolumeMount(name="conf", mount_path="/conf", read_only=True),
        VolumeMount(name="conf", mount_path="/only", sub_path="b"),
        VolumeMount(name="secret", mount_path="/secret"),
        VolumeMount(name="scratch", mount_path="/scratch"),
    )
    program = "cat /conf/a /conf/b /only; wc -c < /secret/key; echo x > /scratch/f; touch /conf/new || echo refused"
    await host.create(sh(program, volume_mounts=mounts), volumes=volumes, restart_policy="Never")
    pod = await host.wait(lambda pod: pod.status.phase in {"Succeeded", "Failed"})
    assert "onetwotwo2" in (await host.log()).replace("\n", ""), pod.status
    assert "refused" in await host.log()
    assert (host.root / "pods" / pod.metadata.uid / "volumes" / "scratch" / "f").read_text() == "x\n"


async def test_a_container_waits_for_the_configuration_of_its_environment(host: Machine) -> None:
    late = EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="late", key="k"))
    name = EnvVarSource(field_ref=ObjectFieldSelector(field_path="metadata.name"))
    env = (EnvVar(name="X", value_from=late), EnvVar(name="N", value_from=name), EnvVar(name="Y", value="$(X)-$(N)"))
    await host.create(sh("echo $Y", env=env), restart_policy="Never")
    pod = await host.waiting("CreateContainerConfigError")
    waiting = pod.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert waiting.message == 'configmap "late" not found'
    await host.server.create(ConfigMap(metadata=ObjectMeta(name="late", namespace="default"), data={"k": "now"}))
    await host.phase("Succeeded")
    assert await host.log() == "now-p\n"


async def test_a_pod_waits_for_its_volumes(host: Machine) -> None:
    volume = Volume(name="v", config_map=ConfigMapVolumeSource(name="late"))
    await host.create(sleeper(), volumes=(volume,))
    await host.event("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "late" not found')
    await host.server.create(ConfigMap(metadata=ObjectMeta(name="late", namespace="default"), data={"k": "now"}))
    await host.ready()


async def test_init_containers_come_first_and_sidecars_stay(host: Machine) -> None:
    init = (sh("echo first", "init"), sleeper("side", restart_policy="Always"))
    await host.create(sh("echo main"), init_containers=init, restart_policy="Never")
    pod = await host.phase("Succeeded")
    first, side = pod.status.init_container_statuses
    assert first.ready
    assert side.state.terminated is not None
    assert side.state.terminated.exit_code == 0
    assert [await host.log(container=name) for name in ("init", "c")] == ["first\n", "main\n"]


async def test_a_container_leaves_a_message_of_its_end(host: Machine) -> None:
    loud = sh("echo log; exit 4", "loud", termination_message_policy="FallbackToLogsOnError")
    named = sh("printf bye > /dev/termination-log; exit 1", "named")
    await host.create(named, loud, restart_policy="Never")
    pod = await host.phase("Failed")
    ends = {s.name: s.state.terminated for s in pod.status.container_statuses}
    assert {name: end.message for name, end in ends.items() if end} == {"named": "bye", "loud": "log\n"}


async def test_a_log_is_followed_to_the_end_of_the_container(host: Machine) -> None:
    await host.create(sh("echo one; sleep 0.3; echo two; printf three"), restart_policy="Never")
    await host.wait(lambda pod: any(s.container_id for s in pod.status.container_statuses))
    assert await host.log(follow=True) == "one\ntwo\nthree"
    assert await host.log(tail_lines=1) == "three"
    assert await host.log(limit_bytes=5) == "one\nt"


async def test_a_pod_on_the_hosts_network_has_the_hosts_address(host: Machine) -> None:
    await host.create(sleeper(), host_network=True)
    pod = await host.ready()
    assert pod.status.pod_ip == pod.status.host_ip == "127.0.0.1"
