# SPDX-License-Identifier: Apache-2.0
"""Text by the columns of a terminal that it takes: wide characters are two (UAX #11), combining ones none."""

from __future__ import annotations

import unicodedata


def _of(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_of, text))


def cut(text: str, most: int) -> str:
    """A text of at most so many columns; where it was cut it ends in an ellipsis."""
    if columns(text) <= most:
        return text
    kept: list[str] = []
    room = most - 1
    for char in text:
        room -= _of(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text cut or filled to a width."""
    short = cut(text, width)
    room = " " * (width - columns(short))
    return room + short if right else short + room
