# SPDX-License-Identifier: Apache-2.0
"""The nouns of a case: frozen, slotted, each refusing to exist without what it must cite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.records import Value


@dataclass(frozen=True, slots=True)
class Text:
    """The same sentence in Chinese and in English."""

    zh: str
    en: str

    def __post_init__(self) -> None:
        if not self.zh or not self.en:
            raise ValueError("a text needs both languages")


@dataclass(frozen=True, slots=True)
class Authority:
    """Who permitted what. None means "not recorded" and is stamped; ``waiver`` is the reason why there is none."""

    number: str | None = None
    issuer: str | None = None
    scope: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    document: str | None = None
    document_sha256: str | None = None
    waiver: str | None = None

    def missing(self) -> tuple[str, ...]:
        """The names of the fields that were not recorded."""
        names = ("number", "issuer", "scope", "valid_from", "valid_until", "document_sha256")
        return tuple(name for name in names if getattr(self, name) is None)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes: evidence number, path, offset, length; ``physical`` is [(offset, length)] on the medium where known."""

    evidence: int
    path: str
    offset: int
    length: int
    physical: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """One record that a finding rests on, when it happened (UTC ns) and the values that the finding states of it.

    ``verify`` re-derives ``claims`` (stored column name → value) from the bytes of ``span``; ``ordinal`` tells
    apart several events on the same bytes.
    """

    span: Span
    ts: int | None
    claims: Mapping[str, Value]
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class GapCitation:
    """A gap that a finding rests on or is limited by."""

    span: Span
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events match plain equalities: what a count in a finding rests on beyond the records it lists.

    ``digest`` is the SHA-256 over the lines ``source:path:offset:ordinal`` of all matching events in order of
    (source, path, offset, ordinal); ``verify`` counts again.
    """

    where: Mapping[str, str]
    count: int
    digest: str

    @staticmethod
    def over(where: Mapping[str, str], places: Iterable[tuple[int, str, int, int]]) -> Tally:
        """The tally of events at these places (source, path, offset, ordinal), which it puts in order."""
        digest = hashlib.sha256()
        count = 0
        for place in sorted(places):
            digest.update((":".join(str(v) for v in place) + "\n").encode())
            count += 1
        return Tally(dict(where), count, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Rule:
    """The name card of a detector or rule, shown with every finding."""

    id: str
    version: str
    author: str
    title: Text
    stage: Stage
    techniques: tuple[str, ...]
    severity: Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement by a named, versioned detector; the constructor refuses one that rests on nothing.

    Times are UTC nanoseconds. ``facts`` holds further values stated in ``text`` (counts, forwarded addresses,
    how far a web request is confirmed). ``id`` is given by :func:`headwater.formats.canonical.finding_id`.
    """

    rule: Rule
    text: Text
    spans: tuple[Citation, ...]
    confidence: Confidence
    severity: Severity
    ts_first: int | None = None
    ts_last: int | None = None
    host: str | None = None
    src_ip: str | None = None
    user: str | None = None
    gaps: tuple[GapCitation, ...] = ()
    tally: Tally | None = None
    facts: Mapping[str, Value] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.spans and not self.gaps:
            raise ValueError(f"a finding of {self.rule.id} rests on no span and no gap")


@dataclass(frozen=True, slots=True)
class Step:
    """A move of the intruder; needs at least one finding (by id)."""

    stage: Stage
    technique: str
    actor: str | None
    asset: str | None
    ts_first: int | None
    ts_last: int | None
    confidence: Confidence
    text: Text
    findings: tuple[str, ...]
    id: str = ""

    def __post_init__(self) -> None:
        if not self.findings:
            raise ValueError("a step rests on no finding")


@dataclass(frozen=True, slots=True)
class Search:
    """A question put to the evidence: what "not found" rests on.

    ``covered``: (path, bytes read, records) of what was searched; ``gaps``: bytes there that could not be.
    """

    question: Text
    query: str
    covered_files: int
    covered_bytes: int
    covered_records: int
    gap_bytes: int
    hits: int
    feeds: tuple[str, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An explanation and what it predicts: each prediction supported, refuted, or not yet looked for."""

    statement: Text
    supports: tuple[str, ...]  # ids of findings, steps or searches
    refutes: tuple[str, ...]
    open: tuple[Text, ...]
    verdict: str  # supported, refuted, open
    id: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a report: cites ids of the nouns above, or is marked as the examiner's own statement."""

    text: Text
    cites: tuple[str, ...] = ()
    own: bool = False

    def __post_init__(self) -> None:
        if not self.cites and not self.own:
            raise ValueError("a sentence cites nothing and is not marked as the examiner's own")
