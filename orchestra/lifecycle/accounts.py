"""Puts an account and the server's certificates into every namespace. The driver of `furnishing.py`."""

from __future__ import annotations

from collections.abc import Iterable

from orchestra.api.core import ConfigMap, Namespace
from orchestra.api.core.serviceaccount import ServiceAccount
from orchestra.api.object import Object
from orchestra.controller.interface import Change, Context, Controller, Listers
from orchestra.errors import AlreadyExists, Forbidden, NotFound
from orchestra.lifecycle import furnishing


def serviceaccount_controller(*, workers: int = 1) -> Controller[Namespace]:
    """Return the controller that keeps the ServiceAccount `default` in every namespace."""
    return Controller(
        name="serviceaccount",
        for_=Namespace,
        reconcile=_keep_account,
        watches={ServiceAccount: _namespace_of},
        predicates={ServiceAccount: _account_gone},
        workers=workers,
    )


def root_ca_publisher(certificate: str = "", *, workers: int = 1) -> Controller[Namespace]:
    """Return the controller that keeps the ConfigMap `kube-root-ca.crt` in every namespace.

    `certificate` is the PEM bundle by which clients verify the server; empty when it is reached without TLS, so that
    Pods whose volumes project the ConfigMap start all the same.
    """

    async def publish(namespace: Namespace, ctx: Context) -> None:
        if not furnishing.is_furnished(namespace):
            return
        name = namespace.metadata.name
        present = ctx.lister(ConfigMap).get(name, furnishing.BUNDLE)
        wanted = furnishing.bundle(name, certificate, present)
        if wanted is None:
            return
        if present is None:
            await _create(wanted, ctx)
            return
        try:
            await ctx.client.update(wanted)
        except NotFound:
            ctx.log.debug("bundle is gone already")

    return Controller(
        name="root-ca-certificate-publisher",
        for_=Namespace,
        reconcile=publish,
        watches={ConfigMap: _namespace_of},
        predicates={ConfigMap: _is_bundle},
        workers=workers,
    )


async def _keep_account(namespace: Namespace, ctx: Context) -> None:
    name = namespace.metadata.name
    if furnishing.is_furnished(namespace) and ctx.lister(ServiceAccount).get(name, furnishing.ACCOUNT) is None:
        await _create(furnishing.account(name), ctx)


async def _create(obj: Object, ctx: Context) -> None:
    try:
        await ctx.client.create(obj)
    except AlreadyExists:
        ctx.log.debug("somebody was quicker", name=obj.metadata.name)
    except (Forbidden, NotFound) as error:
        ending = isinstance(error, NotFound) or any(cause.reason == "NamespaceTerminating" for cause in error.causes)
        if not ending:
            raise
        ctx.log.debug("namespace is ending", name=obj.metadata.name)


def _namespace_of(obj: Object, caches: Listers) -> Iterable[tuple[str, str]]:
    return (("", obj.metadata.namespace),)


def _account_gone(change: Change[ServiceAccount]) -> bool:
    return change.new is None and change.object.metadata.name == furnishing.ACCOUNT


def _is_bundle(change: Change[ConfigMap]) -> bool:
    """A new one needs no look: it came from here, or is seen when the namespace is next looked at."""
    return change.old is not None and change.object.metadata.name == furnishing.BUNDLE
