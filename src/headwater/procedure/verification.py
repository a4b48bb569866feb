# SPDX-License-Identifier: Apache-2.0
"""Verify: everything that the case claims is derived again from what it claims to rest on.

1. The ledger: chain, hashes, signatures, checkpoints; anchors; added items; the chain of custody.
2. Sealed files: every part and every result against the digests in the ledger.
3. The evidence: digested again and compared with its registration.
4. Findings: the id is recomputed; each cited record is parsed again from the evidence, and each value that the finding
   states of it is compared with what the bytes give now; each count is counted again.
5. With ``rebuild``: the whole examination again in an empty folder, and every row compared.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from headwater.case import settings as case_settings
from headwater.confine.pool import Pool
from headwater.formats.canonical import digest, identify
from headwater.model.custody import Evidence
from headwater.model.errors import HeadwaterError, VaultError
from headwater.model.nouns import Citation, Finding, Tally, Text
from headwater.procedure import examination, indicators, known, places, standing, suppressions, yara
from headwater.procedure.accounts import load_accounts, save_accounts, save_ranges, sealed_parts
from headwater.procedure.context import taken_of
from headwater.procedure.corridor import (
    DETECTED,
    EXAMINED,
    REPORTED,
    VERIFIED,
    Corridor,
    bad_ranges,
    clocks_of,
    evidence_of,
    listed_context,
    silent,
    store_of,
)
from headwater.procedure.doubts import claims
from headwater.procedure.investigate import digest_again, pool_for
from headwater.procedure.judgement import JUDGED, judge, judged_of
from headwater.procedure.rederiving import fault_of, rederive
from headwater.procedure.reporting import rendered
from headwater.store.events import EventStore
from headwater.vault.ledger import Ledger

Json = dict[str, Any]
NOTHING_SAID = Text("—", "—")


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: ``ok``, ``failed``, or ``not-claimable`` with its reason in ``detail``.

    ``what`` and ``detail`` are stable words for programs; ``name`` and ``why`` say the same to people.
    """

    what: str
    result: str
    detail: str = ""
    name: Text = NOTHING_SAID
    why: Text | None = None


def check_of(name: tuple[str, str], result: str, why: tuple[str, str] = ("", "")) -> Check:
    """A check from its words, Chinese then English."""
    return Check(name[1], result, why[1], Text(*name), Text(*why) if why[0] and why[1] else None)


def _same(words: str) -> tuple[str, str]:
    return words, words


def _of(error: HeadwaterError) -> tuple[str, str]:
    return error.text("zh"), error.text("en")


def verify(corridor: Corridor, *, rebuild: bool = False, workers: int = 2, against: Sequence[str] = ()) -> list[Check]:
    """All checks in the order of the module's docstring; the verdict is entered in the ledger.

    ``against``: anchor files or printed heads kept outside the case.
    """
    trail = corridor.ledger.examined()
    checks = [check_of(*row) for row in standing.rows(corridor, trail, against)]
    checks.extend(_sealed(corridor))
    checks.extend(_settings(corridor))
    items = evidence_of(corridor.ledger)
    with pool_for(workers, corridor.keys, yara.early(corridor.case)) as pool:
        held_checks = [_evidence(corridor, pool, item) for item in items]
        checks.extend(held_checks)
        checks.extend(check_of(*row) for row in claims(items))
        sound = {i.number for i, c in zip(items, held_checks, strict=True) if c.result == "ok"}
        checks.extend(_findings(corridor, pool, items, sound))
        if rebuild:
            checks.extend(_rebuilt(corridor, pool, items))
    failed = [c.what for c in checks if c.result == "failed"]
    try:
        corridor.record(VERIFIED, note={"rebuild": rebuild, "checks": len(checks), "failed": failed[:100]})
    except VaultError as error:  # a copy without the private key can be verified, though nothing can be added to it
        checks.append(check_of(("本次核验的条目", "entry of this verification"), "not-claimable", _of(error)))
    return checks


def _sealed(corridor: Corridor) -> Iterator[Check]:
    case = corridor.case
    parts = sealed_parts(case)
    examined = corridor.ledger.last(EXAMINED)
    if examined is None:
        yield check_of(("检验", "examination"), "not-claimable", ("检验尚未完成", "the examination was not finished"))
        return
    if examined.entry.products.get("parts") != digest(parts):
        yield check_of(
            ("事件文件清单", "parts"),
            "failed",
            ("与台账所记的清单不同", "the list of parts is not the one in the ledger"),
        )
    names = dict(parts)
    names.update({k: v for k, v in examined.entry.products.items() if k != "parts"})
    for action, made in ((DETECTED, JUDGED), (REPORTED, ("report/report.html", "report/report.pdf"))):
        entry = corridor.ledger.last(action)
        if entry is not None:
            names.update(entry.entry.products)
        else:  # results without the entry that sealed them: the ledger was cut, or somebody else wrote them
            names.update({name: "never sealed" for name in made if (case / name).exists()})
    bad = 0
    for name, expected in sorted(names.items()):
        try:
            found = hashlib.sha256((case / name).read_bytes()).hexdigest()
        except OSError as error:
            found = f"unreadable: {error.strerror}"
        if found != expected:
            bad += 1
            yield check_of(
                (f"文件 {name}", f"file {name}"),
                "failed",
                (f"台账所记 {expected}，实为 {found}", f"sealed {expected}, found {found}"),
            )
    for item in evidence_of(corridor.ledger):
        if listed_context(corridor.ledger, item.number) != digest(taken_of(case, item)):
            bad += 1
            yield Check(f"texts taken from evidence {item.number}", "failed", "they are not those in the ledger")
    stray = _stray(case, parts)
    for name in stray:
        bad += 1
        yield check_of(
            (f"文件 {name}", f"file {name}"), "failed", ("不在台账所记的文件之列", "not among the sealed parts")
        )
    if not bad:
        yield check_of(
            ("已登记的文件", "sealed files"),
            "ok",
            (f"{len(names)} 个文件与台账相符", f"{len(names)} files match the ledger"),
        )


def _settings(corridor: Corridor) -> Iterator[Check]:
    """The case file against the settings that the results rest on."""
    try:
        same = case_settings.load(corridor.case) == corridor.settings
    except HeadwaterError:
        same = False
    if same:
        yield check_of(("案件文件 case.json", "case.json"), "ok")
    else:
        yield check_of(
            ("案件文件 case.json", "case.json"),
            "failed",
            (
                "与台账所记不同；如要采用改动，请重新运行 investigate",
                "it is not what the ledger recorded; run investigate again to apply a change",
            ),
        )


def _stray(case: Path, parts: Mapping[str, str]) -> list[str]:
    found = [str(p.relative_to(case)) for f in ("events", "gaps") for p in sorted((case / f).glob("feed=*/*"))]
    return [name for name in found if name not in parts]


def _evidence(corridor: Corridor, pool: Pool, item: Evidence) -> Check:
    what = (f"检材 {item.number} {item.name}", f"evidence {item.number} {item.name}")
    try:
        verdict = digest_again(corridor, pool, item)
    except HeadwaterError as error:
        return check_of(what, "not-claimable", _of(error))
    if verdict.result != "match":
        return check_of(
            what,
            "failed",
            (
                f"登记的 SHA-256 为 {verdict.expected}，实为 {verdict.found}",
                f"sha256 registered {verdict.expected}, found {verdict.found}",
            ),
        )
    return check_of(what, "ok", _same(f"sha256 {verdict.found}"))


def _findings(corridor: Corridor, pool: Pool, items: Sequence[Evidence], sound: set[int]) -> Iterator[Check]:
    try:
        findings = judged_of(corridor).findings
    except HeadwaterError as error:
        yield check_of(("发现", "findings"), "not-claimable", _of(error))
        return
    bad = [f.id for f in findings if _identity(f) != f.id]
    bare = [f.id for f in findings if any(not c.claims for c in f.spans)]
    for name in bare:
        yield check_of(
            _finding_name(name), "failed", ("引了记录而未陈述其任何值", "it cites a record and states nothing of it")
        )
    for name in bad:
        yield check_of(_finding_name(name), "failed", ("编号与内容不符", "the id does not follow from the content"))
    cited: dict[int, dict[str, list[tuple[Finding, Citation]]]] = {}
    for finding in findings:
        for citation in finding.spans:
            cited.setdefault(citation.span.evidence, {}).setdefault(citation.span.path, []).append((finding, citation))
    claims = wrong = 0
    for item in items:
        wanted = cited.get(item.number, {})
        if not wanted:
            continue
        if item.number not in sound:
            yield check_of(
                (f"检材 {item.number} 上的发现", f"findings on evidence {item.number}"),
                "not-claimable",
                ("检材本身未通过核验", "the evidence itself does not verify"),
            )
            continue
        derived = rederive(corridor, pool, item, wanted)
        for path, pairs in sorted(wanted.items()):
            for finding, citation in pairs:
                claims += len(citation.claims)
                fault = fault_of(citation, derived.get((path, citation.span.offset, citation.ordinal)))
                if fault:
                    wrong += 1
                    yield check_of(_finding_name(finding.id), "failed", _at(f"{path}:{citation.span.offset}", fault))
    for check in _counted(store_of(corridor), findings):
        wrong += 1
        yield check
    if not wrong and not bad and not bare:
        yield check_of(
            ("发现", "findings"),
            "ok",
            (
                f"{len(findings)} 项发现，由所引字节重新得出 {claims} 个值",
                f"findings: {len(findings)}; values derived again from their bytes: {claims}",
            ),
        )


def _counted(store: EventStore, findings: Sequence[Finding]) -> Iterator[Check]:
    """What findings state of counts and gaps, where the store does not bear it out."""
    tallied = [(f, f.tally) for f in findings if f.tally is not None]
    again = store.tallies([tally for _, tally in tallied])
    for (finding, tally), counted in zip(tallied, again, strict=True):
        if fault := _tally_fault(tally, counted):
            yield check_of(_finding_name(finding.id), "failed", fault)
    for finding in findings:
        for gap in finding.gaps:
            if not _gap_stands(store, gap.span.evidence, gap.span.path, gap.span.offset):
                yield check_of(
                    _finding_name(finding.id),
                    "failed",
                    (f"{gap.span.path}:{gap.span.offset} 处没有缺口", f"no gap at {gap.span.path}:{gap.span.offset}"),
                )


def _identity(finding: Finding) -> str:
    spans = tuple(Citation(replace(c.span, physical=()), c.ts, c.claims, c.ordinal) for c in finding.spans)
    original = replace(finding, spans=spans, rule=replace(finding.rule, severity=finding.rule.severity))
    return str(identify("F", original).id)


def _finding_name(name: str) -> tuple[str, str]:
    return f"发现 {name}", f"finding {name}"


def _again(name: str) -> tuple[str, str]:
    return f"重做：{name}", f"rebuild {name}"


def _at(place: str, fault: tuple[str, str]) -> tuple[str, str]:
    return f"{place}：{fault[0]}", f"{place}: {fault[1]}"


def _tally_fault(tally: Tally, again: Tally) -> tuple[str, str] | None:
    if (again.count, again.digest) != (tally.count, tally.digest):
        return f"计得 {again.count}，所述 {tally.count}", f"counted {again.count}, stated {tally.count}"
    return None


def _gap_stands(store: EventStore, source: int, path: str, offset: int) -> bool:
    rows = store.gaps().filter(
        (pl.col("source") == source)
        & (pl.col("path") == path)
        & (pl.col("offset") <= offset)
        & (pl.col("offset") + pl.col("length") >= offset)
    )
    return bool(rows.collect().height)


def _rebuilt(corridor: Corridor, pool: Pool, items: Sequence[Evidence]) -> Iterator[Check]:
    """The whole examination again in an empty folder beside nothing of the case but its evidence and settings."""
    left_out = {(int(a["evidence"]), str(a["path"])) for a in load_accounts(corridor.case) if "incomplete" in a}
    with tempfile.TemporaryDirectory(prefix="headwater-rebuild-", dir=corridor.case) as folder:
        fresh = Path(folder)
        yara.carry(corridor.case, fresh)
        indicators.FILE.carry(corridor.case, fresh)
        known.FILE.carry(corridor.case, fresh)
        places.FILE.carry(corridor.case, fresh)
        with Ledger(fresh, create=True) as ledger:
            again = Corridor(fresh, ledger, corridor.settings, corridor.actors, corridor.command, silent, corridor.keys)
            again.progress = corridor.progress
            first = next(corridor.ledger.entries())
            # the ledger itself names its keys
            note = {k: v for k, v in first.entry.note.items() if k not in {"public_key", "signer"}}
            again.record("open-case", note=note)
            accounts, ranges = {}, {}
            for item in items:  # all of them first: one may hold the journal of another
                note = {"evidence": asdict(item), "bad": bad_ranges(corridor.ledger, item.number)}
                again.record("register", evidence=[item.number], note=note)
            for item in items:
                done = examination.examine(again, pool, item)
                accounts[item.number], ranges[item.number] = done.accounts, done.coverage
            save_accounts(fresh, accounts)
            save_ranges(fresh, ranges)
            suppressions.carry(corridor, again)
            judge(again, tuple(Path(r) for r in corridor.settings.rules))
            yield from _compare(corridor, again, left_out)


def _compare(corridor: Corridor, again: Corridor, left_out: set[tuple[int, str]]) -> Iterator[Check]:
    old, new = EventStore(corridor.case, clocks_of(corridor)), EventStore(again.case, clocks_of(again))
    if old.feeds() != new.feeds():
        yield check_of(
            ("重做：日志类别", "rebuild feeds"), "failed", _same(f"{sorted(set(old.feeds()) ^ set(new.feeds()))}")
        )
    place = ["t_recorded", "source", "path", "offset", "ordinal"]
    for feed in old.feeds():
        if feed not in new.feeds():
            continue
        columns = sorted(set(old.columns(feed)) | set(new.columns(feed)))
        frames = []
        for store in (old, new):
            frame = store.scan(feeds=[feed], columns=columns).collect().sort(place)
            frames.append(_without(frame, left_out))
        same = frames[0].equals(frames[1])
        yield check_of(
            _again(feed),
            "ok" if same else "failed",
            (f"{frames[0].height} 行与 {frames[1].height} 行", f"{frames[0].height} and {frames[1].height} rows"),
        )
    gaps = [_without(s.gaps().collect(), left_out) for s in (old, new)]
    yield check_of(
        _again("gaps"),
        "ok" if gaps[0].equals(gaps[1]) else "failed",
        (f"{gaps[0].height} 行", f"{gaps[0].height} rows"),
    )
    for name in (*JUDGED, "coverage.jsonl", "extents.jsonl"):
        same = _bytes(corridor.case / name) == _bytes(again.case / name)
        yield check_of(_again(name), "ok" if same else "failed")
    yield from _report_again(corridor)
    for source, path in sorted(left_out):
        yield check_of(
            _again(path),
            "not-claimable",
            (f"在检材 {source} 中未处理完，按名排除", f"incomplete in evidence {source}: left out by name"),
        )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _report_again(corridor: Corridor) -> Iterator[Check]:
    """The report rendered anew from the case, compared byte by byte with the one that was issued."""
    issued = corridor.ledger.last(REPORTED)
    if issued is None:
        return
    with corridor.ledger.until(issued.entry.seq):  # acts of custody after it are not what it rests on
        again = rendered(corridor, str(issued.entry.note["language"]))
    for name, data in again.items():
        same = data == _bytes(corridor.case / name)
        yield check_of(_again(name), "ok" if same else "failed")


def _without(frame: pl.DataFrame, left_out: set[tuple[int, str]]) -> pl.DataFrame:
    for source, path in left_out:
        frame = frame.filter(~((pl.col("source") == source) & (pl.col("path") == path)))
    return frame
