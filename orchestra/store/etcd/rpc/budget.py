"""How much a client may do that costs it nothing. Pure."""

from __future__ import annotations

from typing import Final

from orchestra.store.etcd.rpc.frames import ConnectionFailed, ErrorCode

COSTLESS_FRAMES: Final = 10_000
"""Frames that cost a client nothing (pings, settings, resets, empty ones), at once."""

COSTLESS_FRAMES_PER_SECOND: Final = 1_000
COSTLESS_FRAMES_PER_ANSWER: Final = 8

BYTES_PER_COSTLESS_FRAME: Final = 1_024
"""Sent bytes that earn the client one more: it has to open its windows again and again for a large answer."""


class Budget:
    """Fills up with time, with calls answered, and with what is sent; whoever overdraws it is cut off."""

    __slots__ = ("_filled_at", "_left")

    def __init__(self, now: float) -> None:
        self._left: float = COSTLESS_FRAMES
        self._filled_at = now

    def earn(self) -> None:
        """Count an answer."""
        if self._left < COSTLESS_FRAMES:
            self._left += COSTLESS_FRAMES_PER_ANSWER

    def sent(self, size_bytes: int) -> None:
        """Count what was sent."""
        if self._left < COSTLESS_FRAMES:
            self._left += size_bytes / BYTES_PER_COSTLESS_FRAME

    def pay(self, now: float) -> None:
        """Count something that cost the client nothing. Raises `ConnectionFailed`."""
        self._left -= 1
        if self._left < 0:
            # The time since is only looked at when it is needed.
            self._left += min(COSTLESS_FRAMES, (now - self._filled_at) * COSTLESS_FRAMES_PER_SECOND)
            self._filled_at = now
            if self._left < 0:
                raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")
