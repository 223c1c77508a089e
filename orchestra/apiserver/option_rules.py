"""What options of the verbs may say: the one place where all fronts, and the client in process, have them checked.

Pure functions; messages are those of Kubernetes (apimachinery `meta/v1/validation`, `meta/internalversion/validation`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestra.client.interface import DeleteOptions, LogOptions, WriteOptions
from orchestra.errors import Cause, Invalid

FIELD_VALIDATION: Final = ("", "Ignore", "Strict", "Warn")
PROPAGATION: Final = ("Foreground", "Background", "Orphan")
MAX_MANAGER_LENGTH: Final = 128
"""In bytes."""


def check_write_options(kind: str, options: WriteOptions) -> None:
    """Check what a typed caller gave; raises Invalid."""
    if options.field_validation in FIELD_VALIDATION and len(options.field_manager) <= MAX_MANAGER_LENGTH:
        return
    refuse(kind, [*manager_faults(options.field_manager), *field_validation_faults(options.field_validation)])


def check_delete_options(options: DeleteOptions) -> None:
    """Check what a typed caller gave; raises Invalid."""
    if options.propagation_policy is not None:
        refuse("DeleteOptions", policy_faults(options.propagation_policy))


def dry_run_faults(given: Iterable[str]) -> list[Cause]:
    """Return what is wrong with the values of dryRun."""
    values = list(given)
    if all(value == "All" for value in values):
        return []
    shown = "[" + ",".join(f'"{value}"' for value in values) + "]"
    return [unsupported("dryRun", shown, ("All",))]


def field_validation_faults(given: str) -> list[Cause]:
    """Return what is wrong with the value of fieldValidation."""
    return [] if given in FIELD_VALIDATION else [unsupported("fieldValidation", f'"{given}"', FIELD_VALIDATION)]


def policy_faults(given: str) -> list[Cause]:
    """Return what is wrong with the value of propagationPolicy."""
    if given in PROPAGATION:
        return []
    return [unsupported("propagationPolicy", f'"{given}"', (*PROPAGATION, "nil"))]


def manager_faults(given: str) -> list[Cause]:
    """Return what is wrong with the name of a field manager."""
    causes = []
    if len(given.encode()) > MAX_MANAGER_LENGTH:
        causes.append(fault("TooLong", "fieldManager", f"Too long: may not be more than {MAX_MANAGER_LENGTH} bytes"))
    for place, char in enumerate(given):
        if not char.isprintable():
            text = f'Invalid value: "{given}": invalid character {char!r} (at position {place})'
            causes.append(fault("Invalid", "fieldManager", text))
            break
    return causes


def list_faults(match: str, initial: bool | None, *, continue_: str, resource_version: str, watch: bool) -> list[Cause]:
    """Return what is wrong with the options of a list or watch, but for its selectors."""
    causes = []
    if watch:
        if initial is not None:
            if match != "NotOlderThan":
                causes.append(
                    forbidden(
                        "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    )
                )
            if continue_:
                causes.append(forbidden("continue", "continue is forbidden for watch"))
        elif match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(forbidden("resourceVersionMatch", why))
        return causes
    if match:
        field = "resourceVersionMatch"
        if not resource_version:
            causes.append(forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if continue_:
            causes.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(unsupported(field, f'"{match}"', ("Exact", "NotOlderThan", "")))
        if match == "Exact" and resource_version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            causes.append(forbidden(field, why))
    if initial is not None:
        causes.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def check_log_options(pod: str, options: LogOptions) -> None:
    """Check which part of a log is asked for; raises Invalid."""
    causes = []
    if options.tail_lines is not None and options.tail_lines < 0:
        causes.append(_low("tailLines", options.tail_lines, "must be greater than or equal to 0"))
    if options.limit_bytes is not None and options.limit_bytes < 1:
        causes.append(_low("limitBytes", options.limit_bytes, "must be greater than 0"))
    if options.since_seconds is not None and options.since_time is not None:
        causes.append(forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif options.since_seconds is not None and options.since_seconds < 1:
        causes.append(_low("sinceSeconds", options.since_seconds, "must be greater than 0"))
    if causes:
        texts = [f"{cause.field}: {cause.message}" for cause in causes]
        detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        message = f'PodLogOptions "{pod}" is invalid: {detail}'
        raise Invalid(message, kind="PodLogOptions", name=pod, causes=tuple(causes))


def _low(field: str, given: int, why: str) -> Cause:
    return fault("Invalid", field, f"Invalid value: {given}: {why}")


def refuse(kind: str, causes: list[Cause]) -> None:
    """Raise Invalid for options with faults."""
    if not causes:
        return
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{kind}.meta.k8s.io "" is invalid: {detail}'
    raise Invalid(message, kind=kind, group="meta.k8s.io", causes=tuple(causes))


def fault(reason: str, field: str, message: str) -> Cause:
    """Return a cause, with the short form of its reason."""
    return Cause(reason=f"FieldValue{reason}", message=message, field=field)


def forbidden(field: str, why: str) -> Cause:
    """Return the cause of an option that may not be given here."""
    return fault("Forbidden", field, f"Forbidden: {why}")


def unsupported(field: str, shown: str, known: Iterable[str]) -> Cause:
    """Return the cause of an option with a value that there is not."""
    values = ", ".join(f'"{value}"' for value in known)
    return fault("NotSupported", field, f"Unsupported value: {shown}: supported values: {values}")
