# SPDX-License-Identifier: Apache-2.0
"""Verify: everything that the case claims is derived again from what it claims to rest on.

1. The ledger: chain, hashes, signatures (when the case is opened).
2. Sealed files: every part and every result against the digests in the ledger.
3. The evidence: digested again and compared with its registration.
4. Findings: the id is recomputed; each cited record is parsed again from the evidence, and each value that the finding
   states of it is compared with what the bytes give now; each count is counted again.
5. With ``rebuild``: the whole examination again in an empty folder, and every row compared.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from headwater.case import settings as case_settings
from headwater.confine.pool import Message, Pool, Task
from headwater.formats.canonical import digest, identify
from headwater.model.custody import Evidence
from headwater.model.errors import HeadwaterError, VaultError
from headwater.model.nouns import Citation, Finding, Tally
from headwater.procedure import examination
from headwater.procedure.accounts import load_accounts, save_accounts, save_ranges, sealed_parts
from headwater.procedure.context import taken_of, texts_of
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
    source_of,
    store_of,
)
from headwater.procedure.intake import held
from headwater.procedure.investigate import digest_again, pool_for
from headwater.procedure.judgement import JUDGED, judge, load
from headwater.procedure.reporting import rendered
from headwater.store.events import EventStore
from headwater.vault.ledger import Ledger

Json = dict[str, Any]
_CITES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: ``ok``, ``failed``, or ``not-claimable`` with its reason in ``detail``."""

    what: str
    result: str
    detail: str = ""


def verify(corridor: Corridor, *, rebuild: bool = False, workers: int = 2) -> list[Check]:
    """All checks in the order of the module's docstring; the verdict is entered in the ledger."""
    entries, head, root = corridor.ledger.check()
    checks = [Check("ledger", "ok", f"{entries} entries, head {head}, Merkle root {root}")]
    checks.extend(_sealed(corridor))
    checks.extend(_settings(corridor))
    items = evidence_of(corridor.ledger)
    with pool_for(workers) as pool:
        held_checks = [_evidence(corridor, pool, item) for item in items]
        checks.extend(held_checks)
        sound = {i.number for i, c in zip(items, held_checks, strict=True) if c.result == "ok"}
        checks.extend(_findings(corridor, pool, items, sound))
        if rebuild:
            checks.extend(_rebuilt(corridor, pool, items))
    failed = [c.what for c in checks if c.result == "failed"]
    try:
        corridor.record(VERIFIED, note={"rebuild": rebuild, "checks": len(checks), "failed": failed[:100]})
    except VaultError as error:  # a copy without the private key can be verified, though nothing can be added to it
        checks.append(Check("entry of this verification", "not-claimable", error.text("en")))
    return checks


def _sealed(corridor: Corridor) -> Iterator[Check]:
    case = corridor.case
    parts = sealed_parts(case)
    examined = corridor.ledger.last(EXAMINED)
    if examined is None:
        yield Check("examination", "not-claimable", "the examination was not finished")
        return
    if examined.entry.products.get("parts") != digest(parts):
        yield Check("parts", "failed", "the list of parts is not the one in the ledger")
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
            yield Check(f"file {name}", "failed", f"sealed {expected}, found {found}")
    for item in evidence_of(corridor.ledger):
        if listed_context(corridor.ledger, item.number) != digest(taken_of(case, item)):
            bad += 1
            yield Check(f"texts taken from evidence {item.number}", "failed", "they are not those in the ledger")
    stray = _stray(case, parts)
    for name in stray:
        bad += 1
        yield Check(f"file {name}", "failed", "not among the sealed parts")
    if not bad:
        yield Check("sealed files", "ok", f"{len(names)} files match the ledger")


def _settings(corridor: Corridor) -> Iterator[Check]:
    """The case file against the settings that the results rest on."""
    try:
        same = case_settings.load(corridor.case) == corridor.settings
    except HeadwaterError:
        same = False
    if same:
        yield Check("case.json", "ok")
    else:
        yield Check(
            "case.json", "failed", "it is not what the ledger recorded; run investigate again to apply a change"
        )


def _stray(case: Path, parts: Mapping[str, str]) -> list[str]:
    found = [str(p.relative_to(case)) for f in ("events", "gaps") for p in sorted((case / f).glob("feed=*/*"))]
    return [name for name in found if name not in parts]


def _evidence(corridor: Corridor, pool: Pool, item: Evidence) -> Check:
    what = f"evidence {item.number} {item.name}"
    try:
        verdict = digest_again(corridor, pool, item)
    except HeadwaterError as error:
        return Check(what, "not-claimable", error.text("en"))
    if verdict.result != "match":
        return Check(what, "failed", f"sha256 registered {verdict.expected}, found {verdict.found}")
    return Check(what, "ok", f"sha256 {verdict.found}")


def _findings(corridor: Corridor, pool: Pool, items: Sequence[Evidence], sound: set[int]) -> Iterator[Check]:
    try:
        findings = load(corridor.case).findings
    except HeadwaterError as error:
        yield Check("findings", "not-claimable", error.text("en"))
        return
    bad = [f.id for f in findings if _identity(f) != f.id]
    bare = [f.id for f in findings if any(not c.claims for c in f.spans)]
    for name in bare:
        yield Check(f"finding {name}", "failed", "it cites a record and states nothing of it")
    for name in bad:
        yield Check(f"finding {name}", "failed", "the id does not follow from the content")
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
            yield Check(f"findings on evidence {item.number}", "not-claimable", "the evidence itself does not verify")
            continue
        derived = _rederive(corridor, pool, item, wanted)
        for path, pairs in sorted(wanted.items()):
            for finding, citation in pairs:
                claims += len(citation.claims)
                fault = _fault(citation, derived.get((path, citation.span.offset, citation.ordinal)))
                if fault:
                    wrong += 1
                    yield Check(f"finding {finding.id}", "failed", f"{path}:{citation.span.offset}: {fault}")
    store = store_of(corridor)
    for finding in findings:
        if finding.tally is not None and (fault := _tally_fault(store, finding.tally)):
            wrong += 1
            yield Check(f"finding {finding.id}", "failed", fault)
        for gap in finding.gaps:
            if not _gap_stands(store, gap.span.evidence, gap.span.path, gap.span.offset):
                wrong += 1
                yield Check(f"finding {finding.id}", "failed", f"no gap at {gap.span.path}:{gap.span.offset}")
    if not wrong and not bad and not bare:
        yield Check("findings", "ok", f"{len(findings)} findings, {claims} values derived again from their bytes")


def _identity(finding: Finding) -> str:
    spans = tuple(Citation(replace(c.span, physical=()), c.ts, c.claims, c.ordinal) for c in finding.spans)
    original = replace(finding, spans=spans, rule=replace(finding.rule, severity=finding.rule.severity))
    return str(identify("F", original).id)


def _fault(citation: Citation, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "the bytes give no such record"
    if row["length"] != citation.span.length:
        return f"the record is {row['length']} bytes long, not {citation.span.length}"
    for name, claimed in citation.claims.items():
        found = row.get(name)
        if found != claimed and str(found) != str(claimed):
            return f"{name} is {found!r}, not {claimed!r}"
    return ""


def _tally_fault(store: EventStore, tally: Tally) -> str:
    again = store.tally(tally.where)
    if (again.count, again.digest) != (tally.count, tally.digest):
        return f"counted {again.count}, stated {tally.count}"
    return ""


def _gap_stands(store: EventStore, source: int, path: str, offset: int) -> bool:
    rows = store.gaps().filter(
        (pl.col("source") == source)
        & (pl.col("path") == path)
        & (pl.col("offset") <= offset)
        & (pl.col("offset") + pl.col("length") >= offset)
    )
    return bool(rows.collect().height)


def _rederive(
    corridor: Corridor, pool: Pool, item: Evidence, wanted: Mapping[str, Sequence[tuple[Finding, Citation]]]
) -> dict[tuple[str, int, int], Json]:
    """The cited records as their bytes give them now, keyed by (path, offset, ordinal)."""
    accounts = {str(a["path"]): a for a in load_accounts(corridor.case) if int(a["evidence"]) == item.number}
    derived: dict[tuple[str, int, int], Json] = {}

    def take(message: Message) -> None:
        for row in message.header.get("rows", ()):
            derived[(str(message.header["path"]), int(row["offset"]), int(row["ordinal"]))] = row

    taken = taken_of(corridor.case, item)
    targets, walked = [], {}
    for path, pairs in sorted(wanted.items()):
        places = sorted({(c.span.offset, c.ordinal) for _, c in pairs})
        if path in accounts:
            for at in range(0, len(places), _CITES_AT_ONCE):
                targets.append(dict(accounts[path]["target"]) | {"wanted": places[at : at + _CITES_AT_ONCE]})
        else:
            walked[path] = places
    with held(source_of(item)) as open_files:
        files = open_files.args()
        if walked:
            walk: Json = {"files": files, "wanted": walked}
            task = Task(
                "verify-walk", "headwater.procedure.child_again:rederive_walk", walk, open_files.fds, wall=14_400.0
            )
            _finish(pool, task, take)
        for at in range(0, len(targets), examination.FILES_PER_TASK):
            chosen = targets[at : at + examination.FILES_PER_TASK]
            with examination.opened_targets(item, chosen, open_files.fds) as (fds, ready, own):
                views = texts_of(taken, (str(t["view"]) for t in chosen))
                years = dict(corridor.settings.years)
                args: Json = {"files": files, "own_fds": own, "targets": ready, "years": years, "context": views}
                _finish(pool, Task(f"verify-{at}", "headwater.procedure.child_again:rederive", args, fds), take)
    return derived


def _finish(pool: Pool, task: Task, take: Callable[[Message], None]) -> None:
    for outcome in pool.run([task], take):
        if outcome.status != "done":
            raise HeadwaterError("HW4003", task.id, what=f"{outcome.status}: {outcome.detail}")


def _rebuilt(corridor: Corridor, pool: Pool, items: Sequence[Evidence]) -> Iterator[Check]:
    """The whole examination again in an empty folder beside nothing of the case but its evidence and settings."""
    left_out = {(int(a["evidence"]), str(a["path"])) for a in load_accounts(corridor.case) if "incomplete" in a}
    with tempfile.TemporaryDirectory(prefix="headwater-rebuild-", dir=corridor.case) as folder:
        fresh = Path(folder)
        with Ledger(fresh, create=True) as ledger:
            again = Corridor(fresh, ledger, corridor.settings, corridor.actors, corridor.command, silent)
            again.progress = corridor.progress
            first = next(corridor.ledger.entries())
            again.record("open-case", note=dict(first.entry.note))
            accounts, ranges = {}, {}
            for item in items:
                note = {"evidence": asdict(item), "bad": bad_ranges(corridor.ledger, item.number)}
                again.record("register", evidence=[item.number], note=note)
                done = examination.examine(again, pool, item)
                accounts[item.number], ranges[item.number] = done.accounts, done.coverage
            save_accounts(fresh, accounts)
            save_ranges(fresh, ranges)
            judge(again, tuple(Path(r) for r in corridor.settings.rules))
            yield from _compare(corridor, again, left_out)


def _compare(corridor: Corridor, again: Corridor, left_out: set[tuple[int, str]]) -> Iterator[Check]:
    old, new = EventStore(corridor.case, clocks_of(corridor)), EventStore(again.case, clocks_of(again))
    if old.feeds() != new.feeds():
        yield Check("rebuild feeds", "failed", f"{sorted(set(old.feeds()) ^ set(new.feeds()))}")
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
        yield Check(f"rebuild {feed}", "ok" if same else "failed", f"{frames[0].height} and {frames[1].height} rows")
    gaps = [_without(s.gaps().collect(), left_out) for s in (old, new)]
    yield Check("rebuild gaps", "ok" if gaps[0].equals(gaps[1]) else "failed", f"{gaps[0].height} rows")
    for name in (*JUDGED, "coverage.jsonl", "extents.jsonl"):
        same = _bytes(corridor.case / name) == _bytes(again.case / name)
        yield Check(f"rebuild {name}", "ok" if same else "failed")
    yield from _report_again(corridor)
    for source, path in sorted(left_out):
        yield Check(f"rebuild {path}", "not-claimable", f"incomplete in evidence {source}: left out by name")


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _report_again(corridor: Corridor) -> Iterator[Check]:
    """The report rendered anew from the case, compared byte by byte with the one that was issued."""
    issued = corridor.ledger.last(REPORTED)
    if issued is None:
        return
    for name, data in rendered(corridor, str(issued.entry.note["language"])).items():
        same = data == _bytes(corridor.case / name)
        yield Check(f"rebuild {name}", "ok" if same else "failed")


def _without(frame: pl.DataFrame, left_out: set[tuple[int, str]]) -> pl.DataFrame:
    for source, path in left_out:
        frame = frame.filter(~((pl.col("source") == source) & (pl.col("path") == path)))
    return frame
