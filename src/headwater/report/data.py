# SPDX-License-Identifier: Apache-2.0
"""Everything that a report says, as one frozen value: the corridor fills it, the renderers only read it.

Conventions. ``None`` in a field of a person's or a source's making means "not recorded" and is printed as such
(未记载); nothing is defaulted. Times are UTC nanoseconds since 1970. Every ``id`` is an anchor that sentences may
cite; ids are unique over the whole report. Ids that need no record of their own: ``authority`` (the authority
section), ``ledger`` (the ledger's head), ``plan``, ``tools``, ``gaps``. An event's id is :func:`event_id`. A sentence
that cites an id which stands nowhere in the report is refused, because its reader could not follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.nouns import Authority, Finding, Hypothesis, Search, Sentence, Step, Text
from headwater.report.address_data import AddressTable
from headwater.report.notamper_data import NoTamper
from headwater.report.settings_data import SettingTable


def event_id(evidence: int, path: str, offset: int, ordinal: int = 0) -> str:
    """An event is identified by where it stands: evidence number, path, offset, ordinal."""
    return f"{evidence}:{path}:{offset}:{ordinal}"


class Verdict(StrEnum):
    """What comparing digests has shown. ``CANNOT``: there is nothing to compare with, so nothing may be claimed."""

    MATCH = "match"
    MISMATCH = "mismatch"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who took part, and in which role."""

    name: str
    role: Text
    organisation: str | None = None
    qualification: str | None = None


@dataclass(frozen=True, slots=True)
class Title:
    """The head of the report. ``issued`` comes from the ledger's head, never from a clock at rendering time.

    ``zone`` is the case's IANA zone, in which times are shown beside UTC. ``program`` is name and version.
    """

    case_no: str | None
    name: str | None
    cause: str | None  # 案由
    client: str | None  # 委托方
    requirement: str | None  # 检验要求
    received: str | None  # date on which the specimen was received
    place: str | None
    method_standard: str | None
    zone: str
    issued: int | None
    program: str
    baseline: int | None = None  # T0: seizure, first control
    baseline_source: str | None = None
    stamps: tuple[Text, ...] = ()  # besides those that the renderer makes from Authority


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One line of the schedule: what was planned, when it began and ended."""

    what: Text
    planned: str | None
    began: int | None
    ended: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of the examination (R8); the people stand in ``people``, two examiners where the law asks."""

    goal: tuple[Sentence, ...]
    scope: tuple[Sentence, ...]
    method: tuple[Sentence, ...]
    steps: tuple[Sentence, ...]
    people: tuple[Person, ...]
    schedule: tuple[ScheduleRow, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """One algorithm's values: of the source when acquired, as the container states it, as read again, and the verdict.

    ``reason`` is demanded where the verdict is not MATCH.
    """

    algorithm: str
    source: str | None
    stated: str | None
    reread: str | None
    verdict: Verdict
    reason: Text | None = None

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.MATCH and self.reason is None:
            raise ValueError(f"{self.algorithm}: a verdict other than a match needs its reason")


@dataclass(frozen=True, slots=True)
class RegisterField:
    """A further column of the register: a value, or why it is absent; both None prints "not recorded"."""

    label: Text
    value: str | Text | None
    absent: Text | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a split or segmented image, or one member of what was registered."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One row of the register. The first seven are 文件名、时间、来源、哈希 (sha256)、采集方式、保管人、用途."""

    id: str  # cited as this, e.g. "evidence-1"
    number: int
    name: str
    acquired_from: int | None
    acquired_until: int | None
    source: str | None
    sha256: str | None  # identifies the evidence: of the medium, or of the canonical manifest
    method: Text | None
    custodian: str | None
    purpose: str | Text | None
    size: int | None
    kind: str  # raw, split-raw, e01, folder, tar, zip …
    digests: tuple[Digest, ...] = ()
    segments: tuple[Segment, ...] = ()
    fields: tuple[RegisterField, ...] = ()  # category, file format, original or copy, storage place, medium, seal …


@dataclass(frozen=True, slots=True)
class CustodyRow:
    """One entry of the ledger; ``id`` is cited, e.g. "ledger-12"."""

    id: str
    seq: int
    at: int | None
    who: str
    tool: str  # name and version
    action: str
    purpose: str | Text | None
    evidence: tuple[int, ...]
    went_in: tuple[str, ...]
    came_out: tuple[str, ...]
    entry_hash: str
    signed_by: str | None = None
    left_out: int = 0  # products that are not in ``came_out``


@dataclass(frozen=True, slots=True)
class Ledger:
    """The custody chain as far as the report goes, and its head; ``anchored`` says where the head was deposited."""

    rows: tuple[CustodyRow, ...]
    head_seq: int | None
    head_hash: str | None
    key_fingerprint: str | None = None
    anchored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A program or library that touched the evidence or its data."""

    name: str
    version: str
    purpose: Text
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """How the times of one source are read: an assumption of the case, which changes no recorded time."""

    id: str  # e.g. "clock-1"
    evidence: int
    source: str  # path or clock name
    basis: TimeBasis
    zone: str | None
    year: int | None
    offset_ns: int | None  # added to what was recorded; None: no measured offset
    origin: Text  # where the assumption comes from


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One event behind the steps. ``recorded`` is the time text as it stands in the source, where there is one."""

    id: str  # event_id
    ts: int | None
    basis: TimeBasis
    kind: str
    host: str | None
    user: str | None
    src_ip: str | None
    summary: str  # from evidence: the line or the message, printed inert
    evidence: int
    path: str
    offset: int
    length: int
    steps: tuple[str, ...] = ()  # ids of the steps that it stands behind
    recorded: str | None = None


@dataclass(frozen=True, slots=True)
class GapRow:
    """Gaps of one file and one reason, summed. ``detail`` is of the first in the file."""

    evidence: int
    path: str
    feed: str | None
    reason: GapReason
    count: int
    bytes: int
    first_offset: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A file whose reading was stopped twice (time, memory); left out of the comparison by name."""

    evidence: int
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class DamageFigure:
    """One figure of the damage; ``value`` None prints "not assessed" (未评估)."""

    label: Text
    value: Text | None = None
    threshold: Text | None = None
    cites: tuple[str, ...] = ()
    own: bool = False

    def __post_init__(self) -> None:
        if self.value is not None and not self.cites and not self.own:
            raise ValueError("a damage figure cites nothing and is not marked as the examiner's own")


@dataclass(frozen=True, slots=True)
class HashRow:
    """One line of the annex of hashes."""

    kind: Text  # evidence, segment, event file, rule, document …
    name: str
    size: int | None
    sha256: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """What a person said when setting a finding aside: the words, when (UTC ns), and the id of the ledger's entry."""

    finding: str
    at: int
    text: Text
    cite: str


@dataclass(frozen=True, slots=True)
class SignatureSlot:
    """A place to sign; ``absent`` says why nobody does (law.md: absent_reason)."""

    role: Text
    name: str | None
    absent: Text | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """The whole report. Every free sentence is a ``Sentence``; see the module's docstring for ids."""

    title: Title
    overview: tuple[Sentence, ...]
    authority: Authority
    authority_notes: tuple[Sentence, ...]
    plan: Plan
    evidence: tuple[EvidenceItem, ...]
    ledger: Ledger
    tools: tuple[Tool, ...]
    confinement: Text  # the level of isolation that was reached
    clocks: tuple[Clock, ...]
    timeline: tuple[TimelineRow, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    hypotheses: tuple[Hypothesis, ...]
    searches: tuple[Search, ...]
    gaps: tuple[GapRow, ...]
    incomplete: tuple[Incomplete, ...]
    limits: tuple[Sentence, ...]
    damage: tuple[DamageFigure, ...]
    hashes: tuple[HashRow, ...]
    signatures: tuple[SignatureSlot, ...]
    timeline_left_out: int = 0  # events behind the steps that the timeline does not print
    unsupported_rules: tuple[str, ...] = ()  # rules that were given and could not be run
    aside: tuple[SetAside, ...] = ()  # findings that a person set aside
    notamper: tuple[NoTamper, ...] = ()  # items held against the baseline
    settings: tuple[SettingTable, ...] = ()
    addresses: AddressTable | None = None
    gaps_left_out: tuple[int, int, int] = (0, 0, 0)  # rows of gaps that are not given, the gaps in them and their bytes
    extra_cites: tuple[str, ...] = ()  # further ids that may be cited though only a verb shows them
