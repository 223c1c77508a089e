"""Where it is kept: revisions and bytes, with etcd v3's model and guarantees.

What comes in: txns, ranges and watches over keys and values of bytes. What goes out: results, and batches of events.
It knows no kinds. Imported by `apiserver`, `plane`, `testing` and `cli` alone; everybody else talks to the server.
Start reading at `interface.py`, then `model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports
from orchestra.store.interface import Store, Watch
from orchestra.store.model import (
    DEFAULT_WATCH_BUFFER,
    FROM_KEY,
    MAX_TXN_BYTES,
    MAX_TXN_OPS,
    PROGRESS_SECONDS,
    Compare,
    Delete,
    DeleteResult,
    Event,
    Fence,
    KeyspaceHash,
    KeyValue,
    LeaseStatus,
    Op,
    OpResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    SnapshotInfo,
    StoreStatus,
    Txn,
    TxnResult,
    WatchBatch,
    WatchRequest,
    prefix_end,
)

if TYPE_CHECKING:
    from orchestra.store.etcd.options import EtcdOptions, EtcdTLS
    from orchestra.store.etcd.server import EtcdServer, serve_etcd
    from orchestra.store.etcd.server_tls import ServeTLS
    from orchestra.store.etcd.store import EtcdStore
    from orchestra.store.logged import DurableLog, LoggedStore
    from orchestra.store.memory import MemoryStore
    from orchestra.store.restoring import restore_snapshot
    from orchestra.store.sqlite import SQLiteStore

__all__ = [
    "DEFAULT_WATCH_BUFFER",
    "FROM_KEY",
    "MAX_TXN_BYTES",
    "MAX_TXN_OPS",
    "PROGRESS_SECONDS",
    "Compare",
    "Delete",
    "DeleteResult",
    "DurableLog",
    "EtcdOptions",
    "EtcdServer",
    "EtcdStore",
    "EtcdTLS",
    "Event",
    "Fence",
    "KeyValue",
    "KeyspaceHash",
    "LeaseStatus",
    "LoggedStore",
    "MemoryStore",
    "Op",
    "OpResult",
    "Put",
    "PutResult",
    "Range",
    "RangeResult",
    "SQLiteStore",
    "ServeTLS",
    "SnapshotInfo",
    "Store",
    "StoreStatus",
    "Txn",
    "TxnResult",
    "Watch",
    "WatchBatch",
    "WatchRequest",
    "prefix_end",
    "restore_snapshot",
    "serve_etcd",
]

_EXPORTS = {
    "DurableLog": ".logged",
    "EtcdServer": ".etcd.server",
    "EtcdOptions": ".etcd.options",
    "EtcdStore": ".etcd.store",
    "EtcdTLS": ".etcd.options",
    "LoggedStore": ".logged",
    "MemoryStore": ".memory",
    "SQLiteStore": ".sqlite",
    "ServeTLS": ".etcd.server_tls",
    "restore_snapshot": ".restoring",
    "serve_etcd": ".etcd.server",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)
