"""The parameters of a request, as texts of a query or members of a body, read into the options of a verb.

For fronts that are given texts; `option_rules` says which options make sense. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from orchestra.api.object import ResourceInfo
from orchestra.apiserver import option_rules as rules
from orchestra.apiserver.forms import Form, IncludeObject
from orchestra.apiserver.reading import Query
from orchestra.client.interface import DeleteOptions, LogOptions, Preconditions, WriteOptions
from orchestra.errors import BadRequest

Texts = Mapping[str, str]
Document = Mapping[str, Any]

_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_MAX_INTEGER: Final = (1 << 63) - 1


def write_options(
    kind: str,
    query: Texts,
    on_warning: Callable[[str], None] | None = None,
    *,
    applies: bool = False,
    agent: str = "",
) -> WriteOptions:
    """Return the options of a write; `kind` is that of the options, such as `PatchOptions`. Raises Invalid.

    Who does not name a field manager is known by the name of the program that asks, `agent` (its User-Agent).
    """
    causes = []
    if "force" in query and kind == "PatchOptions" and not applies:
        causes.append(rules.forbidden("force", "may not be specified for non-apply patch"))
    if applies and not query.get("fieldManager"):
        causes.append(rules.fault("Required", "fieldManager", "Required value: is required for apply patch"))
    causes += rules.manager_faults(query.get("fieldManager", ""))
    dry_run = [query["dryRun"]] if query.get("dryRun") else []
    causes += rules.dry_run_faults(dry_run)
    validation = query.get("fieldValidation", "")
    causes += rules.field_validation_faults(validation)
    rules.refuse(kind, causes)
    return WriteOptions(
        dry_run=bool(dry_run),
        field_manager=query.get("fieldManager") or agent.partition("/")[0] or "unknown",
        field_validation=cast("Any", validation or "Warn"),
        on_warning=on_warning,
    )


def delete_options(query: Texts, body: Any = None) -> DeleteOptions:
    """Return the options of a deletion, which a body has alone, or else the query. Raises BadRequest and Invalid."""
    if body is not None:
        return _delete_options_of(body)
    grace = integer(query["gracePeriodSeconds"]) if query.get("gracePeriodSeconds") else None
    orphan = boolean(query["orphanDependents"]) if query.get("orphanDependents") else None
    return _deletion(
        grace=grace,
        policy=query.get("propagationPolicy") or None,
        orphan=orphan,
        dry_run=[query["dryRun"]] if query.get("dryRun") else [],
        preconditions={},
    )


def _delete_options_of(body: Any) -> DeleteOptions:
    if not isinstance(body, dict):
        raise BadRequest(_no_kind(body))
    if not body:
        return DeleteOptions()
    version, kind = str(body.get("apiVersion") or ""), str(body.get("kind") or "")
    if kind and kind != "DeleteOptions":
        raise BadRequest(
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    grace = body.get("gracePeriodSeconds")
    if grace is not None and type(grace) is not int:
        raise BadRequest(_not_decoded("gracePeriodSeconds", grace, "int64"))
    wanted = body.get("preconditions") or {}
    return _deletion(
        grace=grace,
        policy=body.get("propagationPolicy"),
        orphan=body.get("orphanDependents"),
        dry_run=body.get("dryRun") or [],
        preconditions=wanted,
    )


def _deletion(
    *, grace: int | None, policy: str | None, orphan: bool | None, dry_run: list[str], preconditions: Document
) -> DeleteOptions:
    causes = []
    if orphan is not None and policy is not None:
        text = "Invalid value: " + f'"{policy}": orphanDependents and deletionPropagation cannot be both set'
        causes.append(rules.fault("Invalid", "propagationPolicy", text))
    if policy is not None:
        causes += rules.policy_faults(policy)
    causes += rules.dry_run_faults(dry_run)
    rules.refuse("DeleteOptions", causes)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    return DeleteOptions(
        grace_period_seconds=grace,
        propagation_policy=cast("Any", policy),
        preconditions=Preconditions(
            uid=preconditions.get("uid") or "", resource_version=preconditions.get("resourceVersion") or ""
        ),
        dry_run=bool(dry_run),
    )


def list_query(info: ResourceInfo, namespace: str | None, name: str, query: Texts) -> Query:
    """Return which objects a list, a collection's deletion or a watch means; `name` is one that the path gave."""
    fields = query.get("fieldSelector", "")
    if name:
        fields = ",".join(filter(None, (fields, f"metadata.name={name}")))
    limit = integer(query["limit"]) if query.get("limit") else 0
    initial = boolean(query["sendInitialEvents"]) if query.get("sendInitialEvents") else None
    return Query(
        info=info,
        namespace=namespace,
        label_selector=query.get("labelSelector", ""),
        field_selector=fields,
        limit=max(limit, 0),
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        send_initial_events=initial,
    )


def log_options(query: Texts) -> LogOptions:
    """Return which part of a log is asked for; raises BadRequest."""
    numbers = {
        name: integer(query[text]) if query.get(text) else None
        for name, text in (
            ("tail_lines", "tailLines"),
            ("limit_bytes", "limitBytes"),
            ("since_seconds", "sinceSeconds"),
        )
    }
    since = query.get("sinceTime")
    try:
        since_time = datetime.fromisoformat(since) if since else None
    except ValueError:
        raise BadRequest(f'parsing time "{since}": cannot parse') from None
    return LogOptions(
        container=query.get("container", ""),
        follow=boolean(query.get("follow", "false")),
        previous=boolean(query.get("previous", "false")),
        timestamps=boolean(query.get("timestamps", "false")),
        since_time=since_time,
        **numbers,
    )


def form_of(accept: str, query: Texts) -> tuple[Form, IncludeObject]:
    """Return the form that an Accept header and a query ask for; the first alternative that there is counts."""
    form = Form.OBJECT
    for alternative in accept.split(","):
        parts = dict(part.strip().partition("=")[::2] for part in alternative.split(";")[1:])
        wanted = parts.get("as", "")
        if not wanted:
            break
        if (parts.get("g"), parts.get("v")) == ("meta.k8s.io", "v1") and wanted.removesuffix("List") in tuple(Form):
            form = Form(wanted.removesuffix("List"))
            break
    include = query.get("includeObject") or "Metadata"
    if form is Form.TABLE and include not in tuple(IncludeObject):
        raise BadRequest(f'unrecognized includeObject value: "{include}"')
    return form, IncludeObject(include) if include in tuple(IncludeObject) else IncludeObject.METADATA


def integer(text: str) -> int:
    """Return the number that a query states; raises BadRequest."""
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -_MAX_INTEGER - 1 <= int(text) <= _MAX_INTEGER:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def boolean(text: str) -> bool:
    """Return the truth that a query states: everything but the words for false is true (apimachinery conversion)."""
    return text not in ("0", "f", "F", "FALSE", "false", "False")


def _no_kind(body: Any) -> str:
    word = {str: "string", list: "array", bool: "bool"}.get(type(body), "number")
    what = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
    return f"couldn't get version/kind; json parse error: json: cannot unmarshal {word} into Go value of type {what}"


def _not_decoded(field: str, value: Any, wanted: str) -> str:
    word = {str: "string", list: "array", bool: "bool", dict: "object"}.get(type(value), "number")
    return (
        f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal {word} into Go '
        f"struct field DeleteOptions.{field} of type {wanted}"
    )
