"""What a deletion makes of an object, decided without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestra.api import builtin
from orchestra.apiserver.deletion import Decision, check, completes, decide
from orchestra.apiserver.strategies import strategy_for
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS
from orchestra.client.interface import DeleteOptions, Preconditions
from orchestra.errors import Conflict

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
POD = strategy_for(builtin.POD, DEFAULT_OPTIONS)
CONFIG_MAP = strategy_for(builtin.CONFIG_MAP, DEFAULT_OPTIONS)


def document(spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    base = {"name": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": {**base, **meta}, "spec": spec or {}}


def deleted(strategy: Any, given: dict[str, Any], **options: Any) -> Decision:
    return decide(strategy, given, DeleteOptions(**options), NOW)


def test_an_object_that_nothing_keeps_is_gone() -> None:
    assert deleted(CONFIG_MAP, document()).gone


def test_a_finalizer_keeps_it_with_the_time_of_deletion() -> None:
    result = deleted(CONFIG_MAP, document(finalizers=["x/y"], generation=3))
    assert not result.gone
    assert result.document["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:00Z"
    assert result.document["metadata"]["deletionGracePeriodSeconds"] == 0
    assert result.document["metadata"]["generation"] == 4


def test_a_pod_on_a_node_waits_for_its_own_grace_period() -> None:
    result = deleted(POD, document({"nodeName": "n", "terminationGracePeriodSeconds": 7}))
    assert result.document["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:07Z"
    assert not result.gone


def test_a_second_deletion_shortens_from_the_first_ones_time() -> None:
    first = deleted(POD, document({"nodeName": "n"})).document
    later = decide(POD, first, DeleteOptions(grace_period_seconds=10), NOW.replace(minute=1))
    assert later.document["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:10Z"
    assert decide(POD, first, DeleteOptions(), NOW).document is first
    assert decide(POD, first, DeleteOptions(grace_period_seconds=0), NOW).gone


def test_an_input_is_never_changed() -> None:
    given = document({"nodeName": "n"}, finalizers=["x/y"])
    before = repr(given)
    deleted(POD, given, propagation_policy="Foreground")
    assert repr(given) == before


def test_a_later_background_deletion_takes_the_collectors_finalizers_off() -> None:
    first = deleted(CONFIG_MAP, document(), propagation_policy="Orphan").document
    assert first["metadata"]["finalizers"] == ["orphan"]
    assert not deleted(CONFIG_MAP, first).gone
    assert deleted(CONFIG_MAP, first, propagation_policy="Background").gone


@pytest.mark.parametrize(
    ("meta", "leaves"),
    [
        ({}, False),
        ({"deletionTimestamp": "t"}, True),
        ({"deletionTimestamp": "t", "finalizers": ["x/y"]}, False),
        ({"deletionTimestamp": "t", "deletionGracePeriodSeconds": 30}, False),
    ],
)
def test_an_update_lets_go_what_nothing_keeps_any_more(meta: dict[str, Any], leaves: bool) -> None:
    assert completes(CONFIG_MAP, document(**meta)) is leaves


def test_preconditions_are_compared_with_what_is_stored() -> None:
    check(CONFIG_MAP, document(), 5, Preconditions(uid="u", resource_version="5"))
    with pytest.raises(Conflict, match=r"the UID in the precondition \(v\) does not match the UID in record \(u\)"):
        check(CONFIG_MAP, document(), 5, Preconditions(uid="v"))
    with pytest.raises(Conflict, match=r"the ResourceVersion in the precondition \(4\)"):
        check(CONFIG_MAP, document(), 5, Preconditions(resource_version="4"))
