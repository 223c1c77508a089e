from __future__ import annotations

import pytest

from orchestra.errors import APIError, Cause, Conflict, Invalid, NotFound, OrchestraError, TooManyRequests


def test_an_error_travels_whole_as_a_status_document() -> None:
    causes = (Cause(reason="FieldValueRequired", message="Required value", field="spec.selector"),)
    sent = Invalid("is invalid", kind="Deployment", group="apps", name="web", uid="u", causes=causes)
    got = APIError.from_status(sent.to_status())
    assert type(got) is Invalid
    assert (got.message, got.kind, got.group, got.name, got.uid, got.causes) == (
        "is invalid",
        "Deployment",
        "apps",
        "web",
        "u",
        causes,
    )


def test_a_reason_that_nobody_knows_becomes_an_internal_error() -> None:
    error = APIError.from_status({"reason": "Novel", "message": "what", "details": {"causes": [{"odd": 1}]}})
    assert error.code == 500
    assert error.message == "what"


@pytest.mark.parametrize(("error", "retryable"), [(NotFound("a"), False), (TooManyRequests("a"), True)])
def test_an_error_knows_whether_a_retry_can_help(error: APIError, retryable: bool) -> None:
    assert error.retryable is retryable


def test_a_caller_can_catch_by_kind_or_all_at_once() -> None:
    with pytest.raises(OrchestraError):
        raise Conflict("somebody else wrote first")


def test_seconds_to_wait_are_part_of_the_status() -> None:
    status = TooManyRequests("later", retry_after_seconds=3).to_status()
    assert status["details"] == {"retryAfterSeconds": 3}
