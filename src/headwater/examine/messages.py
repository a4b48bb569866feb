# SPDX-License-Identifier: Apache-2.0
"""Reads the text of a system message: its kind, its outcome and its fields, for one text or for a column of them.

Both ways use the one table :data:`headwater.examine.message_rules.RULES` and give the same (a test holds them to it):
:func:`classify` for record parsers such as the journal's, :func:`classified` for the line engine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.line_views import Ints
from headwater.examine.message_rules import RULES, MessageRule
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Value

_INTEGERS = ("port", "dst_port", "uid", "gid", "by_uid", "repeat")
_TRUTHS = ("invalid_user",)
_TEXTS = (
    *("method", "protocol", "key_type", "key_fingerprint", "service", "pam_module", "by_user", "rhost", "tty", "pwd"),
    *("target_user", "home", "shell", "group", "session", "unit", "reason"),
)
# The own fields that a message may have, and the text itself.
OWN: dict[str, Any] = {
    "message": pl.String,
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys(_INTEGERS, pl.Int64),
    **dict.fromkeys(_TRUTHS, pl.Boolean),
}
_HEADER = ("user", "src_ip", "dst_ip", "command_line")

_REPEATED = r"message repeated (?P<times>[0-9]+) times: \[ ?(?P<inner>.*)\]"
_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:?[0-9a-fA-F.]*(?:%[0-9A-Za-z._-]+)?)$"
_MAPPED = r"^::ffff:([0-9]{1,3}(?:\.[0-9]{1,3}){3})$"
_MODULE_TAG = re.compile(r"(.*)\((pam_\w+)\)")
_MOST_TEXT = 8192  # what a rule looks at; longer texts are kept whole but say nothing more than their beginning
_PROCESS_PATH = re.compile(r".*/((?:cron|crond|sshd|sudo|su|anacron|crontab)\b.*)", re.IGNORECASE)


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
    return rf"^(?s:{pattern}) *$"


@functools.cache
def _compiled(number: int) -> re.Pattern[str]:
    return re.compile(rf"(?s:{RULES[number].pattern}) *")


def classify(process: str | None, message: str) -> tuple[EventKind, Outcome | None, dict[str, Value], dict[str, Value]]:
    """Kind, outcome, header fields and own fields of one message.

    ``process`` is the header's process without its pid. The own fields hold ``message`` and what the text states; header
    fields are among user, src_ip, dst_ip, command_line, and ``process`` where the tag had more than a name in it.
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
    for number in _rules_of(name if name in _NAMED else ""):
        rule = RULES[number]
        match = _compiled(number).fullmatch(text[:_MOST_TEXT])
        if match is None:
            continue
        for key, value in {**rule.constants, **_converted(match)}.items():
            (header if key in _HEADER else own)[key] = value
        _settle_address(header, own)
        return rule.kind, rule.outcome, header, own
    return EventKind.LOG_MESSAGE, None, header, own


def _integer(text: str) -> int | None:
    value = int(text) if len(text) < 20 else 1 << 63
    return value if value < 1 << 63 else None


def _converted(match: re.Match[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, text in match.groupdict().items():
        if key in _TRUTHS:
            found[key] = text is not None
        elif text is not None:
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
    """What the rules found so far in a column of messages: for each row its rule, for each field where its values go."""

    rule: Ints
    fields: dict[str, list[tuple[Ints, pl.Series]]] = field(default_factory=dict)

    def put(self, name: str, rows: Ints, values: pl.Series) -> None:
        self.fields.setdefault(name, []).append((rows, values))

    def column(self, name: str, dtype: Any) -> pl.Series:
        height = len(self.rule)
        pieces = self.fields.get(name)
        if not pieces:
            return pl.repeat(None, height, dtype=dtype, eager=True)
        values = pl.concat([v.cast(dtype, strict=False).alias(name) for _, v in pieces])
        place = np.full(height, -1, dtype=np.int64)
        place[np.concatenate([rows for rows, _ in pieces])] = np.arange(len(values))
        if len(values) == height and (place == np.arange(height)).all():
            return values
        where = pl.Series(np.maximum(place, 0).astype(np.uint32))
        return values.gather(where).zip_with(pl.Series(place >= 0), pl.Series([None], dtype=dtype))


def _families(process: pl.Series) -> tuple[Ints, list[str], pl.Series | None, pl.Series | None]:
    """For each row the number of its process, the distinct processes, and the clean name and module where tags had one."""
    coded = process.fill_null("").cast(pl.Categorical(pl.Categories.random()))
    codes = coded.to_physical().to_numpy().astype(np.int64)
    distinct = coded.unique(maintain_order=True)
    order = distinct.to_physical().to_list()
    names = [""] * (max(order, default=-1) + 1)
    for code, text in zip(order, distinct.cast(pl.String).to_list()):
        names[code] = text
    tags = [_MODULE_TAG.fullmatch(n) for n in names]
    if not any(tags):
        return codes, names, None, None
    clean = pl.Series([m.group(1) if m else n or None for m, n in zip(tags, names)], dtype=pl.String)
    module = pl.Series([m.group(2) if m else None for m in tags], dtype=pl.String)
    where = pl.Series(codes.astype(np.uint32))
    return codes, names, clean.gather(where), module.gather(where)


def _key(text: bytes) -> int:
    return int.from_bytes(text[:4].ljust(4, b"\0"), "little")


def _apply(number: int, rows: Ints, texts: pl.Series, found: _Found) -> None:
    """Tries one rule on these rows."""
    rule = RULES[number]
    if rule.start:
        here = texts.str.starts_with(rule.start).to_numpy()
        rows, texts = rows[here], texts.filter(here)
    if not len(rows):
        return
    if "(?P<" not in rule.pattern:
        fits = texts.str.contains(_anchored(rule.pattern)).to_numpy()
        groups = pl.DataFrame(height=len(rows))
    else:
        groups = texts.str.extract_groups(_anchored(rule.pattern)).struct.unnest()
        fits = groups.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    mine = rows[fits]
    if not len(mine):
        return
    found.rule[mine] = number
    if len(mine) < len(rows):
        groups = groups.filter(fits)
    for name, value in rule.constants.items():
        found.put(name, mine, pl.repeat(value, len(mine), eager=True))
    for series in groups.iter_columns():
        if series.name in _TRUTHS:
            found.put(series.name, mine, series.is_not_null())
        elif series.null_count() < len(series):
            kept = series if series.null_count() == 0 else series.drop_nulls()
            at = mine if kept is series else mine[series.is_not_null().to_numpy()]
            found.put(series.name, at, kept)


def _search(codes: Ints, names: Sequence[str], text: pl.Series, found: _Found) -> None:
    """Rules for every row, process by process; the first bytes of the text choose which rules are tried at all."""
    keys = (
        text.cast(pl.Binary).bin.head(4).bin.reinterpret(dtype=pl.UInt32, endianness="little").fill_null(0).to_numpy()
    )
    groups = [name if name in _NAMED else "" for name in (family(n)[0] for n in names)]
    distinct = sorted(set(groups))
    numbers = np.array([distinct.index(g) for g in groups], dtype=np.int64)[codes]
    for which, name in enumerate(distinct):
        todo = np.flatnonzero(numbers == which)
        for number in _rules_of(name):
            if not len(todo):
                break
            start = RULES[number].start.encode()
            rows = todo[keys[todo] == _key(start)] if len(start) >= 4 else todo
            if not len(rows):
                continue
            _apply(number, rows, text.gather(rows), found)
            todo = todo[found.rule[todo] < 0]


_KINDS = pl.Series([str(r.kind) for r in RULES] + [str(EventKind.LOG_MESSAGE)], dtype=pl.String)
_OUTCOMES = pl.Series([None if r.outcome is None else str(r.outcome) for r in RULES] + [None], dtype=pl.String)


def classified(process: pl.Series, message: pl.Series) -> dict[str, pl.Series]:
    """The columns kind, outcome, the header fields and :data:`OWN` but ``message``, for a column of messages."""
    height = len(message)
    found = _Found(np.full(height, -1, dtype=np.int64))
    codes, names, clean, module = _families(process)
    text = message.str.slice(0, _MOST_TEXT) if int(message.str.len_bytes().max() or 0) > _MOST_TEXT else message  # type: ignore[arg-type, call-overload]
    repeats = np.flatnonzero(message.str.starts_with("message repeated ").to_numpy())
    if len(repeats):
        inner = text.gather(repeats).str.extract_groups(rf"^(?s:{_REPEATED})$").struct.unnest()
        said = inner["inner"].is_not_null()
        text = text.scatter(repeats[said.to_numpy()], inner["inner"].filter(said))
        found.put("repeat", repeats[said.to_numpy()], inner["times"].filter(said))
    _search(codes, names, text, found)
    where = pl.Series(np.where(found.rule < 0, len(RULES), found.rule).astype(np.uint32))
    columns = {"kind": _KINDS.gather(where), "outcome": _OUTCOMES.gather(where)}
    for name in _HEADER:
        columns[name] = found.column(name, HEAD_SCHEMA[name])
    for name, dtype in OWN.items():
        if name != "message":
            columns[name] = found.column(name, dtype)
    if clean is not None and module is not None:
        columns["process"] = clean
        columns["pam_module"] = columns["pam_module"].fill_null(module)
    return _addressed(columns)


def _addressed(columns: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Moves what is no address out of ``src_ip``, and takes IPv4 addresses out of their IPv6 mapping."""
    said = columns["src_ip"]
    is_address = said.str.contains(_ADDRESS)
    mapped = said.str.starts_with("::ffff:")
    if mapped.any():
        said = said.str.replace(_MAPPED, "${1}")
    if not is_address.all():
        columns["rhost"] = columns["rhost"].fill_null(said.set(is_address.fill_null(True), None))
        said = said.set(~is_address.fill_null(False), None)
    columns["src_ip"] = said
    return columns
