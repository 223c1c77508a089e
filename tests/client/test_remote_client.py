"""What only a remote client has, or has to get right: user kinds, long refusals, warnings, shared parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod
from orchestra.api.object import Object, ObjectMeta, freeze_fields, resource
from orchestra.api.scheme import Scheme
from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.client.interface import Patch, PatchType, WriteOptions
from orchestra.client.remote import RemoteClient
from orchestra.client.remote_status import STATUS_BYTES, error_of, status_bytes, trailers
from orchestra.errors import (
    APIError,
    BadRequest,
    Cause,
    Conflict,
    DecodeError,
    Invalid,
    NotFound,
    ServiceUnavailable,
    Timeout,
)
from orchestra.store.memory import MemoryStore
from tests.client.doors import door, running, socket_in
from tests.client.make import config, pod


@resource("example.dev/v1", plural="websites", short_names=("web",))
@attrs.frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Website(Object):
    title: str | None = None


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RemoteClient]:
    front = GRPCFront(socket_in(tmp_path))
    scheme = Scheme()
    scheme.register(Website)
    remote = RemoteClient(front.address)
    async with MemoryStore() as store, APIServer(store, scheme=scheme) as server, door(server, front), remote:
        yield remote


async def test_a_client_learns_the_kinds_of_its_server(client: RemoteClient) -> None:
    with pytest.raises(NotFound):
        client.scheme.resolve("websites")
    found = await client.discover()
    info = client.scheme.resolve("web")
    assert info in found
    assert info == attrs.evolve(Website.resource_info, module="")
    assert len(await client.discover()) == len(found)


async def test_objects_of_a_kind_without_a_class_keep_all_their_fields(client: RemoteClient) -> None:
    document = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}, "title": "T"}
    made = await client.apply(document)
    assert (made.metadata.name, dict(made.undeclared)["title"]) == ("a", "T")
    await client.discover()
    kind = client.scheme.type_of(client.scheme.resolve("websites"))
    (listed,) = (await client.list(kind)).items
    assert listed == await client.get(kind, "a")
    changed = await client.update(attrs.evolve(listed, undeclared={**listed.undeclared, "title": "U"}))
    assert changed.undeclared["title"] == "U"
    async with client.watch(kind) as watch:
        (event,) = await watch.next_batch()
    assert event.object == changed


async def test_a_class_of_the_caller_needs_no_discovery(client: RemoteClient) -> None:
    made = await client.create(Website(metadata=ObjectMeta(name="a"), title="T"))
    assert made.title == "T"
    assert (await client.get(Website, "a")) == made


async def test_a_kind_that_the_server_does_not_serve_is_not_found(client: RemoteClient) -> None:
    @resource("example.dev/v1", plural="robots")
    @attrs.frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
    class Robot(Object):
        pass

    with pytest.raises(NotFound, match=r'no matches for kind "Robot" in version "example\.dev/v1"'):
        await client.list(Robot)
    with pytest.raises(NotFound, match='no matches for kind "Robot"'):
        await client.apply({"apiVersion": "example.dev/v1", "kind": "Robot", "metadata": {"name": "r"}})


@pytest.mark.parametrize("document", [{}, {"kind": "ConfigMap"}, {"apiVersion": 1, "kind": ["x"]}])
async def test_a_document_that_does_not_say_what_it_is_is_refused(
    client: RemoteClient, document: dict[str, object]
) -> None:
    with pytest.raises(BadRequest, match=r"invalid object type: .*, Kind="):
        await client.apply(document)


async def test_a_document_that_is_no_json_is_refused(client: RemoteClient) -> None:
    with pytest.raises(BadRequest, match="cannot be written as JSON"):
        await client.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": object()}})


async def test_the_version_says_how_far_the_server_is(client: RemoteClient) -> None:
    made = await client.create(config("a"))
    await client.list(ConfigMap)
    assert (await client.version()).revision >= int(made.metadata.resource_version)


async def test_warnings_come_with_refusals_too(client: RemoteClient) -> None:
    warnings: list[str] = []
    made = attrs.evolve(pod(), undeclared={"bogus": 1})
    refused = attrs.evolve(made, metadata=ObjectMeta(name="Not A Name"))
    with pytest.raises(Invalid):
        await client.create(refused, options=WriteOptions(on_warning=warnings.append))
    assert 'unknown field "bogus"' in warnings


async def test_pods_of_one_template_share_their_spec_whatever_their_node(client: RemoteClient) -> None:
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n2"), ("d", None)):
        await client.create(pod(name, node=node))
    a, b, c, d = (await client.list(Pod)).items
    assert [item.spec.node_name for item in (a, b, c, d)] == ["n1", "n2", "n2", ""]
    assert a.spec.containers is b.spec.containers is d.spec.containers
    image = Patch(PatchType.JSON, [{"op": "replace", "path": "/spec/containers/0/image", "value": "img:2"}])
    assert (await client.patch(Pod, "a", image)).spec.containers[0].image == "img:2"
    assert (await client.get(Pod, "b")).spec == b.spec


async def test_what_this_clients_class_does_not_fit_is_a_decode_error(tmp_path: Path) -> None:
    @resource("v1", plural="configmaps", kind="ConfigMap")
    @attrs.frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
    class Numbers(Object):
        data: int | None = None

    front = GRPCFront(socket_in(tmp_path))
    async with running(front) as server, RemoteClient(front.address) as client:
        await server.create(config("a"))
        with pytest.raises(DecodeError):
            await client.get(Numbers, "a")
        async with client.watch(Numbers) as watch:
            with pytest.raises(DecodeError):
                await watch.next_batch()


def test_a_refusal_travels_whole() -> None:
    causes = tuple(Cause(reason="FieldValueInvalid", message=f"wrong: {n}", field=f"spec.f[{n}]") for n in range(500))
    error = Invalid("all wrong", kind="Pod", group="g", name="n", uid="u", causes=causes, retry_after_seconds=3)
    back = error_of("INVALID_ARGUMENT", "", trailers(error), writes=True)
    assert type(back) is Invalid
    assert back.to_status() == error.to_status()


def test_a_refusal_that_is_too_long_loses_its_last_causes() -> None:
    causes = tuple(Cause(message="x" * 1000, field=f"f[{n}]") for n in range(1000))
    back = error_of("INVALID_ARGUMENT", "", trailers(Invalid("m" * 10_000_000, causes=causes)), writes=True)
    assert len(status_bytes(back)) <= STATUS_BYTES
    assert 0 < len(back.causes) < 1000
    assert back.causes[0].field == "f[0]"


async def test_a_refusal_with_hundreds_of_causes_passes_through_the_door(client: RemoteClient) -> None:
    wrong = {f"not a key {n} " + "x" * 100: "v" for n in range(500)}
    with pytest.raises(Invalid) as caught:
        await client.create(config("a", wrong))
    assert len(caught.value.causes) > 400


@pytest.mark.parametrize(
    ("code", "details", "writes", "error"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: ...", True, ServiceUnavailable),
        ("UNAVAILABLE", "Socket closed", True, Timeout),
        ("UNAVAILABLE", "Socket closed", False, ServiceUnavailable),
        ("UNKNOWN", "Stream removed", True, Timeout),
        ("DEADLINE_EXCEEDED", "", False, Timeout),
        ("UNIMPLEMENTED", "", False, APIError),
    ],
)
def test_a_failure_of_the_connection_is_ambiguous_for_writes_alone(
    code: str, details: str, writes: bool, error: type[APIError]
) -> None:
    assert isinstance(error_of(code, details, (), writes=writes), error)


def test_the_word_for_a_conflict_survives_without_details() -> None:
    assert type(error_of("ABORTED", "", trailers(Conflict("c")), writes=True)) is Conflict
