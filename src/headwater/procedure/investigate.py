# SPDX-License-Identifier: Apache-2.0
"""The main procedure: from authority to report, in one numbered order; killed anywhere, it goes on where it stopped.

1. Authority and case: refused without one (or a recorded reason for none).
2. Register every source: digests, verdicts, custody.
3. Examine every item: list, hold what it says of itself against the mandate, parse, account.
4. Detect, correlate, weigh.
5. Read the sources again and compare with the registration.
6. Report.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from headwater.case import folder as case_folder
from headwater.case import settings as case_settings
from headwater.case.authority import Claim, grant
from headwater.confine.pool import Early, Limits, Pool
from headwater.formats.canonical import digest
from headwater.formats.folders import FolderTree, open_root
from headwater.formats.keys import Key, plain
from headwater.formats.manifests import manifest
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import AcquireError, DetectError, IntegrityError, UsageError
from headwater.model.nouns import Authority, Finding, Sentence
from headwater.model.paths import encode_name
from headwater.procedure import indicators, known, places, yara
from headwater.procedure.accounts import save_accounts, save_ranges, sealed_parts
from headwater.procedure.children import WARM, how_many
from headwater.procedure.corridor import (
    AUTHORISED,
    EXAMINED,
    OPENED,
    REREAD,
    SETTINGS,
    Corridor,
    Progress,
    authority_of,
    environment,
    evidence_of,
    silent,
    source_of,
    store_of,
    unheard,
)
from headwater.procedure.doubts import warnings
from headwater.procedure.examination import examine
from headwater.procedure.intake import Gate, held, measured, take_in
from headwater.procedure.judgement import Judged, first_look, judge
from headwater.procedure.reporting import gap_totals, write_report
from headwater.vault.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks for. ``changes`` are settings that they gave; None leaves what stands."""

    sources: tuple[Path, ...]
    case: Path
    claim: Claim
    examiners: tuple[str, ...]
    changes: dict[str, Any]
    rules: tuple[Path, ...] = ()
    command: tuple[str, ...] = ()
    read_again: bool = True
    workers: int = 2
    keys: tuple[Key, ...] = ()
    gate: Gate = field(default_factory=Gate)
    yara: tuple[Path, ...] = ()
    indicators: tuple[Path, ...] = ()
    known: tuple[Path, ...] = ()
    places: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    judged: Judged
    items: tuple[Evidence, ...]
    reports: tuple[Path, ...]
    incomplete: tuple[str, ...]
    gaps: tuple[tuple[str, int, int], ...] = ()  # reason, how many, bytes
    warnings: tuple[Sentence, ...] = ()  # times to be wary of


def pool_for(workers: int, keys: Sequence[Key] = (), early: Sequence[Early] = ()) -> Pool:
    """A pool of confined children that have the parsers loaded, the keys at hand and what ``early`` gives them."""
    given = [("headwater.formats.keys:hold", plain(keys))] if keys else []
    return Pool(how_many(workers), Limits(), warm=WARM, prepare=given, early=early)


def investigate(
    order: Order, progress: Progress = silent, news: Callable[[Sequence[Finding]], None] = unheard
) -> Outcome:
    """Run the whole procedure; the steps are numbered as in the module's docstring.

    ``news`` is told what a first look finds in the telling files of a large item, long before the rest is read.
    """
    sources = [s.absolute() for s in order.sources]
    new = not case_folder.is_case(order.case)
    authority = _authority(order, new)  # before anything is made
    for source in sources:  # before anything is made: a mistyped name must not use up the case folder
        if new and not source.exists():
            raise AcquireError("HW2001", encode_name(os.fsencode(source)))
    for folder in order.rules:
        if not folder.is_dir():
            raise DetectError("HW6001", str(folder))
    _check(case_settings.with_changes(case_settings.CaseSettings(), order.changes))
    yara.check(order.yara)
    lists = indicators.read(order.indicators)
    known.check(order.known)
    places.check(order.places)
    if case_folder.prepare(order.case):
        new = True
    with case_folder.locked(order.case), Ledger(order.case, create=True) as ledger:
        corridor = _open(order, ledger, sources, authority)
        corridor.progress, corridor.news = progress, news
        matching = yara.keep(order.case, order.yara)
        indicators.keep(order.case, lists)
        with pool_for(order.workers, order.keys, yara.early(order.case)) as pool:
            items = [take_in(corridor, pool, number, source, order.gate) for number, source in enumerate(sources, 1)]
            look = partial(first_look, corridor)
            examined = {item.number: examine(corridor, pool, item, order.gate, look) for item in items}
            accounts = {number: done.accounts for number, done in examined.items()}
            ranges = {number: done.coverage for number, done in examined.items()}
            products = {
                "coverage.jsonl": save_accounts(order.case, accounts),
                "extents.jsonl": save_ranges(order.case, ranges),
                yara.NAME: matching,
            }
            _seal(corridor, pool, items, products)
            known.keep(order.case, order.known, store_of(corridor))
            places.keep(order.case, order.places, store_of(corridor))
            pool.close()  # idle children hold memory that detection needs; reading again starts new ones
            judged = judge(corridor, order.rules or tuple(Path(r) for r in corridor.settings.rules))
            if order.read_again:
                for item in items:
                    read_again(corridor, pool, item)
        reports = write_report(corridor)
        gaps, odd = gap_totals(corridor), tuple(warnings(corridor))
    incomplete = tuple(str(a["path"]) for rows in accounts.values() for a in rows if "incomplete" in a)
    return Outcome(judged, tuple(items), tuple(reports), incomplete, gaps, odd)


def _authority(order: Order, new: bool) -> Authority | None:
    """The authority claimed now; None where the case already holds one and nothing new is claimed."""
    claim = order.claim
    if not new and claim == Claim():
        return None
    return grant(claim, datetime.now(UTC))


def _open(order: Order, ledger: Ledger, sources: Sequence[Path], authority: Authority | None) -> Corridor:
    names = [encode_name(os.fsencode(s)) for s in sources]
    first = next(ledger.entries(), None)
    if first is None:
        settings = case_settings.with_changes(case_settings.CaseSettings(), order.changes)
        settings = replace(
            settings, rules=_paths(order.rules) or settings.rules, yara=_paths(order.yara) or settings.yara
        )
        _check(settings)
        corridor = Corridor(order.case, ledger, settings, order.examiners, order.command, keys=order.keys)
        authority = authority or grant(order.claim, datetime.now(UTC))  # a run that ended before it opened the case
        corridor.record(
            OPENED,
            environment=environment(),
            note={"authority": asdict(authority), "sources": names, "settings": asdict(settings)},
        )
        settings.save(order.case)
        return corridor
    planned = first.entry.note.get("sources") or [i.source_path for i in evidence_of(ledger)]
    # a case that imaging opened names no sources: its images come first, in order, and more may follow
    if names != planned and (first.entry.note.get("sources") or names[: len(planned)] != planned):
        raise UsageError("HW0004", str(order.case), what=", ".join(map(str, planned)))
    ledger.check()
    standing = _standing(ledger, order.case)
    settings = case_settings.with_changes(standing, order.changes)
    settings = replace(settings, rules=_paths(order.rules) or settings.rules, yara=_paths(order.yara) or settings.yara)
    _check(settings)
    actors = order.examiners or first.entry.actors
    corridor = Corridor(order.case, ledger, settings, actors, order.command, keys=order.keys)
    if authority is not None and authority != authority_of(ledger):
        corridor.record(AUTHORISED, note={"authority": asdict(authority)})
    record_settings(corridor)
    return corridor


def _paths(given: Sequence[Path]) -> tuple[str, ...]:
    return tuple(str(p.absolute()) for p in given)


def _standing(ledger: Ledger, case: Path) -> case_settings.CaseSettings:
    """The case file, or, where a killed run had not yet written it, what the ledger's first entry says."""
    if (case / case_settings.NAME).is_file():
        return case_settings.load(case)
    first = next(ledger.entries())
    settings = case_settings.from_plain(first.entry.note["settings"])
    settings.save(case)
    return settings


def record_settings(corridor: Corridor) -> None:
    """Enter changed assumptions in the ledger, once, and write the case file."""
    now = digest(asdict(corridor.settings))
    known = ""
    for sealed in corridor.ledger.entries():
        if sealed.entry.action in {OPENED, SETTINGS}:
            known = digest(sealed.entry.note["settings"])
    if now != known:
        corridor.record(SETTINGS, note={"settings": asdict(corridor.settings)})
    corridor.settings.save(corridor.case)


def _check(settings: case_settings.CaseSettings) -> None:
    for zone in (settings.zone, *settings.zones.values()):
        if zone:
            case_settings.check_zone(zone)
    for proxy in settings.trusted_proxies:
        try:
            ipaddress.ip_network(proxy.strip(), strict=False)
        except ValueError as error:  # a list that is silently shorter than the examiner thinks shifts blame
            raise UsageError("HW0001", what=f"--trusted-proxy {proxy}") from error


def _seal(corridor: Corridor, pool: Pool, items: Sequence[Evidence], files: Mapping[str, str]) -> None:
    parts = sealed_parts(corridor.case)
    products = dict(files) | {"parts": digest(parts)}
    last = corridor.ledger.last(EXAMINED)
    if last is None or dict(last.entry.products) != products:
        corridor.record(
            EXAMINED,
            evidence=[i.number for i in items],
            materials={f"evidence-{i.number}": i.digests["sha256"] for i in items},
            products=products,
            environment=environment() | {"confinement": " ".join(pool.level)},
            note={"parts": len(parts)},
        )


def digest_again(corridor: Corridor, pool: Pool, item: Evidence) -> Verdict:
    """Digest an item anew and compare with its registration; enters nothing."""
    expected = item.digests["sha256"]
    source = source_of(item)
    with held(source) as open_files:
        if item.kind == "folder":
            found = _folder_digest(source)
        else:
            found = str(
                measured(corridor, pool, item.number, open_files, ("sha256",), "read-again")["medium"]["sha256"]
            )
    return Verdict("source-read-again", "match" if found == expected else "mismatch", "sha256", expected, found)


def read_again(corridor: Corridor, pool: Pool, item: Evidence) -> Verdict:
    """Digest an item again and compare; the first verdict is entered in the ledger, and every mismatch.

    Raises:
        IntegrityError: HW3003 where it differs; the verdict is entered first.
    """
    verdict = digest_again(corridor, pool, item)
    entered = any(
        sealed.entry.action == REREAD and item.number in sealed.entry.evidence for sealed in corridor.ledger.entries()
    )
    if entered and verdict.result == "match":
        return verdict  # the same words again would change what the report rests on
    corridor.record(REREAD, evidence=[item.number], note={"verdict": asdict(verdict)})
    if verdict.result != "match":
        raise IntegrityError("HW3003", item.source_path, expected=verdict.expected, found=verdict.found)
    return verdict


def _folder_digest(source: Path) -> str:
    root = open_root(source)
    try:
        tree = FolderTree(root)
        found = manifest(tree).digest
        tree.close()
    finally:
        os.close(root)
    return found
