"""What all parts of the server share: the store, the caches, the strategies, and how to write to the store."""

from __future__ import annotations

from typing import Final

import anyio.lowlevel

from orchestra.api.object import ResourceInfo
from orchestra.api.scheme import Scheme
from orchestra.apiserver import refusals
from orchestra.apiserver.feed import Feed
from orchestra.apiserver.interface import AllowAll, Attributes, Authorizer, Strategy, User
from orchestra.apiserver.keys import fence_key
from orchestra.apiserver.store_errors import translated
from orchestra.apiserver.strategies import strategy_for
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.client.interface import DeleteOptions, WriteOptions
from orchestra.clock import Clock
from orchestra.errors import StaleFence, StoreError
from orchestra.store import Fence, Store, Txn, TxnResult

BREATH: Final = 32
"""After so many operations the server lets other tasks run, for a store in memory never waits by itself."""


class Core:
    """What all parts of the server share: the store, the caches, the strategies, and how to write to the store."""

    def __init__(
        self, store: Store, scheme: Scheme, clock: Clock, *, authorizer: Authorizer, rules: RuleOptions
    ) -> None:
        self.store = store
        self.scheme = scheme
        self.clock = clock
        self.feed = Feed(store, scheme)
        self.running = False
        self.rules = rules
        self._authorizer = None if isinstance(authorizer, AllowAll) else authorizer
        self._strategies: dict[ResourceInfo, Strategy] = {}
        self._breath = 0

    def strategy(self, info: ResourceInfo) -> Strategy:
        """Return the strategy of a kind."""
        found = self._strategies.get(info)
        if found is None:
            found = self._strategies[info] = strategy_for(info, self.rules)
        return found

    async def enter(self, user: User, verb: str, info: ResourceInfo, *place: str) -> None:
        """Begin a request, at `place` (namespace, name, subresource, as far as it has them).

        Refuses it when the server is not running or the caller may not, and lets others run now and then.
        """
        if not self.running:
            raise refusals.stopping()
        self._breath += 1
        if self._breath >= BREATH:
            self._breath = 0
            await anyio.lowlevel.checkpoint()
        if self._authorizer is None:
            return
        namespace, name, sub = (*place, "", "", "")[:3]
        attributes = Attributes(user=user, verb=verb, info=info, namespace=namespace, name=name, subresource=sub)
        reason = await self._authorizer.authorize(attributes)
        if reason is not None:
            where = f' in the namespace "{namespace}"' if info.namespaced and namespace else " at the cluster scope"
            resource = f"{info.plural}/{sub}" if sub else info.plural
            why = f'User "{user.name}" cannot {verb} resource "{resource}" in API group "{info.group}"{where}'
            raise refusals.forbidden(info, name, f"{why}: {reason}" if reason else why)

    async def commit(self, info: ResourceInfo, name: str, txn: Txn) -> TxnResult:
        """Run a txn; the store's refusals become the server's."""
        try:
            return await self.store.txn(txn)
        except StaleFence as error:
            raise refusals.conflict(info, name, f"the writer has lost its term of leadership: {error}") from error
        except StoreError:
            with translated():  # entered only now, for that costs a tenth of a write
                raise


def store_fence(options: WriteOptions | DeleteOptions) -> Fence | None:
    """Return the store's form of a client's proof of leadership."""
    fence = options.fence
    return None if fence is None else Fence(fence_key(fence.name), fence.revision)
