# SPDX-License-Identifier: Apache-2.0
"""Reads the text of a system message: its kind, its outcome and its fields, for one text or for a column of them.

Both ways use the one table :data:`headwater.examine.message_rules.RULES` and give the same (a test holds them to it):
:func:`classify` for record parsers such as the journal's, :func:`classified` for the line engine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import re2

from headwater.examine import line_templates
from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import equal
from headwater.examine.line_views import Ints
from headwater.examine.message_beginnings import Beginnings
from headwater.examine.message_found import Found
from headwater.examine.message_phrases import numbered_names, phrased
from headwater.examine.message_rules import RULES
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Value

_INTEGERS = ("port", "dst_port", "uid", "gid", "by_uid", "repeat", "key_line", "bytes_read", "bytes_written")
_TRUTHS = ("invalid_user",)
_EMPTY = ("user", *_TRUTHS)  # fields of which an empty text says something
_TEXTS = (
    *("method", "protocol", "key_type", "key_fingerprint", "service", "pam_module", "by_user", "rhost", "tty", "pwd"),
    *("target_user", "home", "shell", "group", "session", "unit", "reason"),
    *("in_interface", "out_interface", "old_path"),
    *("key_id", "key_serial", "ca_key_type", "ca_fingerprint", "principal"),
)
# The own fields that a message may have, and the text itself.
OWN: dict[str, Any] = {
    "message": pl.String,
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys(_INTEGERS, pl.Int64),
    **dict.fromkeys(_TRUTHS, pl.Boolean),
}
_HEADER = ("user", "src_ip", "dst_ip", "command_line", "file_path")

_REPEATS = b"message repeated "
_REPEATED = r"message repeated (?P<times>[0-9]+) times: \[ ?(?P<inner>.*)\]"
_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:?[0-9a-fA-F.]*(?:%[0-9A-Za-z._-]+)?)$"
_MAPPED = r"^::ffff:([0-9]{1,3}(?:\.[0-9]{1,3}){3})$"
_MODULE_TAG = lazy_regex(r"(.*)\((pam_\w+)\)")
_MOST_TEXT = 8192  # bytes; a longer text is kept whole, but no rule is tried on it: re is not linear
_FEW = 100  # texts that are asked one by one whether a rule can fit them
_MOST_SPACES = 16  # behind a text, that are left out of account
_PROCESS_PATH = lazy_regex(r"[^(]*/((?:cron|crond|sshd|sudo|su|anacron|crontab)\b.*)", re.IGNORECASE)


def family(process: str) -> tuple[str, str | None]:
    """The name that rules know a process by, and the PAM module that old syslogs append to it."""
    match = _MODULE_TAG.fullmatch(process)
    name, module = (match.group(1), match.group(2)) if match else (process, None)
    path = _PROCESS_PATH.fullmatch(name)
    return (path.group(1) if path else name).lower(), module


@functools.cache
def _rules_of(name: str) -> tuple[int, ...]:
    own = [i for i, rule in enumerate(RULES) if name in rule.processes]
    return (*own, *(i for i, rule in enumerate(RULES) if not rule.processes))


_NAMED = frozenset(name for rule in RULES for name in rule.processes)


def _anchored(pattern: str) -> str:
    return rf"^(?s:{pattern})$"


@functools.cache
def _compiled(number: int) -> re.Pattern[str]:
    return re.compile(rf"(?s:{RULES[number].pattern})")


def classify(process: str | None, message: str) -> tuple[EventKind, Outcome | None, dict[str, Value], dict[str, Value]]:
    """Kind, outcome, header fields and own fields of one message.

    ``process`` is the header's process without its pid. The own fields hold ``message`` and what the text states; header
    fields are among user, src_ip, dst_ip, command_line, file_path, and ``process`` where the tag had more than a name in it.
    """
    header: dict[str, Value] = {}
    own: dict[str, Value] = {"message": message}
    name, module = family(process or "")
    match_tag = _MODULE_TAG.fullmatch(process or "")
    if match_tag:
        header["process"], own["pam_module"] = match_tag.group(1), module
    text = message
    repeated = re.fullmatch(_REPEATED, text, re.DOTALL)
    if repeated:
        text, own["repeat"] = repeated.group("inner"), _integer(repeated.group("times"))
    text = text[: max(len(text.rstrip(" ")), len(text) - _MOST_SPACES)]
    short = len(text) <= _MOST_TEXT and len(text.encode("utf-8", "surrogatepass")) <= _MOST_TEXT
    for number in _rules_of(name if name in _NAMED else "") if short else ():
        rule = RULES[number]
        match = _compiled(number).fullmatch(text)
        if match is None:
            continue
        for key, value in {**rule.constants, **_converted(match)}.items():
            (header if key in _HEADER else own)[key] = value
        _settle_address(header, own)
        if isinstance(command := header.get("command_line"), str):
            header["command_line"] = command.lstrip(" ")
        return rule.kind, rule.outcome, header, own
    return EventKind.LOG_MESSAGE, None, header, own


def _integer(text: str) -> int | None:
    value = int(text) if len(text) < 20 else 1 << 63
    return value if value < 1 << 63 else None


def _converted(match: re.Match[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    groups = match.groupdict()
    for key, text in groups.items():
        if key in _TRUTHS:
            if groups["user"] is not None:  # nothing is said of a user whom the text does not name
                found[key] = text is not None
        elif text or (text is not None and key == "user"):
            found[key] = _integer(text) if key in _INTEGERS else text
    return found


def _settle_address(header: dict[str, Value], own: dict[str, Value]) -> None:
    said = header.get("src_ip")
    if said is None:
        return
    mapped = re.match(_MAPPED, str(said))
    if mapped:
        header["src_ip"] = mapped.group(1)
    elif not re.match(_ADDRESS, str(said)):
        del header["src_ip"]
        own.setdefault("rhost", said)


def _numbered(process: pl.Series) -> tuple[Ints, list[str]]:
    """For each row the number of its process, and the distinct processes."""
    coded = process.fill_null("").cast(pl.Categorical(pl.Categories.random()))
    codes = coded.to_physical().to_numpy().astype(np.int64)
    distinct = coded.unique(maintain_order=True)
    order = distinct.to_physical().to_list()
    names = [""] * (max(order, default=-1) + 1)
    for code, text in zip(order, distinct.cast(pl.String).to_list()):
        names[code] = text
    return codes, names


def _cleaned(codes: Ints, names: Sequence[str]) -> tuple[pl.Series | None, pl.Series | None]:
    """The clean name and the module of every row's process, where tags had a module."""
    tags = [_MODULE_TAG.fullmatch(n) for n in names]
    if not any(tags):
        return None, None
    clean = pl.Series([m.group(1) if m else n or None for m, n in zip(tags, names)], dtype=pl.String)
    module = pl.Series([m.group(2) if m else None for m in tags], dtype=pl.String)
    where = pl.Series(codes.astype(np.uint32))
    return clean.gather(where), module.gather(where)


def _by_phrase(number: int, rows: Ints, texts: Lines, found: Found) -> None:
    behind = texts.start + len(RULES[number].start.encode())  # the beginning is known to fit
    got = line_templates.match(_templates()[number], texts.data, behind, texts.end)
    mine = rows[got.rows]
    if len(mine):
        found.rule[mine] = number
        for name, (low, high) in got.spans.items():
            found.put_span(name, mine, low, high)
        for name, value in got.numbers.items():
            found.put_number(name, mine, value)


@functools.cache
def _linear(number: int) -> tuple[Any, dict[str, int]]:
    """The rule for bytes of printable ASCII, where RE2's expressions, Rust's and Python's say the same; its fields' groups."""
    compiled = re2.compile(_anchored(RULES[number].pattern).encode())
    return compiled, {name.decode(): group for name, group in compiled.groupindex.items()}


def _few(texts: Lines) -> list[bytes] | None:
    """The texts where they are few and of printable ASCII: a call of Polars' engine costs as much as a hundred of them."""
    if len(texts) > _FEW:
        return None
    found = [texts.data[start:end].tobytes() for start, end in zip(texts.start.tolist(), texts.end.tolist())]
    joined = b"".join(found)
    return found if joined.isascii() and joined.decode().isprintable() else None


def _one_by_one(number: int, rows: Ints, texts: Sequence[bytes], found: Found) -> None:
    """As :func:`_by_regex`, for a few texts."""
    rule, fields = _linear(number)
    matches = [(row, match) for row, match in zip(rows.tolist(), map(rule.search, texts)) if match is not None]
    if not matches:
        return
    found.rule[[row for row, _ in matches]] = number
    for name, group in fields.items():
        truth = name in _TRUTHS
        said = [(row, match[fields["user"] if truth else group], match[group]) for row, match in matches]
        kept = [(row, value) for row, ground, value in said if ground is not None and (ground or name in _EMPTY)]
        if kept:
            values = [value is not None if truth else value.decode() for _, value in kept]
            where = np.array([row for row, _ in kept], dtype=np.int64)
            found.put(name, where, pl.Series(name, values, dtype=pl.Boolean if truth else pl.String))


def _by_regex(number: int, rows: Ints, texts: Lines, found: Found) -> None:
    few = _few(texts)
    if few is not None:
        _one_by_one(number, rows, few, found)
        return
    rule = RULES[number]
    series = texts.text()
    if "(?P<" not in rule.pattern:
        fits = series.str.contains(_anchored(rule.pattern)).to_numpy()
        groups = pl.DataFrame(height=len(rows))
    else:
        groups = series.str.extract_groups(_anchored(rule.pattern)).struct.unnest()
        if all(values.null_count() == len(rows) for values in groups.iter_columns()):
            return
        fits = groups.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    mine = rows[fits]
    if not len(mine):
        return
    found.rule[mine] = number
    if len(mine) < len(rows):
        groups = groups.filter(fits)
    for values in groups.iter_columns():
        if values.name in _TRUTHS:
            named = groups["user"].is_not_null()  # nothing is said of a user whom the text does not name
            found.put(values.name, mine[named.to_numpy()], values.is_not_null().filter(named))
            continue
        there = values.is_not_null() if values.name in _EMPTY else (values != "").fill_null(False)
        if there.any():
            found.put(values.name, mine[there.to_numpy()], values.filter(there))


def _search(codes: Ints, names: Sequence[str], texts: Lines, found: Found) -> None:
    """Rules for every row, process by process; how the text begins chooses which rules are tried at all."""
    groups = [name if name in _NAMED else "" for name in (family(n)[0] for n in names)]
    distinct = sorted(set(groups))
    which_group = np.array([distinct.index(g) for g in groups], dtype=np.int64)[codes]
    which_group[texts.end - texts.start > _MOST_TEXT] = -1
    found.phrases = phrased(texts, which_group, [_rules_of(name) for name in distinct])
    if found.phrases is not None:
        found.rule[:] = np.maximum(found.phrases.rule, -1)
        which_group[~found.phrases.open] = -1
        if not found.phrases.open.any():
            return
    for which, name in enumerate(distinct):
        begins = Beginnings(texts, np.flatnonzero(which_group == which))
        for number in _rules_of(name):
            rows = begins.rows(_starts()[number])
            if len(rows):
                rows = rows[found.rule[rows] < 0]
            if len(rows) and _seconds()[number]:
                rows = begins.followed(rows, _starts()[number], _seconds()[number])
            if len(rows):
                (_by_phrase if RULES[number].template else _by_regex)(number, rows, texts.take(rows), found)


@functools.cache
def _starts() -> tuple[bytes, ...]:
    return tuple(rule.start.encode() for rule in RULES)


@functools.cache
def _seconds() -> tuple[bytes, ...]:
    """What of every rule's template stands behind one word that follows its beginning, where that begins with a space."""
    found = []
    for first, second, *_ in ((*own, None, None) for own in _templates()):
        word = isinstance(first, line_templates.Field) and not first.sort
        text = second.text if word and isinstance(second, line_templates.Literal) else b""
        found.append(text if text.startswith(b" ") else b"")
    return tuple(found)


@functools.cache
def _templates() -> tuple[tuple[line_templates.Part, ...], ...]:
    """What of every rule's template stands behind its beginning."""
    return tuple(line_templates.parts(rule.template[len(rule.start) :]) for rule in RULES)


_KINDS = pl.Series([str(r.kind) for r in RULES] + [str(EventKind.LOG_MESSAGE)], dtype=pl.String)
_OUTCOMES = pl.Series([None if r.outcome is None else str(r.outcome) for r in RULES] + [None], dtype=pl.String)


def _texts(lines: Lines, found: Found) -> Lines:
    """What the rules look at: without spaces at the end, and where a message stands for several, the one repeated."""
    start, end = lines.start, lines.end
    rows = np.flatnonzero((end - start > len(_REPEATS)) & (lines.data[start] == _REPEATS[0]))
    rows = rows[equal(lines.data, start[rows], _REPEATS)]
    if len(rows):
        parts = lines.take(rows).text().str.extract_groups(rf"^(?s:{_REPEATED})$").struct.unnest()
        said = parts["inner"].is_not_null().to_numpy()
        rows, parts = rows[said], parts.filter(said)
        found.put("repeat", rows, parts["times"])
        start, end = start.copy(), end.copy()
        end[rows] -= 1  # the closing bracket
        start[rows] = end[rows] - parts["inner"].str.len_bytes().to_numpy().astype(np.int64)
    for _ in range(_MOST_SPACES):
        more = (end > start) & (lines.data[np.maximum(end - 1, 0)] == 32)
        if not more.any():
            break
        end = end - more
    return Lines(lines.data, start, end)


def classified(process: pl.Series, messages: Lines, named: tuple[Ints, Ints] | None = None) -> dict[str, pl.Series]:
    """The columns kind, outcome, the header fields and :data:`OWN`, for a column of messages in a block.

    ``named``: where each process stands in that block (an end before its start: nowhere), if that is known.
    The messages start at :data:`headwater.examine.line_templates.REACH` in their block or later.
    """
    found = Found(np.full(len(messages), -1, dtype=np.int64))
    codes, names = (named and numbered_names(messages.data, *named)) or _numbered(process)
    clean, module = _cleaned(codes, names)
    _search(codes, names, _texts(messages, found), found)
    found.rule[found.rule < 0] = len(RULES)
    where = pl.Series(found.rule.astype(np.uint32))
    columns = {"kind": _KINDS.gather(where), "outcome": _OUTCOMES.gather(where), "message": messages.text()}
    for name, dtype in (*((name, HEAD_SCHEMA[name]) for name in _HEADER), *OWN.items()):
        series = found.column(name, dtype, messages.data, where) if name != "message" else None
        if series is not None:
            columns[name] = series
    if "command_line" in columns:
        columns["command_line"] = columns["command_line"].str.strip_chars_start(" ")
    if clean is not None and module is not None:
        columns["process"] = clean
        columns["pam_module"] = columns["pam_module"].fill_null(module) if "pam_module" in columns else module
    plain = (
        found.phrases is not None and found.phrases.plain and not {"src_ip"} & (found.spans.keys() | found.made.keys())
    )
    return columns if plain or "src_ip" not in columns else _addressed(columns)


def _addressed(columns: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Moves what is no address out of ``src_ip``, and takes IPv4 addresses out of their IPv6 mapping."""
    said = columns["src_ip"]
    if said.str.starts_with("::ffff:").any():
        said = said.str.replace(_MAPPED, "${1}")
    is_address = said.str.contains(_ADDRESS)
    if not is_address.all():
        names = said.set(is_address.fill_null(True), None)
        columns["rhost"] = columns["rhost"].fill_null(names) if "rhost" in columns else names
        said = said.set(~is_address.fill_null(False), None)
    columns["src_ip"] = said
    return columns
