# SPDX-License-Identifier: Apache-2.0
"""The no-tamper examination (无污损鉴定) of one item, in the order of its layers; the result is entered in the ledger.

1. The baseline: recorded now, or before; without one nothing can be asked.
2. Chain and clocks, from the ledger; the item is digested again.
3. What each volume says of its own writing is read in a confined child.
4. Layers 3 to 5 over the events, then the verdict A to E with what carries it and what it cannot see.
5. Record (JSON) and paper (HTML, PDF) are written beside the case and entered with their digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.formats.journal_seal import seal_keys
from headwater.formats.keys import Key
from headwater.model.custody import Evidence
from headwater.model.errors import UsageError, VaultError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339, rfc3339
from headwater.procedure.casework import set_baseline
from headwater.procedure.corridor import Corridor, evidence_of, issued_ns, store_of
from headwater.procedure.custody import Desk
from headwater.procedure.intake import call
from headwater.procedure.investigate import pool_for
from headwater.procedure.notamper_grounds import act, acts_of, baseline_of, chain, clocks, known_digests, plain_acts
from headwater.procedure.notamper_held import FOLDER, NOTAMPER
from headwater.procedure.odd_times import acquired
from headwater.procedure.outer_journals import held_as_listed
from headwater.reconstruct.notamper import examined
from headwater.reconstruct.notamper_content import digests_of
from headwater.reconstruct.notamper_terms import (
    LAYERS,
    STANDING_TEXT,
    VERDICTS,
    Examined,
    Known,
    Question,
    Seal,
    Sign,
    Standing,
    Volume,
)
from headwater.report import notamper as paper
from headwater.report.html import page
from headwater.report.notamper_data import item_of
from headwater.report.pdf import typeset
from headwater.vault.ledger import Ledger

_KEY_FILE_MOST = 65_536
_LISTS = ("commits", "states", "differing", "wrong")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks. ``baseline``: RFC 3339, with its source, offset and uncertainty in ns; empty: as recorded.

    ``state``: ``running`` or ``stopped`` by the person's word; ``acts``: ``FROM/UNTIL=WORDS``; ``services``: trees that a
    running service writes; ``known``: a list of sha256sum(1), when it was taken and what it is; ``against``: the number of
    another item of the case taken at ``known_at``.
    """

    number: int
    baseline: str = ""
    source: str = ""
    ahead: int = 0
    uncertainty: int | None = None
    state: str = ""
    acts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    known: tuple[Path, ...] = ()
    known_at: str = ""
    known_from: str = ""
    against: int | None = None
    read_again: bool = True
    language: str = "both"
    keys: tuple[Key, ...] = ()
    seal_keys: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, and the files that say so."""

    examined: Examined
    paths: tuple[Path, ...]


def no_tamper(desk: Desk, ask: Ask) -> Outcome:
    """Run the examination; the steps are numbered as in the module's docstring.

    Raises:
        UsageError: HW2201 no baseline, HW2202 the item has not been examined, HW0001.
        VaultError: HW3014, no such item.
    """
    corridor = desk.corridor
    corridor.keys = ask.keys
    desk.permit("analyse")
    item = next((e for e in evidence_of(corridor.ledger) if e.number == ask.number), None)
    if item is None:
        raise VaultError("HW3014", what=f"E{ask.number}")
    if ask.baseline:
        if ask.uncertainty is None:
            raise UsageError("HW0001", what="--uncertainty")
        set_baseline(desk, ask.baseline, ask.source, ask.ahead, ask.uncertainty)
    baseline = baseline_of(corridor)
    store = store_of(corridor)
    if not store.feeds():
        raise UsageError("HW2202", f"E{ask.number}")
    until = acquired(item)[0]
    found, stated = acts_of(corridor, baseline, until)
    acts = (*found, *(act(word) for word in ask.acts))
    known, sources = _known(corridor, ask)
    texts = _seal_texts(ask, sources)
    with pool_for(1, ask.keys) as pool:
        before = [*chain(corridor, pool, item, read_again=ask.read_again), *clocks(corridor, item, baseline)]
        volumes = _volumes(corridor.ledger, pool, item, baseline.t0 - baseline.epsilon)
        seals = _seals(corridor.ledger, pool, item, texts)
    question = Question(
        item.number, baseline, until, acts, ask.state or stated, tuple(ask.services), volumes, known, seals
    )  # fmt: skip
    result = examined(store, question, before)
    return _enter(desk, item, result, ask, sources)


def _known(corridor: Corridor, ask: Ask) -> tuple[tuple[Known, ...], dict[str, str]]:
    """The digests to compare with, and the lists they come from with their own digests."""
    try:
        at = from_rfc3339(ask.known_at) if ask.known_at else None
    except ValueError as error:
        raise UsageError("HW0001", what=f"--known-at {ask.known_at}") from error
    lists = [known_digests(path, at, ask.known_from) for path in ask.known]
    sources = {known.name: digest for known, digest in lists}
    found = [known for known, _ in lists]
    if ask.against is not None:
        other = next((e for e in evidence_of(corridor.ledger) if e.number == ask.against), None)
        if other is None or other.number == ask.number:
            raise VaultError("HW3014", what=f"E{ask.against}")
        digests = {path: row[0] for path, row in digests_of(store_of(corridor), other.number).items()}
        words = ask.known_from or f"本案检材 E{other.number} · item E{other.number} of this case"
        found.append(Known(f"E{other.number} {other.name}", digests, at, words))
        sources[f"evidence-{other.number}"] = other.digests["sha256"]
    return tuple(found), sources


def _seal_texts(ask: Ask, sources: dict[str, str]) -> list[str]:
    """The files with verification keys as text; their digests go into ``sources``, what they hold does not."""
    texts = []
    for path in ask.seal_keys:
        try:
            data = path.read_bytes()[:_KEY_FILE_MOST]
        except OSError as error:
            raise UsageError("HW0001", what=f"--seal-key {path}: {error.strerror}") from error
        text = data.decode("utf-8", "replace")
        if not seal_keys(text):
            raise UsageError("HW0001", what=f"--seal-key {path}")
        sources[path.name] = hashlib.sha256(data).hexdigest()
        texts.append(text)
    return texts


def _seals(ledger: Ledger, pool: Pool, item: Evidence, texts: list[str]) -> tuple[Seal, ...]:
    """What the seals of the item's systemd journals say, from a confined child; nothing for a folder."""
    rows: list[dict[str, Any]] = []
    if item.kind == "folder":
        return ()
    with held_as_listed(ledger, item) as files:
        args = {"files": files.args(), "keys": texts}
        call(pool, Task(f"seals-{item.number}", "headwater.procedure.child_notamper:seals", args, files.fds,
                        wall=7_200.0, cpu=3_600), lambda m: rows.append(m.header["seal"]) if "seal" in m.header else None)  # fmt: skip
    return tuple(Seal(**{**row, "miscounted": {k: (v[0], v[1]) for k, v in row["miscounted"].items()}}) for row in rows)


def _volumes(ledger: Ledger, pool: Pool, item: Evidence, since: int) -> tuple[Volume, ...]:
    """What the volumes of the item say, from a confined child; nothing for a folder."""
    rows: dict[str, dict[str, Any]] = {}

    def take(message: Message) -> None:
        header = message.header
        if "volume" in header:
            row = dict(header["volume"])
            rows[str(row["view"])] = (
                row | dict.fromkeys(_LISTS, ()) | {"wrong": () if row.pop("keeps_checksums") else None}
            )
        elif "list" in header:
            held_rows = rows[str(header["view"])]
            held_rows[str(header["list"])] = (*held_rows[str(header["list"])], *header["rows"])

    if item.kind == "folder":
        return ()
    with held_as_listed(ledger, item) as files:
        args = {"files": files.args(), "since": since}
        call(pool, Task(f"traces-{item.number}", "headwater.procedure.child_notamper:traces", args, files.fds,
                        wall=7_200.0, cpu=3_600), take)  # fmt: skip
    names = set(Volume.__dataclass_fields__)
    return tuple(Volume(**{k: v for k, v in row.items() if k in names}) for row in rows.values())


def _enter(desk: Desk, item: Evidence, result: Examined, ask: Ask, sources: Mapping[str, str]) -> Outcome:
    corridor = desk.corridor
    plain = plain_of(result)
    folder = corridor.case / FOLDER
    base = f"E{item.number}"
    last = list(corridor.ledger.entries())[-1]
    document = paper.document(item_of(plain), corridor.settings.case_no, issued_ns(last))
    files = {
        f"{FOLDER}/{base}.json": canonical(plain) + b"\n",
        f"{FOLDER}/{base}.html": page(document, ask.language),
        f"{FOLDER}/{base}.pdf": typeset(document, ask.language),
    }
    folder.mkdir(exist_ok=True)
    products = {name: write_atomic(corridor.case / name, data) for name, data in files.items()}
    question = result.question
    note = {
        "verdict": result.verdict, "t0": rfc3339(question.baseline.t0), "acts": plain_acts(question.acts),
        "state": question.stated, "services": list(question.services),
        "known": [{"name": k.name, "at": rfc3339(k.at), "words": k.words} for k in question.known],
    }  # fmt: skip
    materials = {f"evidence-{item.number}": item.digests["sha256"], **sources}
    desk.record(NOTAMPER, note, evidence=[item.number], materials=materials, products=products)
    return Outcome(result, tuple(corridor.case / name for name in files))


def plain_of(result: Examined) -> dict[str, Any]:
    """The result as plain values; times as RFC 3339."""
    question, operation = result.question, result.operation
    return {
        "evidence": question.source,
        "baseline": {
            "t0": rfc3339(question.baseline.t0), "source": question.baseline.source,
            "uncertainty_ns": None if question.baseline.uncertainty is None else str(question.baseline.uncertainty),
        },
        "acquired": rfc3339(question.acquired),
        "verdict": result.verdict,
        "conclusion": _text(VERDICTS[result.verdict]),
        "operation": {"running": operation.running, "last": rfc3339(operation.last), "text": _text(operation.text),
                      "witnesses": list(operation.witnesses[:100])},
        "acts": plain_acts(question.acts),
        "reasons": [_text(t) for t in result.reasons],
        "signs": [_sign(s) for s in result.signs],
        "limits": [_text(t) for t in result.limits],
        "volumes": [
            {"view": v.view, "kind": v.kind, "state": v.state, "times": {k: rfc3339(t) for k, t in v.times.items()},
             "mounts": v.mounts, "commits": len(v.commits), "compared": v.compared, "left_out": v.more}
            for v in question.volumes
        ],
        "seals": [
            {"path": s.whole, "state": s.state, "sealed": s.sealed, "checked": s.checked, "tags": s.tags, "good": s.good,
             "entries": s.entries, "unsealed": s.unsealed, "until": rfc3339(s.until), "fault": s.fault}
            for s in question.seals
        ],
    }  # fmt: skip


def _text(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _sign(sign: Sign) -> dict[str, Any]:
    return {
        "layer": sign.layer, "layer_text": _text(LAYERS[sign.layer]), "rule": sign.rule, "standing": str(sign.standing),
        "standing_text": _text(STANDING_TEXT[sign.standing]), "text": _text(sign.text), "count": sign.count,
        "first": rfc3339(sign.first), "last": rfc3339(sign.last),
        "examples": [
            {"path": e.path, "what": e.what, "at": rfc3339(e.at),
             "span": [e.span.evidence, e.span.path, str(e.span.offset), str(e.span.length)]}
            for e in sign.examples
        ],
    }  # fmt: skip


def speaks_against(sign: Sign) -> bool:
    """Whether a sign carries C or D."""
    return sign.standing in {Standing.UNEXPLAINED, Standing.UNDECIDED}
