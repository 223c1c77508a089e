"""Where it is kept: revisions and bytes, with etcd v3's model and guarantees.

What comes in: txns, ranges and watches over keys and values of bytes. What goes out: results, and batches of events.
It knows no kinds. Imported by `apiserver`, `plane`, `testing` and `cli` alone; everybody else talks to the server.
Start reading at `interface.py`, then `model.py`.
"""

from __future__ import annotations

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

__all__ = [
    "DEFAULT_WATCH_BUFFER",
    "FROM_KEY",
    "MAX_TXN_BYTES",
    "MAX_TXN_OPS",
    "PROGRESS_SECONDS",
    "Compare",
    "Delete",
    "DeleteResult",
    "Event",
    "Fence",
    "KeyValue",
    "KeyspaceHash",
    "LeaseStatus",
    "Op",
    "OpResult",
    "Put",
    "PutResult",
    "Range",
    "RangeResult",
    "SnapshotInfo",
    "Store",
    "StoreStatus",
    "Txn",
    "TxnResult",
    "Watch",
    "WatchBatch",
    "WatchRequest",
    "prefix_end",
]
