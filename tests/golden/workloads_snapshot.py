"""What a scenario left behind, in the form in which the recording wrote it down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from orchestra.api.codec import to_document
from orchestra.api.core import Event, Pod
from orchestra.api.discovery import EndpointSlice
from orchestra.api.object import Object
from orchestra.apiserver import APIServer
from orchestra.errors import NotFound
from tests.golden.workloads_driver import is_ready, pinned_node

Document = dict[str, Any]

KINDS = (
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "DaemonSet",
    "ControllerRevision",
    "Job",
    "CronJob",
    "Service",
    "EndpointSlice",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "PodDisruptionBudget",
    "ResourceQuota",
    "ServiceAccount",
    "ConfigMap",
    "Node",
    "Namespace",
)
"""The kinds of a snapshot, in its order."""

REFUSED = re.compile(r'(pods "[a-z0-9-]+-)[a-z0-9]{5}(" is forbidden)')
"""A generated name that no object ever had."""

FURNISHED = frozenset({"Namespace", "ServiceAccount"})
"""The areas whose snapshots show what every namespace holds from the start."""

GENERATED = (Pod, EndpointSlice)
"""Kinds whose names end at random."""

RANDOM_LENGTH = 5
KUBELET_CONDITIONS = {"Ready", "ContainersReady", "Initialized", "PodScheduled"}
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


class Observer:
    """Watches a namespace, so that every generated name gets its place, and writes snapshots."""

    def __init__(self, client: APIServer, scenario: Document, owners: dict[str, str]) -> None:
        self._client = client
        self.namespace = self._scenario = scenario["name"]
        self._identify = bool(scenario.get("identify"))
        self._big_slices = bool(scenario.get("bigSlices"))
        self._area = scenario["area"]
        self._pod_nodes = self._identify or (
            self._area in {"DaemonSet", "NodeLifecycle"} and not scenario.get("nodesAnonymous")
        )
        self._names: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._owners = owners

    def seen(self, document: Document, numbers: dict[str, int]) -> None:
        """Give a new object its number among the generated ones of its kind."""
        meta = document["metadata"]
        if not meta.get("generateName") or meta["uid"] in numbers:
            return
        numbers[meta["uid"]] = len(numbers) + 1
        prefix = meta["name"][:-RANDOM_LENGTH]
        if not prefix or not meta["generateName"].startswith(prefix):
            return  # a StatefulSet names its Pods itself
        number = self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        self._names[meta["name"]] = f"{prefix}<r{number}>" if self._identify else f"{prefix}<r>"

    def said(self, text: str) -> str:
        """Return a text with generated names made equal; a name is always a word of its own."""
        return REFUSED.sub(r"\1<r>\2", re.sub(r"[a-z0-9.-]*[a-z0-9]", lambda match: self._name(match.group()), text))

    def _name(self, name: str) -> str:
        return self._names.get(name, name)

    async def snapshot(self) -> Document:
        """Return the objects, Pods and new Events of the scenario."""
        objects = [
            self._object(document) for kind in KINDS for document in await self._list(kind) if self._counts(document)
        ]
        pods = [self._pod(to_document(pod)) for pod in (await self._client.list(Pod, namespace=self.namespace)).items]
        return {
            "objects": _sorted(_big(objects) if self._big_slices else objects),
            "pods": _sorted(pods if self._identify else _collapsed(pods)),
            "events": [event async for event in self._events()],
        }

    async def revisions(self) -> tuple[str, ...]:
        """Return what changes when any object of the scenario changes."""
        result = []
        for kind in (*KINDS, "Pod"):
            result += [obj.metadata.resource_version for obj in await self._objects(kind)]
        return tuple(result)

    async def _list(self, word: str) -> list[Document]:
        return [to_document(obj) for obj in await self._objects(word)]

    async def _objects(self, word: str) -> list[Object]:
        try:
            info = self._client.scheme.resolve(word)
        except NotFound:
            return []
        kind = self._client.scheme.type_of(info)
        found = (await self._client.list(kind, namespace=self.namespace if info.namespaced else None)).items
        if info.namespaced:
            return list(found)
        own = {self.namespace} if word == "Namespace" and self._area == "Namespace" else set()
        suffix = f".{self._scenario}"
        return [one for one in found if one.metadata.name.endswith(suffix) or one.metadata.name in own]

    def _counts(self, document: Document) -> bool:
        shown = self._area in FURNISHED or document["kind"] == "Namespace"
        return shown or document["metadata"]["name"] not in {"default", "kube-root-ca.crt"}

    # ---- objects

    def _common(self, document: Document) -> Document:
        meta = document["metadata"]
        result: Document = {"kind": document["kind"], "name": self._name(meta["name"])}
        annotations = {k: v for k, v in meta.get("annotations", {}).items() if k != TRIGGER_TIME}
        labels = {k: v for k, v in meta.get("labels", {}).items() if k != "kubernetes.io/metadata.name"}
        result |= {k: v for k, v in (("labels", labels), ("annotations", annotations)) if v}
        if meta.get("finalizers"):
            result["finalizers"] = meta["finalizers"]
        if meta.get("ownerReferences"):
            wanted = ("kind", "name", "controller", "blockOwnerDeletion")
            result["owners"] = [{k: r[k] for k in wanted if k in r} for r in meta["ownerReferences"]]
        if meta.get("deletionTimestamp"):
            result["deleting"] = True
        return result

    def _object(self, document: Document) -> Document:
        result = self._common(document)
        spec = document.get("spec", {})
        status = _plain_status(document.get("status", {}))
        for condition in status.get("conditions", ()):
            if "message" in condition:
                condition["message"] = REFUSED.sub(r"\1<r>\2", condition["message"])
        match document["kind"]:
            case "Deployment":
                result |= _of_template(spec) | {"paused": bool(spec.get("paused")), "status": status}
                result["generation"] = document["metadata"]["generation"]
            case "ReplicaSet":
                current = status.pop("observedGeneration", 0) == document["metadata"]["generation"]
                result |= _of_template(spec) | {"selector": spec["selector"]}
                result["status"] = {**status, "observedGenerationCurrent": current}
            case "DaemonSet" | "StatefulSet":
                shown = {k: spec[k] for k in ("replicas", "updateStrategy") if document["kind"] == "StatefulSet"}
                result |= shown | {"generation": document["metadata"]["generation"], "status": status}
            case "ControllerRevision":
                result["revision"] = document["revision"]
            case "PersistentVolumeClaim":
                result |= {"status": status, "volumeName": spec.get("volumeName")}
            case "Service":
                address = spec.get("clusterIP")
                result |= {"status": status, "type": spec.get("type")}
                result["clusterIP"] = "$clusterIP" if address and address != "None" else address
            case "EndpointSlice":
                endpoints = _sorted([self._endpoint(e) for e in document.get("endpoints") or ()])
                result |= {"addressType": document["addressType"], "ports": document.get("ports") or []}
                result |= {"endpointCount": len(endpoints), "endpoints": endpoints}
            case "Node":
                taints = [{**t, "timeAdded": "$t"} if "timeAdded" in t else t for t in spec.get("taints", ())]
                result |= {"taints": _sorted(taints), "unschedulable": bool(spec.get("unschedulable"))}
                result["conditions"] = status.get("conditions", [])
            case "PodDisruptionBudget":
                result |= {"generation": document["metadata"]["generation"], "status": status}
            case "ResourceQuota":
                result["status"] = status
            case "Namespace":
                result |= {"status": status, "specFinalizers": spec.get("finalizers") or None}
        return result

    def _endpoint(self, endpoint: Document) -> Document:
        result = dict(endpoint)
        result.setdefault("conditions", {})
        target = result.pop("targetRef", None)
        if target is not None:
            result["targetRef"] = {"kind": target["kind"], "name": self._name(target["name"])}
        if not self._identify:
            result["addresses"] = ["$podIP" for _ in result["addresses"]]
            result.pop("nodeName", None)
        return result

    def _pod(self, document: Document) -> Document:
        result = self._common(document)
        spec, status, meta = document["spec"], document.get("status", {}), document["metadata"]
        result |= {
            "image": spec["containers"][0]["image"],
            "phase": status.get("phase"),
            "ready": is_ready(document),
            "bound": bool(spec.get("nodeName")),
        }
        found = {
            "reason": status.get("reason"),
            "hostname": spec.get("hostname"),
            "subdomain": spec.get("subdomain"),
            "generateName": meta.get("generateName"),
            "node": spec.get("nodeName") or pinned_node(document) if self._pod_nodes else None,
            "tolerations": len(spec.get("tolerations", ())) if self._area == "DaemonSet" else None,
            "volumes": _claims(spec) if self._area == "StatefulSet" else None,
        }
        others = _conditions(c for c in status.get("conditions", ()) if c["type"] not in KUBELET_CONDITIONS)
        return result | {k: v for k, v in found.items() if v} | ({"conditions": others} if others else {})

    # ---- Events

    async def _events(self) -> Any:
        """Yield the occurrences since the last snapshot."""
        listed = (await self._client.list(Event)).items
        for event in listed:
            document = to_document(event)
            about = document["involvedObject"]
            theirs = document["metadata"]["namespace"] == self.namespace
            if not theirs and not about["name"].endswith(f".{self._scenario}"):
                continue
            if document["reason"] in {"RegisteredNode", "RemovingNode"}:
                continue
            uid, count = document["metadata"]["uid"], document.get("count") or 1
            new = count - self._told.get(uid, 0)
            self._told[uid] = count
            if new > 0:
                yield {
                    "type": document["type"],
                    "reason": document["reason"],
                    "kind": about["kind"],
                    "name": self._name(about["name"]),
                    "message": _replaced(self.said(document["message"]), self._owners),
                    "source": document.get("source", {}).get("component") or document.get("reportingComponent"),
                    "count": new,
                }


def _replaced(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def _claims(spec: Document) -> list[str]:
    volumes = [(one["name"], one.get("persistentVolumeClaim")) for one in spec.get("volumes", ())]
    return [f"{name}:{claim['claimName']}" for name, claim in volumes if claim]


def _of_template(spec: Document) -> Document:
    return {"replicas": spec["replicas"], "image": spec["template"]["spec"]["containers"][0]["image"]}


def _plain_status(status: Document) -> Document:
    result = dict(status)
    if "conditions" in result:
        result["conditions"] = _conditions(result["conditions"])
    return result


def _conditions(conditions: Iterable[Document]) -> list[Document]:
    wanted = ("type", "status", "reason", "message")
    found = [{k: c[k] for k in wanted if k in c} for c in conditions]
    return sorted(found, key=lambda c: str(c["type"]))


def _sorted(documents: list[Document]) -> list[Document]:
    return sorted(documents, key=order)


def order(document: Document) -> tuple[int, str]:
    """Return a key that sorts the parts of a snapshot, whatever they are."""
    kind = document.get("kind")
    return (KINDS.index(kind) if kind in KINDS else -1, json.dumps(document, sort_keys=True))


def _collapsed(pods: list[Document]) -> list[Document]:
    counts: dict[str, int] = {}
    for pod in pods:
        text = json.dumps(pod, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
    # A Pod that was not generated has a name of its own and is never collapsed.
    return [{**json.loads(text), "n": count} for text, count in counts.items()]


def _big(objects: list[Document]) -> list[Document]:
    slices = [one for one in objects if one["kind"] == "EndpointSlice"]
    others = [one for one in objects if one["kind"] != "EndpointSlice"]
    if not slices:
        return others
    first = {k: v for k, v in slices[0].items() if k not in {"endpoints", "endpointCount"}}
    total = sum(one["endpointCount"] for one in slices)
    within = all(one["endpointCount"] <= 100 for one in slices)
    return [*others, {**first, "totalEndpoints": total, "noSliceAbove100": within}]
