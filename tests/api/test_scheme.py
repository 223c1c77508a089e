from __future__ import annotations

import pytest
from attrs import frozen

from orchestra.api.apps import Deployment
from orchestra.api.core import Pod
from orchestra.api.fields import fields_of, wire_name
from orchestra.api.object import Object, freeze_fields, resource
from orchestra.api.scheme import Scheme
from orchestra.errors import ConfigurationError, DecodeError, NotFound


@resource("example.dev/v1", plural="websites", short_names=("web",))
@frozen(kw_only=True, repr=False, field_transformer=freeze_fields)
class Website(Object):
    host: str = ""


def test_every_built_in_kind_has_its_class() -> None:
    scheme = Scheme()
    for info in scheme:
        cls = scheme.type_of(info)
        assert cls.resource_info is info
        assert cls.__name__ == info.kind


@pytest.mark.parametrize("name", ["pods", "pod", "po", "Pod", "POD"])
def test_a_kind_is_found_by_each_of_its_names(name: str) -> None:
    scheme = Scheme()
    assert scheme.type_of(scheme.resolve(name)) is Pod


@pytest.mark.parametrize("name", ["deployments.apps", "deploy", "deployments.v1.apps", "deployment.apps"])
def test_a_group_may_be_named(name: str) -> None:
    scheme = Scheme()
    assert scheme.type_of(scheme.resolve(name)) is Deployment


def test_an_unknown_kind_is_not_found() -> None:
    with pytest.raises(NotFound, match=r'have a resource type "deployments\.batch"'):
        Scheme().resolve("deployments.batch")
    with pytest.raises(NotFound, match='no matches for kind "Pod" in version "v2"'):
        Scheme().info("v2", "Pod")


def test_a_users_kind_is_registered_and_nothing_else_knows_it() -> None:
    scheme = Scheme()
    scheme.register(Website)
    assert scheme.resolve("web").plural == "websites"
    site = scheme.decode({"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}, "host": "h"})
    assert isinstance(site, Website)
    assert site.host == "h"
    with pytest.raises(NotFound):
        Scheme().resolve("web")
    with pytest.raises(ConfigurationError):
        scheme.register(Object)


def test_a_document_must_say_what_it_is() -> None:
    with pytest.raises(DecodeError, match=r"^kind: must be set$"):
        Scheme().decode({"apiVersion": "v1"})


def test_a_category_names_several_kinds() -> None:
    assert {info.kind for info in Scheme().category("all")} >= {"Pod", "Service", "Deployment", "ReplicaSet"}
    assert Scheme().category("none") == ()


def test_wire_names_are_distinct_in_every_class() -> None:
    scheme = Scheme()
    for info in scheme:
        fields = fields_of(scheme.type_of(info))
        assert len({field.attribute for field in fields.values()}) == len(fields)
        assert all(field.metadata.get("wire") or wire_name(field.attribute) == name for name, field in fields.items())
