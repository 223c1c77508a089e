"""What typed objects cost: decoding, encoding, importing. `python -m tests.bench.bench_api` prints it."""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from collections.abc import Callable

from orchestra.api import builders
from orchestra.api.codec import decode, decode_like, encode
from orchestra.api.core import (
    ConfigMapVolumeSource,
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    HTTPGetAction,
    ObjectFieldSelector,
    Pod,
    Probe,
    Volume,
    VolumeMount,
)
from orchestra.api.manifest import dump_yaml, load_manifests
from tests.bench.figure import Figure

RUNS = 7
CALLS = 300
IMPORTS = 7
IMPORT = "import time; start = time.perf_counter(); import {module}; print((time.perf_counter() - start) * 1000)"


def realistic_pod() -> Pod:
    """Return a Pod as a node has reported it: probes, volumes, environment, conditions."""
    probe = Probe(
        http_get=HTTPGetAction(path="/", port="http", scheme="HTTP"),
        timeout_seconds=1,
        period_seconds=10,
        success_threshold=1,
        failure_threshold=3,
    )
    address = EnvVarSource(field_ref=ObjectFieldSelector(api_version="v1", field_path="status.podIP"))
    web = Container(
        name="web",
        image="web:1",
        command=("serve", "--port", "8080"),
        ports=(ContainerPort(name="http", container_port=8080, protocol="TCP"),),
        env=(EnvVar(name="A", value="1"), EnvVar(name="B", value="2"), EnvVar(name="POD_IP", value_from=address)),
        resources=builders.resources(cpu="100m", memory="64Mi"),
        volume_mounts=(VolumeMount(name="config", mount_path="/etc/web"), VolumeMount(name="tmp", mount_path="/tmp")),
        liveness_probe=probe,
        readiness_probe=probe,
        termination_message_path="/dev/termination-log",
        termination_message_policy="File",
        image_pull_policy="IfNotPresent",
    )
    pod = builders.pod(
        "web-6d5f7c9b8d-x7k2p",
        labels={"app": "web", "pod-template-hash": "6d5f7c9b8d"},
        node="node-1",
        containers=(web,),
        volumes=(Volume(name="config", config_map=ConfigMapVolumeSource(name="web")), Volume(name="tmp")),
        restart_policy="Always",
        termination_grace_period_seconds=30,
        dns_policy="ClusterFirst",
        scheduler_name="default-scheduler",
        tolerations=(
            builders.toleration("node.kubernetes.io/not-ready:NoExecute", seconds=300),
            builders.toleration("node.kubernetes.io/unreachable:NoExecute", seconds=300),
        ),
    )
    return builders.running(pod, ip="127.8.0.5")


def _micros(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=RUNS)) / CALLS * 1e6


def _import_millis(module: str) -> float:
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    return min(
        float(subprocess.run(command, capture_output=True, check=True, text=True).stdout) for _ in range(IMPORTS)
    )


def run() -> list[Figure]:
    """Measure everything, best of several runs."""
    pod = realistic_pod()
    document = encode(pod)
    changed = json.loads(json.dumps(document))
    changed["status"]["phase"] = "Succeeded"
    text = dump_yaml(document)
    measured = [
        ("decode a Pod", _micros(lambda: decode(document, Pod)), "µs", 60),
        ("encode a Pod", _micros(lambda: encode(pod)), "µs", 40),
        ("decode a Pod with a new status", _micros(lambda: decode_like(changed, document, pod)), "µs", 0),
        ("read a Pod's YAML", _micros(lambda: load_manifests(text)), "µs", 0),
        ("import orchestra.api", _import_millis("orchestra.api"), "ms", 25),
        ("import orchestra.api.core.pod", _import_millis("orchestra.api.core.pod"), "ms", 120),
    ]
    return [
        Figure(name, round(value, 1), unit, f"< {goal} {unit}" if goal else "none", value < goal if goal else None)
        for name, value, unit, goal in measured
    ]


if __name__ == "__main__":
    for figure in run():
        sys.stdout.write(f"{figure}\n")
