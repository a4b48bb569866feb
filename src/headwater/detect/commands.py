# SPDX-License-Identifier: Apache-2.0
"""What a command line says by itself: the traits of the closed table that stand in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

import polars as pl

from headwater.detect import decoding
from headwater.detect.addresses import IPV4, outside
from headwater.detect.command_table import SIEVE, TRAITS, Trait
from headwater.detect.frames import names
from headwater.formats.patterns import lazy_regex

# Longer commands are cut for matching: a bound on the time that a hostile line can cost.
LONGEST = 4096
# So few commands are asked at once: to compile the second sieve costs as much as to ask some hundred.
_FEW = 200
BY_NAME: dict[str, Trait] = {t.name: t for t in TRAITS}
# A strong trait makes its weak sibling superfluous.
_COVERS = {
    "download-run": ("download-pipe", "download-temp"),
    "log-destroy": ("log-delete", "shred"),
    "chattr-hide": ("chattr",),
    "exfiltrate": ("transfer",),
    "hidden-run": ("temp-run",),
    "uid0-account": ("account-add",),
    "history-off": ("shred",),
    "reverse-shell": ("exfiltrate", "transfer"),
    "redirect-outside": ("redirect",),
    "port-reuse": ("redirect",),
    "destroy-disk": ("wipe-disk", "shred"),
}


# Strong traits that have an honest use after all (a backup to one's own host outside, a scan of one's own network):
# alone, with no other sign, they stay low.
EQUIVOCAL = frozenset(
    {
        "scan", "credentials", "exfiltrate", "agent-kill", "hidden-run", "tunnel", "backup-destroy", "encrypt-files",
        "redirect-outside", "port-reuse", "destroy-disk",
    }
)  # fmt: skip
_FORWARDED = lazy_regex(
    r"(?:--to-destination[ =]+|\bdnat\s+(?:ip6?\s+)?to\s+|\btoaddr=|\s(?:tcp|udp|openssl|ssl)\d?:)\[?([\w.:]+)",
    re.IGNORECASE,
)


@functools.cache
def _compiled() -> tuple[tuple[Trait, re.Pattern[str]], ...]:
    return tuple((t, re.compile(t.pattern, re.IGNORECASE)) for t in TRAITS)


def sends_outside(command: str) -> bool:
    """Whether an address or host that the command names is an outside one."""
    if any(outside(m.group()) for m in IPV4.finditer(command)):
        return True
    host = re.search(r"(?:https?|ftp)://(?:[^/@\s]*@)?([\w.-]+)", command)
    return bool(
        host
        and re.search(
            r"\.(?:onion|ngrok\.io|transfer\.sh|file\.io|pastebin\.com|0x0\.st)$|^(?:transfer\.sh|file\.io|0x0\.st|pastebin\.com)$",
            host.group(1),
        )
    )


@functools.lru_cache(maxsize=16384)
def traits(command: str) -> tuple[Trait, ...]:
    """The traits of one command line, in the table's order; strong ones replace their weak siblings."""
    text = command[:LONGEST]
    found = {t.name: t for t, pattern in _compiled() if pattern.search(text)}
    hidden = [form.text[:LONGEST] for form in decoding.decoded(command)]
    inner = {t.name: t for form in hidden for t, pattern in _compiled() if pattern.search(form)}
    if inner:
        found |= inner | {"encoded-command": BY_NAME["encoded-command"]}
    if "transfer" in found and any(sends_outside(t) for t in (text, *hidden)):
        found["exfiltrate"] = BY_NAME["exfiltrate"]
    if "redirect" in found and any(outside(a) for t in (text, *hidden) for a in _FORWARDED.findall(t)):
        found["redirect-outside"] = BY_NAME["redirect-outside"]
    for strong, weak in _COVERS.items():
        if strong in found:
            for name in weak:
                found.pop(name, None)
    return tuple(t for t in TRAITS if t.name in found)


def _without_look(pattern: str) -> str:
    """The pattern without look-around, which Rust's regex does not know: it matches at least as much."""
    out, at = [], 0
    while at < len(pattern):
        if pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), at):
            depth, at = 1, at + 1
            while depth and at < len(pattern):
                at, step = (at + 2, 0) if pattern[at] == "\\" else (at + 1, {"(": 1, ")": -1}.get(pattern[at], 0))
                depth += step
            continue
        width = 2 if pattern[at] == "\\" else 1
        out.append(pattern[at : at + width])
        at += width
    return "".join(out)


@functools.cache
def _wide() -> tuple[str, ...]:
    """The second sieve: every pattern in the form that Rust's regex takes."""
    return tuple(f"(?i){w}" for w in (_without_look(t.pattern) for t in TRAITS) if w)


def suspicious(frame: pl.DataFrame, column: str) -> dict[str, tuple[Trait, ...]]:
    """The traits of every different command in a column that has any; sieves of literals and of Rust's regex first."""
    different = frame.select(pl.col(column).cast(pl.String)).drop_nulls().unique(maintain_order=True)
    coded = pl.col(column).str.contains(decoding.SIEVE)
    sieved = different.filter(pl.col(column).str.contains_any(list(SIEVE), ascii_case_insensitive=True) | coded)
    if sieved.height > _FEW:
        text = pl.col(column).str.slice(0, LONGEST)
        sieved = sieved.filter(pl.any_horizontal([coded, *(text.str.contains(w) for w in _wide())]))
    found = {c: traits(c) for c in sieved.get_column(column).to_list()}
    return {c: t for c, t in found.items() if t}


def targets(commands: Iterable[str]) -> str | None:
    """Addresses and hosts that commands name as the other end, joined by commas; None where they name none."""
    found: dict[str, None] = {}
    for command in commands:
        text = command[:LONGEST]
        for match in IPV4.finditer(text):
            if not match.group().startswith(("127.", "0.")):
                found[match.group()] = None
        for match in re.finditer(r"@([A-Za-z][\w.-]*)", text):
            found[match.group(1)] = None
    return ",".join(list(found)[:20]) or None


def told(found: Iterable[Trait], language: str) -> str:
    """The traits as words, each once, in order."""
    words = list(dict.fromkeys(t.zh if language == "zh" else t.en for t in found))
    return ("、" if language == "zh" else "; ").join(words)


def excerpt(text: str, most: int = 120) -> str:
    """A command or request for a sentence: one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def quoted(texts: Sequence[str], language: str, most: int = 3, length: int = 100) -> str:
    """The first of several commands in the quotation marks of the language, and how many more there are."""
    marks = ("“", "”") if language == "zh" else ('"', '"')
    shown = [f"{marks[0]}{excerpt(t, length)}{marks[1]}" for t in texts[:most]]
    return names(shown, len(texts), language)


def plainly(texts: Iterable[str], most: int = 3) -> list[str]:
    """What stands encoded in commands, decoded: each piece as ``form: text`` from which nothing more can be taken off."""
    found: dict[str, None] = {}
    for text in texts:
        for form in decoding.innermost(text):
            if any(pattern.search(form.text[:LONGEST]) for _, pattern in _compiled()):
                found[f"{form.how}: {form.text}"] = None
        if len(found) >= most:
            break
    return list(found)[:most]


def often(count: int) -> str:
    """``once``, ``twice``, ``5 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
