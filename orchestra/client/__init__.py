"""How others read and write: the `Client` contract, and the values that go with it.

What comes in: verbs on typed objects. What goes out: objects, lists, watches, and the server's refusals as exceptions.
It knows `api` and nothing above; every part above it programs against `interface.py`, where reading starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.client.interface import (
        Client,
        Deleted,
        DeleteOptions,
        DiagnosisReport,
        EventType,
        Fence,
        LogOptions,
        NodeHandler,
        ObjectList,
        Patch,
        PatchType,
        Preconditions,
        Watch,
        WatchEvent,
        WriteOptions,
    )
    from orchestra.client.remote import RemoteClient, ServerVersion
    from orchestra.client.remote_channel import ClientTLS
    from orchestra.client.verbs import ClientVerbs

_EXPORTS = {
    "Client": ".interface",
    "ClientTLS": ".remote_channel",
    "ClientVerbs": ".verbs",
    "DeleteOptions": ".interface",
    "Deleted": ".interface",
    "DiagnosisReport": ".interface",
    "EventType": ".interface",
    "Fence": ".interface",
    "LogOptions": ".interface",
    "NodeHandler": ".interface",
    "ObjectList": ".interface",
    "Patch": ".interface",
    "PatchType": ".interface",
    "Preconditions": ".interface",
    "RemoteClient": ".remote",
    "ServerVersion": ".remote",
    "Watch": ".interface",
    "WatchEvent": ".interface",
    "WriteOptions": ".interface",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = [
    "RemoteClient",
    "ServerVersion",
    "ClientTLS",
    "Client",
    "ClientVerbs",
    "DeleteOptions",
    "Deleted",
    "DiagnosisReport",
    "EventType",
    "Fence",
    "LogOptions",
    "NodeHandler",
    "ObjectList",
    "Patch",
    "PatchType",
    "Preconditions",
    "Watch",
    "WatchEvent",
    "WriteOptions",
]
