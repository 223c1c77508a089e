"""What a StatefulSet does next: which ordinals are created, which Pods go, in which order and what waits for what.

Source: Kubernetes documentation, "StatefulSets", deployment and scaling guarantees, update strategies, volume claim
retention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from orchestra.api.apps import StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetStatus
from orchestra.api.core import PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume
from orchestra.api.core.persistentvolume import PersistentVolumeClaim
from orchestra.api.object import ObjectMeta
from orchestra.api.rules import is_available, is_ready, is_terminal, owner_reference

REVISION_LABEL = "controller-revision-hash"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NUMBERED = re.compile(r"(.*)-([0-9]+)")


def ordinal_of(name: str, pod_name: str) -> int:
    """Return the number of a Pod of the set of that name; -1 when it is none of its Pods."""
    match = _NUMBERED.fullmatch(pod_name)
    return int(match[2]) if match is not None and match[1] == name else -1


def wanted_ordinals(sts: StatefulSet) -> range:
    """Return the numbers that the Pods of a set should have."""
    start = sts.spec.ordinals.start if sts.spec.ordinals is not None else 0
    return range(start, start + (1 if sts.spec.replicas is None else sts.spec.replicas))


def claim_names(sts: StatefulSet, ordinal: int) -> dict[str, str]:
    """Return the claims of one Pod, by the name of the volume."""
    templates = sts.spec.volume_claim_templates
    return {t.metadata.name: f"{t.metadata.name}-{sts.metadata.name}-{ordinal}" for t in templates}


def new_pod(sts: StatefulSet, template: PodTemplateSpec, revision: str, ordinal: int) -> Pod:
    """Return the Pod of one ordinal, of the template of that revision."""
    name = f"{sts.metadata.name}-{ordinal}"
    meta = template.metadata
    labels = {**meta.labels, NAME_LABEL: name, INDEX_LABEL: str(ordinal), REVISION_LABEL: revision}
    return Pod(
        metadata=ObjectMeta(
            name=name,
            generate_name=f"{sts.metadata.name}-",
            namespace=sts.metadata.namespace,
            labels=labels,
            annotations=meta.annotations,
            finalizers=meta.finalizers,
            owner_references=(owner_reference(sts),),
        ),
        spec=attrs.evolve(
            template.spec,
            hostname=name,
            subdomain=sts.spec.service_name,
            volumes=with_claims(template.spec.volumes, claim_names(sts, ordinal)),
        ),
    )


def with_claims(volumes: Sequence[Volume], claims: Mapping[str, str]) -> tuple[Volume, ...]:
    """Return volumes with those of the claims in the place of any of the same name."""
    own = [
        Volume(name=name, persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=claim))
        for name, claim in claims.items()
    ]
    return (*own, *(volume for volume in volumes if volume.name not in claims))


def identified(sts: StatefulSet, pod: Pod) -> Pod:
    """Return a Pod with the labels that tell who it is; an adopted one may lack them."""
    name = pod.metadata.name
    labels = {NAME_LABEL: name, INDEX_LABEL: str(ordinal_of(sts.metadata.name, name))}
    if labels.items() <= pod.metadata.labels.items():
        return pod
    return attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, labels={**pod.metadata.labels, **labels}))


def new_claim(sts: StatefulSet, template: PersistentVolumeClaim, name: str) -> PersistentVolumeClaim:
    """Return the claim of that name for a Pod that is wanted."""
    selected = {} if sts.spec.selector is None else sts.spec.selector.match_labels
    meta = attrs.evolve(
        template.metadata,
        name=name,
        namespace=sts.metadata.namespace,
        labels={**template.metadata.labels, **selected},
        owner_references=(owner_reference(sts),) if _retention(sts).when_deleted == "Delete" else (),
    )
    return attrs.evolve(template, metadata=meta)


def _retention(sts: StatefulSet) -> StatefulSetPersistentVolumeClaimRetentionPolicy:
    policy = sts.spec.persistent_volume_claim_retention_policy
    return policy or StatefulSetPersistentVolumeClaimRetentionPolicy(when_deleted="Retain", when_scaled="Retain")


def retained(sts: StatefulSet, claim: PersistentVolumeClaim, pod: Pod) -> PersistentVolumeClaim:
    """Return a claim with the owners by which it goes when the policy says so: with its set, or with its Pod."""
    policy = _retention(sts)
    condemned = ordinal_of(sts.metadata.name, pod.metadata.name) not in wanted_ordinals(sts)
    by_pod = condemned and policy.when_scaled == "Delete"
    by_set = policy.when_deleted == "Delete" and not by_pod
    ours = {sts.metadata.uid, pod.metadata.uid}
    others = tuple(r for r in claim.metadata.owner_references if r.uid not in ours)
    own = (*((owner_reference(sts),) if by_set else ()), *((owner_reference(pod),) if by_pod else ()))
    present = {r.uid for r in claim.metadata.owner_references} & ours
    if present == {r.uid for r in own}:
        return claim
    return attrs.evolve(claim, metadata=attrs.evolve(claim.metadata, owner_references=(*others, *own)))


@attrs.frozen(kw_only=True)
class Steps:
    """What to do in this order: correct, create, delete; `outdated` of the deletions make place for an update."""

    correct: tuple[Pod, ...] = ()
    create: tuple[int, ...] = ()
    delete: tuple[Pod, ...] = ()
    outdated: int = 0
    condemned: tuple[Pod, ...] = ()
    """Pods beyond the wanted ordinals: their claims are to follow the policy before any of them goes."""


@attrs.frozen(kw_only=True)
class Members:
    """The Pods of a StatefulSet at one moment; `update` is the name of the revision of the present template."""

    sts: StatefulSet
    pods: tuple[Pod, ...]
    current: str
    update: str
    now: datetime

    @property
    def _ordered(self) -> bool:
        return self.sts.spec.pod_management_policy != "Parallel"

    def _available(self, pod: Pod | None) -> bool:
        return (
            pod is not None
            and pod.metadata.deletion_timestamp is None
            and pod.status.phase == "Running"
            and is_available(pod, self.sts.spec.min_ready_seconds, self.now)
        )

    def _ordinal(self, pod: Pod) -> int:
        return ordinal_of(self.sts.metadata.name, pod.metadata.name)

    def needs_current(self, ordinal: int) -> bool:
        """Say whether a Pod that is created gets the template from before the update."""
        strategy = self.sts.spec.update_strategy
        if strategy.type != "RollingUpdate":
            return False
        start, rolling = wanted_ordinals(self.sts).start, strategy.rolling_update
        if rolling is None or rolling.partition is None:
            return ordinal < start + self.sts.status.current_replicas
        return ordinal < start + rolling.partition

    def steps(self) -> Steps:
        """Return what to do next; scaling goes before updating, and a set that is being deleted does nothing."""
        if self.sts.metadata.deletion_timestamp is not None:
            return Steps()
        wanted = wanted_ordinals(self.sts)
        present = {self._ordinal(pod): pod for pod in self.pods}
        replicas = [present.get(ordinal) for ordinal in wanted]
        beyond = [pod for pod in self.pods if self._ordinal(pod) not in wanted]
        condemned = sorted(beyond, key=self._ordinal, reverse=True)
        correct: list[Pod] = []
        create: list[int] = []
        delete: list[Pod] = []
        for ordinal, pod in zip(wanted, replicas, strict=True):
            if pod is None:
                create.append(ordinal)
            elif is_terminal(pod):
                delete += [pod] if pod.metadata.deletion_timestamp is None else []
            elif self._available(pod) or not self._ordered:
                correct += [pod] if identified(self.sts, pod) is not pod else []
                continue
            if self._ordered:
                return Steps(correct=tuple(correct), create=tuple(create), delete=tuple(delete))
        scaled = self._scaled_down(replicas, condemned)
        if scaled is not None:
            delete += scaled
        outdated = None
        if scaled is None or not self._ordered:
            outdated = self._outdated(replicas)
        if outdated is not None and outdated not in delete:
            delete.append(outdated)
        return Steps(
            correct=tuple(correct),
            create=tuple(create),
            delete=tuple(delete),
            outdated=int(outdated is not None),
            condemned=tuple(condemned),
        )

    def _scaled_down(self, replicas: Sequence[Pod | None], condemned: Sequence[Pod]) -> list[Pod] | None:
        """Return the Pods beyond the wanted ordinals that go now; None when there are none."""
        if not condemned:
            return None
        if not self._ordered:
            return [pod for pod in condemned if pod.metadata.deletion_timestamp is None]
        first = condemned[0]
        unavailable = [pod for pod in (*replicas, *reversed(condemned)) if not self._available(pod)]
        if first.metadata.deletion_timestamp is not None:
            return []
        return [first] if self._available(first) or unavailable[0] is first else []

    def _outdated(self, replicas: Sequence[Pod | None]) -> Pod | None:
        """Return the Pod of the highest ordinal that is to make place for one of the new template, one at a time."""
        strategy = self.sts.spec.update_strategy
        if strategy.type == "OnDelete":
            return None
        rolling = strategy.rolling_update
        least = 0 if rolling is None else rolling.partition or 0
        for pod in reversed(replicas[least:]):
            if pod is None:
                return None
            if pod.metadata.deletion_timestamp is None and pod.metadata.labels.get(REVISION_LABEL) != self.update:
                return pod
            if not self._available(pod):
                return None
        return None

    def status(self, steps: Steps, collision_count: int) -> StatefulSetStatus:
        """Count Pods as `status` reports them; the update is complete when all are ready and of the new revision."""
        created = [pod for pod in self.pods if pod.status.phase]
        living = [pod for pod in created if pod.metadata.deletion_timestamp is None]
        ready = [pod for pod in created if pod.status.phase == "Running" and is_ready(pod)]
        seconds = self.sts.spec.min_ready_seconds
        status = attrs.evolve(
            self.sts.status,
            observed_generation=self.sts.metadata.generation,
            replicas=len(created),
            ready_replicas=len(ready),
            available_replicas=sum(is_available(pod, seconds, self.now) for pod in ready),
            current_replicas=_of(living, self.current) - steps.outdated,
            updated_replicas=_of(living, self.update),
            current_revision=self.current,
            update_revision=self.update,
            collision_count=collision_count,
        )
        rolling = self.sts.spec.update_strategy.type == "RollingUpdate"
        wanted = len(wanted_ordinals(self.sts))
        if rolling and wanted == status.updated_replicas == status.replicas == status.ready_replicas:
            return attrs.evolve(
                status, current_replicas=status.updated_replicas, current_revision=status.update_revision
            )
        return status


def _of(pods: Iterable[Pod], revision: str) -> int:
    return sum(pod.metadata.labels.get(REVISION_LABEL) == revision for pod in pods)
