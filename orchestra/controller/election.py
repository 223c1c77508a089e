"""Leader election on a Lease, with fencing: the driver beside `leader.py`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from orchestra._log import get_logger
from orchestra.api.coordination import Lease
from orchestra.client.interface import Client, Fence, WriteOptions
from orchestra.clock import Clock
from orchestra.controller.leader import Candidate, Term, Terms, Wait
from orchestra.errors import APIError, NotFound

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

RELEASE_SECONDS = 2.0
"""How long giving up the Lease may take when the process stops."""


_DEFAULT_TERMS = Terms()


class Lead(Protocol):
    """What only the leader does; cancelled when the term is over."""

    def __call__(self, fence: Fence) -> Awaitable[Any]:
        """Lead for one term; writes carry its fence."""
        ...


class Election:
    """Competes for a Lease and runs something while it is held.

    `name` names the Lease, and with the namespace the fence; `identity` must be unique among the candidates.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        name: str,
        identity: str,
        namespace: str = "kube-system",
        terms: Terms = _DEFAULT_TERMS,
    ) -> None:
        self.leading = False
        self._client = client
        self._clock = clock
        self._name = name
        self._namespace = namespace
        self._terms = terms
        self._identity = identity
        self._seen_version = ""
        self._candidate = Candidate(namespace, name, identity, terms)
        self._log = get_logger("election").bind(lease=f"{namespace}/{name}", identity=identity)

    async def run(self, lead: Lead, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Compete until cancelled: lead, lose, compete again. Ready at once, as a candidate."""
        task_status.started()
        while True:
            began = await self._acquire()
            fence = await self._fence()
            if fence is None:
                continue
            self._log.info("leading", revision=fence.revision)
            self.leading = True
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._keep, Term(self._terms, began), fence, tasks.cancel_scope)
                    await lead(fence)
                    tasks.cancel_scope.cancel()
            finally:
                self.leading = False
                # After what was led has ended: the next leader need not wait for the Lease to expire.
                with anyio.move_on_after(RELEASE_SECONDS, shield=True):
                    await self._release()
            self._log.warning("leadership ended")

    async def _acquire(self) -> float:
        """Return when the renewal began that made this process the leader."""
        while True:
            began = self._clock.monotonic()
            pause = self._terms.retry_seconds
            try:
                waiting = await self._try()
            except APIError as error:
                self._log.debug("lease not taken", error=str(error))
            else:
                if waiting is None:
                    return began
                pause = waiting
            pause *= 1 + 0.2 * self._clock.random.random()
            with anyio.move_on_after(pause):
                await self._lease_changed()

    async def _lease_changed(self) -> None:
        """Return when the Lease is written: one that is given up is taken at once. Without a server never return."""
        if self._seen_version:
            try:
                async with self._client.watch(
                    Lease,
                    namespace=self._namespace,
                    field_selector=f"metadata.name={self._name}",
                    resource_version=self._seen_version,
                ) as watch:
                    await watch.next_batch()
                    return
            except APIError as error:
                self._log.debug("lease not watched", error=str(error))
        await anyio.Event().wait()

    async def _try(self, fence: Fence | None = None) -> float | None:
        """Take or renew the Lease; return how long to wait when somebody else has it.

        A renewal carries the term's fence: whoever has been robbed of it can write nothing else, so it must not keep
        the Lease either. Its term ends, and it competes again.
        """
        options = WriteOptions(fence=fence)
        lease: Lease | None
        try:
            lease = await self._client.get(Lease, self._name, namespace=self._namespace)
        except NotFound:
            lease = None
        self._seen_version = lease.metadata.resource_version if lease is not None else ""
        decision = self._candidate.decide(lease, self._clock.monotonic(), self._clock.now())
        if isinstance(decision, Wait):
            return decision.seconds
        if decision.create:
            await self._client.create(decision.lease, options=options)
        else:
            await self._client.update(decision.lease, options=options)
        return None

    async def _fence(self) -> Fence | None:
        try:
            return await self._client.acquire_fence(f"{self._namespace}.{self._name}", self._identity)
        except APIError as error:
            self._log.warning("no fence: not leading", error=str(error))
            await anyio.sleep(self._terms.retry_seconds)
            return None

    async def _keep(self, term: Term, fence: Fence, scope: anyio.CancelScope) -> None:
        while True:
            await anyio.sleep(self._terms.retry_seconds)
            began = self._clock.monotonic()
            lost = False
            with anyio.move_on_after(max(0.0, term.ends_at() - began)):
                try:
                    lost = await self._try(fence) is not None
                    if not lost:
                        term.renewed(began)
                except APIError as error:
                    self._log.warning("lease not renewed", error=str(error))
            if lost or self._clock.monotonic() >= term.ends_at():
                scope.cancel()
                return

    async def _release(self) -> None:
        try:
            lease = await self._client.get(Lease, self._name, namespace=self._namespace)
            if lease.spec.holder_identity == self._identity:
                await self._client.update(self._candidate.release(lease, self._clock.now()))
        except APIError as error:
            self._log.warning("lease not released: it will expire", error=str(error))
