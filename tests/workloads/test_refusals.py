"""What is refused shows in status and Events, and goes away with its cause."""

from __future__ import annotations

import pytest

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.core import Namespace, Pod
from orchestra.api.rules import condition
from orchestra.apiserver.interface import AdmissionRequest
from orchestra.errors import APIError, Forbidden, Invalid
from tests.workloads.conftest import WEB, Bench

pytestmark = pytest.mark.virtual_time


def no_pods(request: AdmissionRequest) -> APIError | None:
    if request.info.kind == "Pod" and request.operation == "CREATE":
        return Forbidden(f'pods "{request.name}" is forbidden: exceeded quota: q')
    return None


def no_replica_sets(request: AdmissionRequest) -> APIError | None:
    if request.info.kind == "ReplicaSet" and request.operation == "CREATE":
        return Forbidden(f'replicasets.apps "{request.name}" is forbidden: exceeded quota: q')
    return None


async def test_refused_pods_show_in_conditions_and_events_until_they_are_admitted(bench: Bench) -> None:
    bench.gate.refuse = no_pods
    await bench.apply(WEB)
    await bench.settle(2)
    web = await bench.server.get(Deployment, "web")
    (rs,) = (await bench.server.list(ReplicaSet)).items
    for subject in (web, rs):
        failure = condition(subject, "ReplicaFailure")
        assert (failure.status, failure.reason) == ("True", "FailedCreate")
        assert "is forbidden: exceeded quota: q" in failure.message
    told = await bench.events("FailedCreate")
    assert told
    assert all(e.type == "Warning" and "Error creating: pods " in e.message for e in told)
    assert condition(web, "Progressing").reason in {"NewReplicaSetCreated", "ReplicaSetUpdated"}
    bench.gate.refuse = lambda _: None
    await bench.settle(30)
    assert len(await bench.pods()) == 3
    assert condition(await bench.server.get(Deployment, "web"), "ReplicaFailure") is None


async def test_a_refused_pod_is_tried_again_later_and_later_never_in_a_busy_loop(bench: Bench) -> None:
    attempts = 0

    def refuse(request: AdmissionRequest) -> APIError | None:
        nonlocal attempts
        error = no_pods(request)
        attempts += error is not None
        return error

    bench.gate.refuse = refuse
    await bench.apply(WEB)
    await bench.settle(600)
    assert 5 < attempts < 30


async def test_a_refused_replica_set_shows_in_the_deployment(bench: Bench) -> None:
    bench.gate.refuse = no_replica_sets
    await bench.apply(WEB)
    await bench.settle(2)
    progressing = condition(await bench.server.get(Deployment, "web"), "Progressing")
    assert (progressing.status, progressing.reason) == ("False", "ReplicaSetCreateError")
    assert "exceeded quota: q" in progressing.message
    assert await bench.events("ReplicaSetCreateError")
    bench.gate.refuse = lambda _: None
    await bench.settle(30)
    assert len(await bench.pods()) == 3


async def test_pods_that_cannot_be_deleted_are_a_failure_too(bench: Bench) -> None:
    await bench.apply(WEB)
    await bench.settle()

    def refuse(request: AdmissionRequest) -> APIError | None:
        return Forbidden("not today") if request.info.kind == "Pod" and request.operation == "DELETE" else None

    bench.gate.refuse = refuse
    await bench.apply(WEB.replace("replicas: 3", "replicas: 1"))
    await bench.settle(2)
    (rs,) = (await bench.server.list(ReplicaSet)).items
    assert condition(rs, "ReplicaFailure").reason == "FailedDelete"
    assert await bench.events("FailedDelete")


async def test_nothing_fails_when_the_namespace_goes_meanwhile(bench: Bench) -> None:
    await bench.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: gone}")
    await bench.apply(WEB.replace("{name: web}", "{name: web, namespace: gone}"))
    await bench.settle()
    await bench.server.delete(Namespace, "gone")
    for pod in (await bench.server.list(Pod, namespace="gone")).items:
        await bench.server.delete(Pod, pod.metadata.name, namespace="gone")
    await bench.settle(2)
    (rs,) = (await bench.server.list(ReplicaSet, namespace="gone")).items
    assert condition(rs, "ReplicaFailure") is None
    await bench.settle(30)
    assert not (await bench.server.list(ReplicaSet, namespace="gone")).items


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("matchLabels: {app: web}", "matchLabels: {app: other}", "spec.template.metadata.labels"),
        ("selector: {matchLabels: {app: web}}", "selector: {}", "spec.selector"),
        ("replicas: 3", "replicas: -1", "spec.replicas"),
        ("name: c,", "name: 'no label',", "spec.template.spec.containers[0].name"),
    ],
)
async def test_a_deployment_that_cannot_work_is_refused_and_names_the_field(
    bench: Bench, old: str, new: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await bench.apply(WEB.replace(old, new))
    assert field in {cause.field for cause in refused.value.causes}
    assert not (await bench.server.list(Deployment)).items


async def test_the_selector_of_a_deployment_stays_what_it_was(bench: Bench) -> None:
    await bench.apply(WEB)
    with pytest.raises(Invalid) as refused:
        await bench.apply(WEB.replace("app: web", "app: other"))
    assert "spec.selector" in {cause.field for cause in refused.value.causes}
