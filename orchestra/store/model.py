"""The values of the contract: what is asked of a store, and what it answers.

Fields and their meaning follow the etcd API reference (etcd.io/docs/v3.6/learning/api); a docstring names the message
it stands for. Everything is frozen and can be shared.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

FROM_KEY: Final = b"\x00"
"""As `range_end`: every key from `key` on. With `key` b"\\x00" too: the whole keyspace."""

MAX_TXN_OPS: Final = 128
"""Most compares, and most operations of either branch, in one txn; the greatest of the three counts.

What a txn uses up is missing to those nested in it, as in etcd; so 128 is also how deep they can be nested. A fence
counts like a txn around the one that it guards.
"""

MAX_TXN_BYTES: Final = 1_572_864
"""Most bytes (1.5 MiB) of all keys and values that a txn could put; more is refused with `InvalidTxn`."""

DEFAULT_WATCH_BUFFER: Final = 65_536
"""Events that wait for a watcher unless it asks otherwise; one more ends it with `WatchOverflow`."""

PROGRESS_SECONDS: Final = 60.0
"""A watcher that got nothing for this long is told the current revision by a batch without events."""

CompareTarget: TypeAlias = Literal["value", "version", "create_revision", "mod_revision", "lease"]
CompareOperator: TypeAlias = Literal["=", "!=", "<", ">"]
SortTarget: TypeAlias = Literal["key", "version", "create_revision", "mod_revision", "value"]


def prefix_end(prefix: bytes) -> bytes:
    """Return the `range_end` that makes a range of all keys which start with `prefix`.

    >>> prefix_end(b"/pods/")
    b'/pods0'

    A prefix of nothing but 0xff bytes, or an empty one, has no end: `FROM_KEY` is returned.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else FROM_KEY


@attrs.frozen
class KeyValue:
    """A key as one revision left it (etcd: `mvccpb.KeyValue`).

    `create_revision` is the revision of the put that began this life of the key, `mod_revision` that of the last one,
    `version` counts the puts of this life from 1. `lease` is the id of the attached lease, 0 without one. In the event
    of a delete the deleted key has an empty value and version 0, and `mod_revision` is that of the delete.
    """

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


@attrs.frozen
class Range:
    """Read keys (etcd: `RangeRequest`).

    `range_end` b"" means the key alone, otherwise keys from `key` up to and without `range_end`; see `prefix_end` and
    `FROM_KEY`. `revision` 0 is the current one. `limit` 0 is no limit; the limit counts after sorting and filtering.
    Of keys that are equal in what they are sorted by, any may come first. A value can be sorted by though it is left
    out of the answer. The min and max filters leave out keys whose revisions are below or above (0: no filter).
    """

    key: bytes
    range_end: bytes = b""
    revision: int = attrs.field(default=0, kw_only=True)
    limit: int = attrs.field(default=0, kw_only=True)
    sort_by: SortTarget = attrs.field(default="key", kw_only=True)
    descending: bool = attrs.field(default=False, kw_only=True)
    keys_only: bool = attrs.field(default=False, kw_only=True)
    count_only: bool = attrs.field(default=False, kw_only=True)
    min_mod_revision: int = attrs.field(default=0, kw_only=True)
    max_mod_revision: int = attrs.field(default=0, kw_only=True)
    min_create_revision: int = attrs.field(default=0, kw_only=True)
    max_create_revision: int = attrs.field(default=0, kw_only=True)


@attrs.frozen
class Put:
    """Write one key (etcd: `PutRequest`).

    `lease` attaches the key to that lease, 0 to none. `prev_kv` asks for the key as it was before. `ignore_value` and
    `ignore_lease` keep the key's present value or lease; then the key must exist and the field must be left empty.
    """

    key: bytes
    value: bytes = b""
    lease: int = attrs.field(default=0, kw_only=True)
    prev_kv: bool = attrs.field(default=False, kw_only=True)
    ignore_value: bool = attrs.field(default=False, kw_only=True)
    ignore_lease: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Delete:
    """Delete keys (etcd: `DeleteRangeRequest`); deleting what is not there is no error and makes no revision."""

    key: bytes
    range_end: bytes = b""
    prev_kv: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Compare:
    """A condition of a txn (etcd: `Compare`): `operand` is what the target of the key is compared with.

    With a `range_end` every key of the range must satisfy it. A key that does not exist, or an empty range, compares
    as zero in every number and satisfies no comparison of a value.

    `Compare(key, "mod_revision", "=", 0)` is "the key does not exist".
    """

    key: bytes
    target: CompareTarget
    operator: CompareOperator
    operand: int | bytes
    range_end: bytes = b""


@attrs.frozen
class Fence:
    """Proof that the writer still holds what it won: `key` must exist and have been created at `create_revision`.

    The key is written once, when leadership is won, and deleted or created anew when it passes on; renewals touch
    another key. Unlike a compare a fence does not choose a branch: a stale one refuses the txn with `StaleFence`.
    """

    key: bytes
    create_revision: int


@attrs.frozen
class Txn:
    """All or nothing (etcd: `TxnRequest`): if all of `compare` hold do `success`, else `failure`, in order.

    All compares, also those of nested txns, look at the state before the txn. A range inside sees what the operations
    before it changed, unless it asks for a past revision; the txn's own revision cannot be asked for by its number.
    What only the branch not taken does wrong (a lease or key that is missing, a revision that is) is no error.

    Two puts of one key, or a put of a key that the same txn deletes, are refused with `InvalidTxn` unless they are in
    branches that exclude each other. (etcd lets some of the latter pass: a put in a nested txn whose key a later
    nested txn deletes, and a delete up to `FROM_KEY`. No txn should rely on it.)
    """

    compare: tuple[Compare, ...] = ()
    success: tuple[Op, ...] = ()
    failure: tuple[Op, ...] = ()
    fence: Fence | None = attrs.field(default=None, kw_only=True)


Op: TypeAlias = Range | Put | Delete | Txn


@attrs.frozen
class RangeResult:
    """Keys found, in order. `revision` is the store's current revision, from which a watch can go on.

    `count` is the number of keys in the range at the revision read, whatever limit and filters say; `more` is whether
    the limit left keys out.
    """

    revision: int
    kvs: tuple[KeyValue, ...]
    more: bool
    count: int


@attrs.frozen
class PutResult:
    """`revision` is the one that the put made; `prev_kv` is there when it was asked for and the key existed."""

    revision: int
    prev_kv: KeyValue | None = None


@attrs.frozen
class DeleteResult:
    """How many keys went; `revision` is the store's after it. `prev_kvs` is empty unless asked for."""

    revision: int
    deleted: int
    prev_kvs: tuple[KeyValue, ...] = ()


@attrs.frozen
class TxnResult:
    """Which branch ran (`succeeded`: the first) and what each of its operations returned.

    `revision` is the one that the txn made, or the current one when it changed nothing. All results inside say the
    same, whatever came before or after them.
    """

    revision: int
    succeeded: bool
    results: tuple[OpResult, ...]


OpResult: TypeAlias = RangeResult | PutResult | DeleteResult | TxnResult


@attrs.frozen
class Event:
    """One key changed; `kv.mod_revision` says when.

    `prev_kv` is the key before, None when it did not exist or that revision has been compacted. A store may fill it
    in also when the watcher did not ask.
    """

    kv: KeyValue
    prev_kv: KeyValue | None = None

    @property
    def is_delete(self) -> bool:
        """Whether the key was deleted (or its lease ended)."""
        return self.kv.version == 0

    @property
    def is_create(self) -> bool:
        """Whether the put began a life of the key."""
        return self.kv.version == 1


@attrs.frozen
class WatchBatch:
    """Events of one or several whole revisions, in order; nothing of the watch up to `revision` is still to come.

    Without events it is a progress notice. To resume, watch again from `revision + 1`.
    """

    revision: int
    events: tuple[Event, ...] = ()


@attrs.frozen
class WatchRequest:
    """What to watch (etcd: `WatchCreateRequest`).

    `start_revision` 0 means from now: the first event is of the revision after the one the watch was opened at. One
    in the future waits for it; one below the compact revision is refused with `Compacted`.
    `puts=False` and `deletes=False` leave out such events. `buffer_events` bounds what waits for the reader.
    """

    key: bytes
    range_end: bytes = b""
    start_revision: int = attrs.field(default=0, kw_only=True)
    prev_kv: bool = attrs.field(default=False, kw_only=True)
    puts: bool = attrs.field(default=True, kw_only=True)
    deletes: bool = attrs.field(default=True, kw_only=True)
    buffer_events: int = attrs.field(default=DEFAULT_WATCH_BUFFER, kw_only=True)


@attrs.frozen
class LeaseStatus:
    """A lease (etcd: `LeaseTimeToLiveResponse`): `remaining_seconds` of `ttl_seconds`, and its keys when asked for."""

    id: int
    ttl_seconds: int
    remaining_seconds: float
    keys: tuple[bytes, ...] = ()


@attrs.frozen(kw_only=True)
class StoreStatus:
    """How the store is: revisions, live keys, and bytes on disk (0 in memory) with the part of them in use."""

    revision: int
    compact_revision: int
    keys: int
    size_bytes: int = 0
    in_use_bytes: int = 0


@attrs.frozen(kw_only=True)
class KeyspaceHash:
    """Hash of everything readable from `compact_revision` up to `revision`: equal histories have equal hashes."""

    hash: str
    revision: int
    compact_revision: int


@attrs.frozen(kw_only=True)
class SnapshotInfo:
    """A snapshot that was written: the revision it holds, its size and its SHA-256."""

    revision: int
    size_bytes: int
    sha256: str
