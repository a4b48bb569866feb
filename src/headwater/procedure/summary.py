# SPDX-License-Identifier: Apache-2.0
"""One screen on a case: how much was read, what was found and by whose rules, who and when, and what could not be read.

Everything here is counted from the event store and the judged findings; nothing is judged anew. An event "with a hit" is
one that a finding cites. A finding over many events cites the first and the last of them, so that the count is a lower
bound, and is said to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from headwater.formats.address_ranges import DatabaseRanges, Ranges
from headwater.model.kinds import SEVERITY_ORDER, Stage
from headwater.model.nouns import Finding, Text
from headwater.model.times import SECOND, rfc3339
from headwater.procedure.addresses import Address
from headwater.procedure.addresses import addresses as addresses_of
from headwater.procedure.corridor import Corridor, evidence_of, facts_of, store_of, zone_for
from headwater.procedure.gap_counts import counted
from headwater.procedure.judgement import judged_of
from headwater.procedure.story import unsupported
from headwater.procedure.suppressions import standing
from headwater.store.events import EventStore

TOP = 8  # hosts, users, addresses
RULES = 12
DAYS = 60  # columns of the line of days
_DAY = 86_400
_FILE_TIMES = "file."  # a disk holds times from long before the case
_STATES = "state."


@dataclass(frozen=True, slots=True)
class Named:
    """A host or a user: in how many events and findings."""

    name: str
    events: int
    findings: int


@dataclass(frozen=True, slots=True)
class Days:
    """Events of logs by day in the case's zone: from the first bar's day on, ``width`` days a bar.

    ``outside``: events on days too far from the others to be drawn.
    """

    zone: str = "UTC"
    first: str | None = None
    last: str | None = None
    width: int = 1
    counts: tuple[int, ...] = ()
    outside: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that made findings."""

    id: str
    title: Text
    author: str
    severity: str
    findings: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One screen; every figure is a count."""

    events: int
    cited: int
    findings: int
    steps: int
    suppressed: int
    matrix: Mapping[str, Mapping[str, int]]  # stage → severity → findings
    hosts: tuple[Named, ...]
    users: tuple[Named, ...]
    addresses: tuple[Address, ...]
    address_count: int
    days: Days
    fired: tuple[Fired, ...]
    fired_count: int
    rules_run: int
    unable: Mapping[str, int]  # why rules and lists could not run → how many
    unable_first: tuple[str, ...]
    gaps: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # reason → (gaps, bytes)
    country_list: Mapping[str, str | int] = field(default_factory=dict)  # what list of countries was given

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def summary(corridor: Corridor, most: int = TOP, countries: Ranges | DatabaseRanges | None = None) -> Summary:
    """Count what a case holds; ``most``: how many addresses are told, ``countries``: a list that says where they belong.

    Raises:
        StoreError: HW5001, the case was not judged, or its store is broken.
    """
    judged, store = judged_of(corridor), store_of(corridor)
    items = evidence_of(corridor.ledger)
    zone = zone_for(corridor.settings, 1, facts_of(corridor.ledger, 1))[0] if items else "UTC"
    matrix = {
        stage.value: dict(Counter(f.severity.value for f in judged.findings if f.rule.stage is stage))
        for stage in Stage
    }
    addresses, address_count = addresses_of(store, judged.findings, most, countries)
    fired, fired_count = _fired(judged.findings)
    unable, first = _unable(judged.rules)
    there = {f.id for f in judged.findings}
    return Summary(
        events=_count(store),
        cited=len({(c.span.evidence, c.span.path, c.span.offset, c.ordinal) for f in judged.findings for c in f.spans}),
        findings=len(judged.findings),
        steps=len(judged.steps),
        suppressed=sum(1 for name in standing(corridor.ledger) if name in there),
        matrix={stage: row for stage, row in matrix.items() if row},
        hosts=_named(store, "host", judged.findings),
        users=_named(store, "user", judged.findings),
        addresses=addresses,
        address_count=address_count,
        days=_days(store, zone),
        fired=fired,
        fired_count=fired_count,
        rules_run=len(judged.rules.get("detectors", {})) + len(judged.rules.get("sigma", {}).get("ran", [])),
        unable=unable,
        unable_first=first,
        gaps=_gaps(store),
        country_list={"sha256": countries.sha256, "ranges": len(countries), "unread_lines": countries.unread}
        if countries
        else {},
    )


def _count(store: EventStore) -> int:
    if not store.feeds():
        return 0
    return int(store.scan().select(pl.len()).collect(engine="streaming").item())


def _in_findings(findings: Iterable[Finding], name: str) -> Counter[str]:
    return Counter(str(value) for f in findings if (value := getattr(f, name)))


def _named(store: EventStore, column: str, findings: tuple[Finding, ...]) -> tuple[Named, ...]:
    held = _in_findings(findings, column)
    if not store.feeds():
        return ()
    rows = store.scan().select(column).drop_nulls().group_by(column).len().collect(engine="streaming")
    found = [Named(str(name), int(count), held[str(name)]) for name, count in rows.iter_rows()]
    return tuple(sorted(found, key=lambda n: (-n.findings, -n.events, n.name))[:TOP])


def _days(store: EventStore, zone: str) -> Days:
    """What logs tell by day; times of files, states and registry keys, which may be years old, are left out.

    The days drawn hold all but one event in a thousand on either side, at most ``DAYS`` bars.
    """
    if not store.feeds():
        return Days(zone)
    kind = pl.col("kind")
    told = ~(kind.str.starts_with(_FILE_TIMES) | kind.str.starts_with(_STATES) | kind.str.starts_with("registry."))
    rows = (
        store.scan()
        .select("ts", "kind")
        .filter(pl.col("ts").is_not_null() & told)
        .select((pl.col("ts") // (3600 * SECOND)).alias("hour"))
        .group_by("hour")
        .len()
        .collect(engine="streaming")
        .sort("hour")
    )
    if rows.is_empty():
        return Days(zone)
    by_day: Counter[int] = Counter()
    for hour, count in rows.iter_rows():
        by_day[_day(int(hour) * 3600, zone)] += int(count)
    ordered, whole = sorted(by_day), sum(by_day.values())
    low, high = _edge(ordered, by_day, whole), _edge(ordered[::-1], by_day, whole)
    width = -(-(high - low + 1) // DAYS)
    bars = [0] * (-(-(high - low + 1) // width))
    for day, count in by_day.items():
        if low <= day <= high:
            bars[(day - low) // width] += count
    return Days(zone, _date(low), _date(high), width, tuple(bars), whole - sum(bars))


def _edge(days: list[int], by_day: Mapping[int, int], whole: int) -> int:
    seen = 0
    for day in days:
        seen += by_day[day]
        if seen * 1000 > whole:
            return day
    return days[-1]


def _day(seconds: int, zone: str) -> int:
    """The number of the day since 1970 in a zone."""
    try:
        moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone(ZoneInfo(zone))
    except (OverflowError, ValueError):  # beyond the years that a calendar has
        return seconds // _DAY
    return moment.date().toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def _date(day: int) -> str:
    return str(rfc3339(day * _DAY * SECOND))[:10]


def _fired(findings: tuple[Finding, ...]) -> tuple[tuple[Fired, ...], int]:
    """The rules that made findings, the gravest first, and how many they are."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule.id, []).append(finding)
    graded = []
    for name, made in by_rule.items():
        worst = max(made, key=lambda f: SEVERITY_ORDER[f.severity])
        fired = Fired(name, worst.rule.title, worst.rule.author, worst.severity.value, len(made))
        graded.append((-SEVERITY_ORDER[worst.severity], -len(made), name, fired))
    graded.sort(key=lambda g: g[:3])
    return tuple(g[3] for g in graded[:RULES]), len(graded)


def _unable(rules: Mapping[str, Any]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Why rules and lists could not run, most frequent first, and the first of them by name."""
    told: list[tuple[str, str]] = [(str(f["detector"]), str(f["why"])) for f in rules.get("failed", [])]
    told += unsupported(rules)
    reasons = Counter(_reason(why) for _, why in told)
    for one in rules.get("indicators", []):
        for why, count in one.get("unused", {}).items():
            reasons[f"indicator list {one['name']}: {why}"] += int(count)
    named = [f"{name}: {why}" for name, why in told if not why.startswith("no events of feed")]
    return dict(sorted(reasons.items(), key=lambda i: (-i[1], i[0]))), tuple(named[:3])


def _reason(why: str) -> str:
    return "no events of its log source" if why.startswith("no events of feed") else why[:100]


def _gaps(store: EventStore) -> dict[str, tuple[int, int]]:
    return {reason: (count, size) for reason, count, size in counted(store)}
