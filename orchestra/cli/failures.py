"""What the command says when something went wrong: kubectl's words, and an exit status of 1."""

from __future__ import annotations

from orchestra.errors import APIError, Cause, Invalid, OrchestraError, ServiceUnavailable, Unauthorized

CONFLICT_HINT = """\
Those fields belong to another manager. Either
* apply with --force-conflicts to take them over,
* leave them out of the manifest, and they stay with their manager,
* or write the values that they have now, and both managers own them."""


class CommandError(OrchestraError):
    """The command cannot do what it was told: shown as `error: ...`."""


def describe_error(error: BaseException, *, server: str = "") -> str:
    """Return the lines that tell a person of an error. `server` is the address that was dialled."""
    if isinstance(error, ServiceUnavailable) and "cannot be reached" in error.message:
        if "handshake failed" in error.message:
            return (
                f"Unable to connect to the server: {server}: no trust in its certificate: see --certificate-authority"
            )
        return (
            f"The connection to the server {server or 'given'} was refused - did you specify the right host or port?\n"
            "Start one with `orchestra up`, or name another one with --server or ORCHESTRA_SERVER."
        )
    if isinstance(error, Unauthorized):
        return "error: You must be logged in to the server (Unauthorized)"
    if isinstance(error, Invalid):
        return _invalid(error)
    if isinstance(error, APIError):
        if error.message.startswith("the server doesn't have a resource type"):
            return f"error: {error.message}"
        return f"Error from server ({error.reason}): {error.message}"
    return f"error: {error}"


def conflict_hint(error: BaseException) -> str:
    """Return advice on an apply that met fields of others; empty for any other error."""
    is_conflict = isinstance(error, APIError) and any(cause.reason == "FieldManagerConflict" for cause in error.causes)
    return CONFLICT_HINT if is_conflict else ""


def _invalid(error: Invalid) -> str:
    what = f'The {error.kind} "{error.name}" is invalid' if error.name else f"The {error.kind or 'request'} is invalid"
    faults = [_fault(cause) for cause in error.causes]
    if not faults:
        return what if error.kind else f"Error from server ({error.reason}): {error.message}"
    if len(faults) == 1:
        return f"{what}: {faults[0]}"
    return "\n".join([f"{what}: ", *(f"* {fault}" for fault in faults)])


def _fault(cause: Cause) -> str:
    return f"{cause.field}: {cause.message}" if cause.field else cause.message
