# SPDX-License-Identifier: Apache-2.0
"""Words for a terminal: nothing from evidence may command it, and a pipe gets one JSON object per line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

# control characters, and those that reorder what is shown (Unicode bidi, UAX #9)
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def inert(text: str) -> str:
    """The text with every character that a terminal could obey shown as an escape."""
    return _COMMANDS.sub(
        lambda m: f"\\u{ord(m.group()):04x}" if ord(m.group()) > 0xFF else f"\\x{ord(m.group()):02x}", text
    )


def line(row: Mapping[str, Any]) -> None:
    """One JSON object on its own line of stdout."""
    sys.stdout.write(json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")


def say(text: str) -> None:
    """One line of words on stdout, inert."""
    sys.stdout.write(inert(text) + "\n")


def hexdump(data: bytes, offset: int, most: int = 512) -> list[str]:
    """Offset, sixteen bytes in hex, and their printable characters, per line."""
    rows = []
    for at in range(0, min(len(data), most), 16):
        piece = data[at : at + 16]
        words = "".join(chr(b) if 32 <= b < 127 else "." for b in piece)
        rows.append(f"{offset + at:>12}  {piece.hex(' '):<47}  {words}")
    if len(data) > most:
        rows.append(f"… {len(data) - most} bytes more")
    return rows
