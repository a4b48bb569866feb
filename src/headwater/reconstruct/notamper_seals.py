# SPDX-License-Identifier: Apache-2.0
"""What the seals of systemd journals say: sealed records cannot be changed afterwards without its showing.

journald forgets the key of each epoch when the epoch is over. With the verification key, kept elsewhere, a seal that does
not fit proves that what it covers is not what journald wrote; where that was written after T0, so was the change. Without
the key the order of the tags, the file's own counts and the hash kept with each field can be checked, all of which a
careful hand keeps right: what does not fit tells of a change or of damage, what fits of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.model.nouns import Span, Text
from headwater.model.times import rfc3339
from headwater.reconstruct.notamper_terms import Example, Question, Seal, Sign, Standing, listed

_TAG = 64  # bytes of a tag
_OBJECT = 24  # bytes of a field's object up to its hash, that included
_UNCLOSED = "online"  # a journal that was open when the disk was taken: its counts run behind


def signs(question: Question) -> Iterator[Sign]:
    """Seals that do not fit, journals that contradict themselves, then what was proved whole."""
    broken = [s for s in question.seals if s.checked and s.fault]
    late = [
        s
        for s in broken
        if s.broken_until is not None and s.broken_until > question.baseline.t0 + question.baseline.epsilon
    ]
    early = [s for s in broken if s not in late]
    if late:
        yield _sign(
            question, late, Standing.UNEXPLAINED, "seal",
            "个日志的封缄不符，且所封内容写于基准时间之后：记录在其后被改动",
            "journals have a seal that does not fit, on records written after the baseline: they were changed since",
        )  # fmt: skip
    if early:
        yield _sign(
            question, early, Standing.UNDECIDED, "seal",
            "个日志的封缄不符：所封内容不是 journald 所写，改动时间不能判定",
            "journals have a seal that does not fit: what it covers is not what journald wrote; when it was changed is not known",
        )  # fmt: skip
    odd = [s for s in question.seals if s not in broken and (s.fault or (s.miscounted and s.state != _UNCLOSED))]
    if odd:
        yield _sign(
            question, odd, Standing.UNDECIDED, "journal-structure",
            "个日志自相矛盾（封缄次序、对象或计数不符）：可能被改动，也可能因断电损坏",
            "journals contradict themselves (tags, objects or counts): they may have been changed, or lost power",
        )  # fmt: skip
    altered = [s for s in question.seals if s.altered and s not in broken]
    if altered:
        yield _sign(
            question, altered, Standing.UNDECIDED, "journal-data",
            "个日志中有字段与其自带的哈希不符：写入后被改动，或介质损坏",
            "journals hold fields that do not fit the hash kept with them: changed after they were written, or damaged",
        )  # fmt: skip
    whole = [s for s in question.seals if s.checked and s.sealed and not s.fault]
    if whole:
        entries, bare = sum(s.entries for s in whole), sum(s.unsealed for s in whole)
        yield _sign(
            question, whole, Standing.REPORTED, "seal",
            f"个日志的封缄全部相符：{entries} 条记录中 {entries - bare} 条自写入所在时段后未被改动，{bare} 条尚未封缄",
            f"journals have seals that all fit: {entries - bare} of {entries} records are as journald wrote them, {bare} are not sealed",
        )  # fmt: skip


def limits(question: Question) -> Iterator[Text]:
    """Journals that are sealed, and nobody gave the key; journals without seals."""
    unproved = [s for s in question.seals if s.sealed and not s.checked]
    if unproved:
        yield Text(
            f"{len(unproved)} 个日志有封缄，但未提供验证密钥：只核对了封缄次序，未核对内容。",
            f"{len(unproved)} journals are sealed and no verification key was given: the order of the seals was checked, not "
            "what they cover.",
        )
    bare = [s for s in question.seals if not s.sealed]
    if bare:
        yield Text(f"{len(bare)} 个日志未启用封缄。", f"{len(bare)} journals are not sealed.")
    loose = [s for s in question.seals if not s.checked]
    hashed, passed = sum(s.hashed for s in loose), sum(s.unhashed for s in loose)
    if hashed or passed:
        yield Text(
            f"未以密钥核对的日志中，{hashed} 个字段已与其自带的哈希比对（{passed} 个未比对）；哈希无需密钥，改动者可一并改写。",
            f"In journals that no key was tried on, {hashed} fields were held against the hash kept with each ({passed} were "
            "not); it takes no key, so whoever changes a field can set its hash right.",
        )


def _sign(question: Question, seals: list[Seal], standing: Standing, rule: str, zh: str, en: str) -> Sign:
    examples = [
        Example(s.path, _altered(s) if rule == "journal-data" else _words(s), s.broken_until,
                Span(question.source, s.whole, *_place(s, rule)))
        for s in sorted(seals, key=lambda s: s.whole)
    ]  # fmt: skip
    ends = [s.broken_until or s.until for s in seals]
    times = [end for end in ends if end is not None]
    text = Text(f"{len(seals)} {zh}", f"{len(seals)} {en}")
    return Sign(
        4, rule, standing, text, len(seals), min(times, default=None), max(times, default=None), listed(examples)
    )


def _place(seal: Seal, rule: str) -> tuple[int, int]:
    """Where the first of what is wrong stands, and its length; (0, 0) where nothing is."""
    if rule == "journal-data":
        return seal.altered_at, _OBJECT
    return (seal.fault_at, _TAG) if seal.fault else (0, 0)


def _altered(seal: Seal) -> str:
    return f"{seal.altered} of {seal.hashed} fields do not fit their hash, the first at {seal.altered_at}"


def _words(seal: Seal) -> str:
    if seal.fault:
        return f"{seal.fault} ({seal.good}/{seal.tags})"
    if seal.miscounted:
        return "; ".join(f"{name}: {said} ≠ {there}" for name, (said, there) in sorted(seal.miscounted.items()))
    return f"{seal.good} seals, until {rfc3339(seal.until) or '—'}"
