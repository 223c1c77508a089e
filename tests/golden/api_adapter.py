"""Turns recorded HTTP requests into calls of the server's verbs, and what comes of them into answers."""

from __future__ import annotations

import json
from typing import Any

import anyio
import attrs
import orjson
import yaml

from orchestra.api.object import ResourceInfo
from orchestra.apiserver import APIServer
from orchestra.apiserver.defaults.canonical import presented
from orchestra.apiserver.interface import User
from orchestra.apiserver.reading import Query
from orchestra.apiserver.record import Record
from orchestra.apiserver.removal import Removed
from orchestra.apiserver.writes import Call
from orchestra.client.interface import DeleteOptions, EventType, Patch, PatchType, Preconditions, WriteOptions
from orchestra.errors import APIError, BadRequest, NotFound

Document = dict[str, Any]

ADMIN = User(name="admin", groups=("system:masters", "system:authenticated"))
APPLY = "application/apply-patch+yaml"
BODIES = {"application/json", "application/yaml"}
PATCHES = {*(str(item) for item in PatchType), APPLY}


@attrs.define
class Answer:
    """What the server said: a body, or the events of a watch."""

    code: int
    body: Any = None
    events: list[Document] | None = None
    warnings: list[str] = attrs.field(factory=list)


@attrs.frozen
class Place:
    """What a path names."""

    info: ResourceInfo
    namespace: str | None
    name: str
    subresource: str


def transport_reason(step: Document) -> str:
    """Say why a request is about the transport itself, which only an HTTP front can answer; empty when it is not.

    Decided before the first replay, from the request alone: paths that name no resource, media types that are none of
    the API's, and bodies that cannot be parsed or are no object.
    """
    parts = step["path"].strip("/").split("/")
    if len(parts) < 3 or (parts[0] == "apis" and len(parts) < 4):
        return "discovery"
    media = step.get("content_type", "").partition(";")[0]
    if step["method"] in ("POST", "PUT") and media not in BODIES:
        return "media type"
    if step["method"] == "PATCH" and media not in PATCHES:
        return "media type"
    if "raw_body_repeat" in step:
        return "size of the body"
    if "raw_body" in step:
        try:
            parsed = _parse(step["raw_body"], media)
        except (ValueError, yaml.YAMLError):
            return "malformed body"
        if not isinstance(parsed, dict):
            return "malformed body"
    return ""


def _parse(text: str, media: str) -> Any:
    if "yaml" in media:
        return yaml.safe_load(text)
    return json.loads(text)


class Adapter:
    """Sends requests to a server in this process."""

    def __init__(self, server: APIServer) -> None:
        self._server = server
        self._documents = server.documents

    async def send(self, step: Document) -> Answer:
        """Do what a request asks for."""
        warnings: list[str] = []
        try:
            code, body = await self._send(step, warnings)
        except APIError as error:
            return Answer(error.code, error.to_status(), warnings=_headers(warnings))
        return Answer(code, body, warnings=_headers(warnings))

    async def _send(self, step: Document, warnings: list[str]) -> tuple[int, Any]:
        place = self._place(step["path"])
        query = step.get("query", {})
        method = step["method"]
        if method == "GET":
            return await self._get(place, query)
        if method == "DELETE":
            return await self._delete(place, step, query)
        call = Call(user=ADMIN, options=self._options(query, warnings))
        body = step["body"] if "body" in step else _parse(step["raw_body"], step.get("content_type", ""))
        if method == "POST":
            return await self._post(place, body, call)
        if method == "PUT":
            body = self._filled(place, body)
            known = await self._exists(place)
            record = await self._documents.update(
                place.info, body, place.namespace or "", call, subresource=place.subresource
            )
            return 200 if known or place.subresource else 201, _shown(record)
        return await self._patch(place, step, body, call, query)

    async def _patch(self, place: Place, step: Document, body: Any, call: Call, query: Document) -> tuple[int, Any]:
        media = step["content_type"].partition(";")[0]
        if media == APPLY:
            known = await self._exists(place)
            document = self._filled(place, body)
            record = await self._documents.apply(
                document, call, subresource=place.subresource, force=query.get("force") == "true"
            )
            return 200 if known else 201, _shown(record)
        patch = Patch(PatchType(media), body)
        record = await self._documents.patch(
            place.info, place.name, place.namespace or "", patch, call, subresource=place.subresource
        )
        return 200, _shown(record)

    async def _exists(self, place: Place) -> bool:
        try:
            await self._documents.get(place.info, place.name, place.namespace or "", ADMIN)
        except NotFound:
            return False
        return True

    async def _get(self, place: Place, query: Document) -> tuple[int, Any]:
        if place.name:
            record = await self._documents.get(place.info, place.name, place.namespace or "", ADMIN, place.subresource)
            return 200, _shown(record)
        page = await self._documents.list(self._query(place, query), ADMIN)
        meta: Document = {"resourceVersion": str(page.revision)}
        if page.continue_:
            meta["continue"] = page.continue_
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
        items = [_shown(record) for record in page.records]
        for item in items:
            item.pop("kind", None)
            item.pop("apiVersion", None)
        return 200, {
            "kind": f"{place.info.kind}List",
            "apiVersion": place.info.api_version,
            "metadata": meta,
            "items": items,
        }

    async def _post(self, place: Place, body: Document, call: Call) -> tuple[int, Any]:
        if place.name and place.subresource == "binding":
            target = body.get("target") or {}
            uid = (body.get("metadata") or {}).get("uid", "")
            await self._documents.bind(place.name, target.get("name", ""), place.namespace or "", uid, call, body)
            return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        if place.name:
            raise NotFound("the server could not find the requested resource")
        record = await self._documents.create(place.info, self._filled(place, body), place.namespace or "", call)
        return 201, _shown(record)

    async def _delete(self, place: Place, step: Document, query: Document) -> tuple[int, Any]:
        options = self._delete_options(step.get("body") or {}, query)
        if not place.name:
            removed = await self._documents.delete_collection(self._query(place, query), options, ADMIN)
            items = [_shown(item.record) for item in removed]
            for item in items:
                item.pop("kind", None)
                item.pop("apiVersion", None)
            kind = f"{place.info.kind}List"
            meta = {"resourceVersion": str(self._server.revision)}
            return 200, {"kind": kind, "apiVersion": place.info.api_version, "metadata": meta, "items": items}
        done = await self._documents.delete(place.info, place.name, place.namespace or "", options, ADMIN)
        return 200, _deleted(place, done)

    def _filled(self, place: Place, body: Document) -> Document:
        """Return a body with what its path says of it."""
        info = place.info
        for name, want in (("apiVersion", info.api_version), ("kind", info.kind)):
            if place.subresource == "scale":
                break
            if body.get(name) not in (None, "", want):
                raise BadRequest(f"{name} in the data ({body[name]}) does not match the expected one ({want})")
            body = {name: want, **body} if name not in body else body
        if place.name and not (body.get("metadata") or {}).get("name"):
            body = {**body, "metadata": {**(body.get("metadata") or {}), "name": place.name}}
        named = (body.get("metadata") or {}).get("name")
        if place.name and named != place.name:
            raise BadRequest(f"the name of the object ({named}) does not match the name on the URL ({place.name})")
        if place.namespace and not (body.get("metadata") or {}).get("namespace"):
            body = {**body, "metadata": {**(body.get("metadata") or {}), "namespace": place.namespace}}
        return body

    async def watch(self, step: Document, opened: anyio.Event) -> Answer:
        """Watch until the request's timeout, and return what was told."""
        events: list[Document] = []
        query = step.get("query", {})
        try:
            place = self._place(step["path"])
            bookmarks = query.get("allowWatchBookmarks") == "true"
            with anyio.move_on_after(float(query.get("timeoutSeconds", "1"))):
                async with self._documents.watch(self._query(place, query), ADMIN, bookmarks=bookmarks) as watch:
                    opened.set()
                    while True:
                        events += [_event(event) for event in await watch.next_batch()]
        except APIError as error:
            if opened.is_set():
                events.append({"type": "ERROR", "object": error.to_status()})
            else:
                return Answer(error.code, error.to_status())
        finally:
            opened.set()
        return Answer(200, events=events)

    def _place(self, path: str) -> Place:
        parts = path.strip("/").split("/")
        api_version, rest = ("/".join(parts[1:3]), parts[3:]) if parts[0] == "apis" else (parts[1], parts[2:])
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, "", "")[:3]
        for info in self._server.scheme:
            if info.plural == plural and info.api_version == api_version:
                return Place(info, namespace, name, sub)
        raise NotFound("the server could not find the requested resource")

    def _query(self, place: Place, query: Document) -> Query:
        fields = query.get("fieldSelector", "")
        if place.name:
            fields = ",".join(filter(None, (fields, f"metadata.name={place.name}")))
        return Query(
            info=place.info,
            namespace=place.namespace,
            label_selector=query.get("labelSelector", ""),
            field_selector=fields,
            limit=int(query.get("limit", 0)),
            continue_=query.get("continue", ""),
            resource_version=query.get("resourceVersion", ""),
            resource_version_match=query.get("resourceVersionMatch", ""),
        )

    def _options(self, query: Document, warnings: list[str]) -> WriteOptions:
        return WriteOptions(
            dry_run=query.get("dryRun") == "All",
            field_manager=query.get("fieldManager", ""),
            field_validation=query.get("fieldValidation", "Warn"),
            on_warning=warnings.append,
        )

    def _delete_options(self, body: Document, query: Document) -> DeleteOptions:
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        wanted = body.get("preconditions") or {}
        return DeleteOptions(
            grace_period_seconds=None if grace is None else int(grace),
            propagation_policy=body.get("propagationPolicy", query.get("propagationPolicy")),
            preconditions=Preconditions(uid=wanted.get("uid", ""), resource_version=wanted.get("resourceVersion", "")),
            dry_run="All" in (body.get("dryRun") or [query.get("dryRun")]),
        )


def _headers(warnings: list[str]) -> list[str]:
    """Return warnings as an HTTP front writes them (RFC 7234, section 5.5)."""
    return [f"299 - {json.dumps(text, ensure_ascii=False)}" for text in warnings]


def _shown(record: Record) -> Document:
    shown: Document = presented(record.wire_document, record.cls)
    return shown


def _deleted(place: Place, done: Removed) -> Document:
    if not done.gone or place.info.kind in ("Pod", "Service", "ServiceAccount"):
        return _shown(done.record)
    meta = done.record.document["metadata"]
    details = {"name": meta["name"], "kind": place.info.plural, "uid": meta["uid"]}
    if place.info.group:
        details["group"] = place.info.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _event(event: Any) -> Document:
    if event.type is EventType.BOOKMARK:
        info = type(event.object).resource_info
        meta = {"resourceVersion": str(event.revision), "creationTimestamp": None}
        return {"type": "BOOKMARK", "object": {"kind": info.kind, "apiVersion": info.api_version, "metadata": meta}}
    document = _shown(event.record)
    document["metadata"] = {**document["metadata"], "resourceVersion": str(event.revision)}
    return {"type": str(event.type), "object": orjson.loads(orjson.dumps(document))}
