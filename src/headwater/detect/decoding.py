# SPDX-License-Identifier: Apache-2.0
"""What encoded text in a command says once it is decoded: base64, hex, octal, percent signs, character codes, gzip, nested.

Everything is bounded: how much is looked at, how deep, how many forms, how large each may grow. A form counts only where
the result is text that can be read; what merely looks like base64 (a path, a digest) decodes to noise and is dropped.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import functools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from headwater.formats.patterns import lazy_regex

LONGEST = 64 << 10  # characters of a text that are looked at
DEPTH = 6  # layers
FORMS = 24  # of one text, all layers together
GROWN = 256 << 10  # bytes that a compressed form may grow to
SHORTEST = 6  # characters of a decoded text that count

# Rust's regex: what any decoder below may take, the cheap first sieve over a column
SIEVE = (
    r"[A-Za-z0-9+_-]{20,}|[A-Za-z0-9+/]{40,}|\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}\\|%[0-9a-fA-F]{2}|(?i:\[char\]|fromcharcode|\bchr\()"
    r"|(?i:\s[-/]e(?:c|nc?|nco\w*)?\s+[\"']?[A-Za-z0-9+/]{8})|\brev\b|(?i:rot13|N-ZA-M)|['\"]\s*\+\s*['\"]|\}['\"]\s*-f\s|\w`\w"
)
_POWERSHELL = lazy_regex(r"[\s\"'][-/–—]e(?:c|n|nc|nco|ncod\w*)?[\s:]+[\"']?([A-Za-z0-9+/]{8,}={0,2})", re.IGNORECASE)
_BASE64 = lazy_regex(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{16,}={0,2}(?![A-Za-z0-9+/_=-])")
_HEX_ESCAPES = lazy_regex(r"(?:\\x[0-9a-fA-F]{2}){4,}")
_OCTAL_ESCAPES = lazy_regex(r"(?:\\[0-3]?[0-7]{2}){4,}")
_HEX_RUN = lazy_regex(r"(?:0x)?((?:[0-9a-fA-F]{2}){8,})")
_HEX_CONTEXT = lazy_regex(
    r"xxd\s+-r|unhexlify|fromhex|hex2bin|\bpack\s*\(?\s*['\"]H|from_?hex|\b0x[0-9a-fA-F]{16}|unhex\(", re.IGNORECASE
)
_CODES = lazy_regex(
    r"(?:\[char\]\s*(?:0x[0-9a-f]+|\d{2,3})\s*\+?\s*){3,}|(?:chr\(\s*\d{2,3}\s*\)\s*[.+&]?\s*){3,}"
    r"|fromcharcode\(\s*\d{2,3}(?:\s*,\s*\d{2,3}){2,}\s*\)|\[char\[\]\]\s*\(?\s*\d{2,3}(?:\s*,\s*\d{2,3}){2,}",
    re.IGNORECASE,
)
_NUMBER = lazy_regex(r"0x[0-9a-f]+|\d{2,3}", re.IGNORECASE)
_QUOTED = lazy_regex(r"\"([^\"]{6,4000})\"|'([^']{6,4000})'")
_ROT13 = lazy_regex(r"rot_?13|N-ZA-Mn-za-m", re.IGNORECASE)
_REVERSED = lazy_regex(r"\|\s*rev\b|strrev\(|\[::-1\]|-1\.\.-", re.IGNORECASE)
_PASSES = 12  # of putting pieces together
_TICK = lazy_regex(r"(?<=\w)`(\w)")
_PAREN = lazy_regex(r"(?<![\w\]])\(\s*('[^'()]{0,200}'|\"[^\"()]{0,200}\")\s*\)(?!\s*\.)")
_FORMATTED = lazy_regex(
    r"[\"']((?:\{\d{1,3}\}){2,200})[\"']\s*-f\s*((?:['\"][^'\"]{0,200}['\"]\s*,?\s*){1,200})", re.IGNORECASE
)
_JOINED = lazy_regex(r"(['\"])([^'\"]{0,200})\1(?:\s*\+\s*\1[^'\"]{0,200}\1)+")
_MAGIC = (b"\x1f\x8b", b"x\x01", b"x\x9c", b"x\xda", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True, slots=True)
class Decoded:
    """``how``: the layers in the order in which they were taken off, such as ``base64+gzip``; ``start``, ``end``: where
    the outermost encoded piece stands in the text that was given."""

    how: str
    text: str
    start: int
    end: int


@functools.lru_cache(maxsize=8192)
def decoded(text: str) -> tuple[Decoded, ...]:
    """The readable forms of encoded pieces in a text, outermost first; () where there are none. Pure and bounded."""
    text = text[:LONGEST]
    found: list[Decoded] = []
    seen = {text}
    layer = [Decoded("", text, 0, len(text))]
    for _ in range(DEPTH):
        following: list[Decoded] = []
        for outer in layer:
            for how, plain, start, end in _forms(outer.text):
                if plain in seen or len(found) >= FORMS:
                    continue
                seen.add(plain)
                top = not outer.how
                made = Decoded(
                    how if top else f"{outer.how}+{how}",
                    plain,
                    start if top else outer.start,
                    end if top else outer.end,
                )
                found.append(made)
                following.append(made)
        layer = following
        if not layer:
            break
    return tuple(found)


def innermost(text: str) -> tuple[Decoded, ...]:
    """Of each encoded piece the form from which nothing more can be taken off."""
    forms = decoded(text)
    return tuple(
        f
        for f in forms
        if not any(o is not f and (o.start, o.end) == (f.start, f.end) and o.how.startswith(f.how + "+") for o in forms)
    )


_Form = tuple[str, str, int, int]


def _forms(text: str) -> Iterator[_Form]:
    """One layer taken off: how, the plain text, and where its encoded form stands."""
    if text.count("%") >= 3 and (plain := unquote(text, errors="replace")) != text and _reads(plain):
        yield "url", plain, 0, len(text)
    for match in _POWERSHELL.finditer(text):
        yield from _of_base64(match.group(1), match.start(1), match.end(1))
    for match in _BASE64.finditer(text):
        yield from _of_base64(match.group(), match.start(), match.end())
    for pattern, base, how in ((_HEX_ESCAPES, 16, "hex"), (_OCTAL_ESCAPES, 8, "octal")):
        for match in pattern.finditer(text):
            pieces = match.group().replace("\\x", "\\").split("\\")[1:]
            yield from _of_bytes(bytes(int(p, base) & 255 for p in pieces), how, match.start(), match.end())
    if _HEX_CONTEXT.search(text):
        for match in _HEX_RUN.finditer(text):
            yield from _of_bytes(bytes.fromhex(match.group(1)), "hex", match.start(), match.end())
    for match in _CODES.finditer(text):
        numbers = [int(n, 0) if n.lower().startswith("0x") else int(n) for n in _NUMBER.findall(match.group())]
        plain = "".join(chr(n) for n in numbers if n < 0x110000)
        if _reads(plain, 3):
            yield "codes", plain, match.start(), match.end()
    yield from _rewritten(text)


def _rewritten(text: str) -> Iterator[_Form]:
    """Quoted pieces that the text itself turns round, shifts or puts together."""
    for pattern, how, turn in (
        (_ROT13, "rot13", lambda s: codecs.encode(s, "rot13")),
        (_REVERSED, "reversed", lambda s: s[::-1]),
    ):
        if pattern.search(text):
            for match in _QUOTED.finditer(text):
                if "A-Z" in match.group() or "N-Z" in match.group():
                    continue  # the table of the turning itself
                yield how, turn(match.group(1) or match.group(2)), match.start(), match.end()
    joined = _put_together(text)
    if joined != text:
        yield "joined", joined, 0, len(text)


def _put_together(text: str) -> str:
    """Quoted pieces added or formatted into one, ticks within words dropped: what a shell's own parser would see."""
    for _ in range(_PASSES):
        before = text
        text = _TICK.sub(r"\1", text)
        text = _FORMATTED.sub(_formatted, text)
        text = _PAREN.sub(r"\1", text)
        text = _JOINED.sub(_one, text)
        if text == before:
            break
    return text


def _one(match: re.Match[str]) -> str:
    mark = match.group(1)
    return mark + "".join(re.findall(rf"{mark}([^{mark}]*){mark}", match.group())) + mark


def _formatted(match: re.Match[str]) -> str:
    pieces = re.findall(r"['\"]([^'\"]*)['\"]", match.group(2))
    wanted = [int(n) for n in re.findall(r"\{(\d{1,3})\}", match.group(1))]
    return "'" + "".join(pieces[n] for n in wanted if n < len(pieces)) + "'"


def _of_base64(body: str, start: int, end: int) -> Iterator[_Form]:
    core = body.rstrip("=").replace("-", "+").replace("_", "/")
    if len(core) % 4 == 1:
        return
    try:
        raw = base64.b64decode(core + "=" * (-len(core) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    yield from _of_bytes(raw, "base64", start, end)


def _of_bytes(raw: bytes, how: str, start: int, end: int) -> Iterator[_Form]:
    """Bytes as the text that they are, or that stands compressed in them."""
    if raw.startswith(_MAGIC):
        grown = _grown(raw)
        if grown is not None:
            plain = _text(grown)
            if plain is not None:
                yield f"{how}+{'gzip' if raw.startswith(_MAGIC[0]) else 'zlib'}", plain, start, end
            return
    plain = _text(raw)
    if plain is None and len(raw) >= 24 and (grown := _grown(raw, raw_deflate=True)) is not None:
        plain, how = _text(grown), f"{how}+deflate"
    if plain is not None:
        yield how, plain, start, end


def _grown(raw: bytes, *, raw_deflate: bool = False) -> bytes | None:
    try:
        unpacker = zlib.decompressobj(-15 if raw_deflate else 47)
        grown = unpacker.decompress(raw, GROWN)
    except zlib.error:
        return None
    return grown if not raw_deflate or unpacker.eof else None  # noise often begins like deflate


def _text(raw: bytes) -> str | None:
    """Bytes as text that can be read, in UTF-16 (as PowerShell encodes) or UTF-8; None for noise."""
    if len(raw) >= 8 and len(raw) % 2 == 0 and raw[1::2].count(0) * 5 >= len(raw[1::2]) * 4:
        plain = raw.decode("utf-16-le", "replace")
        return plain if _reads(plain) else None
    try:
        plain = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return plain if _reads(plain) else None


def _reads(text: str, shortest: int = SHORTEST) -> bool:
    """Whether a person could read it: printable, and mostly of the characters that commands and words are made of."""
    body = text.strip("\0\r\n\t ")
    if len(body) < shortest:
        return False
    plain = sum(c.isprintable() or c in "\r\n\t" for c in body)
    usual = sum(
        (c.isascii() and (c.isalnum() or c in " ./-_:;=|&$\"'(){}<>,\n\r\t@+*\\[]#!?~%^`")) or c > "\u2e7f"
        for c in body
    )
    return plain == len(body) and usual * 20 >= len(body) * 19
