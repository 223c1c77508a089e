"""The server's refusals, worded as Kubernetes words them (apimachinery `pkg/api/errors`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.validation.fields import quoted
from orchestra.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Conflict,
    DecodeError,
    Expired,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
)

_META_KINDS = frozenset({"List", "Status", "ListOptions", "DeleteOptions", "CreateOptions", "UpdateOptions"})
"""Kinds that every version of every group has."""

_STORED_AS = {
    "Node": "minions",
    "Service": "services/specs",
    "Endpoints": "services/endpoints",
    "ReplicationController": "controllers",
    "Ingress.networking.k8s.io": "ingress",
}
"""Where Kubernetes' store keeps kinds that it does not keep under their plural."""

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def not_found(info: ResourceInfo, name: str) -> NotFound:
    """There is no such object."""
    return NotFound(f'{info.group_resource} "{name}" not found', kind=info.plural, group=info.group, name=name)


def already_exists(info: ResourceInfo, name: str, *, deleting: bool = False) -> AlreadyExists:
    """An object of that name exists, or is still going away."""
    head = "object is being deleted: " if deleting else ""
    message = f'{head}{info.group_resource} "{name}" already exists'
    return AlreadyExists(message, kind=info.plural, group=info.group, name=name)


def create_with_revision() -> BadRequest:
    """A new object was given a resourceVersion."""
    return BadRequest("resourceVersion should not be set on objects to be created")


def generate_name_conflict(info: ResourceInfo, name: str) -> AlreadyExists:
    """Every name that was generated is taken."""
    why = "the server was not able to generate a unique name for the object"
    message = f'{info.group_resource} "{name}" already exists, {why}'
    return AlreadyExists(message, kind=info.plural, group=info.group, name=name, retry_after_seconds=1)


def conflict(info: ResourceInfo, name: str, why: str = MODIFIED, *, subresource: str = "") -> Conflict:
    """Somebody else wrote first, or the object's state does not allow it."""
    resource = info.group_resource if not subresource else f"{info.plural}/{subresource}"
    kind = resource if subresource else info.plural
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Conflict(message, kind=kind, group=info.group, name=name)


def uid_conflict(info: ResourceInfo, namespace: str, name: str, *, wanted: str, actual: str) -> Conflict:
    """The object is another one than the caller means."""
    plural = _STORED_AS.get(info.group_kind, info.plural)
    group = f"{info.group}/" if "." in info.group and not info.group.endswith(".k8s.io") else ""
    where = f"/registry/{group}{plural}/" + (f"{namespace}/{name}" if info.namespaced else name)
    why = (
        f"StorageError: invalid object, Code: 4, Key: {where}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
    )
    return conflict(info, name, why)


def precondition_uid(info: ResourceInfo, name: str, *, wanted: str, actual: str) -> Conflict:
    """A deletion was meant for another object of that name."""
    why = f"the UID in the precondition ({wanted}) does not match the UID in record ({actual})."
    return _precondition(info, name, f"{why} The object might have been deleted and then recreated")


def precondition_revision(info: ResourceInfo, name: str, *, wanted: str, actual: int) -> Conflict:
    """A deletion was meant for an older state."""
    why = f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({actual})."
    return _precondition(info, name, f"{why} The object might have been modified")


def _precondition(info: ResourceInfo, name: str, why: str) -> Conflict:
    message = f'Operation cannot be fulfilled on {info.group_kind} "{name}": {why}'
    return Conflict(message, kind=info.kind, group=info.group, name=name)


def forbidden(info: ResourceInfo, name: str, why: str, *, causes: Iterable[Cause] = ()) -> Forbidden:
    """The caller may not, or the cluster's state forbids it."""
    subject = f'{info.group_resource} "{name}"' if name else info.group_resource
    message = f"{subject} is forbidden: {why}"
    return Forbidden(message, kind=info.plural, group=info.group, name=name, causes=tuple(causes))


def namespace_terminating(info: ResourceInfo, name: str, namespace: str) -> Forbidden:
    """Nothing new may be created in a namespace that is going away."""
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    cause = Cause(
        reason="NamespaceTerminating", message=f"namespace {namespace} is being terminated", field="metadata.namespace"
    )
    return forbidden(info, name, why, causes=(cause,))


def invalid(info: ResourceInfo, name: str, causes: Iterable[Cause]) -> Invalid:
    """The document breaks rules of its kind; every fault is named."""
    found = tuple(causes)
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in found]
    detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{info.group_kind} "{name}" is invalid: {detail}'
    return Invalid(message, kind=info.kind, group=info.group, name=name, causes=found)


def field_invalid(field: str, value: Any, why: str) -> Cause:
    """A cause that names one field and its value, as validation of Kubernetes writes it."""
    import orjson

    shown = orjson.dumps(value).decode() if isinstance(value, list | str | bool) else str(value)
    return Cause(reason="FieldValueInvalid", message=f"Invalid value: {shown}: {why}", field=field)


class Misfit(BadRequest):
    """The document does not have the shape of its kind; `why` says where, for who words it in another way."""

    def __init__(self, info: ResourceInfo, why: str) -> None:
        super().__init__(f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {why}')
        self.why = why


def cannot_decode(info: ResourceInfo, error: DecodeError) -> Misfit:
    """The document does not have the shape of its kind."""
    return Misfit(info, error.go_message)


def other_kind(info: ResourceInfo, version: str, kind: str, *, known: bool) -> BadRequest:
    """The document is one of another kind than the request is about; `known` is whether there is such a kind."""
    known = known or kind in _META_KINDS
    short = version.rpartition("/")[2]
    inner = f"{info.group.partition('.')[0] or 'core'}.{info.kind}"
    if known:
        why = f"converting ({short}.{kind}) to ({inner}): unknown conversion"
    else:
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
    return BadRequest(f'{kind} in version "{short}" cannot be handled as a {info.kind}: {why}')


def strict_decoding(info: ResourceInfo, faults: Iterable[str]) -> Misfit:
    """The writer asked for strict field validation and gave fields that do not exist, or one twice."""
    return Misfit(info, "strict decoding error: " + ", ".join(faults))


def patch_misfit(shown: str, why: str) -> Invalid:
    """A patch made something of its object that does not have the shape of its kind; `shown` is what it made."""
    text = f"Invalid value: {quoted(shown)}: {why}"
    cause = Cause(reason="FieldValueInvalid", message=text, field="patch")
    return Invalid(f' "" is invalid: patch: {text}', causes=(cause,))


def name_required(info: ResourceInfo) -> BadRequest:
    """An update does not say which object it means."""
    return BadRequest(f"the name of the {info.kind} is missing: metadata.name is required")


def revision_required(info: ResourceInfo, name: str) -> Invalid:
    """This kind takes no update that could overwrite a change it has not seen."""
    text = "Invalid value: 0: must be specified for an update"
    cause = Cause(reason="FieldValueInvalid", message=text, field="metadata.resourceVersion")
    message = f'{info.group_resource} "{name}" is invalid: metadata.resourceVersion: {text}'
    return Invalid(message, kind=info.plural, group=info.group, name=name, causes=(cause,))


def method_not_allowed() -> MethodNotAllowed:
    """The kind or subresource has no such verb."""
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def no_resource() -> NotFound:
    """There is no such kind, or the kind has no such subresource."""
    return NotFound("the server could not find the requested resource")


def too_old(revision: int, oldest: int) -> Expired:
    """The history that a watch asks for is gone."""
    return Expired(f"too old resource version: {revision} ({oldest})")


def too_slow() -> Expired:
    """A watcher did not read what was kept for it."""
    return Expired("the watch fell too far behind and was ended: list again")


def list_expired() -> Expired:
    """The revision of a continue token has been compacted."""
    return Expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter."
    )


def revision_expired(revision: int) -> Expired:
    """The revision that a list names has been compacted."""
    return Expired(f"The resourceVersion for the provided list is too old: {revision}")


def stopping() -> ServiceUnavailable:
    """The server is not running."""
    return ServiceUnavailable("the API server is not running")
