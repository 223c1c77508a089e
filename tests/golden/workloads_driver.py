"""Does to a plane what the recording's driver did to Kubernetes: creates, patches, and plays scheduler and kubelet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import anyio

from orchestra.api.codec import from_document, to_document
from orchestra.api.coordination import Lease
from orchestra.api.core import Namespace, Node, Pod
from orchestra.api.object import Object, ObjectMeta
from orchestra.api.policy import Eviction
from orchestra.api.times import format_time
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.clock import Clock
from orchestra.errors import AlreadyExists, APIError, Conflict, NotFound

Document = dict[str, Any]

PACE_SECONDS = 0.002
"""What one request of the driver took: the controllers work meanwhile."""

NODE_COUNT = 12
HEARTBEAT_SECONDS = 0.8
GATHERED = {"notready": {"unbound", "pending", "running"}, "active": {"unbound", "pending", "running", "ready"}}
PATCH_TYPES = {"merge": PatchType.MERGE, "strategic": PatchType.STRATEGIC, "json": PatchType.JSON}
LEASES = "kube-node-lease"


def state_of(pod: Document) -> str:
    """Return the state by which the recording's steps select Pods."""
    phase = pod.get("status", {}).get("phase", "")
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    if phase in {"Succeeded", "Failed"}:
        return str(phase).lower()
    if not pod["spec"].get("nodeName"):
        return "unbound"
    if phase != "Running":
        return "pending"
    return "ready" if is_ready(pod) else "running"


def is_ready(pod: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))


def pinned_node(pod: Document) -> str | None:
    """Return the node that a Pod of a DaemonSet is made for."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ()):
        for field in term.get("matchFields", ()):
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return None


class Driver:
    """Runs the operations of one scenario."""

    def __init__(self, client: APIServer, clock: Clock, namespace: str) -> None:
        self.client = client
        self.clock = clock
        self.namespace = namespace
        self.created: dict[str, int] = {}
        """Pods by uid, numbered as they were created."""
        self.owners: dict[str, str] = {}
        """The uids of owners that steps named, and how the recording writes them."""
        self._bound = 0
        self._addresses: dict[str, str] = {}
        self._alive: set[str] = set()

    def kind(self, word: str) -> type[Object]:
        return self.client.scheme.type_of(self.client.scheme.resolve(word))

    async def run(self, op: Document) -> None:
        action: Callable[[Document], Any] = getattr(self, f"_{_snake(op['op'])}")
        await action(op)

    # ---- set-up

    async def prepare(self, *, heartbeats: bool) -> None:
        """Make nodes and namespace; without `heartbeats` nobody minds whether nodes are heard of."""
        for number in range(1, NODE_COUNT + 1):
            labels = {"kubernetes.io/hostname": f"node-{number}", "kubernetes.io/os": "linux"}
            status = {
                "capacity": {"cpu": "32", "memory": "64Gi", "pods": "500"},
                "allocatable": {"cpu": "32", "memory": "64Gi", "pods": "500"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            }
            node = {"kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}, "status": status}
            await self._create({"object": node})
            if heartbeats:
                self._alive.add(f"node-{number}")
        await self._ensure_namespace(self.namespace)

    async def beat(self) -> None:
        """Renew the leases of the nodes that are alive, for as long as the scenario runs."""
        while True:
            for name in sorted(self._alive):
                await self._renew(name)
            await anyio.sleep(HEARTBEAT_SECONDS)

    async def _renew(self, name: str) -> None:
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _micro(self.clock.now())}
        lease = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "spec": spec}
        try:
            await self.client.patch(Lease, name, Patch(PatchType.MERGE, {"spec": spec}), namespace=LEASES)
        except NotFound:
            await self.client.create(from_document({**lease, "metadata": {"name": name, "namespace": LEASES}}, Lease))

    async def _ensure_namespace(self, name: str) -> None:
        document = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
        try:
            await self.client.create(from_document(document, Namespace))
        except AlreadyExists:
            return

    # ---- operations on objects

    async def _create(self, op: Document) -> None:
        document = dict(op["object"])
        kind = self.kind(document["kind"])
        meta = dict(document["metadata"])
        if kind.resource_info.namespaced:
            await self._ensure_namespace(meta.setdefault("namespace", self.namespace))
        document |= {"apiVersion": kind.resource_info.api_version, "metadata": meta}
        try:
            await self.client.create(from_document(document, kind))
        except APIError as error:
            if not op.get("mayFail") or op.get("result") != error.code:
                raise
        if kind is Node and "status" in document:
            patch = Patch(PatchType.MERGE, {"status": document["status"]})
            await self.client.patch(Node, meta["name"], patch, subresource="status")
        await anyio.sleep(PACE_SECONDS)

    async def _patch(self, op: Document) -> None:
        patch = Patch(PATCH_TYPES[op.get("type", "merge")], op["patch"])
        await self.client.patch(
            self.kind(op["kind"]), op["name"], patch, namespace=self.namespace, subresource=op.get("subresource", "")
        )
        await anyio.sleep(PACE_SECONDS)

    async def _delete(self, op: Document) -> None:
        options = DeleteOptions(
            propagation_policy=op.get("propagation"), grace_period_seconds=op.get("gracePeriodSeconds")
        )
        await self.client.delete(self.kind(op["kind"]), op["name"], namespace=self.namespace, options=options)
        await anyio.sleep(PACE_SECONDS)

    async def _patch_first(self, op: Document) -> None:
        await self._patch({**op, "name": await self._first(op["kind"])})

    async def _delete_first(self, op: Document) -> None:
        body = op["body"]
        changed = {"propagation": body.get("propagationPolicy"), "gracePeriodSeconds": body.get("gracePeriodSeconds")}
        await self._delete({**op, **changed, "name": await self._first(op["kind"])})

    async def _first(self, kind: str) -> str:
        return (await self.client.list(self.kind(kind), namespace=self.namespace)).items[0].metadata.name

    async def _owner_ref(self, op: Document) -> None:
        references = []
        for owner in op["owners"]:
            kind = self.kind(owner["kind"])
            namespace = owner.get("namespace", self.namespace)
            if namespace != self.namespace:  # the recording had it there from before
                meta = {"name": owner["name"], "namespace": namespace}
                await self._create({"object": {"kind": owner["kind"], "metadata": meta}})
            found = await self.client.get(kind, owner["name"], namespace=namespace)
            self.owners[found.metadata.uid] = f"$uid:{owner['kind']}/{owner['name']}"
            reference = {
                "apiVersion": kind.resource_info.api_version,
                "kind": owner["kind"],
                "name": owner["name"],
                "uid": owner.get("uid", found.metadata.uid),
            }
            references.append(reference | {k: owner[k] for k in ("controller", "blockOwnerDeletion") if k in owner})
        await self._patch({**op, "patch": {"metadata": {"ownerReferences": references}}})

    async def _owner_ref_mismatch(self, op: Document) -> None:
        kind = self.kind(op["owner"]["kind"])
        found = await self.client.get(kind, op["owner"]["name"], namespace=self.namespace)
        reference = {
            "apiVersion": kind.resource_info.api_version,
            "kind": kind.resource_info.kind,
            "name": op["claim"],
            "uid": found.metadata.uid,
        }
        await self._patch({**op, "patch": {"metadata": {"ownerReferences": [reference]}}})

    # ---- waiting

    async def _wait(self, op: Document) -> None:
        await anyio.sleep(op["seconds"])

    async def _await_cond(self, op: Document) -> None:
        with anyio.fail_after(op["timeout"]):
            while True:
                found = to_document(await self.client.get(self.kind(op["kind"]), op["name"], namespace=self.namespace))
                conditions = found.get("status", {}).get("conditions", ())
                if any(c["type"] == op["type"] and c["status"] == op["status"] for c in conditions):
                    return
                await anyio.sleep(0.1)

    async def _await_pods(self, op: Document) -> None:
        with anyio.fail_after(op["timeout"]):
            while len(await self.select(op["select"])) != op["count"]:
                await anyio.sleep(0.1)

    async def _await_gone(self, op: Document) -> None:
        with anyio.fail_after(op["timeout"]):
            while True:
                try:
                    await self.client.get(self.kind(op["kind"]), op["name"], namespace=self.namespace)
                except NotFound:
                    return
                await anyio.sleep(0.1)

    # ---- nodes

    async def _heartbeat(self, op: Document) -> None:
        change = self._alive.update if op["alive"] else self._alive.difference_update
        change(op["nodes"])
        if op["alive"]:
            for name in op["nodes"]:
                await self._renew(name)

    async def _node_status(self, op: Document) -> None:
        now = format_time(self.clock.now())
        conditions = [{**c, "lastHeartbeatTime": now, "lastTransitionTime": now} for c in op["conditions"]]
        patch = Patch(PatchType.STRATEGIC, {"status": {"conditions": conditions}})
        await self.client.patch(Node, op["name"], patch, subresource="status")
        await anyio.sleep(PACE_SECONDS)

    # ---- Pods

    async def select(self, select: Document) -> list[Document]:
        """Return the Pods that a step means, in the order in which they were created."""
        listed = await self.client.list(Pod, namespace=self.namespace)
        pods = sorted((to_document(pod) for pod in listed.items), key=self._age)
        result = [pod for pod in pods if self._selected(pod, select)]
        if "first" in select:
            return result[: select["first"]]
        return result[-select["last"] :] if "last" in select else result

    def _age(self, pod: Document) -> tuple[int, int, str]:
        meta = pod["metadata"]
        if not meta.get("generateName"):
            return (0, 0, meta["name"])
        return (1, self.created.get(meta["uid"], 0), "")

    def _selected(self, pod: Document, select: Document) -> bool:
        meta = pod["metadata"]
        owner = next((r for r in meta.get("ownerReferences", ()) if r.get("controller")), {})
        index = meta.get("annotations", {}).get("batch.kubernetes.io/job-completion-index")
        tests: dict[str, Callable[[Any], bool]] = {
            "state": lambda wanted: _is_in(state_of(pod), _as_list(wanted)),
            "image": lambda wanted: pod["spec"]["containers"][0]["image"] == wanted,
            "labels": lambda wanted: wanted.items() <= meta.get("labels", {}).items(),
            "names": lambda wanted: meta["name"] in wanted,
            "owner": lambda wanted: owner.get("name") == wanted,
            "ownerKind": lambda wanted: owner.get("kind") == wanted,
            "index": lambda wanted: index is not None and int(index) in _as_list(wanted),
            "nodes": lambda wanted: (pod["spec"].get("nodeName") or pinned_node(pod)) in wanted,
            "ids": lambda wanted: self.created.get(meta["uid"]) in wanted,
        }
        return all(tests[key](value) for key, value in select.items() if key not in {"first", "last"})

    async def _evict(self, pods: list[Document], op: Document) -> None:
        """Evict Pods one after the other; raises Conflict when the answers are others than the recorded ones."""
        codes = []
        for pod in pods:
            meta = ObjectMeta(name=pod["metadata"]["name"], namespace=self.namespace)
            try:
                await self.client.create(Eviction(metadata=meta))
            except APIError as error:
                codes.append(error.code)
            else:
                codes.append(201)
            await anyio.sleep(PACE_SECONDS)
        if codes != op["result"]:
            raise Conflict(f"evictions were answered by {codes}, recorded were {op['result']}")

    async def _pods(self, op: Document) -> None:
        if op["action"] == "evict":
            await self._evict(await self.select(op["select"]), op)
            return
        for pod in await self.select(op["select"]):
            with contextlib.suppress(NotFound):  # a controller was quicker, in the recording too
                await self._act(pod, op)
            await anyio.sleep(PACE_SECONDS)

    async def _act(self, pod: Document, op: Document) -> None:
        name, action = pod["metadata"]["name"], op["action"]
        if action in {"delete", "remove"}:
            options = DeleteOptions(grace_period_seconds=0 if action == "remove" else None)
            await self.client.delete(Pod, name, namespace=self.namespace, options=options)
            return
        if action == "patch":
            await self.client.patch(Pod, name, Patch(PatchType.MERGE, op["patch"]), namespace=self.namespace)
            return
        if not pod["spec"].get("nodeName"):
            await self.client.bind(name, self._node_for(pod, op), namespace=self.namespace)
            await anyio.sleep(PACE_SECONDS)
        if action != "bind":
            patch = Patch(PatchType.STRATEGIC, {"status": self._status(pod, op)})
            await self.client.patch(Pod, name, patch, namespace=self.namespace, subresource="status")

    def _node_for(self, pod: Document, op: Document) -> str:
        fixed = op.get("node") or pinned_node(pod)
        if fixed:
            return str(fixed)
        nodes = op.get("nodes") or [f"node-{number}" for number in range(1, NODE_COUNT + 1)]
        self._bound += 1
        return str(nodes[(self._bound - 1) % len(nodes)])

    def _status(self, pod: Document, op: Document) -> Document:
        now, action = format_time(self.clock.now()), op["action"]
        uid = pod["metadata"]["uid"]
        if uid not in self._addresses:
            number = len(self._addresses) + 1
            self._addresses[uid] = f"10.200.{number // 250}.{number % 250 + 1}"
        phase = {"succeed": "Succeeded", "fail": "Failed", "pending": "Pending"}.get(action, "Running")
        ready = "True" if action == "ready" else "False"
        conditions = [
            {"type": kind, "status": status, "lastTransitionTime": now}
            for kind, status in (("Initialized", "True"), ("Ready", ready), ("ContainersReady", ready))
        ]
        conditions += [{**extra, "lastTransitionTime": now} for extra in op.get("conditions", ())]
        status: Document = {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [_container(c, op, now) for c in pod["spec"]["containers"]],
            "startTime": pod.get("status", {}).get("startTime") or now,
            "podIP": self._addresses[uid],
            "podIPs": [{"ip": self._addresses[uid]}],
        }
        return status | ({"reason": op["reason"]} if "reason" in op else {})


def _container(container: Document, op: Document, now: str) -> Document:
    action = op["action"]
    state: Document = {"running": {"startedAt": now}}
    if action in {"succeed", "fail"}:
        code = op.get("exitCode", 1 if action == "fail" else 0)
        state = {"terminated": {"exitCode": code, "startedAt": now, "finishedAt": now}}
    elif action == "pending":
        state = {"waiting": {"reason": "ContainerCreating"}}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": action == "ready",
        "restartCount": op.get("restarts", 0),
        "state": state,
    }


def _is_in(state: str, wanted: Iterable[str]) -> bool:
    return any(state == one or state in GATHERED.get(one, ()) for one in wanted)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _snake(word: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in word)


def _micro(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
