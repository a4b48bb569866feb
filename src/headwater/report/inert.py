# SPDX-License-Identifier: Apache-2.0
"""Text from evidence made harmless and visible: what a reader sees is what stands there, never what it does.

Control characters, bidirectional controls, invisible and unassigned characters, lone surrogates and stacked
combining marks become visible escapes (``U+202E``), set apart from the text so that they cannot be confused with
text that only looks like one. Very long values are cut with a note of what was left out; the bytes stay cited.
Unicode Technical Report 36, https://www.unicode.org/reports/tr36/ ; CVE-2021-42574 (bidirectional override).
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from functools import cache
from itertools import groupby
from pathlib import Path

from headwater.formats.patterns import lazy_regex
from headwater.model.nouns import Text

LIMIT = 2000  # characters of one value that are shown
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
_MARKS_IN_A_ROW = 2
# What most values are made of, none of it hidden or a combining mark: such a value is one piece without a look at each character
_ORDINARY = lazy_regex("[ -~·×–—“”‘’…→\u3000-\u3020\u4e00-\u9fef\uff01-\uff5e]*")


def named(char: str) -> str:
    """``U+202E`` for a character."""
    return f"U+{ord(char):04X}"


def _hidden(char: str, marks: int) -> bool:
    if " " <= char <= "~":
        return False
    category = unicodedata.category(char)
    if category in _HIDDEN or ord(char) in _INVISIBLE:
        return True
    if category == "Zs":
        return char != "\u3000"  # every other space than U+0020 looks like it and is not
    return category in _MARKS and marks >= _MARKS_IN_A_ROW


def pieces(text: str, limit: int = LIMIT) -> list[tuple[bool, str]]:
    """The text as (is an escape, characters) in order; escapes stand for one character each.

    Cut to ``limit`` characters; :func:`left_out` says how many are missing.
    """
    shown = text[:limit]
    if shown and _ORDINARY.fullmatch(shown):
        return [(False, shown)]
    found: list[tuple[bool, str]] = []
    plain: list[str] = []
    marks = 0
    for char in shown:
        if _hidden(char, marks):
            if plain:
                found.append((False, "".join(plain)))
                plain = []
            found.append((True, named(char)))
            continue
        marks = marks + 1 if unicodedata.category(char) in _MARKS else 0
        plain.append(char)
    if plain:
        found.append((False, "".join(plain)))
    return found


def left_out(text: str, limit: int = LIMIT) -> Text | None:
    """The note on what :func:`pieces` cut away, or None."""
    missing = len(text) - limit
    if missing <= 0:
        return None
    return Text(f"（此处略去 {missing:,} 个字符）", f" ({missing:,} characters left out here)")


@cache
def _coverage() -> dict[str, tuple[list[int], list[int]]]:
    path = Path(__file__).with_name("fonts") / "coverage.json"
    held = json.loads(path.read_text("utf-8"))
    return {
        face: ([first for first, _ in held[face]], [last for _, last in held[face]])
        for face in ("regular", "bold", "mono")
    }


def covers(char: str, face: str = "regular") -> bool:
    """Whether a face of the embedded fonts (``regular``, ``bold``, ``mono``) can show this character."""
    firsts, lasts = _coverage()[face]
    at = bisect_right(firsts, ord(char)) - 1
    return at >= 0 and ord(char) <= lasts[at]


@cache
def _covered(face: str) -> frozenset[str]:
    """The characters that a face can show."""
    return frozenset(chr(at) for first, last in zip(*_coverage()[face], strict=True) for at in range(first, last + 1))


def printable(found: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """The same pieces for the printed page: characters that no embedded font has become ``□U+XXXX`` escapes."""
    out: list[tuple[bool, str]] = []
    for escape, text in found:
        if escape or _covered("regular").issuperset(text):
            out.append((escape, text))
            continue
        start = 0
        for at, char in enumerate(text):
            if not covers(char):
                if at > start:
                    out.append((False, text[start:at]))
                out.append((True, "□" + named(char)))
                start = at + 1
        if start < len(text):
            out.append((False, text[start:]))
    return out


def thin(text: str) -> list[tuple[bool, str]]:
    """The text as runs of (the bold face lacks it, characters): such a run is set in regular weight everywhere."""
    if text and _covered("bold").issuperset(text):
        return [(False, text)]
    return [(lacking, "".join(run)) for lacking, run in groupby(text, key=lambda char: not covers(char, "bold"))]
