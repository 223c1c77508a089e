"""Commands that tell of objects, on a plane in virtual time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestra.cli.commands import describe, discovery, events, logs
from tests.cli.conftest import Manifests, Shell

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def web(shell: Shell, manifests: Manifests) -> Shell:
    await shell.apply(manifests.web)
    await shell.harness.settle()
    return shell


async def _describe(shell: Shell, *words: str, **options: Any) -> int:
    return await shell(describe.run, describe.DescribeOptions(resources=words, **options))


async def test_a_pod_is_described_with_its_containers_and_events(web: Shell) -> None:
    name = (await web.harness.pods())[0].metadata.name
    assert await _describe(web, "pod", name) == 0
    assert web.out.startswith(f"Name:             {name}\nNamespace:        default\n")
    assert "\nControlled By:  ReplicaSet/web-" in web.out
    assert "\n    State:          Running\n      Started:      " in web.out
    assert "\nConditions:\n  Type                        Status\n" in web.out
    assert re.search(r"\nEvents:\n  Type +Reason +Age +From +Message\n  ---- +------ +--- +---- +-------\n", web.out)
    assert "Successfully assigned default/" in web.out


async def test_a_deployment_is_described_with_its_replica_sets(web: Shell, manifests: Manifests) -> None:
    await web.apply(manifests.web.replace("web:1", "web:2"))
    await web.harness.settle()
    assert await _describe(web, "deploy/web") == 0
    assert "\nReplicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable\n" in web.out
    assert re.search(r"\nOldReplicaSets:  web-\w+ \(0/0 replicas created\)\n", web.out)
    assert re.search(r"\nNewReplicaSet:   web-\w+ \(2/2 replicas created\)\n", web.out)
    assert "\nRollingUpdateStrategy:  25% max unavailable, 25% max surge\n" in web.out


async def test_a_service_is_described_with_its_ports(web: Shell) -> None:
    assert await _describe(web, "svc", "web") == 0
    assert "\nSelector:                 app=web\n" in web.out
    assert "\nPort:                     <unset>  80/TCP\nTargetPort:               80/TCP\n" in web.out


async def test_a_node_is_described_with_its_pods_and_what_they_take(web: Shell) -> None:
    assert await _describe(web, "node", "node-0") == 0
    assert "\nNon-terminated Pods:" in web.out
    assert "(2 in total)" in web.out
    assert re.search(r"\n  cpu +0 \(0%\) +0 \(0%\)\n", web.out)


async def test_a_replica_set_is_found_by_the_beginning_of_its_name(web: Shell) -> None:
    assert await _describe(web, "rs", "web") == 0
    assert "\nPods Status:    2 Running / 0 Waiting / 0 Succeeded / 0 Failed\n" in web.out


async def test_a_secret_is_described_without_what_it_holds(shell: Shell) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: c2VjcmV0}\n"
    await shell.apply(text)
    assert await _describe(shell, "secret", "s") == 0
    assert "\nData\n====\npassword:  6 bytes\n" in shell.out
    assert "secret\n" not in shell.out
    assert "c2VjcmV0" not in shell.out


async def test_a_kind_without_a_description_of_its_own_shows_every_field(shell: Shell) -> None:
    assert await _describe(shell, "ns", "default") == 0
    assert "\nAPI Version:  v1\nKind:         Namespace\n" in shell.out
    assert "\nStatus:\n  Phase:  Active\n" in shell.out


async def test_describe_of_what_is_not_there(shell: Shell) -> None:
    assert await _describe(shell, "pod", "nope") == 1
    assert shell.err == 'Error from server (NotFound): pods "nope" not found\n'
    assert await _describe(shell, "pods") == 0
    assert shell.err == "No resources found in default namespace.\n"


async def test_events_come_in_order_and_can_be_of_one_object(web: Shell) -> None:
    assert await web(events.run, events.EventsOptions()) == 0
    assert web.rows[0] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    every = len(web.rows)
    assert await web(events.run, events.EventsOptions(for_="deploy/web")) == 0
    assert [row[2:4] for row in web.rows[1:]] == [["ScalingReplicaSet", "Deployment/web"]]
    assert len(web.rows) < every
    assert await web(events.run, events.EventsOptions(types=("Warning",))) == 0
    assert web.err == "No events found in default namespace.\n"
    assert await web(events.run, events.EventsOptions(types=("Loud",))) == 1


async def test_logs_name_the_container_that_is_meant(web: Shell) -> None:
    name = (await web.harness.pods())[0].metadata.name
    assert await web(logs.run, logs.LogsOptions(resources=(name, "nope"))) == 1
    assert web.err == f"error: container nope is not valid for pod {name}\n"
    assert await web(logs.run, logs.LogsOptions(resources=("nope",))) == 1
    assert web.err == 'Error from server (NotFound): pods "nope" not found\n'
    assert await web(logs.run, logs.LogsOptions()) == 1
    assert await web(logs.run, logs.LogsOptions(resources=(name,), since="5")) == 1
    assert 'missing unit in duration "5"' in web.err


async def test_logs_of_a_service_without_selector_are_refused(shell: Shell) -> None:
    await shell.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
    assert await shell(logs.run, logs.LogsOptions(resources=("cm/c",))) == 1
    assert shell.err.startswith("error: cannot get the logs from ConfigMap")


async def test_the_kinds_of_the_server_are_listed(shell: Shell) -> None:
    assert await shell(discovery.resources, discovery.ResourcesOptions()) == 0
    assert shell.rows[0] == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in shell.rows
    assert await shell(discovery.resources, discovery.ResourcesOptions(output="name", api_group="apps")) == 0
    names = ("deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions")
    assert sorted(shell.out.split()) == sorted(f"{name}.apps" for name in names)


async def test_the_versions_are_told(shell: Shell) -> None:
    assert await shell(discovery.versions, discovery.VersionOptions()) == 0
    assert re.fullmatch(r"Client Version: v[\d.]+\nServer Version: v[\d.]+\n", shell.out)
