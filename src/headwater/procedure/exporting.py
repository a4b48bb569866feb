# SPDX-License-Identifier: Apache-2.0
"""Export: a case, or what of it may leave, as one file that a stranger can verify.

1. The gate: to whom, on what basis, into which jurisdiction; abroad only with the number of an approval.
2. Two persons: the export is approved and entered in the ledger before anything is written.
3. What is kept back keeps its place: an entry by hash and leaf, a file by its digest in the ledger.
4. The file is written, verified as a stranger would, and its digest entered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headwater.case.defects import defects
from headwater.formats.canonical import canonical
from headwater.model.custody import Sealed
from headwater.model.errors import AuthorityError, IntegrityError, VaultError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339
from headwater.procedure.casework import whole
from headwater.procedure.corridor import REGISTERED, Corridor, evidence_of
from headwater.procedure.custody import OBJECTS, Desk, chains
from headwater.procedure.judgement import JUDGED
from headwater.procedure.within_mandate import mandate_of
from headwater.report.blocks import Block, Document, Fields, Heading, Note, Paragraph, Sign, code, data
from headwater.report.pdf import typeset
from headwater.vault import anchors, hwcase, instructions, items, statements, trail, uco
from headwater.vault.keys import open_case_key
from headwater.vault.merkle import leaf
from headwater.vault.storage import Folder
from headwater.vault.trail import DISMISS, ENROL, Redacted

EXPORT, EXPORTED = "export", "exported"
HOME = "CN"
_RESULTS = (
    "case.json",
    "coverage.jsonl",
    "extents.jsonl",
    "yara-rules.json",
    "indicator-lists.json",
    "known-files.json",
    *JUDGED,
)
_FOLDERS = ("report", "manifests")
_NEVER_BACK = frozenset({ENROL, DISMISS})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks to export. ``keep_back``: numbers of ledger entries whose bodies stay here."""

    to: str
    basis: str
    out: Path
    jurisdiction: str = HOME
    approval: str = ""
    with_items: bool = True
    with_results: bool = True
    keep_back: tuple[int, ...] = ()
    case_jsonld: bool = False
    dsse: bool = False
    language: str = "both"


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it."""

    path: Path
    sha256: str
    rows: tuple[hwcase.Finding, ...]
    defects: int


def gate(wanted: Wanted) -> None:
    """Let an export pass, or not.

    International Criminal Judicial Assistance Law Art. 4, Data Security Law Art. 36, PIPL Art. 41: evidence and data go
    abroad with the competent authority's approval alone.

    Raises:
        AuthorityError: HW1016.
    """
    missing = [f"--{n}" for n, v in (("to", wanted.to), ("basis", wanted.basis)) if not v.strip()]
    if wanted.jurisdiction.strip().upper() != HOME and not wanted.approval.strip():
        missing.append(f"--approval ({wanted.jurisdiction})")
    if missing:
        raise AuthorityError("HW1016", what=", ".join(missing))


def export(desk: Desk, wanted: Wanted) -> Exported:
    """Export the case; the steps are numbered as in the module's docstring.

    Raises:
        AuthorityError: HW1010 … HW1012, HW1016; VaultError: HW3015 where the file exists already.
        IntegrityError: HW3020 where what was written does not verify.
    """
    gate(wanted)
    if wanted.out.exists():
        raise VaultError("HW3015", str(wanted.out), what="it exists")
    corridor = desk.corridor
    corridor.ledger.check()
    found = defects(whole(corridor))
    note = {
        "to": wanted.to, "basis": wanted.basis, "jurisdiction": wanted.jurisdiction, "approval": wanted.approval,
        "kept_back": list(wanted.keep_back), "with_items": wanted.with_items, "with_results": wanted.with_results,
        "defects": len(found),
    }  # fmt: skip
    numbers = [e.number for e in evidence_of(corridor.ledger)]
    files = _standing(corridor, wanted)
    files["defects.json"] = canonical([asdict(d) for d in found]) + b"\n"
    # whoever signs the export vouches for these; what follows depends on the head after this entry
    digests = {n: hwcase.measure(content)[0] for n, content in files.items()}
    entered = desk.do(EXPORT, "export", note, evidence=numbers, products=digests)
    files.update(_headed(corridor, wanted, entered))
    about = dict(note) | {"case_no": corridor.settings.case_no, "time": entered.entry.time, "entry": entered.hash}
    rows, sha256, size = _written(corridor, wanted.out, files, about)
    desk.record(EXPORTED, {"to": wanted.to, "size": size}, products={wanted.out.name: sha256})
    return Exported(wanted.out, sha256, tuple(rows), len(found))


def _written(
    corridor: Corridor, out: Path, files: Mapping[str, bytes | Path], about: Mapping[str, Any]
) -> tuple[list[hwcase.Finding], str, int]:
    """Write beside the place, verify as a stranger would, and only then give it its name."""
    key = open_case_key(corridor.case / "keys" / "case.key")
    temporary = out.with_name(out.name + ".tmp")
    try:
        with open(temporary, "wb") as target:
            hwcase.write(target, files, about, key)
            target.flush()
            os.fsync(target.fileno())
        with open(temporary, "rb") as source:
            rows = hwcase.check(source)
        if hwcase.verdict(rows) == "failed":
            failed = next(r for r in rows if r.result == "failed")
            raise IntegrityError("HW3020", str(out), what=f"{failed.what}: {failed.detail}")
        sha256, size = hwcase.measure(temporary)
        os.rename(temporary, out)  # no hard link: exports go to sticks whose file system has none
    except OSError as error:
        raise VaultError("HW3004", str(out), what=error.strerror or error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return rows, sha256, size


def _standing(corridor: Corridor, wanted: Wanted) -> dict[str, bytes | Path]:
    """What goes into the export as it stands in the case: anchors, results, items, custody."""
    files: dict[str, bytes | Path] = {}
    for folder in ("anchors", *(_FOLDERS if wanted.with_results else ())):
        for path in sorted((corridor.case / folder).glob("*")):
            if path.is_file() and not path.name.endswith(".tmp"):
                files[f"{folder}/{path.name}"] = path
    for name in _RESULTS if wanted.with_results else ():
        if (corridor.case / name).is_file():
            files[name] = corridor.case / name
    sealed = list(corridor.ledger.entries())
    _rows(sealed, wanted.keep_back)  # refuses before anything is entered
    back = {sealed[n - 1].hash for n in wanted.keep_back}
    for item in items.items_of(sealed):
        if wanted.with_items and item.entry not in back:
            name = f"{OBJECTS}/{item.sha256[:2]}/{item.sha256}"
            for _ in Folder(corridor.case / OBJECTS).blocks(item.sha256):
                pass  # what is no longer what was registered does not leave
            files[name] = corridor.case / name
    told = [
        {"item": s.item, "holder": s.holder, "seal": s.seal, "gaps": [asdict(g) for g in s.gaps]}
        for s in chains(corridor).values()
    ]
    files["custody.jsonl"] = b"".join(canonical(line) + b"\n" for line in told)
    return files


def _headed(corridor: Corridor, wanted: Wanted, entered: Sealed) -> dict[str, bytes]:
    """What depends on the ledger's head: the ledger, the certificate, the instructions, the interchange forms."""
    made = corridor.ledger.checkpoint()
    assert made is not None, "the export itself was just entered"
    sealed = list(corridor.ledger.entries())
    rows = _rows(sealed, wanted.keep_back)
    names = {
        "name": wanted.out.name, "head": anchors.printed(made), "size": made.size, "hash": made.head, "root": made.root,
    }  # fmt: skip
    back = {sealed[n - 1].hash for n in wanted.keep_back}
    return {
        hwcase.ENTRIES: b"".join(hwcase.line_of(r) for r in rows),
        hwcase.CHECKPOINTS: b"".join(hwcase.checkpoint_line(*p) for p in corridor.ledger.checkpoints()),
        "VERIFY.zh.md": instructions.ZH.format_map(names).encode(),
        "VERIFY.en.md": instructions.EN.format_map(names).encode(),
        "certificate.pdf": typeset(_certificate(corridor, made, entered), wanted.language),
        **_interchange(corridor, wanted, [s for s in sealed if s.hash not in back], made.origin),
    }


def _rows(sealed: Sequence[Sealed], keep_back: Sequence[int]) -> list[trail.Row | Redacted]:
    for number in keep_back:
        if not 1 < number <= len(sealed) or sealed[number - 1].entry.action in _NEVER_BACK:
            raise VaultError("HW3014", what=f"{number} (first entry and enrolments are never kept back)")
    back = set(keep_back)
    return [
        Redacted(leaf(s.body), s.hash, s.signature) if s.entry.seq in back else (s.body, s.hash, s.signature)
        for s in sealed
    ]


def _interchange(corridor: Corridor, wanted: Wanted, shown: Sequence[Sealed], origin: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    sources = {e.number: e for e in evidence_of(corridor.ledger)}
    if wanted.case_jsonld:
        things = [uco.Thing(f"E{e.number}", e.name, e.size, tuple(e.digests.items())) for e in sources.values()]
        kept = {s.hash for s in shown}
        things += [
            uco.Thing(
                i.number, i.value("name"), i.size, tuple(sorted(({"sha256": i.sha256} | dict(i.hashes or {})).items()))
            )
            for i in items.items_of(corridor.ledger.entries())
            if i.entry in kept
        ]
        name = corridor.settings.case_name or corridor.settings.case_no
        files["case-uco.jsonld"] = uco.graph(origin, name, mandate_of(corridor).number, things, shown)
    if wanted.dsse:
        key = open_case_key(corridor.case / "keys" / "case.key")
        for sealed in shown:
            subjects = _subjects(sealed, sources)
            if subjects:
                said = statements.statement(sealed, subjects)
                files[f"statements/{sealed.entry.seq:08d}.intoto.json"] = statements.envelope(said, key)
    return files


def _subjects(sealed: Sealed, sources: Mapping[int, Any]) -> list[tuple[str, str]]:
    """What an entry acquired: a source registered, or an item added."""
    entry = sealed.entry
    if entry.action == REGISTERED:
        return [(sources[n].name, sources[n].digests["sha256"]) for n in entry.evidence if n in sources]
    if entry.action == items.ADDED:
        return [(str(entry.note["fields"].get("name", entry.note["item"])), str(entry.note["sha256"]))]
    return []


def _certificate(corridor: Corridor, made: trail.Checkpoint, entered: Sealed) -> Document:
    """A certificate in the manner of Federal Rules of Evidence 902(14), to be signed by a qualified person."""
    rows = [(f"E{e.number} {e.name}", e.digests["sha256"]) for e in evidence_of(corridor.ledger)]
    rows += [(f"{i.number} {i.value('name')}", i.sha256) for i in items.items_of(corridor.ledger.entries())]
    listed = tuple((Text(name, name), (code(digest),)) for name, digest in rows) or (
        (Text("检材", "Evidence"), (data("—"),)),
    )
    words = (
        Text("本人具备相应资格，证明：下列电子数据系从所载来源复制取得，复制件以 SHA-256 校验值与原始数据比对的过程记录于随附台账；"
             "校验值相同即表明复制件与原件一致。本证明参照美国《联邦证据规则》第902(14)条的形式。",
             "I am qualified by training and experience and certify that the electronic data listed below was copied from the "
             "sources recorded, by a process of digital identification: SHA-256 values compared as the enclosed ledger "
             "records. Equal values show that the copy is the same as the original. In the form of Fed. R. Evid. 902(14)."),
        Text("上述过程由 Headwater 执行，其版本、命令与环境逐条记录于台账并签名。",
             "The process was carried out by Headwater; version, command and environment stand in the signed ledger."),
    )  # fmt: skip
    body: tuple[Block, ...] = (
        Heading(1, Text("证明内容", "Certification"), "1"),
        *(Paragraph(w, own=True) for w in words),
        Heading(1, Text("数据与校验值", "Data and digests"), "2"),
        Fields(listed),
        Heading(1, Text("台账", "Ledger"), "3"),
        Fields(((Text("链首", "Head"), (code(anchors.printed(made)),)),)),
        Note(Text("签名人对上述内容的真实性负责。", "The signatory answers for the truth of this."), "plain"),
        Sign(((Text("证明人（姓名、资格）", "Certifier (name, qualification)"), ()), (Text("日期", "Date"), ()))),
    )
    settings = corridor.settings
    return Document(
        Text("电子数据同一性证明", "Certificate of electronic data copied"), (), (), body,
        Text("电子数据同一性证明", "Certificate"), settings.case_no, None, from_rfc3339(entered.entry.time),
        contents=False,
    )  # fmt: skip


def verify_file(path: Path, against: Sequence[str]) -> list[tuple[tuple[str, str], str, tuple[str, str]]]:
    """Verify an exported case as the stand-alone verifier does; rows as :mod:`headwater.procedure.standing` has them.

    Raises:
        VaultError: HW3020, the file cannot be read; HW3011, an anchor cannot be used.
    """
    held = [anchors.from_paper(t) if t.startswith("HW1 ") else anchors.load(Path(t)) for t in against]
    try:
        with open(path, "rb") as source:
            rows = hwcase.check(source, held)
    except OSError as error:
        raise VaultError("HW3020", str(path), what=error.strerror or error) from error
    return [((r.name, r.what), r.result, (r.zh or r.detail, r.detail)) for r in rows]


def is_export(path: Path) -> bool:
    """Whether a path is an exported case rather than a case folder."""
    return path.is_file() and os.path.splitext(path)[1] == ".hwcase"
