# SPDX-License-Identifier: Apache-2.0
"""Reads the text of a system message: its kind, its outcome and its fields, for one text or for a column of them.

Both ways use the one table :data:`headwater.examine.message_rules.RULES` and give the same (a test holds them to it):
:func:`classify` for record parsers such as the journal's, :func:`classified` for the line engine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from headwater.examine import line_templates
from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import equal
from headwater.examine.line_views import Bytes, Flags, Ints, column, numbers
from headwater.examine.message_beginnings import Beginnings
from headwater.examine.message_phrases import Phrased, numbered_names, phrased
from headwater.examine.message_rules import RULES
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Value

_INTEGERS = ("port", "dst_port", "uid", "gid", "by_uid", "repeat", "key_line", "bytes_read", "bytes_written")
_TRUTHS = ("invalid_user",)
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


@dataclass(slots=True)
class _Found:
    """What the rules found so far in a column of messages: for every row its rule, for every field its values.

    Values stand where a phrase found them in the block (``spans``; ``phrases``), are numbers that it read, follow from the rule
    alone (its constants), or were made by a regex (``made``); no row has one field from two of these.
    """

    rule: Ints
    spans: dict[str, tuple[Ints, Ints]] = field(default_factory=dict)
    counted: dict[str, tuple[Ints, Flags]] = field(default_factory=dict)
    made: dict[str, list[tuple[Ints, pl.Series]]] = field(default_factory=dict)
    phrases: Phrased | None = None  # what the compiled scanner found

    def put(self, name: str, rows: Ints, values: pl.Series) -> None:
        self.made.setdefault(name, []).append((rows, values))

    def put_number(self, name: str, rows: Ints, values: Ints) -> None:
        if name not in self.counted:
            height = len(self.rule)
            self.counted[name] = (np.zeros(height, dtype=np.int64), np.zeros(height, dtype=np.bool_))
        there, valid = self.counted[name]
        there[rows], valid[rows] = values, True

    def put_span(self, name: str, rows: Ints, low: Ints, high: Ints) -> None:
        if name not in self.spans:
            self.spans[name] = (np.zeros(len(self.rule), dtype=np.int64), np.full(len(self.rule), -1, dtype=np.int64))
        starts, ends = self.spans[name]
        starts[rows], ends[rows] = low, high

    def column(self, name: str, dtype: Any, data: Bytes, rules: pl.Series) -> pl.Series | None:
        """The field's values for every row, None where no row has one."""
        parts: list[tuple[Flags | None, pl.Series]] = []
        if self.phrases is not None and name in self.phrases.columns:
            parts.append(self.phrases.columns[name])
        if name in self.spans:
            starts, ends = self.spans[name]
            # an empty value is no value, but the name of a user may be empty
            there = ends >= (starts if name == "user" else starts + 1)
            parts.append((there, column(data, starts, ends, None if there.all() else there)))
        if name in self.counted:
            values, there = self.counted[name]
            parts.append((there, numbers(values, there)))
        constants = _constants().get(name)
        if constants is not None:
            series, by_rule = constants
            there = by_rule[self.rule]
            if there.any():
                parts.append((there, series.gather(rules)))
        if name in self.made:
            parts.append((None, self._gathered(name, dtype)))
        if not parts:
            return None
        whole = parts[-1][1]
        for mask, series in parts[:-1]:
            whole = series.zip_with(pl.Series(mask), whole)
        return whole

    def _gathered(self, name: str, dtype: Any) -> pl.Series:
        pieces = self.made[name]
        values = pl.concat([v.cast(dtype, strict=False).alias(name) for _, v in pieces])
        place = np.full(len(self.rule), len(values), dtype=np.uint32)
        place[np.concatenate([rows for rows, _ in pieces])] = np.arange(len(values), dtype=np.uint32)
        return pl.concat([values, pl.Series(name, [None], dtype=dtype)]).gather(pl.Series(place))


@functools.cache
def _constants() -> dict[str, tuple[pl.Series, Flags]]:
    """For each field that some rule states by itself: its value by number of rule, and whether there is one."""
    names = {name for rule in RULES for name in rule.constants}
    found = {}
    for name in names:
        values = [*(rule.constants.get(name) for rule in RULES), None]
        found[name] = (pl.Series(values), np.array([v is not None for v in values]))
    return found


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


def _by_phrase(number: int, rows: Ints, texts: Lines, found: _Found) -> None:
    behind = texts.start + len(RULES[number].start.encode())  # the beginning is known to fit
    got = line_templates.match(_templates()[number], texts.data, behind, texts.end)
    mine = rows[got.rows]
    if len(mine):
        found.rule[mine] = number
        for name, (low, high) in got.spans.items():
            found.put_span(name, mine, low, high)
        for name, value in got.numbers.items():
            found.put_number(name, mine, value)


def _by_regex(number: int, rows: Ints, texts: Lines, found: _Found) -> None:
    rule = RULES[number]
    series = texts.text()
    if "(?P<" not in rule.pattern:
        fits = series.str.contains(_anchored(rule.pattern)).to_numpy()
        groups = pl.DataFrame(height=len(rows))
    else:
        groups = series.str.extract_groups(_anchored(rule.pattern)).struct.unnest()
        if all(values.null_count() == len(rows) for values in groups.iter_columns()):
            return  # most rules fit nothing; a call of Polars' engine costs as much as a hundred rows
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
        there = values.is_not_null() if values.name == "user" else (values != "").fill_null(False)
        if there.any():
            found.put(values.name, mine[there.to_numpy()], values.filter(there))


def _search(codes: Ints, names: Sequence[str], texts: Lines, found: _Found) -> None:
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


def _texts(lines: Lines, found: _Found) -> Lines:
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
    found = _Found(np.full(len(messages), -1, dtype=np.int64))
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
