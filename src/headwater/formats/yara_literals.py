# SPDX-License-Identifier: Apache-2.0
"""Bytes that must stand in a content, one after the other, wherever a YARA pattern matches it.

Of a text that is the text itself, of a hexadecimal pattern or a regular expression a run of fixed bytes outside of
brackets and alternatives. It is asked for presence only, so jumps and repetitions beside the run may have any length.
Where no run is certain (alternatives at the top, ``xor``, ``base64``, flags within the expression) there is none.

Format: https://virustotal.github.io/yara-x/docs/writing_rules/patterns/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.formats.yara_text import Pattern

_PLAIN = frozenset({"ascii", "wide", "nocase", "fullword", "private"})
_ESCAPED = {"n": 10, "t": 9, "r": 13, '"': 34, "\\": 92}
_IN_REGEX = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7}
_REPEAT = lazy_regex(r"\{(\d*)(?:,\d*)?\}")
_HEX_PART = lazy_regex(r"\s+|//[^\n]*\n|/\*.*?\*/|([0-9A-Fa-f]{2})|~?[0-9A-Fa-f?]{2}|\[[\d\s-]*\]|[(|)]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Literal:
    """Fixed bytes; ``nocase``: its ASCII letters (given small) may be of either case."""

    data: bytes
    nocase: bool


def runs(pattern: Pattern) -> tuple[tuple[Literal, ...], ...]:
    """For each form in which the pattern may stand (ASCII, wide) the runs of which each must be there.

    Empty where nothing is certain; a form without runs makes it empty too.
    """
    modifiers = set(pattern.modifiers)
    if not modifiers <= _PLAIN:
        return ()
    nocase = "nocase" in modifiers
    if pattern.kind == "text":
        found = [_text(pattern.source)]
    elif pattern.kind == "hex":
        found = _hex(pattern.source[1:-1])
    else:
        body, _, flags = pattern.source[1:].rpartition("/")
        if set(flags) - {"i", "s"}:
            return ()
        nocase = nocase or "i" in flags
        found = _regex(body)
    found = [r for r in found if r]
    if not found:
        return ()
    forms = []
    if "wide" in modifiers:
        if any(max(r) > 127 for r in found):
            return ()  # how letters beyond ASCII are widened is the engine's affair
        forms.append(tuple(_literal(b"\0".join(bytes([b]) for b in r), nocase) for r in found))
    if "ascii" in modifiers or "wide" not in modifiers:
        forms.append(tuple(_literal(r, nocase) for r in found))
    return tuple(forms)


def starts(pattern: Pattern) -> tuple[Literal, ...]:
    """What a match of the pattern is, one of these, where the pattern is nothing but fixed bytes; empty where it is not."""
    if pattern.kind == "text" or (pattern.kind == "hex" and len(_hex(pattern.source[1:-1])) == 1):
        return tuple(form[0] for form in runs(pattern))
    return ()


def _literal(data: bytes, nocase: bool) -> Literal:
    return Literal(data.lower() if nocase else data, nocase)


def _text(source: str) -> bytes:
    made, at, body = bytearray(), 0, source[1:-1]
    while at < len(body):
        if body[at] != "\\":
            made += body[at].encode("utf-8", "surrogatepass")
            at += 1
        elif body[at + 1] == "x":
            digits = body[at + 2 : at + 4]
            if len(digits) != 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
                return b""
            made.append(int(digits, 16))
            at += 4
        elif body[at + 1] in _ESCAPED:
            made.append(_ESCAPED[body[at + 1]])
            at += 2
        else:
            return b""
    return bytes(made)


def _hex(source: str) -> list[bytes]:
    found: list[bytes] = []
    run, depth, at = bytearray(), 0, 0
    while at < len(source):
        part = _HEX_PART.match(source, at)
        if part is None:
            return []
        at = part.end()
        text = part.group()
        if part.group(1) and not depth:
            run.append(int(text, 16))
        elif text[0].isspace() or text[0] == "/":
            continue
        elif text == "|" and not depth:
            return []
        else:
            depth += (text == "(") - (text == ")")
            found.append(bytes(run))
            run.clear()
    return [] if depth else [*found, bytes(run)]


def _regex(body: str) -> list[bytes]:
    """The runs of an expression; none at all where it holds what is not known here."""
    if not body.isascii():
        return []
    found: list[bytes] = []
    run = bytearray()
    at = depth = 0
    while at < len(body):
        sign = body[at]
        at, value = _atom(body, at)
        if at < 0 or (sign == "|" and not depth):
            return []
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return []
        end, least = _repeated(body, at)
        if end < 0 or (end != at and sign in "(|^$"):
            return []
        if value is None or depth or sign == ")":
            found.append(bytes(run))
            run.clear()
        elif end == at:
            run.append(value)
        else:
            if least:
                run.append(value)
            found.append(bytes(run))
            run.clear()
        at = end
    return [] if depth else [*found, bytes(run)]


def _atom(body: str, at: int) -> tuple[int, int | None]:
    """Where the atom ends (-1: not known), and the byte that it stands for, if it is one."""
    sign = body[at]
    if sign == "\\":
        return _escape(body, at)
    if sign == "[":
        return _class(body, at), None
    if sign == "(" and body.startswith("(?", at):
        return (at + 3 if body.startswith("(?:", at) else -1), None
    if sign in ".^$()|":
        return at + 1, None
    if sign in "*+?{":
        return -1, None
    return at + 1, ord(sign)


def _escape(body: str, at: int) -> tuple[int, int | None]:
    sign = body[at + 1 : at + 2]
    if sign == "x":
        digits = body[at + 2 : at + 4]
        if len(digits) == 2 and all(c in "0123456789abcdefABCDEF" for c in digits):
            return at + 4, int(digits, 16)
        return -1, None
    if sign in _IN_REGEX:
        return at + 2, _IN_REGEX[sign]
    if sign and sign in "dDwWsSbB":
        return (-1 if body.startswith("{", at + 2) and sign in "bB" else at + 2), None
    if sign and not sign.isalnum():
        return at + 2, (ord(sign) if sign not in "<>" else None)
    return -1, None


def _class(body: str, at: int) -> int:
    """Where a class of letters ends; -1 where it holds classes or sets of its own."""
    at += 1
    if body.startswith("^", at):
        at += 1
    if body.startswith("]", at):
        return -1
    while at < len(body) and body[at] != "]":
        if body[at] == "[" or body[at : at + 2] in ("&&", "--", "~~"):
            return -1
        at += 2 if body[at] == "\\" else 1
    return at + 1 if at < len(body) else -1


def _repeated(body: str, at: int) -> tuple[int, int]:
    """Where the repetition that stands here ends (``at`` where there is none, -1 where it is not known), and its least count."""
    sign = body[at : at + 1]
    if sign and sign in "*+?":
        end, least = at + 1, int(sign == "+")
    elif sign == "{":
        match = _REPEAT.match(body, at)
        if match is None:
            return -1, 0
        end, least = match.end(), int(match.group(1) or 0)
    else:
        return at, 1
    end += body.startswith("?", end)
    return (-1, 0) if body[end : end + 1] and body[end] in "*+?{" else (end, least)
