"""What is used of ResourceQuotas: the arithmetic, and the status that the controller keeps."""

from __future__ import annotations

import anyio
import pytest

from orchestra.api.core import (
    ConfigMap,
    Container,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Service,
    ServicePort,
    ServiceSpec,
)
from orchestra.api.core.quota import ResourceQuota, ResourceQuotaSpec
from orchestra.api.object import ObjectMeta
from orchestra.api.quantity import Quantity
from orchestra.apiserver import APIServer
from orchestra.client.interface import Patch, PatchType
from orchestra.lifecycle import quotas


def pod(name: str, *, cpu: str = "", deadline: int | None = None, phase: str = "Pending") -> Pod:
    requests = {"cpu": Quantity(cpu)} if cpu else {}
    container = Container(name="c", image="i", resources=ResourceRequirements(requests=requests))
    spec = PodSpec(containers=(container,), active_deadline_seconds=deadline)
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec, status=PodStatus(phase=phase))


def quota(*scopes: str, **hard: str) -> ResourceQuota:
    amounts = {name.replace("__", "/").replace("_", "."): Quantity(value) for name, value in hard.items()}
    meta = ObjectMeta(name="q", namespace="default")
    return ResourceQuota(metadata=meta, spec=ResourceQuotaSpec(hard=amounts, scopes=scopes))


def test_a_pod_that_has_ended_counts_only_as_an_object() -> None:
    found = quotas.status_of(
        quota(pods="9", count__pods="9", requests_cpu="9"),
        [pod("a", cpu="500m"), pod("b", cpu="1", phase="Succeeded")],
    )
    assert {name: str(amount) for name, amount in found.used.items()} == {
        "count/pods": "2",
        "pods": "1",
        "requests.cpu": "500m",
    }


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("BestEffort", "2"), ("NotBestEffort", "1"), ("Terminating", "1"), ("NotTerminating", "2")],
)
def test_a_scope_narrows_which_pods_count(scope: str, expected: str) -> None:
    pods = [pod("a"), pod("b", deadline=100), pod("c", cpu="1")]
    assert str(quotas.status_of(quota(scope, pods="5"), pods).used["pods"]) == expected


def test_a_service_with_ports_on_every_node_counts_them() -> None:
    spec = ServiceSpec(type="NodePort", ports=(ServicePort(port=80), ServicePort(name="b", port=81)))
    used = quotas.usage(Service(metadata=ObjectMeta(name="s", namespace="default"), spec=spec))
    assert (str(used["services.nodeports"]), str(used["services.loadbalancers"])) == ("2", "0")


@pytest.mark.virtual_time
async def test_what_ends_or_goes_is_given_back(server: APIServer) -> None:
    async def used() -> dict[str, str]:
        await anyio.sleep(2)
        status = (await server.get(ResourceQuota, "q")).status
        return {name: str(amount) for name, amount in status.used.items()}

    await server.create(quota(pods="5", count__secrets="5", requests_cpu="2"))
    assert await used() == {"count/secrets": "0", "pods": "0", "requests.cpu": "0"}
    await server.create(pod("a", cpu="1"))
    await server.create(pod("b", cpu="500m"))
    await server.create(ConfigMap(metadata=ObjectMeta(name="uncounted", namespace="default")))
    assert await used() == {"count/secrets": "0", "pods": "2", "requests.cpu": "1500m"}
    ended = Patch(PatchType.MERGE, {"status": {"phase": "Succeeded"}})
    await server.patch(Pod, "a", ended, subresource="status")
    assert (await used())["requests.cpu"] == "500m"
    await server.delete(Pod, "b")
    assert (await used())["pods"] == "0"
