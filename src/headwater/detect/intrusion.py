# SPDX-License-Identifier: Apache-2.0
"""The entries into a host that stand by themselves, so that what is everyday work elsewhere can be weighed beside them.

An entry is a login after guessing or spraying, or a web command confirmed by the host. A weak sign within a day after
an entry on the same evidence is more than the same sign on an ordinary day; the finding then cites the entry as well.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.detect import registry
from headwater.detect.frames import DAY, MINUTE, names
from headwater.detect.shared import once
from headwater.model.kinds import Severity
from headwater.model.nouns import Citation, Finding
from headwater.model.ports import Events, Settings

AFTER = DAY
# Where many entered on one day, a finding beside them names and cites the first few.
_NAMED, _CITED = 5, 20


@dataclass(frozen=True, slots=True)
class Entry:
    """Where (number of the evidence), from when to when (UTC ns), by whom, as whom, and the citations that show it."""

    source: int
    first: int
    last: int
    src_ip: str | None
    user: str | None
    spans: tuple[Citation, ...]

    @property
    def since(self) -> int:
        """From when on (UTC ns) a weak sign stands near this entry."""
        return self.first - MINUTE

    @property
    def until(self) -> int:
        """Up to when (UTC ns) a weak sign stands near this entry."""
        return self.last + AFTER

    def near(self, source: int, ts: int | None) -> bool:
        """Whether a time on this evidence lies in the day after the entry."""
        return source == self.source and ts is not None and self.since <= ts <= self.until


class Entries:
    """The entries of a case in order of time, and by source; thousands of them cost a look-up, not a walk."""

    def __init__(self, held: Sequence[Entry]) -> None:
        by_source: dict[int, list[Entry]] = {}
        for entry in held:
            by_source.setdefault(entry.source, []).append(entry)
        self._by_source = {s: tuple(es) for s, es in by_source.items()}
        self._covered = {s: _merged(es) for s, es in by_source.items()}

    def __bool__(self) -> bool:
        return bool(self._by_source)

    def of(self, source: int) -> tuple[Entry, ...]:
        """The entries into this item of evidence, in order of time."""
        return self._by_source.get(source, ())

    def covered(self, source: int) -> tuple[tuple[int, int], ...]:
        """The days after entries into this item of evidence, as (since, until), both inclusive, apart and in order."""
        return self._covered.get(source, ())

    def before(self, source: int, ts: int | None) -> tuple[Entry, ...]:
        """The entries in whose following day a time lies, in order of time."""
        days = self.covered(source)
        if ts is None or not days:
            return ()
        at = bisect.bisect_right(days, (ts, 2**63)) - 1
        if at < 0 or ts > days[at][1]:
            return ()
        return tuple(e for e in self.of(source) if e.near(source, ts))


def _merged(held: Sequence[Entry]) -> tuple[tuple[int, int], ...]:
    days: list[tuple[int, int]] = []
    for since, until in sorted((e.since, e.until) for e in held):
        if days and since <= days[-1][1]:
            days[-1] = (days[-1][0], max(days[-1][1], until))
        else:
            days.append((since, until))
    return tuple(days)


def entries(events: Events, settings: Settings) -> Entries:
    """The entries of a case: the high findings of the detectors that say of themselves that these are entries."""
    return once(events, ("entries", settings), lambda: _entries(events, settings))


def _entries(events: Events, settings: Settings) -> Entries:
    found: list[Finding] = []
    for detector in registry.entering():
        found += [f for f in registry.run(detector, events, settings) if f.severity == Severity.HIGH]
    made = []
    for finding in found:
        start = finding.facts.get("login_ts", finding.ts_first)
        if not isinstance(start, int) or finding.ts_last is None:
            continue
        telling = [c for c in finding.spans if c.ts is not None and c.ts >= start][:3] or list(finding.spans[-1:])
        source = finding.spans[0].span.evidence
        made.append(Entry(source, start, finding.ts_last, finding.src_ip, finding.user, tuple(telling)))
    return Entries(sorted(made, key=lambda e: (e.first, e.source, e.src_ip or "")))


def entries_before(held: Entries, source: int, ts: int | None) -> tuple[Entry, ...]:
    """The entries in whose following day a time lies, in order of time."""
    return held.before(source, ts)


def after_words(near: Sequence[Entry]) -> tuple[str, str]:
    """How a finding says that it stands near entries."""
    who = list(dict.fromkeys(e.src_ip or "?" for e in near))
    zh, en = "、".join(who), " and ".join(who)
    if len(who) > _NAMED:
        zh, en = names(who[:_NAMED], len(who), "zh"), names(who[:_NAMED], len(who), "en")
    return (
        f"；其时间在 {zh} 进入本机（另有记录为证）之后一日内",
        f"; within a day after {en} had entered this host, as the cited records show",
    )


def cited(near: Sequence[Entry]) -> tuple[Citation, ...]:
    """The citations that show these entries; of many, the first."""
    return tuple(c for e in near[:_CITED] for c in e.spans)
