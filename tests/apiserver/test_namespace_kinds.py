"""Rules of Endpoints, Ingresses, NetworkPolicies, ServiceAccounts, ResourceQuotas and LimitRanges."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.apiserver.validation.networking import warnings_of_ingress
from tests.apiserver.rule_cases import faults, named, rules, stored, update_faults

NETWORKING = "networking.k8s.io/v1"


def ingress(**spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return named("Ingress", NETWORKING, spec=spec or {"defaultBackend": backend})


def with_path(**path: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return ingress(rules=[{"http": {"paths": [{"pathType": "Prefix", "path": "/", "backend": backend, **path}]}}])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ({"path": "x"}, 'Invalid value: "x": must be an absolute path'),
        ({"path": "/a//b"}, "Invalid value: \"/a//b\": must not contain '//'"),
        ({"path": "/a/.."}, "Invalid value: \"/a/..\": cannot end with '/..'"),
        ({"path": "x", "pathType": "ImplementationSpecific"}, 'Invalid value: "x": must be an absolute path'),
    ],
)
def test_a_path_of_an_ingress_is_absolute_and_has_no_detours(path: dict[str, Any], told: str) -> None:
    assert faults("Ingress", with_path(**path), NETWORKING) == [f"spec.rules[0].http.paths[0].path: {told}"]


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ({}, '.backend: Invalid value: "": resource or service backend is required'),
        ({"service": {"name": "web"}}, ".backend: Required value: port name or number is required"),
        (
            {"service": {"name": "web", "port": {"name": "a", "number": 1}}},
            '.backend: Invalid value: "": cannot set both port name & port number',
        ),
        (
            {"resource": {"kind": "a/b", "name": "c"}},
            ".backend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
        ),
    ],
)
def test_a_backend_is_one_service_or_one_resource(backend: dict[str, Any], told: str) -> None:
    assert faults("Ingress", with_path(backend=backend), NETWORKING) == [f"spec.rules[0].http.paths[0]{told}"]


def test_the_old_way_to_name_an_ingress_class_warns_when_it_is_new() -> None:
    old = ingress()
    old["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "x"}
    assert len(warnings_of_ingress(old, None)) == 1
    assert warnings_of_ingress(old, old) == []


def test_a_network_policy_governs_egress_only_when_it_has_rules_for_it() -> None:
    def types(**spec: Any) -> Any:
        return stored("NetworkPolicy", named("NetworkPolicy", NETWORKING, spec=spec), NETWORKING)["spec"]["policyTypes"]

    assert types(podSelector={}) == ["Ingress"]
    assert types(podSelector={}, egress=[{}]) == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"from": [{}]}, "from[0]: Required value: must specify a peer"),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
            "from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]},
            'from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
        ),
        (
            {"ports": [{"port": 90, "endPort": 80}]},
            "ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
        ),
    ],
)
def test_peers_and_ports_of_a_network_policy_make_sense(rule: dict[str, Any], told: str) -> None:
    document = named("NetworkPolicy", NETWORKING, spec={"podSelector": {}, "ingress": [rule]})
    assert faults("NetworkPolicy", document, NETWORKING) == [f"spec.ingress[0].{told}"]


def test_endpoints_are_grouped_by_the_ports_that_they_share() -> None:
    a, b = {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}
    http, admin = {"name": "http", "port": 80}, {"name": "admin", "port": 81}
    subsets = [
        {"addresses": [b], "ports": [http]},
        {"addresses": [a], "notReadyAddresses": [b], "ports": [admin]},
        {"addresses": [a], "ports": [http]},
    ]
    packed = stored("Endpoints", named("Endpoints", subsets=subsets))["subsets"]
    tcp = {"protocol": "TCP"}
    assert packed == [
        {"addresses": [a], "notReadyAddresses": [b], "ports": [{**admin, **tcp}]},
        {"addresses": [a, b], "ports": [{**http, **tcp}]},
    ]


def test_an_address_of_endpoints_is_not_special_and_several_ports_have_names() -> None:
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}, {"port": 0, "name": "x"}]}]
    found = faults("Endpoints", named("Endpoints", subsets=subsets))
    assert [each.partition(":")[0] for each in found] == [
        "subsets[0].addresses[0].ip",
        "subsets[0].ports[0].name",
        "subsets[0].ports[1].port",
    ]
    assert (
        faults("Endpoints", named("Endpoints", subsets=[{"addresses": [{"ip": "127.0.0.1"}]}]), loopback_endpoints=True)
        == []
    )


def test_a_service_account_keeps_the_names_of_secrets_alone() -> None:
    given = named("ServiceAccount", secrets=[{"name": "a", "namespace": "x", "kind": "Secret"}])
    assert stored("ServiceAccount", given)["secrets"] == [{"name": "a"}]
    given["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    assert len(rules("ServiceAccount").warnings(given, None)) == 1


def limits(*items: dict[str, Any]) -> dict[str, Any]:
    return named("LimitRange", spec={"limits": list(items)})


def test_bounds_of_claims_and_ratios_are_checked() -> None:
    claim = {"type": "PersistentVolumeClaim", "max": {"cpu": "1"}}
    text = "either minimum or maximum storage value is required, but neither was provided"
    assert faults("LimitRange", limits(claim)) == [f"spec.limits[0].limits: Required value: {text}"]
    ratio = {"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}
    at = "spec.limits[0].maxLimitRequestRatio[cpu]"
    assert faults("LimitRange", limits(ratio)) == [
        f'{at}: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
    ]
    assert faults("LimitRange", limits({"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}})) == [
        f'{at}: Invalid value: "500m": ratio 500m is less than 1'
    ]


def test_the_scopes_of_a_quota_are_fixed() -> None:
    old = named("ResourceQuota", spec={"hard": {"pods": "1"}, "scopes": ["Terminating"]})
    new = named("ResourceQuota", spec={"hard": {"pods": "2"}})
    assert update_faults("ResourceQuota", new, old) == ["spec.scopes: Invalid value: null: field is immutable"]
    assert update_faults("ResourceQuota", {**old, "spec": {**old["spec"], "hard": {"pods": "3"}}}, old) == []


def test_a_quota_bounds_resources_that_can_be_counted() -> None:
    found = faults("ResourceQuota", named("ResourceQuota", spec={"hard": {"storage": "1", "pods": "1500m"}}))
    assert found == [
        'spec.hard[pods]: Invalid value: "1500m": must be an integer',
        'spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota',
    ]
