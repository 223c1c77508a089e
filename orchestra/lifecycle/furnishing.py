"""What every namespace holds from the start: an account for its Pods, and how they know the server. Pure.

After the service account controller and the root CA publisher of Kubernetes 1.36.
"""

from __future__ import annotations

import attrs

from orchestra.api.core import ConfigMap, Namespace
from orchestra.api.core.serviceaccount import ServiceAccount
from orchestra.api.object import ObjectMeta

ACCOUNT = "default"
BUNDLE = "kube-root-ca.crt"
CERTIFICATE = "ca.crt"
DESCRIPTION = "kubernetes.io/description"
TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def is_furnished(namespace: Namespace) -> bool:
    """Say whether things belong into a namespace: not into one that is ending."""
    return namespace.metadata.deletion_timestamp is None and namespace.status.phase != "Terminating"


def account(namespace: str) -> ServiceAccount:
    """Return the account of Pods that name none."""
    return ServiceAccount(metadata=ObjectMeta(name=ACCOUNT, namespace=namespace))


def bundle(namespace: str, certificate: str, present: ConfigMap | None) -> ConfigMap | None:
    """Return the certificates by which Pods know the server, as they are to be written; None when they are right.

    Another description is left alone until the certificates have to be written.
    """
    data = {CERTIFICATE: certificate}
    if present is None:
        meta = ObjectMeta(name=BUNDLE, namespace=namespace, annotations={DESCRIPTION: TEXT})
        return ConfigMap(metadata=meta, data=data)
    if dict(present.data) == data and present.metadata.annotations.get(DESCRIPTION):
        return None
    meta = attrs.evolve(present.metadata, annotations={**present.metadata.annotations, DESCRIPTION: TEXT})
    return attrs.evolve(present, metadata=meta, data=data)
