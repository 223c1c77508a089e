"""ServiceAccounts."""

from __future__ import annotations

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import LocalObjectReference, ObjectReference
from orchestra.api.object import Object, freeze_fields, list_map, resource


@resource(builtin.SERVICE_ACCOUNT)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceAccount(Object):
    """Who the processes of a Pod are to the server."""

    secrets: tuple[ObjectReference, ...] = list_map("name")
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    automount_service_account_token: bool | None = None
