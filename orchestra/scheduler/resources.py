"""What a Pod asks of a node, as whole numbers: millicores for cpu, bytes or pieces for everything else.

The sums are those of `orchestra.api.rules.resources`, shared with quotas and the node agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from orchestra.api.core.pod import Pod, PodSpec
from orchestra.api.quantity import Quantity
from orchestra.api.rules.resources import pod_requests

if TYPE_CHECKING:
    from orchestra.api.core.container import Container

CPU: Final = "cpu"
MEMORY: Final = "memory"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
PODS: Final = "pods"
NATIVE: Final = (CPU, MEMORY, EPHEMERAL_STORAGE, PODS)
"""Resources that every node table has columns for, in the order of the columns."""

DEFAULT_MILLI_CPU: Final = 100
DEFAULT_MEMORY: Final = 200 * 1024 * 1024
"""What a container that does not ask counts for in scores (kube-scheduler `DefaultMilliCPURequest`)."""
_DEFAULTS: Final = {CPU: Quantity.from_milli(DEFAULT_MILLI_CPU), MEMORY: Quantity.from_bytes(DEFAULT_MEMORY)}


MAX_AMOUNT: Final = 2**50
"""The most that anybody has or asks for, a pebibyte or 10**12 cores; what is said to be more counts as that much.

So the columns of the node table, whole numbers of 64 bits, hold the sum over thousands of such Pods.
"""


def amount(name: str, quantity: Quantity) -> int:
    """Return a quantity of the resource `name` in the units of this module, rounded up, MAX_AMOUNT at most."""
    return min(quantity.milli_value() if name == CPU else quantity.value(), MAX_AMOUNT)


def counts(name: str) -> bool:
    """Say whether the scheduler accounts for a resource: native ones, extended ones, huge pages, attachable volumes."""
    return name in NATIVE or "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))


@attrs.frozen
class Requests:
    """What a Pod asks for; `nonzero_cpu` and `nonzero_memory` count defaults for containers that ask for none."""

    amounts: tuple[tuple[str, int], ...]
    nonzero_cpu: int
    nonzero_memory: int

    def get(self, name: str) -> int:
        """Return the amount of one resource; 0 when the Pod does not ask for it."""
        return next((value for key, value in self.amounts if key == name), 0)


def requests_of(spec: PodSpec) -> Requests:
    """Return what a Pod with this spec asks of its node."""
    total = _amounts(spec)
    nonzero = total if _asks_everywhere(spec) else _amounts(_with_defaults(spec))
    ordered = tuple(sorted(_counted(total), key=lambda item: (_order(item[0]), item[0])))
    return Requests(ordered, nonzero.get(CPU, 0), nonzero.get(MEMORY, 0))


def _amounts(spec: PodSpec) -> dict[str, int]:
    return {name: amount(name, quantity) for name, quantity in pod_requests(Pod(spec=spec)).items()}


def _asks_everywhere(spec: PodSpec) -> bool:
    return all(
        CPU in c.resources.requests and MEMORY in c.resources.requests
        for c in (*spec.init_containers, *spec.containers)
    )


def _with_defaults(spec: PodSpec) -> PodSpec:
    def filled(containers: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(
            attrs.evolve(c, resources=attrs.evolve(c.resources, requests={**_DEFAULTS, **c.resources.requests}))
            for c in containers
        )

    return attrs.evolve(spec, containers=filled(spec.containers), init_containers=filled(spec.init_containers))


def _counted(total: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return ((name, value) for name, value in total.items() if value and counts(name) and name != PODS)


def _order(name: str) -> int:
    return NATIVE.index(name) if name in NATIVE else len(NATIVE)
