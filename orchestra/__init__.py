"""Orchestra: the parts of a container orchestrator, to be composed into control planes of your own.

Start with `ControlPlane`; the packages below explain themselves: `orchestra.api`, `store`, `apiserver`, `client`,
`controller`, `scheduler`, `workloads`, `lifecycle`, `network`, `cri`, `node`, `testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra._log import enable_logging
    from orchestra.api.scheme import Scheme
    from orchestra.apiserver.server import APIServer
    from orchestra.client.interface import Client
    from orchestra.clock import Clock, SystemClock
    from orchestra.controller.interface import Context, Controller, Reconciler, Result
    from orchestra.controller.manager import Manager
    from orchestra.node.agent import NodeAgent
    from orchestra.plane import ControlPlane, default_controllers
    from orchestra.scheduler.scheduler import Scheduler
    from orchestra.store.interface import Store
    from orchestra.store.memory import MemoryStore
    from orchestra.store.sqlite import SQLiteStore

_EXPORTS = {
    "APIServer": ".apiserver.server",
    "Client": ".client.interface",
    "Clock": ".clock",
    "Context": ".controller.interface",
    "ControlPlane": ".plane",
    "Controller": ".controller.interface",
    "Manager": ".controller.manager",
    "MemoryStore": ".store.memory",
    "NodeAgent": ".node.agent",
    "Reconciler": ".controller.interface",
    "Result": ".controller.interface",
    "SQLiteStore": ".store.sqlite",
    "Scheduler": ".scheduler.scheduler",
    "Scheme": ".api.scheme",
    "Store": ".store.interface",
    "SystemClock": ".clock",
    "default_controllers": ".plane",
    "enable_logging": "._log",
}

__all__ = [
    "APIServer",
    "Client",
    "Clock",
    "Context",
    "ControlPlane",
    "Controller",
    "Manager",
    "MemoryStore",
    "NodeAgent",
    "Reconciler",
    "Result",
    "SQLiteStore",
    "Scheduler",
    "Scheme",
    "Store",
    "SystemClock",
    "default_controllers",
    "enable_logging",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)
