from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.errors import Compacted, CorruptStore, StoreError
from orchestra.store import MemoryStore, Range, SQLiteStore, Store, WatchRequest, restore_snapshot


async def _snapshot(store: Store, path: Path) -> int:
    async with store:
        await store.lease_grant(60, 5)
        for number in range(100):
            await store.put(b"k%03d" % number, b"value %d" % number, lease=5 * (number % 2))
        await store.delete(b"k050")
        info = await store.snapshot(path)
        assert info.size_bytes == path.stat().st_size
        return info.revision


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_restored_store_holds_the_same_keys_at_a_higher_revision(tmp_path: Path, kind: str) -> None:
    source: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "source.db")
    revision = await _snapshot(source, tmp_path / "snapshot")
    restored = await restore_snapshot(tmp_path / "snapshot", tmp_path / "new.db", raise_revision=1000)
    assert restored == revision + 1000
    async with SQLiteStore(tmp_path / "new.db") as store:
        found = (await store.range(Range(b"k", b"l"))).kvs
        assert [kv.value for kv in found] == [b"value %d" % number for number in range(100) if number != 50]
        assert len((await store.lease_status(5, keys=True)).keys) == 50
        with pytest.raises(Compacted):
            async with store.watch(WatchRequest(b"k", b"l", start_revision=revision + 1)):
                pass
        assert (await store.put(b"k050", b"")).revision == restored + 1


async def test_a_torn_or_altered_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    await _snapshot(MemoryStore(), path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole.replace(b"value 7", b"value 8", 1), b"", b"letter"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptStore, match="snapshot"):
            await restore_snapshot(path, tmp_path / "new.db")
        assert not (tmp_path / "new.db").exists()


async def test_a_restore_never_overwrites(tmp_path: Path) -> None:
    await _snapshot(SQLiteStore(tmp_path / "source.db"), tmp_path / "snapshot")
    with pytest.raises(StoreError, match="exists"):
        await restore_snapshot(tmp_path / "snapshot", tmp_path / "source.db")


async def test_a_snapshot_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with MemoryStore() as store:
        with pytest.raises(OSError, match="missing"):
            await store.snapshot(tmp_path / "missing" / "snapshot")
        (tmp_path / "occupied").mkdir()
        with pytest.raises(OSError, match="occupied"):
            await store.snapshot(tmp_path / "occupied")
    assert [place.name for place in tmp_path.iterdir()] == ["occupied"]
