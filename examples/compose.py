"""Compose a control plane of your own: three nodes, a store on disk, and a manifest made real."""

from pathlib import Path

import anyio

from orchestra import ControlPlane, NodeAgent, Scheduler, SQLiteStore, default_controllers
from orchestra.api.apps import Deployment
from orchestra.cri import ProcessRuntime

MANIFEST = Path(__file__).with_name("web.yaml")


async def main() -> None:
    plane = ControlPlane(
        store=SQLiteStore("cluster.db"),
        scheduler=Scheduler(),
        controllers=default_controllers(),  # and your own
        nodes=[NodeAgent(f"node-{i}", runtime=ProcessRuntime(root=f"node-{i}")) for i in range(3)],
    )
    async with plane:
        await plane.client.apply_file(MANIFEST)
        web = await plane.client.wait_for(Deployment, "web", condition="Available", timeout=30)
        print(web.status.ready_replicas)


if __name__ == "__main__":
    anyio.run(main)
