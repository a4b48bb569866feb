# SPDX-License-Identifier: Apache-2.0
"""The grammar of paths inside evidence.

``p2!/var/log/auth.log.2.gz!gz`` is the decompressed content of that file on partition 2: layers are joined by
``!``, and offsets count in the last one. A name is bytes; what is not plain UTF-8 text is percent-encoded so that
the bytes can be had back: ``%`` itself, ``!``, control characters, and bytes that are not valid UTF-8.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

LAYER = "!"
CONTAINER = (
    "container."  # begins the layer that names a container: the paths behind it are those that the container sees
)
_UNSAFE = re.compile("[%!\x00-\x1f\x7f\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\udc80-\udcff]")


def _escape(match: re.Match[str]) -> str:
    raw = match.group().encode("utf-8", "surrogateescape")
    return "".join(f"%{byte:02X}" for byte in raw)


def encode_name(name: bytes) -> str:
    """One name, or a ``/``-joined path of names, as text from which :func:`decode_name` gets the bytes back."""
    return _UNSAFE.sub(_escape, name.decode("utf-8", "surrogateescape"))


def decode_name(text: str) -> bytes:
    """The bytes behind :func:`encode_name`."""
    return unquote_to_bytes(text)


def layers(path: str) -> list[str]:
    """The layers of a path, outermost first."""
    return path.split(LAYER)


def join(*parts: str) -> str:
    """One path from its layers; empty parts are left out."""
    return LAYER.join(part for part in parts if part)


def file_layer(path: str) -> str:
    """The last layer that is a path in a file system: what a parser's ``Reads`` patterns are matched against."""
    for layer in reversed(path.split(LAYER)):
        if layer.startswith("/"):
            return layer
    return path


def container_of(path: str) -> str | None:
    """The layer of a path that names the container in which it is seen; None for what is the host's own."""
    return next((layer for layer in layers(path) if layer.startswith(CONTAINER)), None)


def outside(view: str) -> str:
    """The view that a container's files lie in: the name without the layer of the container."""
    return LAYER.join(layer for layer in layers(view) if not layer.startswith(CONTAINER))
