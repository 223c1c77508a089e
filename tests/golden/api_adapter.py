"""Turns recorded HTTP requests into calls of the server's verbs, and what comes of them into answers."""

from __future__ import annotations

import json
from typing import Any

import anyio
import attrs
import orjson
import yaml

from orchestra.apiserver import APIServer, bodies, forms, parameters
from orchestra.apiserver.interface import User
from orchestra.apiserver.record import Record
from orchestra.apiserver.removal import Removed
from orchestra.apiserver.routes import Route, check_method, route_of
from orchestra.apiserver.subresources import view
from orchestra.apiserver.validation.warnings import deprecation_of
from orchestra.apiserver.writes import Call
from orchestra.client.interface import EventType, PatchType
from orchestra.errors import APIError, BadRequest, NotFound

Document = dict[str, Any]

ADMIN = User(name="admin", groups=("system:masters", "system:authenticated"))
BODIES = {"application/json", "application/yaml"}
PATCHES = {*(str(item) for item in PatchType), bodies.APPLY}
OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}


@attrs.define
class Answer:
    """What the server said: a body, or the events of a watch."""

    code: int
    body: Any = None
    events: list[Document] | None = None
    warnings: list[str] = attrs.field(factory=list)


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
            parsed = yaml.safe_load(step["raw_body"]) if "yaml" in media else json.loads(step["raw_body"])
        except (ValueError, yaml.YAMLError):
            return "malformed body"
        if not isinstance(parsed, dict):
            return "malformed body"
    return ""


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
        route = route_of(step["path"], self._server.scheme)
        query, method = step.get("query", {}), step["method"]
        warnings += deprecation_of(route.info)
        check_method(route, method)
        if method == "GET":
            return await self._get(route, step, query)
        if method == "DELETE":
            return await self._delete(route, step, query, warnings)
        media = step.get("content_type", "").partition(";")[0]
        applies = media == bodies.APPLY
        options = parameters.write_options(OPTIONS[method], query, warnings.append, applies=applies)
        call = Call(user=ADMIN, options=options)
        code, record = await self._write(route, step, call, media, query)
        if isinstance(record, Record):
            return code, forms.one(view(record, route.subresource), self._view(step, query))
        return code, record

    async def _write(self, route: Route, step: Document, call: Call, media: str, query: Document) -> tuple[int, Any]:
        content, method = _content(step), step["method"]
        namespace, sub = route.namespace or "", route.subresource
        if method == "PATCH" and media != bodies.APPLY:
            patch, faults = bodies.patch_body(content, media)
            call = attrs.evolve(call, faults=faults)
            return 200, await self._documents.patch(route.info, route.name, namespace, patch, call, subresource=sub)
        body = bodies.applied_body(content) if method == "PATCH" else bodies.object_body(content, media, route.info)
        call = attrs.evolve(call, faults=body.faults)
        document = self._filled(route, body.value)
        known = await self._exists(route, document)
        if method == "PATCH":
            force = query.get("force") == "true"
            record = await self._documents.apply(document, call, namespace=namespace, subresource=sub, force=force)
        elif method == "PUT":
            record = await self._documents.update(route.info, document, namespace, call, subresource=sub)
        else:
            return await self._post(route, document, call)
        return 200 if known else 201, record

    async def _post(self, route: Route, document: Document, call: Call) -> tuple[int, Any]:
        if route.subresource == "binding":
            await self._documents.bind_by(route.name, document, route.namespace or "", call)
            return 201, _success(201)
        if route.subresource == "eviction":
            await self._documents.evict(route.name, document, route.namespace or "", call)
            return 201, _success(201)
        if route.subresource:
            raise NotFound("the server could not find the requested resource")
        record = await self._documents.create(route.info, document, route.namespace or "", call)
        return 201, _success(201) if route.info.kind == "Binding" else record

    async def _exists(self, route: Route, document: Document) -> bool:
        name = route.name or (document.get("metadata") or {}).get("name", "")
        try:
            await self._documents.get(route.info, name, route.namespace or "", ADMIN)
        except NotFound:
            return False
        return True

    async def _get(self, route: Route, step: Document, query: Document) -> tuple[int, Any]:
        shape = self._view(step, query)
        if route.subresource == "log":
            options = parameters.log_options(query)
            async with self._documents.logs(route.name, route.namespace or "", options, ADMIN) as chunks:
                content = b"".join([chunk async for chunk in chunks])
            return 200 if content else 204, content.decode()
        if route.name:
            record = await self._documents.get(route.info, route.name, route.namespace or "", ADMIN, route.subresource)
            return 200, forms.one(record, shape)
        page = await self._documents.list(parameters.list_query(route.info, route.namespace, "", query), ADMIN)
        return 200, forms.page(route.info, page, shape)

    async def _delete(self, route: Route, step: Document, query: Document, warnings: list[str]) -> tuple[int, Any]:
        options = parameters.delete_options(query, bodies.options_body(_content(step)))
        options = attrs.evolve(options, on_warning=warnings.append)
        if not route.name:
            wanted = parameters.list_query(route.info, route.namespace, "", query)
            removed = await self._documents.delete_collection(wanted, options, ADMIN)
            meta = {"resourceVersion": str(self._server.revision)}
            return 200, forms.listed(route.info, [item.before for item in removed], meta)
        done = await self._documents.delete(route.info, route.name, route.namespace or "", options, ADMIN)
        return 200, _deleted(route, done)

    def _view(self, step: Document, query: Document) -> forms.View:
        form, include = parameters.form_of(step.get("accept", ""), query)
        return forms.View(form=form, include=include, now=self._documents.core.clock.now())

    def _filled(self, route: Route, body: Document) -> Document:
        """Return a body with what its path says of it."""
        meta = body.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        if route.name and not meta.get("name") and not meta.get("generateName"):
            meta = {**meta, "name": route.name}
            body = {**body, "metadata": meta}
        named = meta.get("name")
        if route.name and not named:
            raise BadRequest(
                f"the name of the object ({route.name} based on URL) was undeterminable: name must be provided"
            )
        if route.name and route.subresource not in ("binding", "eviction") and named != route.name:
            raise BadRequest(f"the name of the object ({named}) does not match the name on the URL ({route.name})")
        return body

    async def watch(self, step: Document, opened: anyio.Event) -> Answer:
        """Watch until the request's timeout, and return what was told."""
        events: list[Document] = []
        query = step.get("query", {})
        try:
            route = route_of(step["path"], self._server.scheme)
            wanted = parameters.list_query(route.info, route.namespace, route.name, query)
            bookmarks = query.get("allowWatchBookmarks") == "true"
            with anyio.move_on_after(float(query.get("timeoutSeconds", "1"))):
                async with self._documents.watch(wanted, ADMIN, bookmarks=bookmarks) as watch:
                    opened.set()
                    shape = self._view(step, query)
                    while True:
                        for event in await watch.next_batch():
                            events.append(_event(event, shape, first=not events))
        except APIError as error:
            if opened.is_set():
                events.append({"type": "ERROR", "object": error.to_status()})
            else:
                return Answer(error.code, error.to_status())
        finally:
            opened.set()
        return Answer(200, events=events)


def _content(step: Document) -> bytes:
    """Return the bytes of a request's body."""
    if "raw_body" in step:
        return str(step["raw_body"]).encode()
    return orjson.dumps(step["body"]) if "body" in step else b""


def _headers(warnings: list[str]) -> list[str]:
    """Return warnings as an HTTP front writes them (RFC 7234, section 5.5)."""
    return [f"299 - {json.dumps(text, ensure_ascii=False)}" for text in warnings]


def _success(code: int) -> Document:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


def _deleted(route: Route, done: Removed) -> Document:
    if not done.gone or route.info.kind in ("Pod", "Service", "ServiceAccount"):
        return forms.shown(done.record)
    meta = done.record.document["metadata"]
    details = {"name": meta["name"], "kind": route.info.plural, "uid": meta["uid"]}
    if route.info.group:
        details["group"] = route.info.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _event(event: Any, shape: forms.View, *, first: bool) -> Document:
    if event.type is EventType.BOOKMARK:
        info = type(event.object).resource_info
        meta = {**event.record.document["metadata"], "resourceVersion": str(event.revision)}
        return {"type": "BOOKMARK", "object": {"kind": info.kind, "apiVersion": info.api_version, "metadata": meta}}
    return {"type": str(event.type), "object": forms.event(event.record, shape, first=first)}
