# SPDX-License-Identifier: Apache-2.0
"""The entries into a host that stand by themselves, so that what is everyday work elsewhere can be weighed beside them.

An entry is a login after guessing or spraying, or a web command confirmed by the host. A weak sign within a day after
an entry on the same evidence is more than the same sign on an ordinary day; the finding then cites the entry as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from headwater.detect.detectors import password_spraying, ssh_guessing, web_command
from headwater.detect.frames import DAY, MINUTE
from headwater.model.kinds import Severity
from headwater.model.nouns import Citation, Finding
from headwater.model.ports import Events, Settings

AFTER = DAY
_known: WeakKeyDictionary[Events, tuple[Settings, tuple[Entry, ...]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Entry:
    """Where (number of the evidence), from when to when (UTC ns), by whom, as whom, and the citations that show it."""

    source: int
    first: int
    last: int
    src_ip: str | None
    user: str | None
    spans: tuple[Citation, ...]

    def near(self, source: int, ts: int | None) -> bool:
        """Whether a time on this evidence lies in the day after the entry."""
        return source == self.source and ts is not None and self.first - MINUTE <= ts <= self.last + AFTER


def entries(events: Events, settings: Settings) -> tuple[Entry, ...]:
    """The entries of a case, in order of time; computed once per event store and settings."""
    known = _known.get(events)
    if known is not None and known[0] == settings:
        return known[1]
    found: list[Finding] = []
    for detector in (ssh_guessing, password_spraying, web_command):
        found += [f for f in detector.detect(events, settings) if f.severity == Severity.HIGH]
    made = []
    for finding in found:
        start = finding.facts.get("login_ts", finding.ts_first)
        if not isinstance(start, int) or finding.ts_last is None:
            continue
        telling = [c for c in finding.spans if c.ts is not None and c.ts >= start][:3] or list(finding.spans[-1:])
        source = finding.spans[0].span.evidence
        made.append(Entry(source, start, finding.ts_last, finding.src_ip, finding.user, tuple(telling)))
    ordered = tuple(sorted(made, key=lambda e: (e.first, e.source, e.src_ip or "")))
    _known[events] = (settings, ordered)
    return ordered


def entries_before(held: Sequence[Entry], source: int, ts: int | None) -> tuple[Entry, ...]:
    """The entries in whose following day a time lies, in order of time."""
    return tuple(e for e in held if e.near(source, ts))


def after_words(near: Sequence[Entry]) -> tuple[str, str]:
    """How a finding says that it stands near entries."""
    who = list(dict.fromkeys(e.src_ip or "?" for e in near))
    return (
        f"；其时间在 {'、'.join(who)} 进入本机（另有记录为证）之后一日内",
        f"; within a day after {' and '.join(who)} had entered this host, as the cited records show",
    )


def cited(near: Sequence[Entry]) -> tuple[Citation, ...]:
    """The citations that show these entries."""
    return tuple(c for e in near for c in e.spans)
