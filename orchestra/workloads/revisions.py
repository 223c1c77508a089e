"""The history of a Deployment: which ReplicaSet belongs to which revision, and how a new one comes to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from orchestra.api.apps import Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta
from orchestra.api.rules import is_controlled_by, owner_reference, template_hash
from orchestra.controller.interface import Context
from orchestra.errors import AlreadyExists, APIError
from orchestra.workloads import progress, rollout
from orchestra.workloads.pods import is_namespace_ending
from orchestra.workloads.rollout import HASH_LABEL, REVISION, REVISION_HISTORY, replicas_of

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        rollout.DESIRED_REPLICAS,
        rollout.MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


@attrs.frozen(kw_only=True)
class Synced:
    """The newest ReplicaSet, if there is one, and what the Deployment is to be given for it."""

    replica_set: ReplicaSet | None = None
    annotations: Mapping[str, str] | None = None
    status: DeploymentStatus | None = None


class Revisions:
    """Numbers the ReplicaSets of one Deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def size_annotations(self) -> dict[str, str]:
        """Return the annotations that remember for which size a ReplicaSet was scaled."""
        wanted = replicas_of(self._deployment)
        limit = wanted + rollout.max_surge(self._deployment)
        return {rollout.DESIRED_REPLICAS: str(wanted), rollout.MAX_REPLICAS: str(limit)}

    async def sync(
        self,
        ctx: Context,
        newest: ReplicaSet | None,
        old: Sequence[ReplicaSet],
        everything: Sequence[ReplicaSet],
        *,
        create: bool,
    ) -> Synced | None:
        """Number the newest ReplicaSet, or create it; None when there is none and none could be created."""
        revision = max((rollout.revision_of(rs) for rs in old), default=0) + 1
        if newest is not None:
            return await self._renumber(ctx, newest, revision)
        return await self._create(ctx, everything, revision) if create else Synced()

    async def _renumber(self, ctx: Context, newest: ReplicaSet, revision: int) -> Synced:
        annotations = self._annotations(newest.metadata.annotations, revision)
        min_ready = self._deployment.spec.min_ready_seconds
        if annotations != dict(newest.metadata.annotations) or newest.spec.min_ready_seconds != min_ready:
            meta = attrs.evolve(newest.metadata, annotations=annotations)
            spec = attrs.evolve(newest.spec, min_ready_seconds=min_ready)
            newest = await ctx.client.update(attrs.evolve(newest, metadata=meta, spec=spec))
        status = self._noticed("FoundNewReplicaSet", f'Found new replica set "{newest.metadata.name}"', ctx, found=True)
        return Synced(replica_set=newest, annotations=self._own_revision(newest), status=status)

    async def _create(self, ctx: Context, everything: Sequence[ReplicaSet], revision: int) -> Synced | None:
        wanted = self._new_replica_set(everything, revision)
        name = wanted.metadata.name
        try:
            made = await ctx.client.create(wanted)
        except AlreadyExists:
            return await self._taken(ctx, name)
        except APIError as error:
            if is_namespace_ending(error):
                return None
            await self._refused(ctx, name, error)
            raise
        if replicas_of(made):
            text = f"Scaled up replica set {name} from 0 to {replicas_of(made)}"
            ctx.events.normal(self._deployment, "ScalingReplicaSet", text)
        status = self._noticed("NewReplicaSetCreated", f'Created new replica set "{name}"', ctx, found=False)
        return Synced(replica_set=made, annotations=self._own_revision(made), status=status)

    async def _refused(self, ctx: Context, name: str, error: APIError) -> None:
        """Tell, by an Event and the condition Progressing, that the new ReplicaSet cannot be created."""
        text = f'Failed to create new replica set "{name}": {error}'
        ctx.events.warning(self._deployment, "ReplicaSetCreateError", text)
        before = self._deployment.status.conditions
        if not progress.has_deadline(self._deployment):
            return
        condition = progress.new_condition(
            progress.PROGRESSING, "False", "ReplicaSetCreateError", text, ctx.clock.now()
        )
        conditions = progress.with_condition(before, condition)
        if conditions is not before:
            failed = attrs.evolve(self._deployment.status, conditions=conditions)
            await ctx.client.update(attrs.evolve(self._deployment, status=failed), subresource="status")

    async def _taken(self, ctx: Context, name: str) -> Synced | None:
        """Somebody has the name: our own ReplicaSet that the cache does not show yet, or another's, and then the
        hash must change."""
        found = await ctx.client.get(ReplicaSet, name, namespace=self._deployment.metadata.namespace)
        if is_controlled_by(found, self._deployment) and rollout.same_template(self._deployment, found):
            return Synced(replica_set=found, annotations=self._own_revision(found))
        count = (self._deployment.status.collision_count or 0) + 1
        status = attrs.evolve(self._deployment.status, collision_count=count)
        return Synced(status=status)

    def _new_replica_set(self, everything: Sequence[ReplicaSet], revision: int) -> ReplicaSet:
        deployment = self._deployment
        template = deployment.spec.template
        word = template_hash(template, deployment.status.collision_count)
        labels = {**template.metadata.labels, HASH_LABEL: word}
        selector = deployment.spec.selector or LabelSelector()
        annotations = {**self._annotations({}, revision), **self.size_annotations()}
        return ReplicaSet(
            metadata=ObjectMeta(
                name=f"{deployment.metadata.name}-{word}",
                namespace=deployment.metadata.namespace,
                labels=labels,
                annotations=annotations,
                owner_references=(owner_reference(deployment),),
            ),
            spec=ReplicaSetSpec(
                replicas=rollout.new_replicas(deployment, everything, 0),
                min_ready_seconds=deployment.spec.min_ready_seconds,
                selector=attrs.evolve(selector, match_labels={**selector.match_labels, HASH_LABEL: word}),
                template=attrs.evolve(template, metadata=attrs.evolve(template.metadata, labels=labels)),
            ),
        )

    def _annotations(self, present: Mapping[str, str], revision: int) -> dict[str, str]:
        """Return the annotations of the newest ReplicaSet: the Deployment's own, and its number in the history."""
        copied = {k: v for k, v in self._deployment.metadata.annotations.items() if k not in _NOT_COPIED}
        result = {**present, **copied}
        before = present.get(REVISION, "")
        number = int(before) if before.isdecimal() else 0
        if number < revision:
            result[REVISION] = str(revision)
            if before:
                history = present.get(REVISION_HISTORY, "")
                result[REVISION_HISTORY] = f"{history},{before}" if history else before
        return result

    def _own_revision(self, newest: ReplicaSet) -> dict[str, str] | None:
        """Return the Deployment's annotations with the number of its newest ReplicaSet; None when they have it."""
        number = newest.metadata.annotations.get(REVISION, "")
        present = self._deployment.metadata.annotations
        return None if present.get(REVISION) == number else {**present, REVISION: number}

    def _noticed(self, reason: str, text: str, ctx: Context, *, found: bool) -> DeploymentStatus | None:
        """Return the status with the condition Progressing for a ReplicaSet that was found or created."""
        conditions = self._deployment.status.conditions
        if not progress.has_deadline(self._deployment) or (found and progress.find(conditions, progress.PROGRESSING)):
            return None
        condition = progress.new_condition(progress.PROGRESSING, "True", reason, text, ctx.clock.now())
        return attrs.evolve(self._deployment.status, conditions=progress.with_condition(conditions, condition))
