# SPDX-License-Identifier: Apache-2.0
"""The small frames that detectors take from the event store, and the finding made from their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import polars as pl

from headwater.model.kinds import Confidence, Severity
from headwater.model.nouns import Citation, Finding, GapCitation, Rule, Span, Tally, Text
from headwater.model.ports import Events
from headwater.model.records import Value

# Where a row stands: what a citation needs, and the order in which rows are told.
STAND = ("ts", "source", "path", "offset", "length", "ordinal", "feed")
ORDER = ["ts", "source", "path", "offset", "ordinal"]
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def take(
    events: Events,
    *,
    kinds: Sequence[str] | None = None,
    feeds: Sequence[str] | None = None,
    header: Sequence[str] = (),
    own: Sequence[str] = (),
    where: Any = None,
) -> pl.DataFrame:
    """Rows of these kinds and feeds with the named columns, by time; ``where`` is a Polars expression.

    Rows without a time come last. Only the named columns are read, so that a long log costs no more than it must.
    """
    frame = events.scan(kinds=kinds, feeds=feeds, columns=tuple(own))
    if where is not None:
        frame = frame.filter(where)
    wanted = list(dict.fromkeys([*STAND, "kind", *header, *own]))
    found = cast(pl.DataFrame, frame.select(wanted).collect(engine="streaming"))
    return found.sort(ORDER, nulls_last=True, maintain_order=True)


# Logs that tell the same acts, best first; what is not named (audit, btmp) serves only where none of these speaks.
_TELLING = ("linux.auth", "linux.secure", "linux.journal", "linux.syslog", "linux.messages")


def main_feed(rows: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Of each group the rows of one feed, so that an act that several logs tell counts once.

    The feed with the most acts wins (a syslog line "message repeated N times" stands for N); equal ones by _TELLING.
    """
    if rows.is_empty():
        return rows
    acts = pl.col("repeat").cast(pl.Int64, strict=False).fill_null(1).sum() if "repeat" in rows.columns else pl.len()
    best = main_feeds(rows.group_by(*keys, "feed").agg(acts.alias("acts")), *keys)
    return rows.join(best, on=[*keys, "feed"], how="semi", maintain_order="left")


def main_feeds(groups: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Of each key the one feed that tells its acts best; ``groups`` has the keys, ``feed`` and ``acts``."""
    rank = pl.col("feed").replace_strict({f: i for i, f in enumerate(_TELLING)}, default=len(_TELLING))
    weights = (
        groups.with_columns(rank.cast(pl.Int64).alias("rank"))
        .with_columns((pl.col("rank") == len(_TELLING)).alias("second"))
        .sort([*keys, "second", "acts", "rank", "feed"], descending=[*[False] * len(keys), False, True, False, False])
    )
    return weights.unique(list(keys), keep="first", maintain_order=True).select(*keys, "feed")


def one(rows: pl.DataFrame, column: str) -> str | None:
    """The value of a column where all rows that state it agree, else None."""
    if column not in rows.columns:
        return None
    values = rows.get_column(column).drop_nulls().unique()
    return str(values[0]) if len(values) == 1 else None


def listed(rows: pl.DataFrame, column: str, most: int = 5) -> tuple[list[str], int]:
    """The most frequent values of a column (ties by name), and how many different ones there are."""
    counts = (
        rows.get_column(column)
        .drop_nulls()
        .cast(pl.String)
        .value_counts(name="n")
        .sort(["n", column], descending=[True, False])
    )
    return counts.get_column(column).head(most).to_list(), counts.height


def names(values: Sequence[str], total: int, language: str) -> str:
    """A list in a sentence: ``a、b 等 7 个`` or ``a, b and 5 more``."""
    joined = ("、" if language == "zh" else ", ").join(values)
    if total <= len(values):
        return joined
    return f"{joined} 等 {total} 个" if language == "zh" else f"{joined} and {total - len(values)} more"


def account_zh(user: str | None) -> str:
    """An account as the subject of a Chinese sentence, the space behind its name included."""
    return f"账户 {user} " if user else "账户（未记录）"


def state(
    events: Events,
    rule: Rule,
    rows: pl.DataFrame,
    claims: Sequence[str],
    text: Text,
    *,
    severity: Severity,
    confidence: Confidence,
    facts: Mapping[str, Value] | None = None,
    tally: Tally | None = None,
    gaps: tuple[GapCitation, ...] = (),
    limit: int = 200,
    more: Sequence[tuple[pl.DataFrame, Sequence[str]]] = (),
    beside: Sequence[Citation] = (),
    moments: Sequence[int] | None = None,
    **who: str | None,
) -> Finding:
    """A finding over these rows; host, user and src_ip are taken from the rows where they agree, unless given.

    ``more``: rows of other shapes that are cited beside them, each with its own claims; a row is cited once.
    ``beside``: citations of another finding that this one rests on. ``moments``: the times that the finding speaks of
    where its rows state none (a file's content) or others (its use).
    """
    times = sorted(rows.get_column("ts").drop_nulls().to_list() if moments is None else moments)
    stated = [c for c in claims if c in rows.columns]
    cited = events.cite(rows, stated, limit) if rows.height else ()
    seen = {(c.span, c.ordinal) for c in cited}
    for other, others in more:
        for citation in events.cite(other, [c for c in others if c in other.columns], limit) if other.height else ():
            if (citation.span, citation.ordinal) not in seen:
                seen.add((citation.span, citation.ordinal))
                cited = (*cited, citation)
    cited = (*cited, *(c for c in beside if (c.span, c.ordinal) not in seen))
    return Finding(
        # what leaves the program states one severity: the card of a finding carries the finding's own
        rule=replace(rule, severity=severity),
        text=text,
        spans=cited,
        confidence=confidence,
        severity=severity,
        ts_first=times[0] if times else None,
        ts_last=times[-1] if times else None,
        host=who["host"] if "host" in who else one(rows, "host"),
        src_ip=who["src_ip"] if "src_ip" in who else one(rows, "src_ip"),
        user=who["user"] if "user" in who else one(rows, "user"),
        gaps=gaps,
        tally=tally,
        facts=dict(facts or {}),
    )


def gap_citations(rows: pl.DataFrame, limit: int = 200) -> tuple[GapCitation, ...]:
    """Citations of rows of the gaps frame."""
    picked = rows.sort(["source", "path", "offset"]).head(limit)
    return tuple(
        GapCitation(
            Span(int(r["source"]), r["path"], int(r["offset"]), int(r["length"])), r["reason"], r["detail"] or ""
        )
        for r in picked.iter_rows(named=True)
    )


def somebody() -> Any:
    """That the account of a row is a person's or a program's: not Windows' null session, nor a machine of its domain."""
    user = pl.col("user").str.to_uppercase()
    return ~(user.str.ends_with("$") | (user == "ANONYMOUS LOGON")).fill_null(False)
