"""A Pod as the scheduler sees it: everything that decisions read, worked out once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from orchestra.api.core.pod import Pod, PodSpec
from orchestra.api.object import ObjectMeta
from orchestra.api.selectors import NOTHING, Operator, Requirement, Selector, label_selector
from orchestra.scheduler.resources import Requests, requests_of

if TYPE_CHECKING:
    from orchestra.api.core.affinity import (
        Affinity,
        NodeSelectorTerm,
        PodAffinity,
        PodAffinityTerm,
        PodAntiAffinity,
        Toleration,
        TopologySpreadConstraint,
    )

DEFAULT_SCHEDULER: Final = "default-scheduler"
"""The name that Pods without `spec.schedulerName` ask for."""

HostPort: TypeAlias = tuple[str, str, int]
"""Address, protocol and port that a Pod takes on its node; the address of all is `0.0.0.0`."""

MAX_FACTS: Final = 4096
"""Specs whose facts are remembered."""

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - compared, not bound


@attrs.frozen(cache_hash=True)
class PodTerm:
    """Which Pods a term of affinity or spreading is about: those of these namespaces that the selector matches.

    A Pod's namespace counts when it is named, or when `namespace_selector` matches the namespace's labels.
    """

    namespaces: frozenset[str]
    selector: Selector
    namespace_selector: Selector = NOTHING

    def covers(self, namespace: str, namespace_labels: Mapping[str, str]) -> bool:
        """Say whether Pods of a namespace can match."""
        return namespace in self.namespaces or self.namespace_selector.matches(namespace_labels)

    def matches(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Say whether a Pod with these labels in that namespace is meant."""
        return self.covers(namespace, namespace_labels) and self.selector.matches(labels)


TermKind = Literal["required", "preferred", "anti-required", "anti-preferred"]


@attrs.frozen(cache_hash=True)
class AffinityTerm:
    """One affinity term of a Pod; `weight` is 0 for required ones."""

    kind: TermKind
    pods: PodTerm
    topology_key: str
    weight: int = 0


@attrs.frozen
class SpreadConstraint:
    """One topology spread constraint with its selector worked out."""

    max_skew: int
    topology_key: str
    hard: bool
    selector: Selector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


def spread_constraint(item: TopologySpreadConstraint, selector: Selector) -> SpreadConstraint:
    """Return a constraint with the selector that it has in the end."""
    return SpreadConstraint(
        max_skew=item.max_skew,
        topology_key=item.topology_key,
        hard=item.when_unsatisfiable == "DoNotSchedule",
        selector=selector,
        min_domains=item.min_domains or 1,
        honor_affinity=(item.node_affinity_policy or "Honor") == "Honor",
        honor_taints=(item.node_taints_policy or "Ignore") == "Honor",
    )


class PodInfo:
    """One Pod with what decisions read of it. Shares by spec what depends on the spec alone."""

    def __init__(self, pod: Pod) -> None:
        meta, spec = pod.metadata, pod.spec
        self.pod = pod
        self.uid = meta.uid or pod.key
        self.key = pod.key
        self.namespace = meta.namespace
        self.labels: Mapping[str, str] = meta.labels
        self.terminating = meta.deletion_timestamp is not None
        self.priority = spec.priority or 0
        self.scheduler_name = spec.scheduler_name or DEFAULT_SCHEDULER
        self.facts = facts = _facts(_Identity(spec))
        self.requests: Requests = facts.requests
        self.ports: tuple[HostPort, ...] = facts.ports
        self.images: tuple[str, ...] = facts.images
        self.owner = _owner_of(meta) if meta.owner_references else None
        """Kind and name of the controlling owner, whose selector spreads Pods by default."""
        self.core_shape: Hashable = (self.namespace, self.labels, self.owner, facts)
        """What the built-in plugins read of a Pod: Pods with equal shapes get the same answers from them."""
        self._affinity_terms: tuple[AffinityTerm, ...] | None = None if facts.affinity is not None else ()

    def __repr__(self) -> str:
        return f"<PodInfo {self.key}>"

    @cached_property
    def tolerations(self) -> tuple[Toleration, ...]:
        """Which taints the Pod tolerates."""
        return self.pod.spec.tolerations

    @cached_property
    def required_node_terms(self) -> tuple[NodeSelectorTerm, ...] | None:
        """Terms of which a node must match one; None when there is no required node affinity."""
        affinity = self.pod.spec.affinity
        required = (
            affinity.node_affinity.required_during_scheduling_ignored_during_execution
            if affinity is not None and affinity.node_affinity is not None
            else None
        )
        return None if required is None else required.node_selector_terms

    @cached_property
    def preferred_node_terms(self) -> tuple[tuple[int, NodeSelectorTerm], ...]:
        """Weighted wishes for nodes."""
        affinity = self.pod.spec.affinity
        if affinity is None or affinity.node_affinity is None:
            return ()
        wishes = affinity.node_affinity.preferred_during_scheduling_ignored_during_execution
        return tuple((wish.weight, wish.preference) for wish in wishes if wish.weight)

    @property
    def affinity_terms(self) -> tuple[AffinityTerm, ...]:
        """All terms about other Pods."""
        if self._affinity_terms is None:
            self._affinity_terms = self.facts.terms.get(self.namespace)
        if self._affinity_terms is None:
            affinity = self.facts.affinity
            assert affinity is not None
            self._affinity_terms = (
                *self._terms("required", "preferred", affinity.pod_affinity),
                *self._terms("anti-required", "anti-preferred", affinity.pod_anti_affinity),
            )
            if not self.repeated_labels and len(self.facts.terms) < MAX_FACTS:
                self.facts.terms[self.namespace] = self._affinity_terms
        return self._affinity_terms

    def _terms(
        self, required: TermKind, preferred: TermKind, part: PodAffinity | PodAntiAffinity | None
    ) -> Iterator[AffinityTerm]:
        if part is None:
            return
        for term in part.required_during_scheduling_ignored_during_execution:
            yield AffinityTerm(required, self._pods_of(term), term.topology_key)
        for wish in part.preferred_during_scheduling_ignored_during_execution:
            term = wish.pod_affinity_term
            yield AffinityTerm(preferred, self._pods_of(term), term.topology_key, wish.weight)

    def _pods_of(self, term: PodAffinityTerm) -> PodTerm:
        """Return whom a term means: without namespaces and selector of them, Pods of the Pod's own namespace."""
        namespaces = frozenset(term.namespaces)
        if not namespaces and term.namespace_selector is None:
            namespaces = frozenset((self.namespace,))
        selector = label_selector(term.label_selector)
        if not selector.nothing:
            # The server has merged these keys into the selector already; doing it again changes nothing.
            more = [Requirement(k, Operator.IN, (self.labels[k],)) for k in term.match_label_keys if k in self.labels]
            more += [
                Requirement(k, Operator.NOT_IN, (self.labels[k],)) for k in term.mismatch_label_keys if k in self.labels
            ]
            selector = Selector(selector.requirements + tuple(more)) if more else selector
        return PodTerm(namespaces, selector, label_selector(term.namespace_selector))

    @cached_property
    def repeated_labels(self) -> frozenset[str]:
        """Keys of the Pod's own labels whose values are part of its affinity terms."""
        affinity = self.pod.spec.affinity
        found: set[str] = set()
        for part in () if affinity is None else (affinity.pod_affinity, affinity.pod_anti_affinity):
            if part is not None:
                wishes = part.preferred_during_scheduling_ignored_during_execution
                required = part.required_during_scheduling_ignored_during_execution
                for term in (*required, *(wish.pod_affinity_term for wish in wishes)):
                    found.update(term.match_label_keys, term.mismatch_label_keys)
        return frozenset(found)

    @cached_property
    def spread_constraints(self) -> tuple[SpreadConstraint, ...]:
        """The Pod's own topology spread constraints."""
        found = []
        for item in self.pod.spec.topology_spread_constraints:
            selector = label_selector(item.label_selector)
            more = tuple(
                Requirement(k, Operator.IN, (self.labels[k],)) for k in item.match_label_keys if k in self.labels
            )
            if more and not selector.nothing:
                selector = Selector(selector.requirements + more)
            found.append(spread_constraint(item, selector))
        return tuple(found)

    @cached_property
    def node_names(self) -> frozenset[str] | None:
        """The only nodes that required affinity allows by `metadata.name`; None when it does not limit names.

        Source: NodeAffinity.PreFilter; every term must name nodes for the result to be a limit.
        """
        terms = self.required_node_terms
        if not terms:
            return None
        allowed: set[str] = set()
        for term in terms:
            names: frozenset[str] | None = None
            for field in term.match_fields:
                if field.key == "metadata.name" and field.operator == "In":
                    values = frozenset(field.values)
                    names = values if names is None else names & values
            if names is None:
                return None
            allowed |= names
        return frozenset(allowed)


def _owner_of(meta: ObjectMeta) -> tuple[str, str] | None:
    for reference in meta.owner_references:
        if reference.controller:
            return reference.kind, reference.name
    return None


@attrs.frozen(cache_hash=True)
class SpecFacts:
    """What is read of a spec; Pods whose specs are equal in that share one, so that comparing them is cheap."""

    requests: Requests
    ports: tuple[HostPort, ...]
    images: tuple[str, ...]
    node_name: str
    node_selector: Mapping[str, str]
    affinity: Affinity | None
    tolerations: tuple[Toleration, ...]
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...]
    terms: dict[str, tuple[AffinityTerm, ...]] = attrs.field(factory=dict, eq=False)
    """The affinity terms of Pods of each namespace, unless those depend on the labels of the Pod too."""


@attrs.frozen(eq=False)
class _Identity:
    """A spec that is compared by identity: the versions of one Pod mostly share it, and comparing it is dear."""

    spec: PodSpec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.spec is self.spec


@lru_cache(maxsize=MAX_FACTS)
def _facts(identity: _Identity) -> SpecFacts:
    spec = identity.spec
    return _shared(
        SpecFacts(
            requests_of(spec),
            _ports_of(spec),
            _images_of(spec),
            spec.node_name or "",
            spec.node_selector,
            spec.affinity,
            spec.tolerations,
            spec.topology_spread_constraints,
        )
    )


@lru_cache(maxsize=MAX_FACTS)
def _shared(facts: SpecFacts) -> SpecFacts:
    return facts


def _ports_of(spec: PodSpec) -> tuple[HostPort, ...]:
    sidecars = tuple(c for c in spec.init_containers if c.restart_policy == "Always")
    return tuple(
        sorted(
            {
                (port.host_ip or ALL_ADDRESSES, port.protocol or "TCP", port.host_port)
                for container in (*sidecars, *spec.containers)
                for port in container.ports
                if port.host_port
            }
        )
    )


def _images_of(spec: PodSpec) -> tuple[str, ...]:
    images = [c.image or "" for c in (*spec.init_containers, *spec.containers)]
    images += [v.image.reference or "" for v in spec.volumes if v.image is not None]
    return tuple(normalized_image(name) for name in images)


def normalized_image(name: str) -> str:
    """Return an image's name with its tag, `latest` when it has none."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
