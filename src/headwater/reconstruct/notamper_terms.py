# SPDX-License-Identifier: Apache-2.0
"""The words of the no-tamper examination (无污损鉴定): baseline, standings, signs, and the five verdicts.

Whatever is found later than the baseline T0 has one of a few *standings*; the verdict follows from the standings alone,
so that a person can see which sign carries it. The verdict is never "not tampered": it says what was found by these
methods and what they cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from headwater.model.nouns import Span, Text

SECOND = 1_000_000_000
EXAMPLES_MOST = 200  # named with each sign; the count is of all


class Standing(StrEnum):
    """How a sign stands to the baseline. Only ``unexplained`` and ``undecided`` speak against the evidence."""

    UNEXPLAINED = "unexplained"  # later than T0, and nothing recorded or usual explains it
    UNDECIDED = "undecided"  # an anomaly that cannot be dated or told from ordinary life
    AUTHORISED = "authorised"  # within an act that the ledger records
    AUTONOMOUS = "autonomous"  # what a running system does by itself
    BEFORE = "before"  # an anomaly that its file's own times place before T0
    REPORTED = "reported"  # told, never decides


STANDING_TEXT: Mapping[Standing, Text] = {
    Standing.UNEXPLAINED: Text("未能解释", "unexplained"),
    Standing.UNDECIDED: Text("不能判定", "cannot be decided"),
    Standing.AUTHORISED: Text("台账所载行为", "an act in the ledger"),
    Standing.AUTONOMOUS: Text("系统自主活动", "autonomous system activity"),
    Standing.BEFORE: Text("早于基准时间", "before the baseline"),
    Standing.REPORTED: Text("仅作陈述", "told only"),
}

LAYERS: Mapping[int, Text] = {
    1: Text("保管链与校验值", "Chain and digests"),
    2: Text("时钟", "Clocks"),
    3: Text("基准时间之后的时间", "Times after the baseline"),
    4: Text("可能掩盖改动的异常", "Anomalies that could hide a change"),
    5: Text("内容比对", "Content compared"),
    6: Text("结论", "Verdict"),
}

VERDICTS: Mapping[str, Text] = {
    "A": Text(
        "A：以所列方法，未发现基准时间之后的改动", "A: no change after the baseline was found by the methods listed"
    ),
    "B": Text("B：发现基准时间之后的变化，均已得到解释", "B: changes after the baseline were found; all are explained"),
    "C": Text("C：存在异常，不能判定", "C: there are anomalies; it cannot be decided"),
    "D": Text("D：发现基准时间之后未能解释的改动", "D: changes after the baseline were found that nothing explains"),
    "E": Text("E：不能进行该项检验", "E: this cannot be examined"),
}


@dataclass(frozen=True, slots=True)
class Baseline:
    """T0 on the reference clock, UTC ns. ``uncertainty``: ε in ns, None where nobody recorded one."""

    t0: int
    source: str
    ahead: int = 0
    uncertainty: int | None = None

    @property
    def epsilon(self) -> int:
        """ε as it is reckoned with: at least one second, which is what a superblock's times resolve."""
        return max(self.uncertainty or 0, SECOND)


@dataclass(frozen=True, slots=True)
class Act:
    """What was permitted to touch the system after T0, by the ledger or by a person's recorded word. UTC ns."""

    first: int
    last: int
    words: str
    cite: str


@dataclass(frozen=True, slots=True)
class Example:
    """One thing that a sign rests on: ``what`` changed, when, and the bytes that say so."""

    path: str
    what: str
    at: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Sign:
    """One statement of a layer; ``count`` is of all that it stands for, ``examples`` at most EXAMPLES_MOST of them."""

    layer: int
    rule: str
    standing: Standing
    text: Text
    count: int = 1
    first: int | None = None
    last: int | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """What a volume says of its own writing, as the confined child read it; times in ns since 1970.

    ``commits``: (sequence, time). ``states``: inode, commit time, place, {field: [before, after]}. ``differing``: inode,
    time of its last commit, place, {field: [in the journal, on the volume]}. ``wrong``: inodes with a wrong checksum,
    None where none is kept.
    """

    view: str
    kind: str
    state: str
    times: Mapping[str, int] = field(default_factory=dict)
    mounts: int | None = None
    commits: Sequence[tuple[int, int]] = ()
    states: Sequence[tuple[int, int | None, int, Mapping[str, Sequence[int | None]]]] = ()
    differing: Sequence[tuple[int, int | None, int, Mapping[str, Sequence[int | None]]]] = ()
    compared: int = 0
    wrong: Sequence[tuple[int, int]] | None = None
    record: int = 0  # bytes of an inode record
    more: int = 0
    why_not: str = ""  # why its journal could not be read


@dataclass(frozen=True, slots=True)
class Known:
    """Digests from elsewhere: SHA-256 by path, when and how they were taken, and whether that lies outside this disk."""

    name: str
    digests: Mapping[str, str]
    at: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Seal:
    """What the seals of one systemd journal say; ``path`` within its volume, ``whole`` with the layer before it.

    ``state``: online, offline or archived, by its header. ``checked``: with its host's verification key. ``tags``: seals
    met, of which ``good`` hold. ``unsealed``: entries behind the last one. ``until``, ``broken_until``: the end of the epoch
    of the last one that holds, and that does not; ns since 1970. ``miscounted``: (stated, there). ``hashed``: fields and
    values held against the hash kept with each, ``altered`` of which do not fit it, the first at ``altered_at``;
    ``unhashed``: those that were passed over (too large, not to be decompressed).
    """

    path: str
    whole: str
    state: str
    sealed: bool
    checked: bool
    tags: int
    good: int
    entries: int
    unsealed: int
    until: int | None = None
    broken_until: int | None = None
    fault: str = ""
    fault_at: int = 0
    miscounted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    hashed: int = 0
    altered: int = 0
    altered_at: int = 0
    unhashed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one item. ``stated``: ``running``, ``stopped`` or empty (then the records decide)."""

    source: int
    baseline: Baseline
    acquired: int
    acts: tuple[Act, ...] = ()
    stated: str = ""
    services: tuple[str, ...] = ()  # trees that a running service writes, by the examiner's recorded word
    volumes: tuple[Volume, ...] = ()
    known: tuple[Known, ...] = ()
    seals: tuple[Seal, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Whether the system ran after T0: ``last`` is the last moment that its records show, ns."""

    running: bool
    last: int | None
    boots: tuple[int, ...]
    witnesses: tuple[str, ...]
    text: Text


@dataclass(frozen=True, slots=True)
class Examined:
    """What the examination came to; ``limits``: what it cannot see."""

    question: Question
    operation: Operation
    signs: tuple[Sign, ...]
    verdict: str
    reasons: tuple[Text, ...]
    limits: tuple[Text, ...]


def listed(rows: Sequence[Example]) -> tuple[Example, ...]:
    """At most EXAMPLES_MOST of them, the first ones."""
    return tuple(rows[:EXAMPLES_MOST])
