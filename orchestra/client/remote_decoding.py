"""Typed objects from records that arrive from afar, sharing what many of them have in common.

The Pods of one ReplicaSet have the same spec but for their node, and an object whose status changes keeps its spec: a
spec that was decoded lately is not decoded, nor held, again. Objects are immutable, so nobody can tell.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import Any, Final, TypeVar, cast

import attrs
import orjson

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.api.codec import decode, fields_of
from orchestra.api.object import Object
from orchestra.client.interface import Deleted

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

SHARED_SPECS: Final = 512
"""How many specs are remembered; the one that was used longest ago goes first."""


class Decoder:
    """Decodes the records of one client."""

    def __init__(self) -> None:
        self._specs: OrderedDict[tuple[type[Object], bytes], Any] = OrderedDict()

    def object(self, record: pb.Record, kind: type[O]) -> O:
        """Return the typed object of a record; raises DecodeError when this client's class does not fit it."""
        document = orjson.loads(record.document)
        document["metadata"]["resourceVersion"] = str(record.revision)
        spec = document.get("spec")
        if not isinstance(spec, dict) or not _has_plain_spec(cast("Any", kind)):
            return decode(document, kind)
        info = kind.resource_info
        # A caller's own class for Pods, which has no module of ours, need not know nodes.
        node = spec.get("nodeName") if info.group_kind == "Pod" and info.module else None
        if isinstance(node, str) and node:
            del spec["nodeName"]
        else:
            node = None
        key = (cast("type[Object]", kind), orjson.dumps(spec))
        known = self._specs.get(key)
        if known is None:
            obj = decode(document, kind)
            self._specs[key] = cast("Any", obj).spec
            if len(self._specs) > SHARED_SPECS:
                self._specs.popitem(last=False)
        else:
            self._specs.move_to_end(key)
            del document["spec"]
            obj = decode(document, kind)
            object.__setattr__(obj, "spec", known)
        if node is not None:
            object.__setattr__(obj, "spec", attrs.evolve(cast("Any", obj).spec, node_name=node))
        return obj

    def deleted(self, message: pb.Deleted, kind: type[O]) -> Deleted[O]:
        """Return what a deletion did."""
        return Deleted(object=self.object(message.record, kind), revision=message.revision, gone=message.gone)


@cache
def _has_plain_spec(kind: Any) -> bool:
    """Whether objects of a kind can be decoded without their spec."""
    if "spec" not in fields_of(kind):
        return False
    return attrs.fields_dict(kind)["spec"].default is not attrs.NOTHING
