# SPDX-License-Identifier: Apache-2.0
"""Writes shortcuts and jump lists after [MS-SHLLINK]: local or network targets, strings and the tracker block."""

from __future__ import annotations

import struct

from headwater.formats.shell_link import MAGIC


def filetime(seconds: int) -> int:
    return (seconds + 11_644_473_600) * 10_000_000


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def _info(local: str, share: str) -> bytes:
    if share:
        name = share.encode() + b"\0"
        part = struct.pack("<5I", 20 + len(name), 2, 20, 0, 0x20000) + name
        return (
            struct.pack("<7I", 28 + len(part) + len(local) + 1, 28, 2, 0, 0, 28, 28 + len(part))
            + part
            + local.encode()
            + b"\0"
        )
    volume = struct.pack("<4I", 21, 3, 0x1A2B3C4D, 16) + b"DATA\0"
    wide = (local + "\0").encode("utf-16-le")
    base = 36 + len(volume)
    end = base + 1
    head = struct.pack("<9I", end + len(wide) + 2, 36, 1, 36, base, 0, base, end, end + len(wide))
    return head + volume + b"\0" + wide + b"\0\0"


def link(target: str, arguments: str = "", share: str = "", seconds: tuple[int, ...] = (), machine: str = "") -> bytes:
    """``seconds``: created, accessed and modified of the target, any number of them."""
    flags = 2 | 0x80 | (0x20 if arguments else 0)
    times = [filetime(s) for s in seconds] + [0] * (3 - len(seconds))
    out = MAGIC + struct.pack("<IIQQQIIIHHII", flags, 0x20, *times, 4096, 0, 1, 0, 0, 0, 0)
    out += _info(target, share) + (_text(arguments) if arguments else b"")
    if machine:
        identifier = bytes.fromhex("000102030405460788090a0b0c0d0e0f") + bytes.fromhex(
            "001122334455e1118000020000000001"
        )
        out += struct.pack("<IIII", 96, 0xA0000003, 88, 0) + machine.encode().ljust(16, b"\0") + identifier * 2
    return out + bytes(4)


def jump_list(*links: bytes) -> bytes:
    head = struct.pack("<III", 2, 1, 0) + struct.pack("<II", 2, len(links))
    body = b"".join(MAGIC[4:] + one for one in links)
    return head + body + bytes.fromhex("abfbbfba")
