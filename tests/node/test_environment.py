"""Environment, arguments and the downward API."""

from __future__ import annotations

import pytest

from orchestra.api.builders import service
from orchestra.api.core import (
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ObjectFieldSelector,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    SecretEnvSource,
    SecretKeySelector,
    ServiceSpec,
)
from orchestra.api.object import ObjectMeta
from orchestra.api.quantity import Quantity
from orchestra.errors import ConfigurationError
from orchestra.node.configs import check_image, container_config
from orchestra.node.downward import field_value, resource_value
from orchestra.node.environment import (
    ContainerConfigError,
    Place,
    Sources,
    command_line,
    environment,
    expand,
    service_variables,
)

from .kit import container, pod

PLACE = Place(pod_ip="127.1.2.3", host_ip="127.0.0.1", node_name="n")
META = ObjectMeta(name="m", namespace="default")
SOURCES = Sources(
    config_maps={"m": ConfigMap(metadata=META, data={"k": "v", "has.dot": "d"})},
    secrets={"m": Secret(metadata=META, data={"k": b"s\xff"})},
    allocatable={"cpu": Quantity("4"), "memory": Quantity("1Gi")},
)


def variables(*env: EnvVar, env_from: tuple[EnvFromSource, ...] = ()) -> dict[str, str]:
    return environment(pod(), container(env=env, env_from=env_from), SOURCES, PLACE)


def test_references_are_replaced_as_recorded() -> None:
    recorded = {
        "A": ("one", "one"),
        "B": ("$(A)-two", "one-two"),
        "C": ("$$(A)", "$(A)"),
        "D": ("$(UNDEFINED)", "$(UNDEFINED)"),
        "E": ("$(LATER)", "$(LATER)"),
        "LATER": ("late", "late"),
        "F": ("$A $", "$A $"),
        "G": ("$(A)$(B)$$$(A)", "oneone-two$one"),
        "H": ("", ""),
        "I": ("$(A", "$(A"),
        "J": ("$()", "$()"),
    }
    env = [EnvVar(name=name, value=value) for name, (value, _) in recorded.items()]
    assert variables(*env) == {name: expected for name, (_, expected) in recorded.items()}


def test_two_dollars_are_one_also_where_nothing_follows() -> None:
    assert expand("kill -9 $$", {}) == "kill -9 $"


def test_a_command_knows_the_variables_of_its_container() -> None:
    declared = container(command=("run", "$(A)"), args=("$(B)", "$(A)$(A)"))
    assert command_line(declared, {"A": "x"}) == (["run", "x"], ["$(B)", "xx"])


def test_variables_come_from_whole_objects_and_single_keys() -> None:
    from_map = EnvFromSource(config_map_ref=ConfigMapEnvSource(name="m"), prefix="P_")
    from_secret = EnvFromSource(secret_ref=SecretEnvSource(name="m"))
    key = EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="m", key="k"))
    hidden = EnvVarSource(secret_key_ref=SecretKeySelector(name="m", key="k"))
    env = (EnvVar(name="K", value_from=key), EnvVar(name="S", value_from=hidden), EnvVar(name="Z", value="$(P_k)"))
    found = variables(*env, env_from=(from_map, from_secret))
    assert found == {"P_k": "v", "P_has.dot": "d", "k": "s\udcff", "K": "v", "S": "s\udcff", "Z": "v"}
    config = container_config(pod(), container(), attempt=0, variables=found, mounts=(), image="i")
    assert {pair.key: pair.value for pair in config.envs}["S"] == b"s\xff"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="no", key="k")), 'configmap "no" not found'),
        (EnvVarSource(secret_key_ref=SecretKeySelector(name="no", key="k")), 'secret "no" not found'),
        (
            EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="m", key="no")),
            "couldn't find key no in ConfigMap default/m",
        ),
        (
            EnvVarSource(secret_key_ref=SecretKeySelector(name="m", key="no")),
            "couldn't find key no in Secret default/m",
        ),
    ],
)
def test_what_is_missing_is_named(source: EnvVarSource, text: str) -> None:
    with pytest.raises(ContainerConfigError) as caught:
        variables(EnvVar(name="X", value_from=source))
    assert str(caught.value) == text


def test_what_is_optional_may_be_missing() -> None:
    key = EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="no", key="k", optional=True))
    whole = EnvFromSource(config_map_ref=ConfigMapEnvSource(name="no", optional=True))
    assert variables(EnvVar(name="X", value_from=key), env_from=(whole,)) == {}


def test_services_are_told_of_unless_the_pod_wants_none() -> None:
    one = service("my-web", port=80)
    spec = ServiceSpec(cluster_ip="127.9.0.1", ports=one.spec.ports)
    web = type(one)(metadata=one.metadata, spec=spec)
    found = service_variables(pod(), (web,))
    assert found["MY_WEB_SERVICE_HOST"] == "127.9.0.1"
    assert found["MY_WEB_PORT"] == found["MY_WEB_PORT_80_TCP"] == "tcp://127.9.0.1:80"
    assert service_variables(pod(enable_service_links=False), (web,)) == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.uid", "u"),
        ("status.podIP", "127.1.2.3"),
        ("status.hostIPs", "127.0.0.1"),
        ("metadata.labels['none']", ""),
    ],
)
def test_a_container_learns_of_its_own_pod(path: str, value: str) -> None:
    source = EnvVarSource(field_ref=ObjectFieldSelector(field_path=path))
    assert variables(EnvVar(name="X", value_from=source)) == {"X": value}


def test_a_field_that_is_not_offered_is_an_error() -> None:
    with pytest.raises(ConfigurationError):
        field_value(pod(), "spec.containers", "", "")


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("requests.memory", "1Gi", "1"),
        ("requests.memory", "1Ki", str(33 * 1024)),
        ("limits.cpu", "1m", "250"),
        ("limits.cpu", None, "1"),
        ("limits.memory", None, str(1024**3)),
        ("requests.ephemeral-storage", None, "0"),
    ],
)
def test_amounts_are_rounded_up_and_open_limits_are_the_nodes(resource: str, divisor: str | None, value: str) -> None:
    wanted = ResourceRequirements(requests={"memory": Quantity("33Mi")}, limits={"cpu": Quantity("250m")})
    selector = ResourceFieldSelector(resource=resource, divisor=Quantity(divisor) if divisor else None)
    assert resource_value(pod(), container(resources=wanted), selector, SOURCES.allocatable) == value


@pytest.mark.parametrize("image", ["nginx", "nginx:1", "a.example:5000/b/c:tag", "x@sha256:" + "0" * 64])
def test_image_names_of_every_form_are_taken(image: str) -> None:
    check_image(image)


def test_an_image_name_that_can_never_be_right_is_refused_as_recorded() -> None:
    with pytest.raises(ContainerConfigError) as caught:
        check_image("Bad_UPPER/x::1")
    assert str(caught.value) == (
        'Failed to apply default image tag "Bad_UPPER/x::1": '
        'couldn\'t parse image name "Bad_UPPER/x::1": invalid reference format'
    )
