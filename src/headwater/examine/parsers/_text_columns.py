# SPDX-License-Identifier: Apache-2.0
"""Logs of applications in columns: the same records as :func:`_records.text_records` makes, many at once.

A window of whole records is read by the same expressions, each over a column of texts; records that the two engines of expressions
might read differently (letters beyond ASCII, control bytes, very long ones) go record by record, as do windows with zeros,
carriage returns or banners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, batches_of, frame_of, merge_gaps, printable
from headwater.examine.filled import filled
from headwater.examine.line_views import PADDING, Flags, Ints, column, picked
from headwater.examine.parsers._record_windows import Window, windows
from headwater.examine.parsers._records import MOST_RULED, Chunk, TextLog, made, text_records
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._when import When
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, own_column

_SMALL = 1 << 16  # bytes; a smaller file is read sooner record by record
_TIMED = r"^((?:[^.:]*/[0-9]{4}:|[^.:]*)[0-9]{1,2}:[0-9]{2}:[0-9]{2})\.([0-9]{1,9})((?:[^.,:0-9].*)?)$"
_JUDGED = {"src_ip": "rhost", "dst_ip": "dst_host"}
_NUMBER = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_FOUR = rf"^{_NUMBER}(?:\.{_NUMBER}){{3}}$"
_LATE = 1 << 62  # nanoseconds (the year 2116): a fraction added to a time before it stays within 64 bits
_UNREADABLE = "the head of the record cannot be read"
Columns = dict[str, pl.Series]


def text_batches(file: File, log: TextLog) -> Iterator[Batch]:
    """The batches of a file of one format, as ``parse`` gives its records."""
    if file.size < _SMALL:
        yield from batches_of(text_records(file, log), file.size)
        return
    for part in windows(file, log.starts, log.plain, lambda some: _each(some, log)):
        yield text_window(part, log) if isinstance(part, Window) else part


def _each(parts: Iterable[Any], log: TextLog) -> Iterator[Any]:
    return (made(part, log) if isinstance(part, Chunk) else part for part in parts)


def text_window(here: Window, log: TextLog) -> Batch:
    """The batch of one window."""
    odd = here.odd(MOST_RULED)
    rows = np.flatnonzero(~odd)
    low, high = here.low[rows], here.high[rows]
    padded = np.frombuffer(here.raw + bytes(PADDING), dtype=np.uint8)
    found = column(padded, low, high - 1).str.extract_groups(f"^(?:{log.head.pattern})").struct.unnest()
    there = found["time"].is_not_null()
    gaps = [
        Gap(here.offset + int(low[k]), int(high[k] - low[k]), GapReason.NOT_THIS_FORMAT, _UNREADABLE)
        for k in np.flatnonzero(~there.to_numpy()).tolist()
    ]
    if gaps:
        found = found.filter(there)
        keep = there.to_numpy()
        low, high = low[keep], high[keep]
    frame = _frame(dict(zip(found.columns, found.get_columns())), low + here.offset, high - low, log)
    others = [
        made(Chunk(here.offset + a, b - a, here.raw[a : b - 1].decode("utf-8", "surrogateescape")), log)
        for a, b in zip(here.low[odd].tolist(), here.high[odd].tolist())
    ]
    events = [one for one in others if isinstance(one, Event)]
    if events:
        frame = pl.concat([frame, frame_of(events)], how="diagonal_relaxed").sort("offset")
    gaps += [one for one in others if isinstance(one, Gap)]
    return Batch(here.offset, here.offset + len(here.raw), frame, merge_gaps(gaps))


def _frame(said: Columns, offsets: Ints, sizes: Ints, log: TextLog) -> pl.DataFrame:
    rows = len(offsets)
    time = said.pop("time")
    ns, basis = times(time, log.when)
    said["message"] = said["message"].str.strip_chars_end("\n")
    if ns.null_count():
        said["time_text"] = pl.select(pl.when(ns.is_null()).then(time).alias("x"))["x"]
    which = _meant(said, log)
    kinds = (str(log.kind), *(str(one.kind) for one in log.rules))
    outcomes = (None, *(None if one.outcome is None else str(one.outcome) for one in log.rules))
    head: Columns = {
        "offset": pl.Series(offsets), "length": pl.Series(sizes), "t_recorded": ns, "t_basis": basis,
        "kind": picked(kinds, which), "outcome": picked(outcomes, which),
    }  # fmt: skip
    said = {name: values.set(values == "", None) for name, values in said.items()}
    _judge(said)
    fixed: dict[str, Any] = {"ordinal": 0, "t_kind": "logged"}
    if log.provider and "provider" not in said:
        fixed["provider"] = log.provider
    out: Columns = {}
    for name, dtype in HEAD_SCHEMA.items():
        known = head.get(name)
        known = said.pop(name, None) if known is None else known
        out[name] = filled(fixed.get(name), rows, dtype) if known is None else known
    for name, values in said.items():
        if values.null_count() < rows:
            out[own_column(name)] = values
    return pl.DataFrame(out)


def times(stated: pl.Series, when: Callable[[str], When]) -> tuple[pl.Series, pl.Series]:
    """What ``when`` says of each text, asked once for each second: its fraction is added to whole columns."""
    parts = stated.str.extract_groups(_TIMED).struct.unnest()
    second, part, rest = parts.get_columns()
    whole = part.is_null()
    base = stated if whole.all() else pl.select(pl.when(whole).then(stated).otherwise(second + rest).alias("x"))["x"]
    groups = base.rle_id().to_numpy()
    first = np.flatnonzero(np.diff(groups, prepend=-1)) if len(base) else np.zeros(0, dtype=np.int64)
    told = [when(text) for text in base.gather(first).to_list()]
    ns = pl.Series([one[0] for one in told], dtype=pl.Int64).gather(groups)
    if not whole.all():
        ns = ns + part.str.pad_end(9, "0").str.to_integer(strict=False, dtype=pl.Int64).fill_null(0)
    names = tuple(str(one) for one in TimeBasis)
    codes = np.array([names.index(str(one[1])) for one in told], dtype=np.int64)
    bases = picked(names, codes[groups]) if len(base) else pl.Series([], dtype=pl.String)
    late = (ns > _LATE).fill_null(False)
    for row in np.flatnonzero(late.to_numpy()).tolist():  # near the end of what 64 bits hold
        exact, its = when(stated[row])
        ns[row], bases[row] = exact, str(its)
    return ns, bases


def _meant(said: Columns, log: TextLog) -> Ints:
    """Which rule each message fits first, counted from 1, 0 for none; what the rules find is put into ``said``."""
    message = said["message"].fill_null("")
    rows = len(message)
    which = np.zeros(rows, dtype=np.int64)
    left, texts = np.arange(rows), message
    found: dict[str, list[tuple[Ints, pl.Series]]] = {}
    for number, rule in enumerate(log.rules, 1):
        if not len(left):
            break
        fits: Flags = texts.str.contains(rule.pattern.pattern).to_numpy()
        if not fits.any():
            continue
        some, which[left[fits]] = left[fits], number
        if rule.pattern.groups:
            got = texts.filter(pl.Series(fits)).str.extract_groups(rule.pattern.pattern).struct.unnest()
            for name in rule.pattern.groupindex:
                found.setdefault(name, []).append((some, got[name]))
        for name, value in rule.constants.items():
            found.setdefault(name, []).append((some, filled(str(value), len(some))))
        left, texts = left[~fits], texts.filter(pl.Series(~fits))
    for name, pieces in found.items():
        said[name] = _laid(said.get(name), rows, pieces)
    return which


def _laid(below: pl.Series | None, rows: int, pieces: list[tuple[Ints, pl.Series]]) -> pl.Series:
    """A column with others laid over it at their rows, where these have a value."""
    parts = [filled(None, rows) if below is None else below]
    index, at = np.arange(rows), rows
    for where, values in pieces:
        there = values.is_not_null().to_numpy()
        index[where[there]] = at + np.flatnonzero(there)
        parts.append(values)
        at += len(values)
    return pl.concat([part.alias("x") for part in parts]).gather(index)


def addresses(texts: pl.Series, mapped: str = "::ffff:") -> tuple[pl.Series, pl.Series]:
    """What is an address, as one, and what is none; an address of four plain numbers is its own. ``mapped`` is taken off first."""
    asked = (~texts.str.contains(_FOUR)).fill_null(False)
    if not asked.any():
        return texts, filled(None, len(texts))
    where = np.flatnonzero(asked.to_numpy())
    some = texts.gather(where).to_list()
    known = {text: address(text.removeprefix(mapped)) for text in set(some)}
    found = pl.Series([known[text] for text in some], dtype=pl.String)
    others = pl.Series([printable(text) if known[text] is None else None for text in some], dtype=pl.String)
    return _laid(texts.set(asked, None), len(texts), [(where, found)]), _laid(None, len(texts), [(where, others)])


def _judge(said: Columns) -> None:
    """Addresses and process numbers that are such into the header, the others under names of their own."""
    for name, other in _JUDGED.items():
        if name in said:
            said[name], rest = addresses(said[name])
            if rest.null_count() < len(rest):
                said[other] = _laid(said.get(other), len(rest), [(np.arange(len(rest)), rest)])
    if "pid" in said:
        digits = said["pid"].str.contains(r"^[0-9]{1,18}$")
        odd = (~digits).fill_null(False)
        if odd.any():
            said["pid_text"] = pl.select(pl.when(odd).then(said["pid"]).alias("x"))["x"]
        said["pid"] = said["pid"].str.to_integer(strict=False, dtype=pl.Int64).set(odd, None)
