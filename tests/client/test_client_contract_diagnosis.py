"""What every client does about the diagnosis of Pods."""

from __future__ import annotations

import pytest

from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import PLACED, UNSCHEDULABLE, NodeRefusal, NodeScore, PluginScore, PodDiagnosis
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer, diagnoses
from orchestra.apiserver.grpc_service import MAX_DIAGNOSIS_BYTES
from orchestra.client.interface import Client, DiagnosisReport
from orchestra.client.remote import RemoteClient
from orchestra.errors import NotFound, RequestTooLarge
from tests.client.make import pod

REFUSAL = NodeRefusal(plugin="NodeResourcesFit", reasons=("Insufficient cpu",), count=2, nodes=("a", "b"))
FIT = PluginScore(plugin="Fit", weight=2, raw=25, normalized=25, weighted=50)
SCORE = NodeScore(node="a", total=50, plugins=(FIT,))


def report(made: Pod, outcome: str = UNSCHEDULABLE, **fields: object) -> DiagnosisReport:
    meta = made.metadata
    about = ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid)
    found = PodDiagnosis(metadata=about, outcome=outcome, **fields)  # type: ignore[arg-type]
    return DiagnosisReport(meta.namespace, meta.name, meta.uid, outcome == PLACED, lambda: found)


async def test_a_pod_that_nobody_reported_on_has_no_diagnosis(client: Client) -> None:
    await client.create(pod())
    assert await client.diagnosis("p") is None
    with pytest.raises(NotFound):
        await client.diagnosis("nobody")


async def test_the_newest_report_is_read_as_it_was_written(client: Client) -> None:
    made = await client.create(pod())
    refused = report(made, refusals=(REFUSAL,), nodes=2, message="0/2 nodes are available")
    await client.report_diagnoses([refused])
    assert await client.diagnosis("p") == refused.write()
    placed = report(made, PLACED, node="a", feasible=1, nodes=2, scores=(SCORE,))
    await client.report_diagnoses([placed])
    assert await client.diagnosis("p") == placed.write()


async def test_a_report_on_a_pod_of_the_past_is_left_out(client: Client) -> None:
    old = await client.create(pod())
    await client.delete(Pod, "p")
    await client.create(pod())
    await client.report_diagnoses([report(old)])
    assert await client.diagnosis("p") is None


async def test_placed_pods_do_not_drive_out_those_that_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnoses, "MAX_PLACED", 3)
    made = [await client.create(pod(f"p{number}")) for number in range(8)]
    await client.report_diagnoses([report(made[0])])
    for item in made[1:]:
        await client.report_diagnoses([report(item, PLACED)])
    kept = [item.metadata.name for item in made if await client.diagnosis(item.metadata.name) is not None]
    assert kept == ["p0", "p5", "p6", "p7"]


async def test_many_reports_travel_in_several_requests(client: Client) -> None:
    made = [await client.create(pod(f"p{number}")) for number in range(40)]
    text = "x" * 30_000
    await client.report_diagnoses([report(item, message=text) for item in made])
    for item in made:
        found = await client.diagnosis(item.metadata.name)
        assert found is not None
        assert found.message == text


async def test_a_report_beyond_its_bound_is_refused_by_the_front(client: Client, server: APIServer) -> None:
    made = await server.create(pod())
    if isinstance(client, RemoteClient):
        with pytest.raises(RequestTooLarge, match="default/p"):
            await client.report_diagnoses([report(made, message="x" * MAX_DIAGNOSIS_BYTES)])
