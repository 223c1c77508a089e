"""Every version of every key that can still be read, and the ranges over them. Pure.

A deleted key is a version with `version` 0, so that a past revision can still be read on either side of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

from orchestra.store.model import KeyValue, Range, RangeResult
from orchestra.store.rules import interval
from orchestra.store.sorted_keys import SortedKeys

_mod_revision = attrgetter("mod_revision")


class Keyspace:
    """Versions by key, oldest first; a key is in it as long as it has a version."""

    __slots__ = ("_keys", "_versions", "live")

    def __init__(self) -> None:
        self._versions: dict[bytes, list[KeyValue]] = {}
        self._keys = SortedKeys()
        self.live = 0
        """How many keys exist at the newest version of each."""

    def latest(self, key: bytes) -> KeyValue | None:
        """Return the newest version of `key`, None if the key does not exist there."""
        versions = self._versions.get(key)
        return versions[-1] if versions and versions[-1].version else None

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """Return `key` as it was at `revision`."""
        versions = self._versions.get(key)
        if not versions:
            return None
        kv = versions[-1]
        if kv.mod_revision > revision:
            place = bisect_right(versions, revision, key=_mod_revision)
            if not place:
                return None
            kv = versions[place - 1]
        return kv if kv.version else None

    def push(self, kv: KeyValue) -> None:
        """Add a version, newer than all others of its key."""
        versions = self._versions.get(kv.key)
        if versions is None:
            self._versions[kv.key] = [kv]
            self._keys.add(kv.key)
        else:
            versions.append(kv)
        if kv.version < 2:
            self.live += 1 if kv.version else -1

    def pop(self, key: bytes) -> None:
        """Take the newest version of `key` back."""
        versions = self._versions[key]
        kv = versions.pop()
        if not versions:
            self._drop(key)
        if kv.version < 2:
            self.live -= 1 if kv.version else -1

    def load(self, kvs: Iterator[KeyValue], compact_revision: int) -> list[KeyValue]:
        """Fill an empty keyspace with versions in the order of their revisions; return those found dead."""
        assert not self._versions
        versions = self._versions
        for kv in kvs:
            if kv.key in versions:
                versions[kv.key].append(kv)
            else:
                versions[kv.key] = [kv]
        self._keys = SortedKeys(versions)
        suspects = [key for key, kept in versions.items() if len(kept) > 1 or not kept[0].version]
        dead = [kv for key in suspects for kv in self.forget(key, compact_revision)]
        self.live = sum(1 for kv in self.newest())
        return dead

    def newest(self) -> Iterator[KeyValue]:
        """Yield the newest version of each key that exists there, in no particular order."""
        for versions in self._versions.values():
            if versions[-1].version:
                yield versions[-1]

    def forget(self, key: bytes, compact_revision: int) -> list[KeyValue]:
        """Drop the versions of `key` that no revision from `compact_revision` on can see; return them.

        A delete at `compact_revision` itself stays, because a watch may still start there.
        """
        versions = self._versions.get(key)
        if not versions:
            return []
        keep = max(bisect_right(versions, compact_revision, key=_mod_revision) - 1, 0)
        if not versions[keep].version and versions[keep].mod_revision < compact_revision:
            keep += 1
        dead = versions[:keep]
        if dead:
            del versions[:keep]
            if not versions:
                self._drop(key)
        return dead

    def range(self, request: Range, revision: int, store_revision: int) -> RangeResult:
        """Answer `request` at `revision`; the answer says that the store is at `store_revision`."""
        if not request.range_end:
            kv = self.at(request.key, revision)
            found, count = ([kv], 1) if kv is not None else ([], 0)
        else:
            plain = request.sort_by == "key" and not request.descending and not _filters(request)
            found, count = self.scan(
                *interval(request.key, request.range_end),
                revision,
                0 if request.count_only else request.limit if plain and request.limit else None,
            )
        if request.count_only:
            return RangeResult(store_revision, (), False, count)
        if _filters(request):
            found = [kv for kv in found if _passes(kv, request)]
        if request.sort_by != "key" or request.descending:
            found.sort(key=attrgetter(request.sort_by), reverse=request.descending)
        limit = request.limit
        # A plain scan has stopped at the limit already; then only the count tells that there was more.
        more = bool(limit) and (len(found) > limit or (len(found) == limit and not _filters(request) and count > limit))
        if limit:
            del found[limit:]
        if request.keys_only:
            found = [KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease) for kv in found]
        return RangeResult(store_revision, tuple(found), more, count)

    def scan(
        self, low: bytes, high: bytes | None, revision: int, limit: int | None = None
    ) -> tuple[list[KeyValue], int]:
        """Return the keys of an interval at `revision`, at most `limit` of them, and how many there are."""
        versions = self._versions
        found: list[KeyValue] = []
        count = 0
        for chunk in self._keys.chunks(low, high):
            if limit is not None and len(found) >= limit:
                count += self._count(chunk, revision)
                continue
            for key in chunk:
                kv: KeyValue | None = versions[key][-1]
                if kv.mod_revision > revision:  # type: ignore[union-attr]
                    kv = self.at(key, revision)
                    if kv is None:
                        continue
                if kv.version:  # type: ignore[union-attr]
                    found.append(kv)  # type: ignore[arg-type]
        if limit is not None and len(found) > limit:
            count += len(found) - limit
            del found[limit:]
        return found, count + len(found)

    def history(self, compact_revision: int, revision: int) -> Iterator[KeyValue]:
        """Yield all versions readable from `compact_revision` up to `revision`, in the order of keys and age."""
        for chunk in self._keys.chunks(b"", None):
            for key in chunk:
                versions = self._versions[key]
                start = max(bisect_right(versions, compact_revision, key=_mod_revision) - 1, 0)
                for kv in versions[start : bisect_right(versions, revision, key=_mod_revision)]:
                    if kv.version or kv.mod_revision >= compact_revision:
                        yield kv

    def _count(self, chunk: list[bytes], revision: int) -> int:
        versions = self._versions
        count = 0
        for key in chunk:
            kv = versions[key][-1]
            if kv.mod_revision <= revision:
                if kv.version:
                    count += 1
            elif self.at(key, revision) is not None:
                count += 1
        return count

    def _drop(self, key: bytes) -> None:
        del self._versions[key]
        self._keys.remove(key)


def _filters(request: Range) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def _passes(kv: KeyValue, request: Range) -> bool:
    return (
        kv.mod_revision >= request.min_mod_revision
        and kv.create_revision >= request.min_create_revision
        and (not request.max_mod_revision or kv.mod_revision <= request.max_mod_revision)
        and (not request.max_create_revision or kv.create_revision <= request.max_create_revision)
    )
