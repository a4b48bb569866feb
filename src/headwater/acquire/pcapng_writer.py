# SPDX-License-Identifier: Apache-2.0
"""Packets into a pcapng file, digested on the way: one section, one interface, its statistics at the end.

https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/ (blocks 0x0A0D0D0A, 1, 6, 5); little-endian, times in nanoseconds.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from headwater.model.errors import AcquireError

_SECTION, _INTERFACE, _PACKET, _STATISTICS = 0x0A0D0D0A, 1, 6, 5
_ALGORITHMS = ("sha256", "md5", "sha1")
_BUFFER = 1 << 20
OUTGOING, INCOMING = 2, 1


def _options(given: Sequence[tuple[int, bytes]]) -> bytes:
    found = bytearray()
    for code, value in given:
        found += struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
    return bytes(found) + (struct.pack("<HH", 0, 0) if given else b"")


_EPB = struct.Struct("<7I")
_FILL = (b"", b"\0", b"\0\0", b"\0\0\0")
_DIRECTIONS = (b"", *(_options([(2, struct.pack("<I", way))]) for way in (INCOMING, OUTGOING)))


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _time(ns: int) -> bytes:
    return struct.pack("<II", ns >> 32 & 0xFFFF_FFFF, ns & 0xFFFF_FFFF)


class PcapngWriter:
    """Writes one new file. Use it as a context; ``size`` and ``digests`` speak of what is durable after it was closed."""

    def __init__(self, path: Path, *, link: int, snap: int, names: Mapping[str, str]) -> None:
        """``names``: hardware, os, application, interface, filter, as the file states them.

        Raises:
            AcquireError: HW2176 the file is there already; HW2022 it cannot be written.
        """
        self._path = path
        self._hashes = {n: hashlib.new(n, usedforsecurity=False) for n in _ALGORITHMS}
        self._held = bytearray()
        self.size = self.packets = 0
        self.digests: dict[str, str] = {}
        try:
            self._file = open(path, "xb", buffering=0)  # noqa: SIM115  closed by __exit__
        except FileExistsError as error:
            raise AcquireError("HW2176", str(path)) from error
        except OSError as error:
            raise AcquireError("HW2022", str(path), what=error.strerror or str(error)) from error
        text = {k: v.encode("utf-8", "replace")[:4000] for k, v in names.items() if v}
        section = [(c, text[n]) for c, n in ((2, "hardware"), (3, "os"), (4, "application")) if n in text]
        self._put(_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options(section)))
        about = [(2, text["interface"])] if "interface" in text else []
        about.append((9, b"\x09"))  # if_tsresol: 10^-9 s
        if "filter" in text:
            about.append((11, b"\0" + text["filter"]))
        self._put(_block(_INTERFACE, struct.pack("<HHI", link, 0, snap) + _options(about)))

    def packet(self, ns: int, data: bytes, length: int, direction: int = 0) -> None:
        """One packet: its time (ns since 1970), what was captured of it, how long it was, and which way it went."""
        size = len(data)
        fill = -size % 4
        options = _DIRECTIONS[direction]
        whole = 32 + size + fill + len(options)
        head = _EPB.pack(_PACKET, whole, 0, ns >> 32 & 0xFFFF_FFFF, ns & 0xFFFF_FFFF, size, length)
        self._held += b"".join((head, data, _FILL[fill], options, whole.to_bytes(4, "little")))
        self.size += whole
        self.packets += 1
        if len(self._held) >= _BUFFER:
            self._flush()

    def statistics(self, began: int, ended: int, received: int | None, dropped: int | None) -> None:
        """What the capturing side counted; None was not told. Times in ns since 1970."""
        told = [(2, _time(began)), (3, _time(ended))]
        if received is not None:
            told.append((4, struct.pack("<Q", received)))
        if dropped is not None:
            told.append((7, struct.pack("<Q", dropped)))
        self._put(_block(_STATISTICS, struct.pack("<I", 0) + _time(ended) + _options(told)))

    def _put(self, data: bytes) -> None:
        self._held += data
        self.size += len(data)
        if len(self._held) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        for each in self._hashes.values():
            each.update(self._held)
        view = memoryview(self._held)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise AcquireError("HW2022", str(self._path), what=error.strerror or str(error)) from error
        finally:
            view.release()
        self._held = bytearray()

    def __enter__(self) -> PcapngWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._flush()
            os.fsync(self._file.fileno())
            os.fchmod(self._file.fileno(), 0o444)
        finally:
            self._file.close()
        self.digests = {n: h.hexdigest() for n, h in self._hashes.items()}
