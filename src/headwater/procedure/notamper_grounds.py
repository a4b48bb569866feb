# SPDX-License-Identifier: Apache-2.0
"""What the no-tamper examination rests on beside the evidence: baseline, recorded acts, chain, clocks, known digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from headwater.confine.pool import Pool
from headwater.formats.patterns import lazy_regex
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339, rfc3339
from headwater.procedure.casework import BASELINE
from headwater.procedure.corridor import REREAD, Corridor, facts_of, issued_ns, zone_for
from headwater.procedure.custody import chains
from headwater.procedure.imaging import BEGUN
from headwater.procedure.investigate import digest_again
from headwater.procedure.odd_times import acquired
from headwater.procedure.own_visits import arrived
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import ATTEMPTED
from headwater.reconstruct.notamper_terms import SECOND, Act, Baseline, Known, Sign, Standing
from headwater.vault.anchors import ANCHORED
from headwater.vault.custody import open_ends

# acts that reach into the system itself: a live image, a collection, isolation, memory, capture
_TOUCHING = lazy_regex(r"^(?:image|collect|isolate|memory|capture|scene|first)(?:-|$)")
_BEGIN = "begin"
_INSTANT = 60 * SECOND  # an entry is made when its act is over; what it did lies shortly before
_LINE = lazy_regex(r"^\\?([0-9a-fA-F]{64}) [ *](.+)$")  # sha256sum(1)
_KNOWN_MOST = 64 << 20


def baseline_of(corridor: Corridor) -> Baseline:
    """T0 as the ledger last recorded it, else as the settings have it (then without an uncertainty).

    Raises:
        UsageError: HW2201, nobody recorded one.
    """
    entered = corridor.ledger.last(BASELINE)
    if entered is not None:
        note = entered.entry.note
        ahead, within = int(note.get("ahead_ns") or 0), int(note.get("uncertainty_ns") or 0)
        return Baseline(from_rfc3339(str(note["time"])) - ahead, str(note.get("source") or ""), ahead, within)
    said = corridor.settings
    if said.baseline_time:
        return Baseline(from_rfc3339(said.baseline_time), said.baseline_source)
    raise UsageError("HW2201", str(corridor.case))


def acts_of(corridor: Corridor, baseline: Baseline, until: int) -> tuple[list[Act], str]:
    """The acts of the ledger between T0 and ``until`` that reached into a system, and whether one says that it ran."""
    found: list[Act] = []
    begun: dict[str, int] = {}  # by the act's first word, while it is under way
    stated = ""
    for sealed in corridor.ledger.entries():
        entry, at = sealed.entry, issued_ns(sealed)
        name, _, part = entry.action.partition("-")
        if part == _BEGIN:
            begun[name] = at
            stated = "running" if entry.action == BEGUN and entry.note.get("state") == "live" else stated
            continue
        visited = entry.action in {ACTED, ATTEMPTED}
        name = str(entry.note.get("act", name)) if visited else name
        started = begun.pop(name, at - _INSTANT)
        if not _TOUCHING.match(entry.action) or at < baseline.t0:
            continue
        came = entry.note.get("started") or (arrived(entry.note) if visited else None)
        first = _moment(came, started)
        last = _moment(entry.note.get("ended"), at)
        if first <= until + _INSTANT:
            found.append(
                Act(
                    max(first, baseline.t0),
                    last,
                    f"{entry.action} {name}" if visited else entry.action,
                    f"ledger-{entry.seq}",
                )
            )
    return found, stated


def _moment(value: object, otherwise: int) -> int:
    try:
        return from_rfc3339(str(value)) if value else otherwise
    except ValueError:
        return otherwise


def act(word: str) -> Act:
    """``FROM/UNTIL=WORDS``: what a person says was permitted between two RFC 3339 times.

    Raises:
        UsageError: HW0001.
    """
    times, _, words = word.partition("=")
    first, _, last = times.partition("/")
    try:
        return Act(
            from_rfc3339(first), from_rfc3339(last), words.strip() or _refuse(word), "检验人陈述 examiner's word"
        )
    except ValueError as error:
        raise UsageError("HW0001", what=f"--act {word}: FROM/UNTIL=WORDS") from error


def _refuse(word: str) -> str:
    raise UsageError("HW0001", what=f"--act {word}: FROM/UNTIL=WORDS")


def known_digests(path: Path, at: int | None, words: str) -> tuple[Known, str]:
    """A list as sha256sum writes it, and its own SHA-256. Paths are those of the file system, from its root.

    Raises:
        UsageError: HW0001, it cannot be read or holds no line of that form.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_KNOWN_MOST + 1)
    except OSError as error:
        raise UsageError("HW0001", what=f"--known {path}: {error.strerror}") from error
    found = {}
    for line in data[:_KNOWN_MOST].decode("utf-8", "surrogateescape").splitlines():
        match = _LINE.match(line)
        if match:
            name = match.group(2).removeprefix(".")
            found[name if name.startswith("/") else f"/{name}"] = match.group(1).lower()
    if not found or len(data) > _KNOWN_MOST:
        raise UsageError("HW0001", what=f"--known {path}: sha256sum(1), ≤ {_KNOWN_MOST >> 20} MiB")
    return Known(path.name, found, at, words or "来源未记载 origin not recorded"), hashlib.sha256(data).hexdigest()


def chain(corridor: Corridor, pool: Pool, item: Evidence, *, read_again: bool) -> Iterator[Sign]:
    """Layer 1: the ledger, its anchors, the acquisition's verdicts, custody, and the digest now."""
    trail = corridor.ledger.examined()
    anchors = sum(s.entry.action == ANCHORED for s in corridor.ledger.entries())
    text = Text(
        f"台账 {trail.entries} 条相连、签名有效，{trail.checkpoints} 个检查点，{anchors} 个外部锚定",
        f"the ledger's {trail.entries} entries are chained and signed, {trail.checkpoints} checkpoints, {anchors} outside anchors",
    )
    yield Sign(1, "ledger", Standing.REPORTED, text)
    for verdict in item.verdicts:
        if verdict.result == "mismatch":
            alone = verdict.what == "stated-in-container"
            reason = verdict.reason or f"{verdict.algorithm} {verdict.expected} / {verdict.found}"
            text = Text(
                f"提取时的比对不符：{verdict.what}（{reason}）",
                f"a comparison at acquisition failed: {verdict.what} ({reason})",
            )
            yield Sign(1, "acquisition", Standing.UNEXPLAINED if alone else Standing.UNDECIDED, text)
    now = digest_again(corridor, pool, item) if read_again else _read_before(corridor, item.number)
    if now is None:
        words = Text("本次未再次计算校验值", "the digest was not computed again this time")
        yield Sign(1, "digest", Standing.REPORTED, words)
    elif now.result == "match":
        words = Text(
            f"现在的校验值与登记时相同：SHA-256 {now.found}",
            f"the digest now is the one registered: SHA-256 {now.found}",
        )
        yield Sign(1, "digest", Standing.REPORTED, words)
    else:
        words = Text(
            f"现在的校验值与登记时不同：登记 {now.expected}，现为 {now.found}",
            f"the digest is no longer the one registered: {now.expected}, now {now.found}",
        )
        yield Sign(1, "digest", Standing.UNEXPLAINED, words)
    state = chains(corridor)[f"E{item.number}"]
    sound = now is not None and now.result == "match"
    for gap in (*state.gaps, *open_ends(state)):
        # since its registration the digest carries the item; a gap of custody then is told, and without one is open
        yield Sign(1, "custody", Standing.REPORTED if sound else Standing.UNDECIDED, gap.what)


def _read_before(corridor: Corridor, number: int) -> Verdict | None:
    found = None
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == REREAD and number in sealed.entry.evidence:
            found = Verdict(**sealed.entry.note["verdict"])
    return found


def clocks(corridor: Corridor, item: Evidence, baseline: Baseline) -> Iterator[Sign]:
    """Layer 2: T0 with its offset, the item's clock, and the zone of its wall clocks."""
    within = "未记载" if baseline.uncertainty is None else f"±{baseline.uncertainty / SECOND:g} 秒"
    within_en = "not recorded" if baseline.uncertainty is None else f"±{baseline.uncertainty / SECOND:g} s"
    text = Text(
        f"基准时间 T0 = {rfc3339(baseline.t0)}（来源：{baseline.source or '未记载'}，偏差 {baseline.ahead / SECOND:g} 秒，"
        f"不确定度 {within}）",
        f"baseline T0 = {rfc3339(baseline.t0)} (source: {baseline.source or 'not recorded'}, offset {baseline.ahead / SECOND:g} s, "
        f"uncertainty {within_en})",
    )
    yield Sign(2, "baseline", Standing.REPORTED, text)
    skew = corridor.settings.skews_ns.get(str(item.number))
    zone, origin = zone_for(corridor.settings, item.number, facts_of(corridor.ledger, item.number))
    said = "未测量，按 0 计" if skew is None else f"快 {int(skew) / SECOND:g} 秒，已折算"
    said_en = "not measured, reckoned as 0" if skew is None else f"ahead by {int(skew) / SECOND:g} s, applied"
    text = Text(
        f"检材时钟与标准时间之差：{said}；无时区的日志按 {zone}（{origin}）",
        f"the item's clock against a reference: {said_en}; logs without a zone are read as {zone} ({origin})",
    )
    yield Sign(2, "clock", Standing.REPORTED, text)
    until, stated = acquired(item)
    by = Text("镜像自述", "stated by the image") if stated else Text("登记时间", "its registration")
    text = Text(f"提取完成：{rfc3339(until)}（{by.zh}）", f"acquired by: {rfc3339(until)} ({by.en})")
    yield Sign(2, "acquired", Standing.REPORTED, text)


def plain_acts(acts: Sequence[Act]) -> list[dict[str, object]]:
    """Acts as the ledger and the record of the examination hold them."""
    return [asdict(a) | {"first": rfc3339(a.first), "last": rfc3339(a.last)} for a in acts]
