"""Deployments: replace the Pods of one template by those of the next, without an outage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from orchestra.api.apps import Deployment, DeploymentStatus, ReplicaSet
from orchestra.api.core import Pod
from orchestra.api.object import OwnerReference
from orchestra.api.rules import controller_of, is_terminal, owner_reference
from orchestra.api.selectors import label_selector
from orchestra.controller.interface import Context, Controller, Listers, Result
from orchestra.errors import NotFound
from orchestra.workloads import progress, rollout
from orchestra.workloads.pods import pace_seconds
from orchestra.workloads.revisions import Revisions
from orchestra.workloads.rollout import Step, replicas_of

Report = Callable[[Deployment, Sequence[ReplicaSet], ReplicaSet | None, datetime], DeploymentStatus]


def deployment_controller(*, workers: int = 5) -> Controller[Deployment]:
    """Return the controller that rolls Deployments out."""
    return Controller(
        name="deployment",
        for_=Deployment,
        reconcile=reconcile,
        owns=(ReplicaSet,),
        watches={Pod: _recreating, ReplicaSet: _adopters},
        pace=lambda deployment: pace_seconds(deployment.spec.replicas),
        workers=workers,
    )


def _adopters(rs: ReplicaSet, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the Deployments that may adopt a ReplicaSet which nobody owns."""
    if controller_of(rs) is not None:
        return ()
    return tuple(
        (d.metadata.namespace, d.metadata.name)
        for d in caches.lister(Deployment).list(rs.metadata.namespace)
        if label_selector(d.spec.selector).matches(rs.metadata.labels)
    )


def _recreating(pod: Pod, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the Deployment that waits for this Pod to end: only those of strategy Recreate look at Pods."""
    owner = controller_of(pod)
    rs = None if owner is None else caches.lister(ReplicaSet).get(pod.metadata.namespace, owner.name)
    above = None if rs is None else controller_of(rs)
    found = None if above is None else caches.lister(Deployment).get(pod.metadata.namespace, above.name)
    if found is None or rollout.is_rolling(found):
        return ()
    return ((found.metadata.namespace, found.metadata.name),)


async def reconcile(deployment: Deployment, ctx: Context) -> Result | None:
    """Bring the ReplicaSets of a Deployment one step further, and report."""
    selector = deployment.spec.selector
    if selector is None or not (selector.match_labels or selector.match_expressions):
        text = "This deployment is selecting all pods. A non-empty selector is required."
        ctx.events.warning(deployment, "SelectingAll", text)
        return None
    return await _Rollout(deployment, ctx).reconcile()


class _Rollout:
    """One reconcile of one Deployment: `deployment` and `sets` are kept as the latest write left them."""

    def __init__(self, deployment: Deployment, ctx: Context) -> None:
        self.deployment = deployment
        self.ctx = ctx
        self.sets: dict[str, ReplicaSet] = {}

    async def reconcile(self) -> Result | None:
        await self._claim()
        if self.deployment.metadata.deletion_timestamp is not None:
            return await self._report(progress.counted)
        conditions = progress.paused_conditions(self.deployment, self.ctx.clock.now())
        if conditions is not None:
            await self._write_status(attrs.evolve(self.deployment.status, conditions=conditions))
        if self.deployment.spec.paused or self._is_scaling():
            return await self._scale_only()
        if rollout.is_rolling(self.deployment):
            await self._roll()
        else:
            await self._recreate()
        return await self._report(progress.progressed)

    # ---- the ReplicaSets

    def _all(self) -> tuple[ReplicaSet, ...]:
        return tuple(self.sets.values())

    def _newest(self) -> ReplicaSet | None:
        return rollout.newest_of(self.deployment, self._all())

    def _old(self) -> tuple[ReplicaSet, ...]:
        newest = self._newest()
        return tuple(rs for rs in self._all() if newest is None or rs.metadata.uid != newest.metadata.uid)

    async def _claim(self) -> None:
        """Find the ReplicaSets of the Deployment, adopting and releasing as its selector says."""
        meta = self.deployment.metadata
        selector = label_selector(self.deployment.spec.selector)
        living = meta.deletion_timestamp is None
        for rs in self.ctx.lister(ReplicaSet).list(meta.namespace):
            owner = controller_of(rs)
            selected = selector.matches(rs.metadata.labels)
            if owner is None and selected and living and rs.metadata.deletion_timestamp is None:
                references = (*rs.metadata.owner_references, owner_reference(self.deployment))
                await self._keep(rs, references)
            elif owner is not None and owner.uid == meta.uid:
                if selected or not living:
                    self.sets[rs.metadata.uid] = rs
                else:
                    references = tuple(r for r in rs.metadata.owner_references if r.uid != meta.uid)
                    await self._update(
                        attrs.evolve(rs, metadata=attrs.evolve(rs.metadata, owner_references=references))
                    )

    async def _keep(self, rs: ReplicaSet, references: tuple[OwnerReference, ...]) -> None:
        meta = attrs.evolve(rs.metadata, owner_references=references)
        written = await self._update(attrs.evolve(rs, metadata=meta))
        if written is not None:
            self.sets[written.metadata.uid] = written

    async def _update(self, rs: ReplicaSet) -> ReplicaSet | None:
        try:
            return await self.ctx.client.update(rs)
        except NotFound:
            return None

    async def _resize(self, step: Step, *, annotate: bool = False) -> bool:
        """Give a ReplicaSet its next size; say whether that was a change.

        With `annotate` it is also noted which `spec.replicas` that size follows from when the size stays as it is.
        """
        rs, size = self.sets[step.replica_set.metadata.uid], step.replicas
        before = replicas_of(rs)
        annotations = {**rs.metadata.annotations, **Revisions(self.deployment).size_annotations()}
        if before == size and not (annotate and annotations != rs.metadata.annotations):
            return False
        written = await self._update(
            attrs.evolve(
                rs,
                metadata=attrs.evolve(rs.metadata, annotations=annotations),
                spec=attrs.evolve(rs.spec, replicas=size),
            )
        )
        if written is None:
            self.sets.pop(rs.metadata.uid, None)
            return True
        self.sets[rs.metadata.uid] = written
        if before == size:
            return False
        word = "up" if size > before else "down"
        text = f"Scaled {word} replica set {rs.metadata.name} from {before} to {size}"
        self.ctx.events.normal(self.deployment, "ScalingReplicaSet", text)
        return True

    # ---- strategies

    def _is_scaling(self) -> bool:
        """Whether `spec.replicas` has changed since the active ReplicaSets were last sized."""
        wanted = replicas_of(self.deployment)
        return any(
            desired is not None and desired != wanted
            for rs in self._all()
            if replicas_of(rs) > 0
            for desired in (rollout.annotated(rs, rollout.DESIRED_REPLICAS),)
        )

    async def _scale_only(self) -> Result | None:
        await self._sync_newest(create=False)
        for step in rollout.scale(self.deployment, self._newest(), self._old()):
            await self._resize(step, annotate=True)
        if self.deployment.spec.paused:
            await self._clean_up()
        return await self._report(progress.counted)

    async def _roll(self) -> None:
        newest = await self._sync_newest(create=True)
        if newest is None:
            return
        size = rollout.grow(self.deployment, self._all(), newest)
        if await self._resize(Step(newest, size)):
            return
        steps = rollout.shrink(self.deployment, self._old(), newest)
        resized = [await self._resize(step) for step in steps]
        if not any(resized) and progress.is_complete(self.deployment, self.deployment.status):
            await self._clean_up()

    async def _recreate(self) -> None:
        await self._sync_newest(create=False)
        resized = [await self._resize(Step(rs, 0)) for rs in self._old() if replicas_of(rs) > 0]
        if any(resized) or self._old_pods_left():
            return
        newest = await self._sync_newest(create=True)
        if newest is None:
            return
        await self._resize(Step(newest, replicas_of(self.deployment)))
        if progress.is_complete(self.deployment, self.deployment.status):
            await self._clean_up()

    def _old_pods_left(self) -> bool:
        """Whether a Pod of an older template still runs or is ending."""
        return any(
            not is_terminal(pod)
            for rs in self._old()
            for pod in self.ctx.lister(Pod).by_index("owner", rs.metadata.uid)
        )

    async def _sync_newest(self, *, create: bool) -> ReplicaSet | None:
        """Find, bring up to date or create the ReplicaSet of the current template."""
        revisions = Revisions(self.deployment)
        newest = self._newest()
        result = await revisions.sync(self.ctx, newest, self._old(), self._all(), create=create)
        if result is None:
            return None
        if result.replica_set is not None:
            self.sets[result.replica_set.metadata.uid] = result.replica_set
        if result.annotations is not None or result.status is not None:
            await self._write_status(result.status or self.deployment.status, result.annotations)
        return result.replica_set

    async def _clean_up(self) -> None:
        for rs in rollout.expendable(self.deployment, self._old()):
            try:
                await self.ctx.client.delete(ReplicaSet, rs.metadata.name, namespace=rs.metadata.namespace)
            except NotFound:
                continue
            self.sets.pop(rs.metadata.uid, None)

    # ---- reporting

    async def _report(self, make: Report) -> Result | None:
        now = self.ctx.clock.now()
        status = make(self.deployment, self._all(), self._newest(), now)
        await self._write_status(status)
        again = progress.seconds_to_deadline(self.deployment, status, now)
        return None if again is None else self.ctx.requeue(after=again)

    async def _write_status(self, status: DeploymentStatus, annotations: Mapping[str, str] | None = None) -> None:
        if annotations is None and status == self.deployment.status:
            return
        meta = self.deployment.metadata
        if annotations is not None:
            meta = attrs.evolve(meta, annotations=annotations)
        changed = attrs.evolve(self.deployment, metadata=meta, status=status)
        self.deployment = await self.ctx.client.update(changed, subresource="status")
