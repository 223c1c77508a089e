"""Every version of every key that can still be read, and the ranges over them. Pure.

A deleted key is a version with `version` 0, so that a past revision can still be read on either side of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter

from orchestra.store.model import KeyValue, Range, RangeResult
from orchestra.store.rules import interval
from orchestra.store.sorted_keys import SortedKeys

_mod_revision = attrgetter("mod_revision")


class Keyspace:
    """Versions by key, oldest first; a key is in it as long as it has a version."""

    __slots__ = ("_gone", "_keys", "_versions")

    def __init__(self) -> None:
        self._versions: dict[bytes, list[KeyValue]] = {}
        self._keys = SortedKeys()
        self._gone = SortedKeys()
        """Keys whose newest version is a delete: what exists is counted without looking at each key."""

    @property
    def live(self) -> int:
        """How many keys exist at the newest version of each."""
        return len(self._keys) - len(self._gone)

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
            if kv.version == 1:
                self._gone.remove(kv.key)
            versions.append(kv)
        if not kv.version:
            self._gone.add(kv.key)

    def pop(self, key: bytes) -> None:
        """Take the newest version of `key` back."""
        versions = self._versions[key]
        kv = versions.pop()
        if not kv.version:
            self._gone.remove(key)
        if not versions:
            del self._versions[key]
            self._keys.remove(key)
        elif not versions[-1].version:
            self._gone.add(key)

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
        self._gone = SortedKeys(key for key in suspects if not versions[key][-1].version)
        return [kv for key in suspects for kv in self.forget(key, compact_revision)]

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
                del self._versions[key]
                self._keys.remove(key)
                self._gone.remove(key)
        return dead

    def range(
        self, request: Range, revision: int, store_revision: int, changed_since: Iterable[bytes] | None
    ) -> RangeResult:
        """Answer `request` at `revision`; the answer says that the store is at `store_revision`.

        `changed_since` are the keys that changed after `revision`, None if those are too many to look at.
        """
        if not request.range_end:
            kv = self.at(request.key, revision)
            found, count = ([kv], 1) if kv is not None else ([], 0)
        else:
            low, high = interval(request.key, request.range_end)
            plain = request.sort_by == "key" and not request.descending and not _filters(request)
            limit = 0 if request.count_only else request.limit if plain and request.limit else None
            found = self.scan(low, high, revision, None if limit is None else limit + 1)
            count = len(found)
            if limit is not None and count > limit:
                count = self.count(low, high, revision, changed_since)
        if request.count_only:
            return RangeResult(store_revision, (), False, count)
        if _filters(request):
            found = [kv for kv in found if _passes(kv, request)]
        if request.sort_by != "key" or request.descending:
            found.sort(key=attrgetter(request.sort_by), reverse=request.descending)
        limit = request.limit
        more = bool(limit) and len(found) > limit
        if limit:
            del found[limit:]
        if request.keys_only:
            found = [KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease) for kv in found]
        return RangeResult(store_revision, tuple(found), more, count)

    def scan(self, low: bytes, high: bytes | None, revision: int, limit: int | None = None) -> list[KeyValue]:
        """Return the keys of an interval at `revision`, in order; with `limit`, at least that many of them."""
        versions = self._versions
        found: list[KeyValue] = []
        for chunk in self._keys.chunks(low, high):
            for key in chunk:
                kv: KeyValue | None = versions[key][-1]
                if kv.mod_revision > revision:  # type: ignore[union-attr]
                    kv = self.at(key, revision)
                    if kv is None:
                        continue
                if kv.version:  # type: ignore[union-attr]
                    found.append(kv)  # type: ignore[arg-type]
            if limit is not None and len(found) >= limit:
                break
        return found

    def count(self, low: bytes, high: bytes | None, revision: int, changed_since: Iterable[bytes] | None) -> int:
        """Return how many keys of an interval exist at `revision`."""
        if changed_since is None:
            return len(self.scan(low, high, revision))
        count = self._keys.count(low, high) - self._gone.count(low, high)
        for key in dict.fromkeys(changed_since):
            if low <= key and (high is None or key < high):
                count += (self.at(key, revision) is not None) - (self.latest(key) is not None)
        return count

    def history(self, compact_revision: int, revision: int) -> Iterator[KeyValue]:
        """Yield all versions readable from `compact_revision` up to `revision`, in the order of keys and age."""
        for chunk in self._keys.chunks(b"", None):
            for key in chunk:
                versions = self._versions[key]
                start = max(bisect_right(versions, compact_revision, key=_mod_revision) - 1, 0)
                for kv in versions[start : bisect_right(versions, revision, key=_mod_revision)]:
                    if kv.version or kv.mod_revision >= compact_revision:
                        yield kv


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
