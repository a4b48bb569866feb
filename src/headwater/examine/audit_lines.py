# SPDX-License-Identifier: Apache-2.0
"""The grammar of raw audit lines: every line an event with its own fields, decoded as the kernel encoded them.

Format: ``[node=HOST ]type=TYPE msg=audit(SECONDS.MS:SERIAL): key=value …``, in the enriched form followed by 0x1D and the
names that numbers had when the record was written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.audit_fields import (
    ABOUT_ACCOUNT,
    ARGUMENTS,
    BY_ACCOUNT,
    ENCODED,
    KINDS,
    KNOWN,
    NUMBERS,
    STORED,
    UNKNOWN,
)
from headwater.examine.audit_tokens import Words, words_of
from headwater.examine.batch import printable
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import Flags
from headwater.examine.lines import Cut
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import own_column

_HEAD = (
    r"^((?:node=([^ ]{1,255}) )?type=([A-Za-z_][A-Za-z0-9_\[\]]{0,63}) "
    r"msg=audit\(([0-9]{1,10})\.([0-9]{1,3}):([0-9]{1,19})\):[ ]?)"
)
ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+(?:%[0-9A-Za-z]+)?)$"
_HEX = r"^(?:[0-9A-F]{2})+$"
_GOOD, _BAD = ("success", "yes", "1"), ("failed", "no", "0")

_STORED_KEYS = tuple(k for k in KNOWN if k not in ("msg", "pid"))
OWN = {
    "type": pl.String,
    "serial": pl.Int64,
    **{own_column(STORED.get(k, k)): pl.Int64 if k in NUMBERS else pl.String for k in _STORED_KEYS},
    "target_user": pl.String,
    "other": pl.String,
}


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one key: in which rows, their texts, and which of them stood in quotes."""

    rows: NDArray[np.int32]
    text: pl.Series
    quoted: Flags


def _by_key(lines: Lines, found: Words) -> dict[str, _Values]:
    """The values of each key that occurs; all texts are cut in one go."""
    texts = lines.column(found.start, found.end)
    rows, quoted = found.row, found.quoted
    keys, starts = np.unique(found.key, return_index=True)
    ends = [*starts[1:].tolist(), len(rows)]
    return {
        KNOWN[number]: _Values(rows[low:high], texts.slice(low, high - low), quoted[low:high])
        for number, low, high in zip(keys.tolist(), starts.tolist(), ends)
    }


def _spread(values: pl.Series, rows: NDArray[np.int32], height: int) -> pl.Series:
    """A column of all rows: null where the key is not."""
    if len(rows) == height:
        return values
    place = np.full(height, len(rows), dtype=np.uint32)  # the null behind the values
    place[rows] = np.arange(len(rows), dtype=np.uint32)
    return pl.concat([values, pl.Series([None], dtype=values.dtype)])[place]


def _decode(text: pl.Series, wanted: pl.Series) -> pl.Series:
    """The rows in ``wanted`` that are hexadecimal, decoded; zero bytes between arguments become spaces."""
    if not wanted.any():
        return text
    coded = wanted & text.str.contains(_HEX)
    if not coded.any():
        return text
    raw = text.filter(coded)
    binary = raw.str.decode("hex", strict=False)
    try:
        plain = binary.cast(pl.String)
    except pl.exceptions.PolarsError:  # not all of them are UTF-8
        plain = pl.Series([printable(b.decode("utf-8", "surrogateescape")) for b in binary.to_list()], dtype=pl.String)
    return text.scatter(coded.arg_true(), plain.str.strip_chars_end("\0").str.replace_all("\0", " ", literal=True))


class _Lefts:
    """Collects what no column took, by line and place, as written."""

    def __init__(self, lines: Lines, found: Words) -> None:
        self._parts: dict[int, list[str]] = {}
        data = lines.data.data
        for row, low, high in zip(found.left_row.tolist(), found.left_start.tolist(), found.left_end.tolist()):
            self.add(row, bytes(data[low:high]).decode("utf-8", "backslashreplace"))

    def add(self, row: int, text: str) -> None:
        self._parts.setdefault(row, []).append(text)

    def column(self, height: int) -> pl.Series | None:
        if not self._parts:
            return None
        values: list[str | None] = [None] * height
        for row, parts in self._parts.items():
            values[row] = " ".join(parts)
        return pl.Series(values, dtype=pl.String)


def _typed(name: str, values: _Values, executed: Flags, lefts: _Lefts) -> pl.Series:
    """Numbers as numbers, encoded text as text, the signs for "unknown" as null."""
    if name in NUMBERS or name == "pid":
        number = values.text.str.to_integer(strict=False)
        for place in number.is_null().arg_true().to_list() if number.null_count() else ():
            lefts.add(int(values.rows[place]), f"{name}={values.text[place]}")
        return number
    text = values.text
    bare = ~values.quoted
    if name in ENCODED:
        text = _decode(text, pl.Series(bare))
    elif name in ARGUMENTS:
        text = _decode(text, pl.Series(bare & executed[values.rows]))
    if name in UNKNOWN and bare.any():
        text = text.set((text == UNKNOWN[name]) & pl.Series(bare), None)
    return text


def _pick(frame: pl.DataFrame) -> pl.DataFrame:
    """The header from the record's own fields."""
    have = frame.columns

    def of(name: str) -> pl.Expr:
        return pl.col(name) if name in have else pl.lit(None, dtype=pl.String)

    said = pl.coalesce(of("res"), of("success"))
    outcome = (
        pl.when(said.is_in(_GOOD))
        .then(pl.lit(Outcome.SUCCESS.value))
        .when(said.is_in(_BAD) | of("other").str.contains("denied", literal=True))
        .then(pl.lit(Outcome.FAILURE.value))
    )
    failed = outcome == Outcome.FAILURE.value
    usual = {t: k.value for t, (k, _) in KINDS.items()}
    else_ = {t: f.value for t, (_, f) in KINDS.items() if f is not None}
    typ = pl.col("type")
    kind = (
        pl.when((typ == "USER_AUTH") & failed & (of("op") == "pubkey"))
        .then(pl.lit(EventKind.AUTH_PROBE.value))
        .when((typ == "ADD_USER") & ~of("op").str.contains(r"^(?:add-user|adding user)$").fill_null(True))
        .then(pl.lit(EventKind.ACCOUNT_CHANGE.value))
        .when(failed & typ.is_in(list(else_)))
        .then(typ.replace_strict(else_, default=None, return_dtype=pl.String))
        .otherwise(typ.replace_strict(usual, default=EventKind.LOG_MESSAGE.value, return_dtype=pl.String))
    )
    acts, about = typ.is_in(BY_ACCOUNT), typ.is_in(ABOUT_ACCOUNT)
    login, user = of("AUID").replace({"unset": None}), of("UID")
    name = pl.when(about).then(pl.coalesce(login, user)).otherwise(pl.coalesce(user, login))
    address = of("addr")
    base = of("exe").str.extract(r"([^/]+)$")
    arguments = [of(a) for a in ARGUMENTS if a in have]
    nothing = pl.lit(None, dtype=pl.String)
    joined = pl.concat_str(arguments, separator=" ", ignore_nulls=True) if arguments else nothing
    if arguments:  # of no argument nothing is said, whatever other lines of the block have
        joined = pl.when(pl.any_horizontal(a.is_not_null() for a in arguments)).then(joined)
    line = pl.when(typ == "EXECVE").then(joined).otherwise(pl.coalesce(of("cmd"), of("proctitle")))
    return frame.select(
        kind=kind,
        outcome=outcome,
        user=pl.when(acts).then(pl.coalesce(of("acct"), of("UID"))).otherwise(name),
        target_user=pl.when(about).then(pl.coalesce(of("acct"), of("ID"))),
        src_ip=pl.when(address.str.contains(ADDRESS)).then(address.str.replace(r"^::ffff:([0-9.]+)$", "${1}")),
        process=pl.coalesce(of("comm"), base),
        command_line=line,
        file_path=pl.when(typ == "PATH").then(of("name")),
        event_code=typ,
        provider=pl.lit("auditd"),
    )


def audit_shape(lines: Lines) -> Cut:
    """Lines with an audit head; ``serial`` beyond int64 and times beyond 10 digits of seconds are no audit lines."""
    head = lines.text().str.extract_groups(_HEAD).struct.unnest()
    serial = head.to_series(5).str.to_integer(strict=False)
    fits = serial.is_not_null().to_numpy()
    if not fits.any():
        return Cut.none(lines)
    mine, head, serial = lines.take(fits), head.filter(pl.Series(fits)), serial.drop_nulls()
    body = mine.start + head.to_series(0).str.len_bytes().to_numpy().astype(np.int64)
    found = words_of(mine, body)
    lefts = _Lefts(mine, found)
    kind = head.to_series(2)
    executed = (kind == "EXECVE").to_numpy()
    fields = {
        name: _spread(_typed(name, values, executed, lefts), values.rows, len(mine))
        for name, values in _by_key(mine, found).items()
        if name != "msg"
    }
    other = lefts.column(len(mine))
    given = pl.DataFrame([kind.alias("type"), *(c.alias(n) for n, c in fields.items()), *_some(other)])
    header = _pick(given)
    whole = _long_commands(header, given)
    made = {n: header[n] for n in header.columns} | {"command_line": whole, "host": head.to_series(1)}
    seconds, ms = head.to_series(3).cast(pl.Int64), head.to_series(4).cast(pl.Int64)
    made |= {
        "t_recorded": seconds * 1_000_000_000 + ms * 1_000_000,
        "t_basis": pl.repeat(TimeBasis.UTC.value, len(mine), eager=True),
        "type": kind,
        "serial": serial,
    }
    made |= {("pid" if n == "pid" else own_column(STORED.get(n, n))): c for n, c in fields.items()}
    if other is not None:
        made["other"] = other
    return Cut(fits, made)


def _some(other: pl.Series | None) -> list[pl.Series]:
    return [] if other is None else [other.alias("other")]


def _long_commands(header: pl.DataFrame, given: pl.DataFrame) -> pl.Series:
    """The command lines, with the arguments of EXECVE that have no column of their own put where they belong."""
    lines = header["command_line"]
    if "other" not in given.columns:
        return lines
    long = ((given["type"] == "EXECVE") & given["other"].str.contains(r"(?:^| )a[0-9]+(?:\[[0-9]+\])?=")).fill_null(
        False
    )
    if not long.any():
        return lines
    records = given.filter(long).select([c for c in (*ARGUMENTS, "other") if c in given.columns])
    return lines.scatter(long.arg_true(), [_arguments(record) for record in records.iter_rows(named=True)])


def _arguments(record: dict[str, str | None]) -> str:
    """All arguments in order: the columns, ``a16=`` and later, and ``a3[0]=``, ``a3[1]=`` … put together."""
    parts: dict[int, list[tuple[int, str]]] = {}
    for n, name in enumerate(ARGUMENTS):
        value = record.get(name)
        if value is not None:
            parts[n] = [(0, value)]
    for word in (record["other"] or "").split(" "):
        name, _, value = word.partition("=")
        number, _, piece = name[1:].partition("[")
        piece = piece.rstrip("]") or "0"
        if name.startswith("a") and number.isascii() and number.isdigit() and piece.isascii() and piece.isdigit():
            parts.setdefault(int(number[:9]), []).append((int(piece[:9]), value))
    return " ".join(_whole([text for _, text in sorted(parts[n])]) for n in sorted(parts))


def _whole(pieces: list[str]) -> str:
    """An argument from its pieces: quoted text, or hexadecimal."""
    joined = "".join(p[1:-1] if len(p) > 1 and p[0] == p[-1] == '"' else p for p in pieces)
    if any(p.startswith('"') for p in pieces) or len(joined) % 2:
        return joined
    try:
        return printable(bytes.fromhex(joined).decode("utf-8", "surrogateescape"))
    except ValueError:
        return joined
