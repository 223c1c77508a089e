"""A gRPC server on asyncio, as small as a server of known methods can be: bytes in, bytes out.

What comes in: for each method a function of the request's bytes, or one that works on a stream of messages. What goes
out: a listening server. It knows no messages and no store. Imported by the server half of `orchestra.store.etcd` alone.

It exists because it was measured, on a busy machine and all in turns: an empty call on each of 100 connections took
440 us of processor time in grpcio's asyncio server, 260 us with the bare `h2` library, and 50 us here. A durable put
through `serve_etcd` took 140 us in all, one of etcd 160 us. Header compression, the intricate part of HTTP/2, is a
library's.

- `interface.py`: what a server is made of;
- `frames.py`, `headers.py`, `budget.py`, `streams.py`, `sending.py`, `connection.py`: HTTP/2 (RFC 9113), pure;
- `driver.py`, `server.py`: sockets, tasks, and the calls in progress.
"""

from __future__ import annotations

from orchestra.store.etcd.rpc.interface import Limits, Methods, Refusal, Request, StreamCall
from orchestra.store.etcd.rpc.server import RPCServer

__all__ = ["Limits", "Methods", "RPCServer", "Refusal", "Request", "StreamCall"]
