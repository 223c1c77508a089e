"""Lists, pages of lists, and watches, over records."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs
import orjson

from orchestra.api.field_selectors import FieldSelector, parse_field_selector
from orchestra.api.object import ResourceInfo
from orchestra.api.selectors import Selector, parse_selector
from orchestra.apiserver import option_rules, refusals
from orchestra.apiserver.cache import Change, Interest, KindCache, RecordEvent, transition
from orchestra.apiserver.core import Core
from orchestra.apiserver.keys import collection_prefix, split_key
from orchestra.apiserver.metadata import meta_of
from orchestra.apiserver.record import Record
from orchestra.apiserver.store_errors import translated
from orchestra.apiserver.watching import CacheWatch
from orchestra.client.interface import EventType
from orchestra.errors import BadRequest, Compacted, FutureRevision, Timeout
from orchestra.store import Range, WatchRequest, prefix_end

PAGE_KEYS: Final = 1000
"""How many keys at most are read from the store at once while a page is being filled."""

NOT_ASCII: Final = 0x80

_EMPTY: dict[str, str] = {}


@attrs.frozen(kw_only=True)
class Query:
    """Which objects of a kind are meant, and as of when."""

    info: ResourceInfo
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    """Whether a watch begins with the objects that there are; None: as its resourceVersion says."""


@attrs.frozen
class Page:
    """Records as they all were at `revision`; `continue_` asks for the next page, `remaining` counts what is left."""

    records: tuple[Record, ...]
    revision: int
    continue_: str = ""
    remaining: int | None = None


@attrs.frozen
class Selection:
    """A query's selectors, parsed: `matches` None means that everything of the namespace is meant."""

    namespace: str
    node: str | None
    name: str | None
    matches: Callable[[Record], bool] | None


def select(query: Query) -> Selection:
    """Parse a query's selectors; raises BadRequest, worded as Kubernetes words it."""
    labels = parse_selector(query.label_selector) if query.label_selector else Selector()
    fields = parse_field_selector(query.field_selector, query.info) if query.field_selector else FieldSelector()
    namespace = query.namespace or "" if query.info.namespaced else ""
    return Selection(
        namespace or (fields.exact("metadata.namespace") or ""),
        fields.exact("spec.nodeName"),
        fields.exact("metadata.name"),
        _predicate(labels, fields),
    )


def _predicate(labels: Selector, fields: FieldSelector) -> Callable[[Record], bool] | None:
    if labels.empty and fields.empty:
        return None
    if fields.empty:
        return lambda record: labels.matches(meta_of(record.document).get("labels") or _EMPTY)
    if labels.empty:
        return lambda record: fields.matches(record.document)

    def both(record: Record) -> bool:
        document = record.document
        return fields.matches(document) and labels.matches(meta_of(document).get("labels") or _EMPTY)

    return both


class Reader:
    """Answers lists and watches from the caches, and from the store where those do not reach."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._feed = core.feed

    async def list(self, query: Query) -> Page:
        """Return one page; a later page shows the revision of the first."""
        _check(query, watch=False)
        selection = select(query)
        if query.continue_:
            if query.resource_version and query.resource_version != "0":
                raise BadRequest("specifying resource version is not allowed when using continue")
            revision, last = _parse_token(query.continue_)
            return await self._from_store(query, selection, revision, last)
        wanted = _revision(query.resource_version)
        if query.resource_version_match == "Exact" and wanted:
            return await self._from_store(query, selection, wanted, b"")
        if query.resource_version == "":
            await self._feed.catch_up()
        elif wanted:
            await self._feed.wait_for(wanted)
        return self._from_cache(query, selection)

    def _from_cache(self, query: Query, selection: Selection) -> Page:
        cache = self._feed.cache(query.info)
        records = self._candidates(cache, selection)
        if selection.matches is not None:
            records = tuple(filter(selection.matches, records))
        revision = self._feed.revision
        if query.limit <= 0 or len(records) <= query.limit:
            return Page(records, revision)
        page = records[: query.limit]
        left = len(records) - len(page) if selection.matches is None else None
        return Page(page, revision, _token(revision, _place(page[-1])), left)

    def _candidates(self, cache: KindCache, selection: Selection) -> tuple[Record, ...]:
        if selection.name is not None and (selection.namespace or not cache.cls.resource_info.namespaced):
            found = cache.get(selection.namespace, selection.name)
            return () if found is None else (found,)
        return cache.records(selection.namespace or None)

    async def _from_store(self, query: Query, selection: Selection, revision: int, last: bytes) -> Page:
        info = query.info
        prefix = collection_prefix(info, selection.namespace)
        end = prefix_end(prefix)
        root = collection_prefix(info, None)
        start = max(prefix, root + last + b"\x00") if last else prefix
        found: list[Record] = []
        while True:
            limit = min(query.limit - len(found), PAGE_KEYS) if query.limit > 0 else 0
            try:
                with translated():
                    part = await self._core.store.range(Range(start, end, revision=revision, limit=limit))
            except Compacted as error:
                raise (refusals.list_expired() if last else refusals.revision_expired(revision)) from error
            except FutureRevision as error:
                raise Timeout(f"Too large resource version: {revision}, current: {error.current_revision}") from error
            for kv in part.kvs:
                place = split_key(kv.key)
                if place is None:
                    continue
                record = self._feed.record(info, place[1], place[2], kv)
                if selection.matches is None or selection.matches(record):
                    found.append(record)
            if not part.more:
                return Page(tuple(found), revision)
            start = part.kvs[-1].key + b"\x00"
            if query.limit > 0 and len(found) >= query.limit:
                left = part.count - len(part.kvs) if selection.matches is None else None
                return Page(tuple(found), revision, _token(revision, part.kvs[-1].key[len(root) :]), left)

    @asynccontextmanager
    async def watch(self, query: Query, *, bookmarks: bool = False) -> AsyncIterator[CacheWatch]:
        """Open a watch: without a revision it begins with what is there as ADDED.

        When the reader asks for these initial events, a bookmark tells where they end.
        """
        _check(query, watch=True)
        selection = select(query)
        cache = self._feed.cache(query.info)
        wanted = _revision(query.resource_version)
        initial = not wanted if query.send_initial_events is None else query.send_initial_events
        if not query.resource_version:
            await self._feed.catch_up()
        elif initial:
            await self._feed.wait_for(wanted)
            wanted = 0
        past: Sequence[Change] = () if not wanted else await self._past(query, cache, wanted)
        watch = CacheWatch(cache.cls, self._feed.catch_up, self._feed.revision, bookmarks=bookmarks)
        if initial:
            watch.begin(self._present(cache, selection))
            if bookmarks and query.send_initial_events:
                watch.bookmark(self._feed.revision, initial_events_end=True)
        else:
            watch.begin(_seen(past, selection))
        # From here on nothing waits, so that no change falls between what was read and what will be told.
        receive = watch.receive if wanted <= self._feed.revision else _later(watch, wanted)
        interest = Interest(receive, selection.namespace, selection.node, selection.matches)
        cache.add(interest)
        self._feed.opened(watch)
        try:
            yield watch
        finally:
            cache.remove(interest)
            self._feed.closed(watch)

    def _present(self, cache: KindCache, selection: Selection) -> Sequence[RecordEvent]:
        records = self._candidates(cache, selection)
        if selection.matches is not None:
            records = tuple(filter(selection.matches, records))
        return [RecordEvent(EventType.ADDED, r.object, r.revision, r) for r in records]

    async def _past(self, query: Query, cache: KindCache, revision: int) -> Sequence[Change]:
        """Return the changes after `revision` that the caches have seen already; raises Expired when they are gone."""
        found = cache.since(revision)
        if found is not None:
            return found
        older = await self._replay(query, revision)
        newest = older[-1].revision if older else revision
        rest = cache.since(max(newest, revision))
        if rest is None:
            raise refusals.too_old(revision, cache.oldest)
        return [*older, *(change for change in rest if change.revision > newest)]

    async def _replay(self, query: Query, revision: int) -> Sequence[Change]:
        """Read history from the store, up to where the caches are now."""
        prefix = collection_prefix(query.info, None)
        goal = self._feed.revision
        request = WatchRequest(prefix, prefix_end(prefix), start_revision=revision + 1, prev_kv=True)
        changes = deque[Change]()
        try:
            async with self._core.store.watch(request) as history:
                history.request_progress()
                async for batch in history:
                    for event in batch.events:
                        place = split_key(event.kv.key)
                        if place is None:
                            continue
                        _, namespace, name = place
                        was = event.prev_kv
                        old = None if was is None else self._feed.record(query.info, namespace, name, was)
                        new = None if event.is_delete else self._feed.record(query.info, namespace, name, event.kv)
                        last = new if new is not None else old.at(event.kv.mod_revision) if old is not None else None
                        if last is not None:
                            changes.append(Change(event.kv.mod_revision, old, new, last))
                    if batch.revision >= goal:
                        return changes
        except Compacted as error:
            raise refusals.too_old(revision, error.compact_revision) from error
        return changes


def _check(query: Query, *, watch: bool) -> None:
    if not query.resource_version_match and query.send_initial_events is None:
        return
    faults = option_rules.list_faults(
        query.resource_version_match,
        query.send_initial_events,
        continue_=query.continue_,
        resource_version=query.resource_version,
        watch=watch,
    )
    option_rules.refuse("ListOptions", faults)


def _seen(changes: Sequence[Change], selection: Selection) -> list[RecordEvent]:
    events = []
    for change in changes:
        kind = transition(change, selection.matches, selection.namespace)
        if kind is not None:
            events.append(change.event(kind))
    return events


def _later(watch: CacheWatch, revision: int) -> Callable[[RecordEvent], None]:
    def receive(event: RecordEvent) -> None:
        if event.revision > revision:
            watch.receive(event)

    return receive


def _revision(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f'invalid resource version "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _place(record: Record) -> bytes:
    name = f"{record.namespace}/{record.name}" if record.cls.resource_info.namespaced else record.name
    return name.encode()


def _token(revision: int, last: bytes) -> str:
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": last.decode() + "\u0000"})
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, bytes]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        if raw[:1] and raw[0] >= NOT_ASCII:
            raise ValueError(f"invalid character '\\x{raw[0]:02x}' looking for beginning of value")
        body = orjson.loads(raw)
        revision, start = body["rv"], body["start"]
        if type(revision) is not int or revision <= 0 or type(start) is not str or not start:
            raise ValueError("incorrect fields")
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error
    return revision, start.rstrip("\u0000").encode()
