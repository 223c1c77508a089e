"""What every client does when it is asked to evict a Pod."""

from __future__ import annotations

import attrs
import pytest

from orchestra.api.builders import meta, pod
from orchestra.api.core.pod import Pod
from orchestra.api.meta import LabelSelector
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from orchestra.client.interface import Client
from orchestra.client.verbs import ClientVerbs
from orchestra.errors import NotFound, TooManyRequests

pytestmark = pytest.mark.anyio


async def test_a_pod_goes_when_it_is_evicted(client: Client) -> None:
    await client.create(pod("p", node="n"))
    await ClientVerbs.evict(client, "p")
    assert (await client.get(Pod, "p")).metadata.deletion_timestamp is not None
    with pytest.raises(NotFound):
        await ClientVerbs.evict(client, "q")


async def test_a_budget_that_lets_nothing_go_says_why(client: Client) -> None:
    selector = LabelSelector(match_labels={"app": "web"})
    await client.create(PodDisruptionBudget(metadata=meta("b"), spec=PodDisruptionBudgetSpec(selector=selector)))
    made = await client.create(pod("p", node="n", labels={"app": "web"}))
    await client.update(attrs.evolve(made, status=attrs.evolve(made.status, phase="Running")), subresource="status")
    with pytest.raises(TooManyRequests) as refused:
        await ClientVerbs.evict(client, "p")
    assert refused.value.retry_after_seconds == 10
    assert refused.value.causes[0].reason == "DisruptionBudget"
