"""A control plane to be killed: `python plane_child.py ROOT MODE NAME` works on the runtime at ROOT.

MODE `hold` starts containers, says so, and waits; `churn` creates and starts containers until it is killed, each of
which appends one line to ROOT/../starts/CONTAINER-NAME.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ProcessRuntime
from orchestra.testing.runtime_conformance import IMAGE, container_config, sandbox_config


async def main(root: Path, mode: str, name: str) -> None:
    async with ProcessRuntime(root) as runtime:
        await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image=IMAGE)))
        config = sandbox_config(name)
        config.log_directory = str(root.parent / "logs")
        sandbox_id = (await runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=config))).pod_sandbox_id

        async def run(container: str, *command: str) -> str:
            wanted = container_config(container, command)
            wanted.log_path = f"{container}.log"
            request = pb.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=wanted)
            container_id = (await runtime.create_container(request)).container_id
            await runtime.start_container(pb.StartContainerRequest(container_id=container_id))
            return container_id

        if mode == "hold":
            go = root.parent / "go"
            wait = f"while [ ! -e {go} ]; do sleep 0.01; done"
            ids = [
                await run("runs", "sleep", "600"),
                await run("ends", "sh", "-c", f"echo early; {wait}; echo late; exit 6"),
                await run("ended", "sh", "-c", "exit 4"),
            ]
            sys.stdout.write(" ".join(ids) + "\n")
            sys.stdout.flush()
            await anyio.sleep(600)
        number = 0
        while True:
            number += 1
            container = f"{name}-{number}"
            await run(container, "sh", "-c", f"echo x >> {root.parent}/starts/{container}; exec sleep 600")


anyio.run(main, Path(sys.argv[1]), sys.argv[2], sys.argv[3])
