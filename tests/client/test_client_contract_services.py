"""What every client does beyond single objects: addresses, logs, leadership, waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import attrs
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod, PodStatus
from orchestra.api.core.service import Service
from orchestra.client.interface import (
    Client,
    DeleteOptions,
    LogOptions,
    WriteOptions,
)
from orchestra.errors import (
    BadRequest,
    Conflict,
    Invalid,
    ServiceUnavailable,
    WaitTimeout,
)
from tests.client.make import config, deployment, pod, service

LIMIT = 5.0  # seconds


# Services


async def test_a_service_gets_an_address_and_gives_it_back(client: Client) -> None:
    made = await client.create(service())
    assert made.spec.cluster_ip
    assert made.spec.cluster_ips == (made.spec.cluster_ip,)
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await client.create(service("t", cluster_ip=made.spec.cluster_ip))
    await client.delete(Service, "s")
    assert (await client.create(service("t", cluster_ip=made.spec.cluster_ip))).spec.cluster_ip == made.spec.cluster_ip


async def test_a_headless_service_has_no_address(client: Client) -> None:
    assert (await client.create(service(cluster_ip="None"))).spec.cluster_ips == ("None",)


async def test_a_node_port_is_allocated_within_its_range(client: Client) -> None:
    made = await client.create(service(type="NodePort"))
    assert 30000 <= (made.spec.ports[0].node_port or 0) <= 32767


# Logs


class Handler:
    """Answers with what it was asked."""

    async def _lines(self, text: str) -> AsyncIterator[bytes]:
        yield text.encode()

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        return self._lines(f"{namespace}/{pod}/{options.container}\n")


async def test_logs_come_from_the_node_of_the_pod(client: Client) -> None:
    await client.create(pod(node="n1"))
    async with client.serve_node("n1", Handler()), client.logs("p") as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"default/p/c\n"
    with pytest.raises(ServiceUnavailable):
        async with client.logs("p"):
            pass


async def test_logs_of_a_pod_with_several_containers_need_a_name(client: Client) -> None:
    await client.create(pod(node="n1", containers=("a", "b")))
    with pytest.raises(BadRequest) as caught:
        async with client.logs("p"):
            pass
    assert caught.value.message == "a container name must be specified for pod p, choose one of: [a b]"
    with pytest.raises(BadRequest, match="container nope is not valid for pod p"):
        async with client.logs("p", options=LogOptions(container="nope")):
            pass


async def test_a_pod_without_a_node_has_no_logs_yet(client: Client) -> None:
    await client.create(pod())
    async with client.logs("p") as chunks:
        assert [chunk async for chunk in chunks] == []


async def test_a_part_of_a_log_that_cannot_be_is_refused(client: Client) -> None:
    await client.create(pod())
    with pytest.raises(Invalid, match="tailLines: Invalid value: -1: must be greater than or equal to 0"):
        async with client.logs("p", options=LogOptions(tail_lines=-1)):
            pass


# Leadership


async def test_a_write_of_an_ended_term_is_a_conflict(client: Client) -> None:
    old = await client.acquire_fence("manager", "a")
    await client.create(config("a"), options=WriteOptions(fence=old))
    new = await client.acquire_fence("manager", "b")
    with pytest.raises(Conflict, match="lost its term of leadership"):
        await client.update(config("a", {"k": "2"}), options=WriteOptions(fence=old))
    with pytest.raises(Conflict):
        await client.delete(ConfigMap, "a", options=DeleteOptions(fence=old))
    assert (await client.update(config("a", {"k": "2"}), options=WriteOptions(fence=new))).data == {"k": "2"}


# Convenience


async def test_waiting_ends_when_the_object_is_as_wanted(client: Client) -> None:
    async def run_it() -> None:
        made = await client.create(pod())
        await client.update(attrs.evolve(made, status=PodStatus(phase="Running")), subresource="status")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_it)
        found = await client.wait_for(Pod, "p", jsonpath="{.status.phase}=Running", timeout=LIMIT)  # type: ignore[attr-defined]
    assert found.status.phase == "Running"


async def test_waiting_says_what_was_seen_last(client: Client) -> None:
    await client.create(deployment())
    with pytest.raises(WaitTimeout, match="it has no condition Available"):
        await client.wait_for(Deployment, "web", condition="Available", timeout=0.01)  # type: ignore[attr-defined]


async def test_waiting_for_deletion(client: Client) -> None:
    await client.create(config("a"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.delete, ConfigMap, "a")
        gone = await client.wait_for(ConfigMap, "a", deleted=True, timeout=LIMIT)  # type: ignore[attr-defined]
    assert gone.metadata.name == "a"
