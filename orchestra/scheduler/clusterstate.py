"""A cluster as a value to think with: fork it, change the fork, schedule, and compare.

    now = ClusterState.from_documents(load_documents(Path("cluster.json")))
    without = now.fork()
    without.drain("node-7")
    plan = without.schedule()
    print(plan.pending, difference(now, plan.state).moved)

A state holds immutable objects by key, so a fork costs little and shares everything. What it is not: nothing here runs
controllers, so no Pod appears that is not there, but for the replacements of Pods that were evicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from orchestra.api.apps import ReplicaSet
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.object import Object
from orchestra.api.policy import PodDisruptionBudget
from orchestra.api.rules.conditions import is_terminal
from orchestra.api.rules.owners import controller_of
from orchestra.api.scheduling import PodGroup, PriorityClass
from orchestra.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.scheduler.profile import Profile
    from orchestra.scheduler.simulating import Plan

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

STATE_KINDS: Final[tuple[type[Object], ...]] = (
    Namespace,
    PriorityClass,
    Node,
    Service,
    ReplicaSet,
    PodDisruptionBudget,
    PodGroup,
    Pod,
)
"""The kinds that decide where Pods go; others are left out, with a note."""

MAX_NOTES: Final = 100
"""Notes that are kept; further ones are only counted."""

MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of Pods that a node runs by itself."""


@attrs.frozen
class Drained:
    """What draining a node does to its Pods, by key.

    `moved` have a controller that makes others in their place, which wait for a node then. `lost` have none, so nobody
    brings them back; `kept` belong to the node: those of DaemonSets and static ones.
    """

    moved: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class ClusterState:
    """Objects of a cluster, by kind and key."""

    def __init__(self, objects: Iterable[Object] = (), *, notes: Iterable[str] = ()) -> None:
        self._objects: dict[type[Object], dict[str, Object]] = {kind: {} for kind in STATE_KINDS}
        self._notes: list[str] = []
        self._more_notes = 0
        for text in notes:
            self.note(text)
        for obj in objects:
            self.add(obj)

    @classmethod
    def from_documents(cls, documents: Iterable[Mapping[str, Any]]) -> ClusterState:
        """Return the state that documents in wire form describe, lists as kubectl prints them among them.

        Raises DecodeError naming the document and the field at fault.
        """
        from orchestra.scheduler.stateload import add_documents

        state = cls()
        add_documents(state, documents)
        return state

    @classmethod
    async def from_client(cls, client: Client) -> ClusterState:
        """Return the state of a live cluster. Each kind is read at a revision of its own; one it lacks is noted."""
        state = cls()
        for kind in STATE_KINDS:
            try:
                listed: Any = await client.list(kind)
            except NotFound:
                state.note(f"the server has no kind {kind.resource_info.kind}")
                continue
            for obj in listed.items:
                state.add(obj)
        return state

    def fork(self) -> ClusterState:
        """Return another state with the same objects; changes of one do not show in the other."""
        other = ClusterState()
        other._objects = {kind: dict(known) for kind, known in self._objects.items()}
        return other

    def note(self, text: str) -> None:
        """Remember something that a reader should know."""
        if len(self._notes) < MAX_NOTES:
            self._notes.append(text)
        else:
            self._more_notes += 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how the state came about."""
        more = (f"and {self._more_notes} more notes",) if self._more_notes else ()
        return (*self._notes, *more)

    # -- objects

    def add(self, obj: Object) -> str:
        """Add an object, or put it in the place of the one with its key, and return the key.

        Objects without a namespace are in `default`. Raises ConfigurationError for kinds that decide nothing.
        """
        known = self._objects.get(type(obj))
        if known is None:
            raise ConfigurationError(f"a cluster state has no place for {obj!r}")
        meta = obj.metadata
        if obj.resource_info.namespaced and not meta.namespace:
            obj = attrs.evolve(obj, metadata=attrs.evolve(meta, namespace="default"))
        known[obj.key] = obj
        return obj.key

    def remove(self, kind: type[Object], key: str) -> None:
        """Take an object away; raises ConfigurationError when there is none."""
        known = self._objects.get(kind, {})
        if key not in known:
            raise ConfigurationError(f"there is no {kind.resource_info.kind} {key!r}")
        del known[key]

    def get(self, kind: type[O], key: str) -> O:
        """Return an object by its name, or `namespace/name`; raises ConfigurationError when there is none."""
        found = self._objects.get(kind, {}).get(key)
        if found is None:
            raise ConfigurationError(f"there is no {kind.resource_info.kind} {key!r}")
        return found  # type: ignore[return-value]

    def all(self, kind: type[O]) -> tuple[O, ...]:
        """Return all objects of a kind, in the order of their keys."""
        known = self._objects[kind]
        return tuple(known[key] for key in sorted(known))  # type: ignore[misc]

    def objects(self) -> Iterator[Object]:
        """Yield every object."""
        for kind in STATE_KINDS:
            yield from self.all(kind)

    def has_node(self, name: str) -> bool:
        """Say whether there is a node of that name."""
        return name in self._objects[Node]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes."""
        return self.all(Node)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The Pods, those that have ended too."""
        return self.all(Pod)

    @property
    def pending(self) -> tuple[Pod, ...]:
        """The Pods that wait for a node."""
        return tuple(
            pod
            for pod in self.pods
            if not pod.spec.node_name and not is_terminal(pod) and pod.metadata.deletion_timestamp is None
        )

    def placements(self) -> dict[str, str]:
        """Return the node of every Pod that has not ended; empty for one that waits."""
        return {pod.key: pod.spec.node_name or "" for pod in self.pods if not is_terminal(pod)}

    # -- what happens to nodes and Pods

    def cordon(self, node: str, *, on: bool = True) -> None:
        """Let a node take no new Pods, or take them again."""
        found = self.get(Node, node)
        self.add(attrs.evolve(found, spec=attrs.evolve(found.spec, unschedulable=on)))

    def drain(self, node: str) -> Drained:
        """Cordon a node and evict its Pods, as `kubectl drain --force --ignore-daemonsets` would.

        PodDisruptionBudgets can make a real drain slow, they do not change where it ends.
        """
        self.cordon(node)
        moved, lost, kept = [], [], []
        for pod in self._on(node):
            owner = controller_of(pod)
            if MIRROR in pod.metadata.annotations or (owner is not None and owner.kind in ("DaemonSet", "Node")):
                kept.append(pod.key)
            elif self.evict(pod):
                moved.append(pod.key)
            else:
                lost.append(pod.key)
        return Drained(tuple(moved), tuple(lost), tuple(kept))

    def remove_node(self, node: str) -> Drained:
        """Take a node away, with the Pods that belong to it; the others are evicted."""
        done = self.drain(node)
        for key in done.kept:
            self.remove(Pod, key)
        self.remove(Node, node)
        return done

    def evict(self, pod: Pod) -> bool:
        """Take a Pod from its node; says whether its controller lets another one wait in its place."""
        self.remove(Pod, pod.key)
        if controller_of(pod) is None:
            return False
        status = type(pod.status)(phase="Pending")
        self.add(attrs.evolve(pod, spec=attrs.evolve(pod.spec, node_name=""), status=status))
        return True

    def _on(self, node: str) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.pods if pod.spec.node_name == node and not is_terminal(pod))

    # -- thinking

    def schedule(self, profiles: Profile | Iterable[Profile] = (), *, seed: int = 0) -> Plan:
        """Return where the waiting Pods would go, and the state that this leads to; this one stays as it is.

        One profile is used for every Pod; of several each places the Pods that ask for it, and others are left alone.
        The same `seed` breaks ties the same way. Raises PluginError.
        """
        from orchestra.scheduler.simulating import simulate

        return simulate(self, profiles, seed=seed)


@attrs.frozen
class Difference:
    """How placements differ, by the keys of Pods: from node to node, newly placed, without a node now, gone or new."""

    moved: Mapping[str, tuple[str, str]]
    placed: Mapping[str, str]
    unplaced: Mapping[str, str]
    gone: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not (self.moved or self.placed or self.unplaced or self.gone or self.new)


def difference(before: ClusterState, after: ClusterState) -> Difference:
    """Return how the placements of two states differ."""
    old, new = before.placements(), after.placements()
    both = [key for key in old if key in new and old[key] != new[key]]
    return Difference(
        moved={key: (old[key], new[key]) for key in both if old[key] and new[key]},
        placed={key: new[key] for key in both if not old[key]},
        unplaced={key: old[key] for key in both if not new[key]},
        gone=tuple(key for key in old if key not in new),
        new=tuple(key for key in new if key not in old),
    )
