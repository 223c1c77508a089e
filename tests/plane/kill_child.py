"""A control plane to be killed: `python kill_child.py DATA_DIR SEED`.

It changes Deployments, Services and ConfigMaps at random until it is killed. On standard output it says with one JSON
line what it is about to write, and with another one that the write was acknowledged, so that whoever killed it knows
what has to be there. `python kill_child.py DATA_DIR hold` only keeps the plane running, until SIGTERM stops it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import anyio

from orchestra import ControlPlane, NodeAgent, SQLiteStore
from orchestra.api.apps import Deployment
from orchestra.api.core import ConfigMap, Service
from orchestra.api.object import ObjectMeta
from orchestra.client import Client
from orchestra.client.interface import Patch, PatchType
from orchestra.cri import ProcessRuntime

NODES = 2
MAX_DEPLOYMENTS = 3
MAX_REPLICAS = 3
PAUSE_SECONDS = 0.08
"""The longest pause between two writes: short enough to write into the middle of what the last one caused."""


def new_plane(data_dir: Path, *, on_exit: Literal["stop", "leave"] = "stop") -> ControlPlane:
    """The plane of a data directory, the same for those that are killed and those that come after."""
    nodes = [
        NodeAgent(f"node-{i}", runtime=ProcessRuntime(root=data_dir / f"node-{i}"), on_exit=on_exit)
        for i in range(NODES)
    ]
    return ControlPlane(store=SQLiteStore(data_dir / "cluster.db"), nodes=nodes)


def pod_spec(data_dir: Path, version: int) -> dict[str, Any]:
    """A program that notes each of its starts in a file named after its Pod's uid."""
    return {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "main",
                "image": "sleeper",
                "command": ["sh", "-c", 'echo $$$$ >> "$STARTS/$POD_UID"; exec sleep 600'],
                "env": [
                    {"name": "STARTS", "value": str(data_dir / "starts")},
                    {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                    {"name": "VERSION", "value": str(version)},
                ],
            }
        ],
    }


def deployment(data_dir: Path, name: str, replicas: int, version: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(data_dir, version)},
        },
    }


def say(**line: Any) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")  # one call, so that a kill does not tear it


class Churn:
    """Writes at random; `known` is what Deployments there are, with replicas and version."""

    def __init__(self, client: Client, data_dir: Path, chance: random.Random, prefix: str) -> None:
        self.client = client
        self.data_dir = data_dir
        self.chance = chance
        self.prefix = prefix
        self.number = 0
        self.known: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        for found in (await self.client.list(Deployment, namespace="default")).items:
            version = next(v.value for v in found.spec.template.spec.containers[0].env if v.name == "VERSION")
            self.known[found.metadata.name] = (found.spec.replicas or 0, int(version))
        while True:
            self.number += 1
            steps = [self.service, self.config_map]
            if self.known:
                steps += [self.scale, self.scale, self.roll_out, self.roll_out, self.remove]
            if len(self.known) < MAX_DEPLOYMENTS:
                steps += [self.create, self.create]
            await self.chance.choice(steps)()
            await anyio.sleep(self.chance.random() * PAUSE_SECONDS)

    def some(self) -> str:
        return self.chance.choice(sorted(self.known))

    async def create(self) -> None:
        name = f"{self.prefix}-{self.number}"
        await self._deploy(name, self.chance.randint(1, MAX_REPLICAS), 1)

    async def roll_out(self) -> None:
        name = self.some()
        replicas, version = self.known[name]
        await self._deploy(name, replicas, version + 1)

    async def _deploy(self, name: str, replicas: int, version: int) -> None:
        say(to="write", key=f"Deployment/{name}", want=[replicas, version])
        made = await self.client.apply(deployment(self.data_dir, name, replicas, version), force=True)
        self.known[name] = (replicas, version)
        say(to="note", key=f"Deployment/{name}", want=[replicas, version], revision=made.metadata.resource_version)

    async def scale(self) -> None:
        name = self.some()
        replicas, version = self.chance.randint(0, MAX_REPLICAS), self.known[name][1]
        say(to="write", key=f"Deployment/{name}", want=[replicas, version])
        body = {"spec": {"replicas": replicas}}
        made = await self.client.patch(Deployment, name, Patch(PatchType.MERGE, body))
        self.known[name] = (replicas, version)
        say(to="note", key=f"Deployment/{name}", want=[replicas, version], revision=made.metadata.resource_version)

    async def remove(self) -> None:
        name = self.some()
        say(to="write", key=f"Deployment/{name}", want=None)
        gone = await self.client.delete(Deployment, name)
        del self.known[name]
        say(to="note", key=f"Deployment/{name}", want=None, revision=str(gone.revision))

    async def service(self) -> None:
        name = f"{self.prefix}-s{self.number}"
        say(to="write", key=f"Service/{name}", want="any")
        spec = {"selector": {"app": "none"}, "ports": [{"port": 80}]}
        meta = {"name": name, "namespace": "default"}
        document = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        made = await self.client.apply(document)
        assert isinstance(made, Service)
        say(to="note", key=f"Service/{name}", want=made.spec.cluster_ip, revision=made.metadata.resource_version)

    async def config_map(self) -> None:
        name = f"{self.prefix}-c{self.number}"
        say(to="write", key=f"ConfigMap/{name}", want=name)
        made = await self.client.create(
            ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"n": name})
        )
        say(to="note", key=f"ConfigMap/{name}", want=name, revision=made.metadata.resource_version)


async def main(data_dir: Path, mode: str) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_work, data_dir, mode)
            async for _ in signals:
                tasks.cancel_scope.cancel()
                break


async def _work(data_dir: Path, mode: str) -> None:
    async with new_plane(data_dir) as plane:
        say(to="open")
        if mode == "hold":
            await anyio.sleep_forever()
        await Churn(plane.client, data_dir, random.Random(mode), f"r{mode}").run()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
