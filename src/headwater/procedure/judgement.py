# SPDX-License-Identifier: Apache-2.0
"""Detect, correlate, reconstruct: events become findings, steps, searches and hypotheses, each in one file of lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.correlate.steps import correlate
from headwater.detect import registry
from headwater.detect.sigma_report import SigmaReport
from headwater.formats.canonical import plain
from headwater.model.errors import DetectError, StoreError, UsageError
from headwater.model.kinds import SEVERITY_ORDER
from headwater.model.nouns import Citation, Finding, Hypothesis, Search, Span, Step
from headwater.model.ports import Settings
from headwater.procedure import contained, contracts, indicators, known, places, suppressions
from headwater.procedure.accounts import load_accounts
from headwater.procedure.corridor import DETECTED, Corridor, clocks_of, evidence_of, facts_of, store_of, zone_for
from headwater.procedure.own_visits import visits_of
from headwater.procedure.yara_scan import told
from headwater.reconstruct.hypotheses import weigh
from headwater.reconstruct.searches import standing_searches

if TYPE_CHECKING:
    from headwater.store.events import EventStore

FINDINGS, STEPS, SEARCHES, HYPOTHESES, RULES = (
    "findings.jsonl", "steps.jsonl", "searches.jsonl", "hypotheses.jsonl", "rules.json",
)  # fmt: skip

SEEN_FIRST = "seen-first.jsonl"  # of a run under way
JUDGED = (FINDINGS, STEPS, SEARCHES, HYPOTHESES, RULES)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the case amounts to, as nouns."""

    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    searches: tuple[Search, ...]
    hypotheses: tuple[Hypothesis, ...]
    rules: Json


def _settings(corridor: Corridor) -> Settings:
    """The settings as detectors see them, with the zone of each clock for "unusual hours"."""
    items = evidence_of(corridor.ledger)
    zone = "UTC"
    if items:
        zone, _ = zone_for(corridor.settings, items[0].number, facts_of(corridor.ledger, items[0].number))
    return Settings(
        zone=zone,
        trusted_proxies=corridor.settings.trusted_proxies,
        usual_hours=corridor.settings.usual_hours,
        zones={name: clock.zone for name, clock in clocks_of(corridor).items()},
        visits=visits_of(corridor),
        places=places.of_case(corridor.case),
    )


class Physical:
    """Where a span lies on the medium, from the extents that the accounts state."""

    def __init__(self, accounts: Sequence[Mapping[str, Any]]) -> None:
        self._extents = {
            (int(a["evidence"]), str(a["path"])): [(int(o), int(n)) for o, n in a["extents"]]
            for a in accounts
            if a["extents"] and a["path"] == a["target"]["path"]  # a compressed layer has no place of its own
        }

    def of(self, span: Span) -> tuple[tuple[int, int], ...]:
        """Ranges on the medium that hold the span, in order; () where not known."""
        found: list[tuple[int, int]] = []
        at = 0
        for offset, length in self._extents.get((span.evidence, span.path), ()):
            low, high = max(span.offset, at), min(span.offset + span.length, at + length)
            if low < high:
                found.append((offset + low - at, high - low))
            at += length
        return tuple(found) if sum(n for _, n in found) == span.length else ()


def _placed(finding: Finding, physical: Physical) -> Finding:
    spans = tuple(
        Citation(replace(c.span, physical=physical.of(c.span)), c.ts, c.claims, c.ordinal) for c in finding.spans
    )
    return replace(finding, spans=spans)


def _order(finding: Finding) -> tuple[Any, ...]:
    first = finding.ts_first if finding.ts_first is not None else 2**63
    return (first, -SEVERITY_ORDER[finding.severity], finding.rule.id, finding.id)


def by_severity(finding: Finding) -> tuple[int, int, str]:
    """The order in which people read findings: the most serious first, then by time; those without a time last."""
    first = finding.ts_first if finding.ts_first is not None else 2**63
    return (-SEVERITY_ORDER[finding.severity], first, finding.id)


def _detected(corridor: Corridor, store: EventStore, settings: Settings) -> tuple[dict[str, Finding], list[Json]]:
    """What our own detectors find, by id, and which of them failed and why."""
    found: dict[str, Finding] = {}
    failed: list[Json] = []
    detectors = registry.all_detectors()
    for at, (name, detector) in enumerate(detectors.items()):
        corridor.progress("detect", at, len(detectors), "detectors")
        try:
            for finding in registry.run(detector, store, settings):
                found[finding.id] = finding
        except DetectError as error:
            failed.append({"detector": name, "why": error.names.get("what", "")})
    return found, failed


def first_look(corridor: Corridor) -> None:
    """What our own detectors see in what is read so far: told, and kept for ``findings`` until the case is judged.

    Nothing of it is entered or reported: what is read later can add to it, explain it or take it back.
    """
    found, failed = _detected(corridor, store_of(corridor), _settings(corridor))
    seen = sorted(found.values(), key=_order)
    contracts.save_lines(corridor.case / SEEN_FIRST, [*map(contracts.finding_json, seen), *failed])
    corridor.news(seen)


def seen_first(case: Path) -> tuple[Finding, ...] | None:
    """The findings of the first look, while the case is still being examined for the first time; else None."""
    if (case / FINDINGS).exists() or not (case / SEEN_FIRST).exists():
        return None
    return tuple(contracts.finding_of(r) for r in _lines(case / SEEN_FIRST) if "detector" not in r)


def failed_first(case: Path) -> tuple[Json, ...]:
    """The detectors that failed at the first look, and why: what they would have seen is missing from it."""
    if seen_first(case) is None:
        return ()
    return tuple(r for r in _lines(case / SEEN_FIRST) if "detector" in r)


def judge(corridor: Corridor, rule_folders: Sequence[Path]) -> Judged:
    """Run every detector and rule, correlate and weigh; write the four files of lines and enter it in the ledger.

    A detector that fails is named in ``rules.json`` and in the report; the others go on.
    """
    store, settings = store_of(corridor), _settings(corridor)
    accounts = load_accounts(corridor.case)
    physical = Physical(accounts)
    found, failed = _detected(corridor, store, settings)
    found.update({f.id: f for f in indicators.findings(corridor.case, store)})
    sigma = SigmaReport()
    for folder in rule_folders:
        from headwater.detect.sigma import run_rules  # its libraries take a fifth of a second to load

        corridor.progress("sigma", 0, None, "rules")
        findings, report = run_rules(folder, store, settings)
        found.update({f.id: f for f in findings})
        sigma = sigma.joined(report)
        corridor.progress("sigma", len(sigma.ran), None, "rules")  # else the last that is seen is "0 rules"
    facts = {i.number: facts_of(corridor.ledger, i.number) for i in evidence_of(corridor.ledger)}
    held = known.of_case(corridor.case, store)
    named = tuple(known.weighed(contained.named(found.values(), facts), held))
    placed = tuple(sorted((_placed(f, physical) for f in named), key=_order))
    counted = suppressions.counted(corridor.ledger, placed)
    steps = tuple(correlate(counted))
    searches = tuple(standing_searches(store, settings, accounts))
    hypotheses = tuple(weigh(counted, steps, searches))
    rules: Json = {
        "detectors": {name: d.RULE.version for name, d in registry.all_detectors().items()},
        "failed": failed,
        "sigma": sigma.plain(),
        "indicators": indicators.told(corridor.case),
        "known": known.told(corridor.case, held, placed),
        "places": places.told(corridor.case),
        "yara": told(corridor.case, evidence_of(corridor.ledger)),
    }
    return _save(corridor, Judged(placed, steps, searches, hypotheses, rules))


def judged_of(corridor: Corridor) -> Judged:
    """What was judged of a case that somebody looks at.

    Raises:
        UsageError: HW0009, its examination has not come that far. StoreError: HW5001, it had, and files are gone.
    """
    if corridor.ledger.last(DETECTED) is None and not (corridor.case / FINDINGS).exists():
        raise UsageError("HW0009", str(corridor.case))
    return load(corridor.case)


def correlated(corridor: Corridor) -> Judged:
    """Steps and hypotheses anew from the findings as they stand, after a person left some out or took them back."""
    held = load(corridor.case)
    counted = suppressions.counted(corridor.ledger, held.findings)
    steps = tuple(correlate(counted))
    return _save(corridor, replace(held, steps=steps, hypotheses=tuple(weigh(counted, steps, held.searches))))


def _save(corridor: Corridor, judged: Judged) -> Judged:
    case = corridor.case
    products = {
        FINDINGS: contracts.save_lines(case / FINDINGS, map(contracts.finding_json, judged.findings)),
        STEPS: contracts.save_lines(case / STEPS, map(contracts.step_json, judged.steps)),
        SEARCHES: contracts.save_lines(case / SEARCHES, map(plain, judged.searches)),
        HYPOTHESES: contracts.save_lines(case / HYPOTHESES, map(plain, judged.hypotheses)),
        RULES: contracts.save_lines(case / RULES, [judged.rules]),
        **indicators.FILE.sealed(case),
        **known.FILE.sealed(case),
        **places.FILE.sealed(case),
    }
    (case / SEEN_FIRST).unlink(missing_ok=True)
    last = corridor.ledger.last(DETECTED)
    if last is None or dict(last.entry.products) != products:
        corridor.record(
            DETECTED,
            evidence=[e.number for e in evidence_of(corridor.ledger)],
            products=products,
            note={"findings": len(judged.findings), "steps": len(judged.steps)},
        )
    return judged


def _lines(path: Path) -> Iterable[Json]:
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise StoreError("HW5001", str(path), what=error) from error


def load(case: Path) -> Judged:
    """What was judged, from the files of the case.

    Raises:
        StoreError: HW5001 where they are missing or broken.
    """
    return Judged(
        tuple(contracts.finding_of(r) for r in _lines(case / FINDINGS)),
        tuple(contracts.step_of(r) for r in _lines(case / STEPS)),
        tuple(contracts.search_of(r) for r in _lines(case / SEARCHES)),
        tuple(contracts.hypothesis_of(r) for r in _lines(case / HYPOTHESES)),
        next(iter(_lines(case / RULES))),
    )
