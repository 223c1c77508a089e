"""Which kind is printed how: a table of names, so that printing one kind loads the classes of that kind alone."""

from __future__ import annotations

import importlib
from datetime import datetime
from typing import Final, cast

from orchestra.api import builtin
from orchestra.api.object import Object, ResourceInfo
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import Cell, Printer, columns

_PRINTERS: Final = {
    builtin.POD: ("pods", "PRINTER"),
    builtin.DEPLOYMENT: ("workloads", "DEPLOYMENT"),
    builtin.REPLICA_SET: ("workloads", "REPLICA_SET"),
    builtin.STATEFUL_SET: ("sets", "STATEFUL_SET"),
    builtin.DAEMON_SET: ("sets", "DAEMON_SET"),
    builtin.REPLICATION_CONTROLLER: ("sets", "REPLICATION_CONTROLLER"),
    builtin.CONTROLLER_REVISION: ("sets", "CONTROLLER_REVISION"),
    builtin.JOB: ("jobs", "JOB"),
    builtin.CRON_JOB: ("jobs", "CRON_JOB"),
    builtin.HORIZONTAL_POD_AUTOSCALER: ("jobs", "AUTOSCALER"),
    builtin.SERVICE: ("network", "SERVICE"),
    builtin.ENDPOINT_SLICE: ("network", "ENDPOINT_SLICE"),
    builtin.ENDPOINTS: ("networking", "ENDPOINTS"),
    builtin.INGRESS: ("networking", "INGRESS"),
    builtin.NETWORK_POLICY: ("networking", "NETWORK_POLICY"),
    builtin.RESOURCE_QUOTA: ("limits", "RESOURCE_QUOTA"),
    builtin.LIMIT_RANGE: ("limits", "LIMIT_RANGE"),
    builtin.PERSISTENT_VOLUME: ("storage", "PERSISTENT_VOLUME"),
    builtin.PERSISTENT_VOLUME_CLAIM: ("storage", "PERSISTENT_VOLUME_CLAIM"),
    builtin.STORAGE_CLASS: ("storage", "STORAGE_CLASS"),
    builtin.NODE: ("cluster", "NODE"),
    builtin.NAMESPACE: ("cluster", "NAMESPACE"),
    builtin.CONFIG_MAP: ("cluster", "CONFIG_MAP"),
    builtin.SECRET: ("cluster", "SECRET"),
    builtin.LEASE: ("cluster", "LEASE"),
    builtin.EVENT: ("cluster", "EVENT"),
    builtin.PRIORITY_CLASS: ("scheduling", "PRIORITY_CLASS"),
    builtin.POD_GROUP: ("scheduling", "POD_GROUP"),
    builtin.SCALE: ("scale", "SCALE"),
    builtin.POD_DISRUPTION_BUDGET: ("scheduling", "POD_DISRUPTION_BUDGET"),
}


def _name_and_age(obj: Object, now: datetime) -> tuple[Cell, ...]:
    return obj.metadata.name, human_age(obj.metadata.creation_timestamp, now)


PLAIN: Final = Printer(columns("Name|Age"), _name_and_age)
"""The printer of kinds without one of their own."""


def table_of(info: ResourceInfo) -> Printer:
    """Return the printer of a kind."""
    found = _PRINTERS.get(info)
    if found is None:
        return PLAIN
    module, name = found
    return cast("Printer", getattr(importlib.import_module(f"orchestra.api.tables.{module}"), name))
