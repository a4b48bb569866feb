# SPDX-License-Identifier: Apache-2.0
"""The frames that pass between the pool and a child: a kind, a JSON object, raw bytes.

Layout: kind (1 byte), length of the JSON (4, big-endian), length of the blob (4), JSON in UTF-8, blob. Descriptors
travel beside the first bytes of a task's frame. Nothing here unpickles, and every length is checked before it is used.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from typing import Any

HEAD = struct.Struct("!cII")
MORE = b"P"  # descriptors of the task that follows, where one message cannot carry them all
FDS_MOST = 250  # of one message; the kernel's SCM_MAX_FD is 253
READY, TASK, MESSAGE, DONE, FAILED, MEMORY = b"R", b"T", b"M", b"D", b"F", b"O"
FROM_CHILD = frozenset({READY, MESSAGE, DONE, FAILED, MEMORY})


class ProtocolError(ValueError):
    """A child said something that is not a frame, or one over its limits."""


def encode(kind: bytes, header: dict[str, Any], blob_length: int = 0) -> bytes:
    """The frame up to its blob."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return HEAD.pack(kind, len(text), blob_length) + text


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number out of range")
    return value


def decode(text: bytes) -> dict[str, Any]:
    """The JSON object of a frame.

    Raises:
        ProtocolError: it is no JSON object, or nested beyond reason.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a header that is no JSON") from error
    if not isinstance(value, dict):
        raise ProtocolError("a header that is no JSON object")
    return value


class Assembler:
    """Puts frames of a child together from what a non-blocking socket gives; one frame in memory at a time."""

    def __init__(self, header_most: int, blob_most: int) -> None:
        self._most = (header_most, blob_most)
        self.taken = 0  # bytes of all whole frames so far
        self._begin()

    def _begin(self) -> None:
        self._kind = b""
        self._json_length = 0
        self._buffer = bytearray(HEAD.size)
        self._have = 0

    def receive(self, sock: socket.socket) -> tuple[bytes, dict[str, Any], bytes] | bool | None:
        """One read: a whole frame, None when more must come, False at the end of the stream.

        Raises:
            ProtocolError: the bytes are no frame within the limits.
            BlockingIOError: nothing is there to be read.
        """
        if self._have < len(self._buffer):
            got = sock.recv_into(memoryview(self._buffer)[self._have :])
            if not got:
                return False
            self._have += got
            if self._have < len(self._buffer):
                return None
        if not self._kind:
            self._open_body()
            return None if self._buffer else self._take()
        return self._take()

    def _open_body(self) -> None:
        kind, json_length, blob_length = HEAD.unpack(bytes(self._buffer))
        if kind not in FROM_CHILD:
            raise ProtocolError("bytes that are no frame")
        if json_length > self._most[0] or blob_length > self._most[1]:
            raise ProtocolError("a frame over its limit")
        self._kind, self._json_length = kind, json_length
        self._buffer = bytearray(json_length + blob_length)
        self._have = 0

    def _take(self) -> tuple[bytes, dict[str, Any], bytes]:
        view = memoryview(self._buffer)
        self.taken += HEAD.size + len(view)
        frame = (self._kind, decode(bytes(view[: self._json_length])), bytes(view[self._json_length :]))
        self._begin()
        return frame
