"""A controller of your own: every ConfigMap labelled `site` gets a Deployment that it owns."""

from collections.abc import Sequence

import anyio

from orchestra import Context, Controller, ControlPlane, NodeAgent, Result, default_controllers
from orchestra.api.apps import Deployment
from orchestra.api.builders import deployment
from orchestra.api.core import ConfigMap
from orchestra.api.object import ObjectMeta
from orchestra.controller import controller
from orchestra.cri import FakeRuntime


@controller("site", for_=ConfigMap, owns=(Deployment,))
async def reconcile(site: ConfigMap, ctx: Context) -> Result | None:
    if "site" not in site.metadata.labels:
        return None
    replicas = int(site.data.get("replicas", "1"))
    await ctx.apply(deployment(f"{site.metadata.namespace}/{site.metadata.name}", replicas=replicas))
    return None


async def main(controllers: Sequence[Controller[ConfigMap]] = (reconcile,)) -> None:
    plane = ControlPlane(
        controllers=[*default_controllers(), *controllers],
        nodes=[NodeAgent("node-0", runtime=FakeRuntime())],  # runs nothing: this example is about the loop
        network=False,
    )
    async with plane:
        meta = ObjectMeta(name="blog", namespace="default", labels={"site": "yes"})
        await plane.client.create(ConfigMap(metadata=meta, data={"replicas": "2"}))
        blog = await plane.client.wait_for(Deployment, "blog", condition="Available", timeout=30)
        print(f"{blog.metadata.name}: {blog.status.ready_replicas} of {blog.spec.replicas} ready")


if __name__ == "__main__":
    anyio.run(main)
