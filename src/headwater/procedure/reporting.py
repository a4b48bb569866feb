# SPDX-License-Identifier: Apache-2.0
"""Report: fill the report's data from the case and write it; a pure function of the case up to the ledger's head.

The head that a report states is that of the last entry which changed the case; writing or verifying a report adds
entries behind it, so that the same case gives the same bytes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater import __version__
from headwater.examine.coverage import totals
from headwater.formats.atomic import write_atomic
from headwater.model.custody import Evidence, Sealed
from headwater.model.kinds import TimeBasis
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339, rfc3339
from headwater.procedure import chronicle, settings_tables, story, suppressions
from headwater.procedure.accounts import load_accounts, load_ranges, sealed_parts
from headwater.procedure.addresses import address_table
from headwater.procedure.contracts import event_id
from headwater.procedure.corridor import (
    REPORTED,
    REREAD,
    VERIFIED,
    Corridor,
    authority_of,
    evidence_of,
    facts_of,
    issued_ns,
    store_of,
    zone_for,
)
from headwater.procedure.damage import figures
from headwater.procedure.doubts import warnings
from headwater.procedure.event_words import Texts
from headwater.procedure.gap_counts import counted
from headwater.procedure.image_fields import DIGEST_OF, fields
from headwater.procedure.judgement import Judged, by_severity, judged_of
from headwater.procedure.notamper_held import results
from headwater.procedure.report_gaps import gap_rows
from headwater.procedure.systems import systems
from headwater.procedure.within_mandate import override_notes
from headwater.report import data as report
from headwater.report.html import render_html
from headwater.report.notamper_data import item_of
from headwater.report.pdf import render_pdf

TIMELINE_MOST = 400
PRODUCTS_MOST = 5  # of one entry of the ledger; of more, the first two are printed
_PLACE = ["source", "path", "offset", "ordinal"]
_AFTERWARDS = frozenset({REPORTED, VERIFIED})


def rendered(corridor: Corridor, language: str) -> dict[str, bytes]:
    """The report's files by their names in the case folder: a pure function of the case."""
    filled = fill(corridor)
    return {
        "report/report.html": render_html(filled, language),
        "report/report.pdf": render_pdf(filled, language),
    }


def write_report(corridor: Corridor, language: str | None = None) -> list[Path]:
    """Write HTML and PDF into the case folder; returns their paths."""
    language = language or corridor.settings.language
    corridor.progress("report", 0, 2, "files")
    files = rendered(corridor, language)
    corridor.progress("report", 2, 2, "files")
    products = {name: write_atomic(corridor.case / name, data) for name, data in files.items()}
    last = corridor.ledger.last(REPORTED)
    if last is None or dict(last.entry.products) != products:
        corridor.record(REPORTED, products=products, note={"language": language})
    return [corridor.case / name for name in files]


def fill(corridor: Corridor) -> report.ReportData:
    """Everything that the report says."""
    judged = judged_of(corridor)
    items = evidence_of(corridor.ledger)
    entries = [s for s in corridor.ledger.entries() if s.entry.action not in _AFTERWARDS]
    head = entries[-1]
    accounts = load_accounts(corridor.case)
    rows, left_out = timeline(corridor, judged)
    sums = {number: totals(ranges) for number, ranges in load_ranges(corridor.case).items()}
    facts = {item.number: facts_of(corridor.ledger, item.number) for item in items}
    gaps, gaps_left = gap_rows(store_of(corridor).gaps())
    zone = zone_for(corridor.settings, 1, facts_of(corridor.ledger, 1))[0]
    authority, odd = authority_of(corridor.ledger), tuple(warnings(corridor))
    return report.ReportData(
        title=_title(corridor, zone, head),
        overview=(*chronicle.overview(judged, items, odd), *suppressions.sentences(corridor.ledger, judged.findings)),
        authority=authority,
        authority_notes=(*story.authority_notes(authority), *override_notes(corridor)),
        plan=story.plan(corridor.actors, items, entries, authority, corridor.settings),
        evidence=tuple(_item(corridor, item) for item in items),
        ledger=_ledger(entries),
        tools=tuple(_tools(entries)),
        confinement=story.confinement(entries),
        clocks=tuple(_clocks(corridor, items)),
        timeline=rows,
        steps=judged.steps,
        findings=tuple(sorted(judged.findings, key=by_severity)),
        aside=tuple(
            report.SetAside(s.finding, s.at, s.text, f"ledger-{s.seq}")
            for s in suppressions.standing(corridor.ledger).values()
        ),
        hypotheses=judged.hypotheses,
        searches=judged.searches,
        gaps=gaps,
        gaps_left_out=gaps_left,
        incomplete=tuple(
            report.Incomplete(int(a["evidence"]), str(a["path"]), str(a["incomplete"]))
            for a in accounts
            if "incomplete" in a
        ),
        limits=tuple(story.limits(judged, items, sums, facts, accounts, odd)),
        damage=tuple(figures(corridor, judged)),
        hashes=tuple(_hashes(corridor, items)),
        signatures=_signatures(corridor.actors),
        timeline_left_out=left_out,
        settings=tuple(settings_tables.tables(corridor, judged.findings)),
        addresses=address_table(store_of(corridor), judged.findings),
        notamper=tuple(item_of(r, (f"evidence-{r['evidence']}", f"ledger-{seq}")) for seq, r in results(corridor)),
        unsupported_rules=tuple(f"{n}: {why}" for n, why in story.unsupported(judged.rules)),
    )  # fmt: skip


def _title(corridor: Corridor, zone: str, head: Sealed) -> report.Title:
    said = corridor.settings
    baseline, source = _baseline(corridor)
    return report.Title(
        case_no=said.case_no or None,
        name=said.case_name or None,
        cause=said.cause or None,
        client=said.client or None,
        requirement=said.requirement or None,
        received=None,
        place=said.place or None,
        method_standard=said.method_standard or None,
        baseline=baseline,
        baseline_source=source,
        zone=zone,
        issued=issued_ns(head),
        program=f"Headwater {__version__}",
    )


def _baseline(corridor: Corridor) -> tuple[int | None, str | None]:
    """The moment of first control and how it is known: as the settings have it, else as the ledger last recorded it."""
    said = corridor.settings
    if said.baseline_time:
        return from_rfc3339(said.baseline_time), said.baseline_source or None
    entered = corridor.ledger.last("baseline")
    if entered is None:
        return None, None
    note = entered.entry.note
    return from_rfc3339(str(note["time"])), str(note.get("source") or "") or None


def _item(corridor: Corridor, item: Evidence) -> report.EvidenceItem:
    again = {
        n: s.entry.note["verdict"]["found"]
        for s in corridor.ledger.entries()
        if s.entry.action == REREAD
        for n in s.entry.evidence
    }
    digests = []
    for algorithm, value in item.digests.items():
        stated = item.stated.get(algorithm)
        reread = again.get(item.number) if algorithm == "sha256" else None
        digests.append(_digest(algorithm, value, stated, reread))
    return report.EvidenceItem(
        id=f"evidence-{item.number}",
        number=item.number,
        name=item.name,
        acquired_from=from_rfc3339(item.registered_at),
        acquired_until=None,
        source=item.source_path,
        sha256=item.digests["sha256"],
        method=Text("导入登记（非本程序制作）", "imported and registered; not acquired by this program"),
        custodian=item.custodian or None,
        purpose=item.purpose or Text("入侵溯源检验", "examination of the intrusion"),
        size=item.size,
        kind=item.kind,
        digests=tuple(digests),
        segments=tuple(report.Segment(Path(p).name, size, sha) for p, size, sha in item.files),
        fields=(
            report.RegisterField(Text("登记时间", "Registered at"), item.registered_at),
            report.RegisterField(Text("校验值对象", "Digest of"), DIGEST_OF.get(item.digest_of, item.digest_of)),
            *fields(item.notes),
            *systems(facts_of(corridor.ledger, item.number)),
        ),
    )


def _digest(algorithm: str, value: str, stated: str | None, reread: str | None) -> report.Digest:
    others = [v for v in (stated, reread) if v is not None]
    if not others:
        reason = Text(
            "无可比对的值：容器未载明，且未以该算法再次读取",
            "nothing to compare: not stated by the container, not read again",
        )
        return report.Digest(algorithm, value, None, None, report.Verdict.CANNOT, reason)
    if all(v.lower() == value.lower() for v in others):
        return report.Digest(algorithm, value, stated, reread, report.Verdict.MATCH)
    reason = Text("与登记的校验值不同", "differs from the registered value")
    return report.Digest(algorithm, value, stated, reread, report.Verdict.MISMATCH, reason)


def _shown(sealed: Sealed) -> int:
    """How many products of an entry are printed."""
    held = len(sealed.entry.products)
    return held if held <= PRODUCTS_MOST else 2


def _ledger(entries: Sequence[Sealed]) -> report.Ledger:
    rows = tuple(
        report.CustodyRow(
            id=f"ledger-{s.entry.seq}",
            seq=s.entry.seq,
            at=issued_ns(s),
            who=" / ".join(s.entry.actors) or "?",
            tool=s.entry.tool,
            action=s.entry.action,
            purpose=None,
            evidence=tuple(s.entry.evidence),
            went_in=tuple(f"{k} {v}" for k, v in sorted(s.entry.materials.items())),
            came_out=tuple(f"{k} {v}" for k, v in sorted(s.entry.products.items())[: _shown(s)]),
            left_out=len(s.entry.products) - _shown(s),
            entry_hash=s.hash,
            signed_by="Ed25519",
        )
        for s in entries
    )
    head = entries[-1]
    return report.Ledger(rows, head.entry.seq, head.hash, str(entries[0].entry.note.get("public_key", "")) or None)


def _tools(entries: Sequence[Sealed]) -> Iterable[report.Tool]:
    environment: dict[str, str] = {}
    for sealed in entries:
        environment.update(sealed.entry.environment)
    yield report.Tool("Headwater", __version__, Text("本程序", "this program"))
    for name, version in sorted(environment.items()):
        if name not in {"confinement", "system", "machine"}:
            yield report.Tool(name, version, Text("运行库", "library"))
    for name in ("system", "machine"):
        if name in environment:
            yield report.Tool(name, environment[name], Text("运行环境", "environment"))


def _clocks(corridor: Corridor, items: Sequence[Evidence]) -> Iterable[report.Clock]:
    store = store_of(corridor)
    feeds = store.feeds()
    found = (
        store.scan()
        .group_by("source", "feed", "t_basis")
        .agg(pl.col("t_recorded").max())
        .collect()
        .sort("source", "feed", "t_basis")
        .to_dicts()
        if feeds
        else []
    )
    for item in items:
        zone, origin = zone_for(corridor.settings, item.number, facts_of(corridor.ledger, item.number))
        skew = corridor.settings.skews_ns.get(str(item.number))
        alike: dict[tuple[TimeBasis, int | None], list[str]] = {}
        for row in found:
            if row["source"] == item.number and row["t_basis"] != TimeBasis.NONE.value:
                basis = TimeBasis(row["t_basis"])
                # of the last line: the years of lines before it follow from the order of months
                year = _year(row["t_recorded"]) if basis is TimeBasis.YEAR_ASSUMED else None
                alike.setdefault((basis, year), []).append(str(row["feed"]))
        for (basis, year), named in sorted(alike.items(), key=lambda held: (held[0][0].value, held[0][1] or 0)):
            assumed = basis in {TimeBasis.ZONE_ASSUMED, TimeBasis.YEAR_ASSUMED}
            yield report.Clock(
                id=f"clock-{item.number}-{basis.value}" + ("" if year is None else f"-{year}"),
                evidence=item.number,
                source=", ".join(named),
                basis=basis,
                zone=zone if assumed else None,
                year=year,
                offset_ns=None if skew is None else int(skew),
                origin=story.clock_origin(basis, origin),
            )


def _year(ns: int | None) -> int | None:
    text = rfc3339(ns)
    return None if text is None else int(text[:4])


def _said(row: Mapping[str, Any], texts: Texts, language: str) -> str:
    """The words of a record: a command as it is, else what its provider's text says with its values, else its telling fields."""
    words = None if row["command_line"] else texts.say(row, language)
    return story.summary(row) if words is None else story.shortened(" ".join(words.text.split()))


def timeline(corridor: Corridor, judged: Judged) -> tuple[tuple[report.TimelineRow, ...], int]:
    """The events behind the steps, in order of time, with the words of their records."""
    by_step: dict[str, list[str]] = {}
    for step in judged.steps:
        for name in step.findings:
            by_step.setdefault(name, []).append(step.id)
    wanted: dict[tuple[int, str, int, int], set[str]] = {}
    for finding in judged.findings:
        for cited in finding.spans if finding.id in by_step else ():
            key = (cited.span.evidence, cited.span.path, cited.span.offset, cited.ordinal)
            wanted.setdefault(key, set()).update(by_step[finding.id])
    if not wanted:
        return (), 0
    store = store_of(corridor)
    places = store.scan().select("ts", *_PLACE).join(_keys(wanted), on=_PLACE, how="semi")
    order = places.collect(engine="streaming").sort("ts", *_PLACE, nulls_last=True)
    texts = Texts.of(corridor)
    # the words of those that are printed alone: all of them might not fit into memory
    printed = _keys(order.head(TIMELINE_MOST).select(_PLACE).iter_rows())
    offsets = order.head(TIMELINE_MOST)["offset"].unique().implode()
    rows = (
        store.scan(columns=("message", "MESSAGE", "cs-uri", "cs-method", *texts.fields()))
        .filter(pl.col("offset").is_in(offsets))
        .join(printed, on=_PLACE, how="semi")
        .collect(engine="streaming")
        .sort("ts", *_PLACE, nulls_last=True)
    )
    found = []
    for row in rows.iter_rows(named=True):
        key = (row["source"], row["path"], row["offset"], row["ordinal"])
        found.append(
            report.TimelineRow(
                id=event_id(*key), ts=row["ts"], basis=TimeBasis(row["t_basis"]), kind=row["kind"], host=row["host"],
                user=row["user"], src_ip=row["src_ip"], summary=_said(row, texts, corridor.settings.language), evidence=row["source"],
                path=row["path"], offset=row["offset"], length=row["length"], steps=tuple(sorted(wanted[key])),
            )
        )  # fmt: skip
    return tuple(found), max(0, order.height - TIMELINE_MOST)


def _keys(places: Iterable[tuple[Any, ...]]) -> pl.LazyFrame:
    """Places of events as a frame."""
    schema = {"source": pl.Int64, "path": pl.String, "offset": pl.Int64, "ordinal": pl.Int64}
    return pl.LazyFrame(list(places), schema=schema, orient="row")


def gap_totals(corridor: Corridor) -> tuple[tuple[str, int, int], ...]:
    """Gaps of the whole case by reason: how many, and how many bytes."""
    return counted(store_of(corridor))


def _hashes(corridor: Corridor, items: Sequence[Evidence]) -> Iterable[report.HashRow]:
    for item in items:
        kind = Text("检材", "evidence")
        yield report.HashRow(kind, item.name, item.size, item.digests["sha256"])
        for path, size, sha in item.files:
            yield report.HashRow(Text("承载文件", "file that holds it"), Path(path).name, size, sha)
    for name, sha in sorted(sealed_parts(corridor.case).items()):
        yield report.HashRow(Text("事件文件", "event file"), name, (corridor.case / name).stat().st_size, sha)
    detected = [s for s in corridor.ledger.entries() if s.entry.action not in _AFTERWARDS]
    for sealed in reversed(detected):
        if sealed.entry.action == "detect":
            for name, sha in sorted(sealed.entry.products.items()):
                yield report.HashRow(Text("分析结果", "result"), name, (corridor.case / name).stat().st_size, sha)
            return


def _signatures(actors: Sequence[str]) -> tuple[report.SignatureSlot, ...]:
    role = Text("检验人", "Examiner")
    slots = [report.SignatureSlot(role, name) for name in actors]
    while len(slots) < 2:
        slots.append(report.SignatureSlot(role, None, Text("未记载第二名检验人", "no second examiner was recorded")))
    return tuple(slots)
