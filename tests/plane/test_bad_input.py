"""What people get wrong: the standard error that names field and value, and a store that is as it was before."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchestra import ControlPlane
from orchestra.api.apps import Deployment
from orchestra.api.builders import config_map, container, deployment, meta, namespace, pod
from orchestra.api.codec import from_document
from orchestra.api.core import ConfigMap, EnvVar
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import Patch, PatchType, WriteOptions
from orchestra.errors import (
    APIError,
    BadRequest,
    DecodeError,
    Invalid,
    NotFound,
    RequestTooLarge,
)
from tests.plane.conftest import Refused

Document = dict[str, Any]

WEB: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "app"}]},
        },
    },
}
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def web(path: str = "", value: Any = None) -> Document:
    """The Deployment with another value at `path`."""
    changed = copy.deepcopy(WEB)
    *steps, last = path.split(".")
    at: Any = changed
    for step in steps:
        at = at[int(step) if step.isdigit() else step]
    if path:
        at[last] = value
    return changed


def nested(depth: int) -> Document:
    document: Document = {}
    for _ in range(depth):
        document = {"a": document}
    return document


# Manifests


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n", "document 1: yaml: line 4: found character"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\ndata: {}\n", "document 1: yaml: line 4: did not find"),
        ("kind: ConfigMap\n---\nkind: [\n", "document 2: yaml: line 3: did not find expected node content"),
        ("a: 1\nmetadata: {name: a}\nmetadata: {name: b}\n", 'line 3: key "metadata" already set in map'),
        ("- a\n- b\n", "document 1: expected an object, got a list"),
        ("hello\n", "document 1: expected an object, got text"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
        ), "excessive aliasing"),
        ("[" * 5_000, "document 1"),
    ],
    ids=["tab", "brace", "second", "duplicate", "list", "text", "bomb", "depth"],
)  # fmt: skip
async def test_a_malformed_manifest_is_refused_with_file_document_and_line(
    plane: ControlPlane, refused: Refused, tmp_path: Path, text: str, place: str
) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(text)
    async with refused(DecodeError) as caught:
        await plane.client.apply_file(path)
    assert str(caught.value).startswith(f"{path}: document ")
    assert place in str(caught.value)


async def test_nothing_of_a_file_is_applied_when_a_later_document_is_malformed(
    plane: ControlPlane, refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\n---\n}\n")
    async with refused(DecodeError):
        await plane.client.apply_file(path)


@pytest.mark.parametrize(
    ("document", "kind", "message"),
    [
        ({**WEB, "kind": "Gadget"}, NotFound, 'no matches for kind "Gadget" in version "apps/v1"'),
        ({**WEB, "apiVersion": "a.dev/v1"}, NotFound, 'no matches for kind "Deployment" in version "a.dev/v1"'),
        ({"metadata": {"name": "a"}}, BadRequest, "invalid object type: /, Kind="),
        (web("metadata.name", ""), BadRequest, "name must be provided"),
        (web("metadata.namespace", "nowhere"), NotFound, 'namespaces "nowhere" not found'),
    ],
)
async def test_what_cannot_be_placed_is_refused(
    plane: ControlPlane, refused: Refused, document: Document, kind: type[APIError], message: str
) -> None:
    async with refused(kind) as caught:
        await plane.client.apply(document)
    assert caught.value.message == message


# Types and fields


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.replicas", "3", "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ("spec.replicas", 1.5, "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ("spec.replicas", 2**40, "1099511627776 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ("spec.paused", "yes", "cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"),
        ("metadata.labels", {"a": 1}, "number into Go struct field ObjectMeta.metadata.labels of type string"),
        ("spec.template.spec.containers.0.resources", {"limits": {"cpu": "lots"}}, "quantities must match the regular"),
    ],
)  # fmt: skip
async def test_a_value_of_the_wrong_type_is_refused_naming_the_field(
    plane: ControlPlane, refused: Refused, path: str, value: Any, message: str
) -> None:
    async with refused(BadRequest) as caught:
        await plane.client.apply(web(path, value))
    assert caught.value.message.startswith('Deployment in version "v1" cannot be handled as a Deployment: ')
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("spec.replicas", -1, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ("spec.template.spec.containers", [], "spec.template.spec.containers: Required value"),
        ("spec.template.spec.containers.0.image", "", "spec.template.spec.containers[0].image: Required value"),
        ("metadata.name", "Web", f'metadata.name: Invalid value: "Web": {SUBDOMAIN}'),
        ("metadata.labels", {"a b": "c"}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
        (
            "spec.template.spec.containers.0.name",
            "Main_1",
            f'spec.template.spec.containers[0].name: Invalid value: "Main_1": {LABEL}',
        ),
        (
            "spec.template.spec.containers.0.ports",
            [{"containerPort": 70000}],
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and",
        ),
        (
            "spec.selector.matchLabels",
            {"app": "other"},
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
    ],
)  # fmt: skip
async def test_a_faulty_field_is_refused_naming_path_and_value(
    plane: ControlPlane, refused: Refused, path: str, value: Any, fault: str
) -> None:
    document = web(path, value)
    async with refused(Invalid) as caught:
        await plane.client.apply(document)
    name = document["metadata"]["name"]
    assert caught.value.message.startswith(f'Deployment.apps "{name}" is invalid: {fault}')
    assert caught.value.causes[0].field == fault.partition(": ")[0]


async def test_all_faults_of_an_object_are_named_at_once(plane: ControlPlane, refused: Refused) -> None:
    document = web("spec.template.spec.containers", [{"name": "a", "image": ""}, {"name": "a", "image": "b"}])
    document["spec"]["replicas"] = -2
    async with refused(Invalid) as caught:
        await plane.client.create(from_document(document | {"metadata": {"name": "-"}}, Deployment))
    assert {(cause.reason, cause.field) for cause in caught.value.causes} == {
        ("FieldValueInvalid", "metadata.name"),
        ("FieldValueInvalid", "spec.replicas"),
        ("FieldValueRequired", "spec.template.spec.containers[0].image"),
        ("FieldValueDuplicate", "spec.template.spec.containers[1].name"),
    }


@pytest.mark.parametrize("name", ["My_NS", "a.b", "-a", "a-", "a" * 64])
async def test_a_name_that_is_no_dns_label_is_refused(plane: ControlPlane, refused: Refused, name: str) -> None:
    async with refused(Invalid) as caught:
        await plane.client.create(namespace(name))
    assert caught.value.causes[0].field == "metadata.name"
    assert f'Invalid value: "{name}": ' in caught.value.causes[0].message


@pytest.mark.parametrize("name", ["", "a/b", "..", "%2e", "a\n", "ü", "a" * 254])
async def test_a_name_that_could_not_be_part_of_a_path_is_refused(
    plane: ControlPlane, refused: Refused, name: str
) -> None:
    async with refused(Invalid) as caught:
        await plane.client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace="default")))
    assert caught.value.causes[0].field == "metadata.name"


async def test_undeclared_fields_warn_or_are_refused_under_strict_validation(
    plane: ControlPlane, refused: Refused
) -> None:
    document = web("spec.template.spec.contaners", [])
    document["spec"]["replica"] = 3
    typed = from_document(document, Deployment)
    async with refused(BadRequest) as caught:
        await plane.client.create(typed, options=WriteOptions(field_validation="Strict"))
    assert caught.value.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.template.spec.contaners", unknown field "spec.replica"'
    )
    async with refused(BadRequest) as caught:  # an apply must know whose a field is
        await plane.client.apply(document)
    assert ".spec.replica: field not declared in schema" in caught.value.message
    warnings: list[str] = []
    await plane.client.create(typed, options=WriteOptions(on_warning=warnings.append))
    assert warnings == ['unknown field "spec.template.spec.contaners"', 'unknown field "spec.replica"']


# Sizes and shapes


async def test_an_object_that_is_too_large_is_refused(plane: ControlPlane, refused: Refused) -> None:
    large = pod("large", containers=(container(env=(EnvVar(name="A", value="y" * 1_600_000),)),))
    async with refused(RequestTooLarge) as large_caught:
        await plane.client.create(large)
    assert large_caught.value.message.startswith("etcdserver: request is too large")
    async with refused(Invalid) as caught:
        await plane.client.create(config_map("large", {"a": "y" * 1_100_000}))
    message = 'ConfigMap "large" is invalid: []: Too long: may not be more than 1048576 bytes'
    assert caught.value.message == message
    async with refused(Invalid) as caught:
        await plane.client.create(ConfigMap(metadata=meta("large", annotations={"a": "y" * 300_000})))
    assert caught.value.causes[0].field == "metadata.annotations"
    made = await plane.client.create(config_map("small"))
    async with refused(Invalid):
        await plane.client.update(attrs.evolve(made, data={"a": "y" * 1_100_000}))


@pytest.mark.parametrize("patch_type", [PatchType.MERGE, PatchType.STRATEGIC])
async def test_a_document_that_is_nested_too_deeply_is_refused(
    plane: ControlPlane, refused: Refused, patch_type: PatchType
) -> None:
    await plane.client.create(deployment("web"))
    async with refused(BadRequest) as caught:
        await plane.client.patch(Deployment, "web", Patch(patch_type, {"spec": nested(3_000)}))
    assert "exceeded max depth" in caught.value.message
    async with refused(BadRequest):
        await plane.client.apply({**web("metadata.name", "deep"), "spec": nested(3_000)})


async def test_text_that_is_no_unicode_is_refused(plane: ControlPlane, refused: Refused) -> None:
    async with refused(BadRequest):
        await plane.client.create(config_map("a", {"a": "\ud800"}))
    async with refused(BadRequest) as caught:
        await plane.client.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "not base64!"}}
        )
    assert "illegal base64 data at input byte 3" in caught.value.message
