"""Heads of calls: what a client's header block says, and the blocks that a server answers with. Pure.

Header compression (RFC 7541) is the `hpack` library's. Its work is avoided where it can be: a client sends the same
references into its table with each call, so a block that was decoded and changed nothing means the same until another
one changes the table. What the server sends is never put into the client's table, so its blocks are constants.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from hpack import Decoder, HPACKError

from orchestra.store.etcd.rpc.frames import ConnectionFailed, ErrorCode
from orchestra.store.etcd.rpc.interface import CODES, Request

MAX_HEADER_BYTES: Final = 16_384
"""The headers of one call, compressed and not."""

MAX_KNOWN_BLOCKS: Final = 32
MAX_KNOWN_BYTES: Final = 512
"""Header blocks whose meaning a connection keeps in mind, and how large one may be."""

MAX_STATUS_BYTES: Final = 4_096
"""Of the text that an error is told with."""


class MalformedHead(Exception):
    """A head that is no gRPC call; `status` is the HTTP status to answer with."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class HeadDecoder:
    """Reads the header blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._hpack = Decoder(MAX_HEADER_BYTES)
        self._known: dict[bytes, Request] = {}
        self._requests: dict[tuple[tuple[bytes, bytes], ...], Request] = {}

    def decode(self, block: bytes) -> Request:
        """Return the head of a call. Raises `MalformedHead`, and `ConnectionFailed` when the table is lost."""
        known = self._known.get(block)
        if known is not None:
            return known
        fields, changed = self.fields(block)
        request = self._requests.get(fields)
        if request is None:
            request = parse_head(fields)
            if len(self._requests) >= MAX_KNOWN_BLOCKS:
                self._requests.clear()
            self._requests[fields] = request
        if not changed and len(block) <= MAX_KNOWN_BYTES and len(self._known) < MAX_KNOWN_BLOCKS:
            self._known[block] = request
        return request

    def fields(self, block: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
        """Return the fields of any block, and whether it changed the table."""
        table = self._hpack.header_table
        entries = table.dynamic_entries
        before = (entries[0] if entries else None, len(entries), table.maxsize)
        try:
            fields = tuple((field[0], field[1]) for field in self._hpack.decode(block, raw=True))
        except HPACKError as error:
            raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "a header block that cannot be decoded") from error
        first, size, maximum = before
        entries = table.dynamic_entries
        changed = len(entries) != size or table.maxsize != maximum or (size > 0 and entries[0] is not first)
        if changed:
            self._known.clear()
        return fields, changed


def parse_head(fields: tuple[tuple[bytes, bytes], ...]) -> Request:
    """Return the head that these header fields are. Raises `MalformedHead`."""
    pseudo: dict[bytes, bytes] = {}
    metadata: dict[str, str] = {}
    for name, value in fields:
        if name.startswith(b":"):
            if name in pseudo or metadata:
                raise MalformedHead(400)
            pseudo[name] = value
        else:
            # gRPC's own heads are ASCII; what is not stays as it is, byte by byte.
            metadata[name.decode("latin-1")] = value.decode("latin-1")
    if b":path" not in pseudo or b":scheme" not in pseudo:
        raise MalformedHead(400)
    if pseudo.get(b":method") != b"POST":
        raise MalformedHead(405)
    if not metadata.get("content-type", "").startswith("application/grpc"):
        raise MalformedHead(415)
    return Request(pseudo[b":path"].decode("latin-1"), metadata)


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a field that is not put into the table and refers to none (RFC 7541, section 6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    head = bytearray((127,))
    size -= 127
    while size >= 128:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + text


ANSWER_HEAD: Final = b"\x88" + _literal(b"content-type", b"application/grpc")
"""The first block of every answer: status 200 is entry 8 of the static table."""

TRAILERS_OK: Final = _literal(b"grpc-status", b"0")


def trailers(code: str, text: str) -> bytes:
    """Return the block that ends a call with a status."""
    # gRPC over HTTP/2, "Status-Message": percent-encoded UTF-8, everything but printable ASCII and the percent itself.
    shown = quote(text.encode(errors="replace")[:MAX_STATUS_BYTES], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return _literal(b"grpc-status", b"%d" % CODES[code]) + _literal(b"grpc-message", shown.encode())


def http_status(status: int) -> bytes:
    """Return the block of an answer to what is no gRPC call."""
    return _literal(b":status", b"%d" % status)
