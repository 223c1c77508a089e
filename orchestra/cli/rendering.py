"""Objects as text that programs read: JSON, YAML, names, and what a JSONPath template picks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from orchestra.api.frozen import thaw
from orchestra.api.object import Object
from orchestra.api.scheme import Scheme
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import label

FORMATS: Final = "json, yaml, name, wide, jsonpath=TEMPLATE"
TABLES: Final = ("", "table", "wide")


def check_format(output: str, *, tables: bool = True) -> None:
    """Raise CommandError for a format that there is not."""
    known = ("json", "yaml", "name", *(TABLES if tables else ("",)))
    if output in known or output.startswith(("jsonpath=", "jsonpath-as-json=")):
        return
    if output in ("jsonpath", "jsonpath-as-json"):
        raise CommandError("template format specified but no template given")
    raise CommandError(
        f'unable to match a printer suitable for the output format "{output}", allowed formats: {FORMATS}'
    )


def documents_of(scheme: Scheme, objects: Iterable[Object], *, managed_fields: bool = False) -> list[dict[str, Any]]:
    """Return the documents of objects; who owns which field is left out unless asked for."""
    result = []
    for obj in objects:
        document: dict[str, Any] = thaw(scheme.encode(obj))
        if not managed_fields:
            document.get("metadata", {}).pop("managedFields", None)
        result.append(document)
    return result


def render_objects(
    scheme: Scheme, objects: Sequence[Object], output: str, *, single: bool, managed_fields: bool = False
) -> str:
    """Return objects in a format; `single` says that one was asked for by name, so that it stands without a list."""
    check_format(output, tables=False)
    if output == "name":
        return "".join(f"{label(obj.resource_info, obj.metadata.name)}\n" for obj in objects)
    documents = documents_of(scheme, objects, managed_fields=managed_fields)
    whole: dict[str, Any]
    if single and len(documents) == 1:
        whole = documents[0]
    else:
        whole = {"apiVersion": "v1", "items": documents, "kind": "List", "metadata": {"resourceVersion": ""}}
    return render_document(whole, output)


def render_document(document: dict[str, Any], output: str) -> str:
    """Return one document in a format, with its keys in order."""
    if output == "json":
        return json.dumps(document, indent=4, sort_keys=True, ensure_ascii=False) + "\n"
    if output == "yaml":
        from orchestra.api.manifest import dump_yaml

        return dump_yaml(document)
    from orchestra.cli.jsonpath import expand, select

    form, _, template = output.partition("=")
    if form == "jsonpath-as-json":
        return json.dumps(select(template, document), indent=4, ensure_ascii=False) + "\n"
    return expand(template, document)
