"""StatefulSets: numbered Pods, each with a name and volumes that outlive it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from orchestra.api.apps import ControllerRevision, StatefulSet
from orchestra.api.core import Pod
from orchestra.api.core.persistentvolume import PersistentVolumeClaim
from orchestra.api.rules import controller_of
from orchestra.api.selectors import Selector, label_selector
from orchestra.client.interface import DeleteOptions, Preconditions
from orchestra.controller.interface import Context, Controller, Listers, Result
from orchestra.errors import AlreadyExists, APIError, Conflict, NotFound
from orchestra.workloads import history
from orchestra.workloads.pods import MAX_BURST, ORPHANS, claim, in_growing_batches
from orchestra.workloads.replicas import seconds_to_available
from orchestra.workloads.stateful_steps import (
    REVISION_LABEL,
    Members,
    Steps,
    claim_names,
    identified,
    new_claim,
    new_pod,
    ordinal_of,
    retained,
)

HASH_LABEL = "controller.kubernetes.io/hash"


def statefulset_controller(*, workers: int = 5) -> Controller[StatefulSet]:
    """Return the controller that keeps the numbered Pods of every StatefulSet, and their claims."""
    return Controller(
        name="statefulset",
        for_=StatefulSet,
        reconcile=reconcile,
        owns=(Pod, ControllerRevision),
        watches={Pod: _adopters, ControllerRevision: _adopters},
        indexes=(ORPHANS,),
        workers=workers,
    )


def _adopters(obj: Pod | ControllerRevision, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the StatefulSets that may adopt what nobody owns."""
    if controller_of(obj) is not None:
        return ()
    return tuple(
        (sts.metadata.namespace, sts.metadata.name)
        for sts in caches.lister(StatefulSet).list(obj.metadata.namespace)
        if label_selector(sts.spec.selector).matches(obj.metadata.labels)
    )


async def reconcile(sts: StatefulSet, ctx: Context) -> Result | None:
    """Bring the Pods of a StatefulSet one step further, and report."""
    return await _Reconcile(sts, ctx).run()


class _Reconcile:
    """One reconcile of one StatefulSet."""

    def __init__(self, sts: StatefulSet, ctx: Context) -> None:
        self.sts = sts
        self.ctx = ctx
        self.collisions = sts.status.collision_count or 0

    async def run(self) -> Result | None:
        sts, ctx = self.sts, self.ctx
        name, selector = sts.metadata.name, label_selector(sts.spec.selector)
        revisions = await history.claim_revisions(sts, StatefulSet, selector, ctx)
        if sts.metadata.deletion_timestamp is not None and not history.equal_to(revisions, sts.spec.template):
            await self._report_ending(selector)
            return None
        update = await self._update_revision(revisions)
        if update is None:
            return await self._collided()
        current = next((one for one in revisions if one.metadata.name == sts.status.current_revision), update)

        def is_member(pod: Pod) -> bool:
            return ordinal_of(name, pod.metadata.name) >= 0 and pod.metadata.deletion_timestamp is None

        found = await claim(sts, StatefulSet, selector, ctx, adopts=is_member)
        pods = tuple(pod for pod in found if ordinal_of(name, pod.metadata.name) >= 0)
        members = Members(
            sts=sts, pods=pods, current=current.metadata.name, update=update.metadata.name, now=ctx.clock.now()
        )
        steps = members.steps()
        error = await self._carry_out(members, steps, current, update)
        await self._report(members, steps)
        live = {current.metadata.name, update.metadata.name, *(p.metadata.labels.get(REVISION_LABEL, "") for p in pods)}
        limit = 10 if sts.spec.revision_history_limit is None else sts.spec.revision_history_limit
        await history.delete_revisions(history.expendable(revisions, live, limit), ctx)
        if error is not None:
            raise error
        again = seconds_to_available(pods, sts.spec.min_ready_seconds, ctx.clock.now())
        if max(len(steps.create), len(steps.delete)) > MAX_BURST:
            again = 0
        return None if again is None else ctx.requeue(after=again)

    # ---- templates

    async def _update_revision(self, revisions: Sequence[ControllerRevision]) -> ControllerRevision | None:
        """Return the revision of the present template, made or made the newest where needed."""
        sts, last = self.sts, revisions[-1].revision if revisions else 0
        equal = history.equal_to(revisions, sts.spec.template)
        if equal and equal[-1].metadata.uid == revisions[-1].metadata.uid:
            return equal[-1]
        if equal:
            return await history.renumber(equal[-1], last + 1, self.ctx)
        made = history.new_revision(
            sts,
            sts.spec.template,
            number=last + 1,
            hash_label=HASH_LABEL,
            collision_count=self.collisions,
            annotations=sts.metadata.annotations,
        )
        return await history.store_revision(made, self.ctx)

    async def _collided(self) -> Result:
        status = attrs.evolve(self.sts.status, collision_count=self.collisions + 1)
        await self.ctx.client.update(attrs.evolve(self.sts, status=status), subresource="status")
        return self.ctx.requeue(after=0)

    # ---- Pods

    async def _carry_out(
        self, members: Members, steps: Steps, current: ControllerRevision, update: ControllerRevision
    ) -> APIError | None:
        ctx, sts = self.ctx, self.sts

        async def create(ordinal: int) -> None:
            revision = current if members.needs_current(ordinal) else update
            template = sts.spec.template if revision is update else history.template_of(revision)
            pod = new_pod(sts, template, revision.metadata.name, ordinal)
            try:
                await self._ensure_claims(pod)
                await ctx.client.create(pod)
            except AlreadyExists:
                raise
            except APIError as error:
                self._tell("Create", pod, error)
                raise
            self._tell("Create", pod)

        async def delete(pod: Pod) -> None:
            options = DeleteOptions(preconditions=Preconditions(uid=pod.metadata.uid))
            try:
                await ctx.client.delete(Pod, pod.metadata.name, namespace=pod.metadata.namespace, options=options)
            except NotFound:
                return
            except APIError as error:
                self._tell("Delete", pod, error)
                raise
            self._tell("Delete", pod)

        for pod in steps.correct:
            await ctx.client.update(identified(sts, pod))
            self._tell("Update", pod)
        if sts.spec.volume_claim_templates and sts.metadata.deletion_timestamp is None:
            for pod in members.pods:
                await self._keep_claims(pod)
        error = await in_growing_batches(steps.create[:MAX_BURST], create)
        return error or await in_growing_batches(steps.delete[:MAX_BURST], delete)

    def _tell(self, verb: str, pod: Pod, error: APIError | None = None) -> None:
        text = f"{verb} Pod {pod.metadata.name} in StatefulSet {self.sts.metadata.name}"
        if error is None:
            self.ctx.events.normal(self.sts, f"Successful{verb}", f"{text} successful")
        else:
            self.ctx.events.warning(self.sts, f"Failed{verb}", f"{text} failed error: {error}")

    # ---- claims

    async def _find_claim(self, name: str) -> PersistentVolumeClaim | None:
        try:
            return await self.ctx.client.get(PersistentVolumeClaim, name, namespace=self.sts.metadata.namespace)
        except NotFound:
            return None

    async def _ensure_claims(self, pod: Pod) -> None:
        """Create the claims of a Pod that are missing; raises Conflict while one is still on its way out."""
        sts = self.sts
        names = claim_names(sts, ordinal_of(sts.metadata.name, pod.metadata.name))
        for template in sts.spec.volume_claim_templates:
            name = names[template.metadata.name]
            found = await self._find_claim(name)
            if found is None:
                await self._create_claim(new_claim(sts, template, name), pod)
            elif found.metadata.deletion_timestamp is not None or self._is_of_a_former_pod(found, pod):
                raise Conflict(f"pvc {name} is being deleted")

    @staticmethod
    def _is_of_a_former_pod(found: PersistentVolumeClaim, pod: Pod) -> bool:
        owners = found.metadata.owner_references
        return any(r.kind == "Pod" and r.name == pod.metadata.name and r.uid != pod.metadata.uid for r in owners)

    async def _create_claim(self, made: PersistentVolumeClaim, pod: Pod) -> None:
        sts = self.sts
        text = f"Create Claim {made.metadata.name}"
        try:
            await self.ctx.client.create(made)
        except APIError as error:
            where = f"for Pod {pod.metadata.name} in StatefulSet {sts.metadata.name}"
            self.ctx.events.warning(sts, "FailedCreate", f"{text} {where} failed error: {error}")
            raise
        where = f"Pod {pod.metadata.name} in StatefulSet {sts.metadata.name}"
        self.ctx.events.normal(sts, "SuccessfulCreate", f"{text} {where} success")

    async def _keep_claims(self, pod: Pod) -> None:
        """Create missing claims of a Pod that waits for them, and give all of them the owners that the policy says."""
        ordinal = ordinal_of(self.sts.metadata.name, pod.metadata.name)
        if pod.status.phase == "Pending" and pod.metadata.deletion_timestamp is None:
            await self._ensure_claims(pod)
        for name in claim_names(self.sts, ordinal).values():
            found = await self._find_claim(name)
            if found is None or found.metadata.deletion_timestamp is not None:
                continue
            kept = retained(self.sts, found, pod)
            if kept is not found:
                await self.ctx.client.update(kept)

    # ---- reporting

    async def _report_ending(self, selector: Selector) -> None:
        """Count the Pods of a set whose revisions are collected already: to make them anew would never end."""
        before = self.sts.status
        pods = await claim(self.sts, StatefulSet, selector, self.ctx)
        names = {"current": before.current_revision, "update": before.update_revision}
        members = Members(sts=self.sts, pods=pods, now=self.ctx.clock.now(), **names)
        await self._report(members, Steps())

    async def _report(self, members: Members, steps: Steps) -> None:
        status = members.status(steps, self.collisions)
        if status == self.sts.status:
            return
        try:
            await self.ctx.client.update(attrs.evolve(self.sts, status=status), subresource="status")
        except NotFound:
            return
