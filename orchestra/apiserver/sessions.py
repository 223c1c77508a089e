"""What must reach a node travels over the session that the node's agent opened to the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from orchestra.client.interface import LogOptions, NodeHandler
from orchestra.errors import BadRequest, ServiceUnavailable

Document = dict[str, Any]


class Sessions:
    """Which node can be asked at this moment; a newer session of a node replaces an older one."""

    def __init__(self) -> None:
        self._handlers: dict[str, NodeHandler] = {}

    @contextmanager
    def serve(self, node: str, handler: NodeHandler) -> Iterator[None]:
        """Ask `handler` for whatever concerns `node`, while the context is open."""
        self._handlers[node] = handler
        try:
            yield
        finally:
            if self._handlers.get(node) is handler:
                del self._handlers[node]

    def logs(self, pod: Document, options: LogOptions) -> AsyncIterator[bytes]:
        """Return the log of a Pod's container as its node sends it.

        Of a Pod without a node there is none yet. Raises BadRequest when the container is not named clearly,
        ServiceUnavailable when the node has no session.
        """
        container = container_of(pod, options.container)
        node = pod["spec"].get("nodeName")
        meta = pod["metadata"]
        if not node:
            return _nothing()
        handler = self._handlers.get(node)
        if handler is None:
            raise ServiceUnavailable(f'no agent of node "{node}" is connected', retry_after_seconds=1)
        return handler.logs(meta["namespace"], meta["name"], attrs.evolve(options, container=container))


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


def container_of(pod: Document, wanted: str) -> str:
    """Return the container that is meant; words as in core/pod/strategy `LogLocation`.

    A Pod with one container needs no name; init containers and ephemeral ones can be named too.
    """
    spec, name = pod["spec"], pod["metadata"]["name"]
    main, first, late = (
        [item["name"] for item in spec.get(part) or ()]
        for part in ("containers", "initContainers", "ephemeralContainers")
    )
    if not wanted:
        if len(main) == 1 and not first and not late:
            return str(main[0])
        default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
        if default in main:
            return str(default)
        if len(main) == 1:
            return str(main[0])
        text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
        if first:
            text += f" or one of the init containers: [{' '.join(first)}]"
        if late:
            text += f" or one of the ephemeral containers: [{' '.join(late)}]"
        raise BadRequest(text)
    if wanted not in (*main, *first, *late):
        raise BadRequest(f"container {wanted} is not valid for pod {name}")
    return wanted
