"""Random clusters and Pods that touch every plugin, from a seed: those that users' tests have."""

from __future__ import annotations

from orchestra.testing.random_clusters import APPS, HOST, ZONE, random_node, random_pod, random_shape

__all__ = ["APPS", "HOST", "ZONE", "random_node", "random_pod", "random_shape"]
