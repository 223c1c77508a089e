"""Hypothesis strategies for nodes, Pods and whole clusters; needs the extra `hypothesis`.

    @given(clusters())
    def test_my_policy_never_fills_a_node(cluster): ...

What they draw shrinks: a failing cluster is reduced to few nodes and plain Pods. `Words` adds the labels and
annotations that a plugin of one's own reads.
"""

from __future__ import annotations

from typing import Any

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod, PodSpec
from orchestra.errors import ConfigurationError
from orchestra.testing.random_clusters import (
    PLAIN,
    RandomCluster,
    Words,
    random_cluster,
    random_node,
    random_pod,
    random_shape,
)

try:
    from hypothesis import strategies as st
except ImportError as error:
    missing = "strategies need hypothesis, which is not installed: pip install 'orchestra-control-plane[hypothesis]'"
    raise ConfigurationError(missing) from error


def _chance() -> st.SearchStrategy[Any]:
    # Draws of this source are hypothesis' own, so that what is made of them shrinks and is repeated.
    return st.randoms(use_true_random=False)


def nodes(name: str = "node", words: Words = PLAIN) -> st.SearchStrategy[Node]:
    """Return nodes of that name."""
    return _chance().map(lambda chance: random_node(chance, name, words))


def pod_specs() -> st.SearchStrategy[PodSpec]:
    """Return what Pods ask for: requests, ports, affinities, spreading, tolerations, priorities."""
    return _chance().map(random_shape)


def pods(name: str = "pod", words: Words = PLAIN) -> st.SearchStrategy[Pod]:
    """Return Pods of that name, without a node."""
    return _chance().map(lambda chance: random_pod(chance, name, [random_shape(chance)], words))


def clusters(words: Words = PLAIN, *, max_nodes: int = 8, max_pods: int = 20) -> st.SearchStrategy[RandomCluster]:
    """Return clusters with running and waiting Pods."""
    return _chance().map(lambda chance: random_cluster(chance, words, nodes=max_nodes, pods=max_pods))
