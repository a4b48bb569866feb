# SPDX-License-Identifier: Apache-2.0
"""The register (证据登记表): items taken in and judged, and the register printed as PDF and XLSX.

1. An item is held against the mandate, its fields are complete, its content is stored under its digest.
2. Entry and content agree: the content is durable before the entry that names it.
3. The register shows sources and items alike, the seven columns first, and the ledger's head as text and QR code.
"""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from headwater import __version__
from headwater.formats.atomic import write_atomic
from headwater.formats.opened import open_readonly
from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.model.times import from_rfc3339, rfc3339
from headwater.model.voice import Voice
from headwater.procedure.corridor import Corridor, evidence_of
from headwater.procedure.custody import OBJECTS, Desk, chains, holders
from headwater.procedure.within_mandate import mandate_of, within
from headwater.report.blocks import Block, Cell, Column, Document, Fields, Graph, Heading, Note, Row, Table, code, data
from headwater.report.pdf import typeset
from headwater.report.words import UNRECORDED
from headwater.vault import anchors, items
from headwater.vault.items import ADDED, ASPECTS, CATEGORIES, FIELDS, JUDGED, SEVEN, Item
from headwater.vault.storage import hold_fast

_ALGORITHMS = ("sha256", "sha1", "md5")
_NOT_RECORDED = Text("未记载", "Not recorded")
_BOTH = Voice()


@dataclass(frozen=True, slots=True)
class Addition:
    """What a person says of an item that they add. ``said``: what it says of itself, (kind, value) as targets are."""

    path: Path
    given: Mapping[str, str]
    absent: Mapping[str, str]
    parent: str = ""
    version_of: str = ""
    like: str = ""
    said: tuple[tuple[str, str], ...] = ()
    override: str | None = None
    immutable: bool = False
    attack_source: bool = False
    rest: str = ""  # why the required fields that nothing is said of are absent


def add(desk: Desk, wanted: Addition) -> Item:
    """Take an item in.

    Raises:
        AuthorityError: HW1013 outside the mandate; UsageError: HW1015 and HW1018 for fields; VaultError: HW3014 no such parent.
        AcquireError: HW2001 … where the file cannot be read.
    """
    corridor = desk.corridor
    desk.permit("add")
    held = items.items_of(corridor.ledger.entries())
    for number in (wanted.parent, wanted.version_of):
        if number and number not in holders(corridor):
            items.one(held, number)
    defaults = dict(items.one(held, wanted.like).fields) if wanted.like else {}
    defaults.update({k: v for k, v in _known(corridor, wanted.path).items() if v})
    given = dict(wanted.given)
    given.setdefault("custodian", defaults.get("custodian", "") or desk.actor.name or ", ".join(corridor.actors))
    absent = {**(items.one(held, wanted.like).absent if wanted.like else {}), **wanted.absent}
    fields, reasons = items.filled(given, {k: v for k, v in absent.items() if k not in given}, defaults, wanted.rest)
    objections = within(
        corridor, wanted.said, wanted.override, method=fields.get("acquisition_method", ""),
        attack_source=wanted.attack_source,
    )  # fmt: skip
    file = open_readonly(wanted.path)
    try:
        digests = _digests(file.fd)
        with os.fdopen(os.dup(file.fd), "rb") as handle:
            handle.seek(0)
            stored = desk.store.put(handle)
    finally:
        file.close()
    held_fast = wanted.immutable and hold_fast(desk.store.path(stored.sha256))
    number = f"I{sum(1 for _ in held) + 1}"
    item = Item(number, stored.sha256, stored.size, fields, reasons, wanted.parent, wanted.version_of, digests)
    note = items.note_of(item) | {"objections": objections, "override": wanted.override or "", "immutable": held_fast}
    note |= {"attack_source": True} if wanted.attack_source else {}
    name = f"{OBJECTS}/{stored.sha256[:2]}/{stored.sha256}"
    desk.do(ADDED, "add", note, products={name: stored.sha256}, materials={fields["name"]: stored.sha256})
    return item


def _known(corridor: Corridor, path: Path) -> dict[str, str]:
    """What the program and the case know of an item without being told."""
    settings = corridor.settings
    kind = mimetypes.guess_type(path.name)[0] or ""
    return {
        "case_no": settings.case_no,
        "cause": settings.cause,
        "place": settings.place,
        "purpose": settings.purpose,
        "name": encode_name(os.fsencode(path.name)),
        "file_format": kind or path.suffix.lstrip("."),
        "source_path": encode_name(os.fsencode(path.absolute())),
        "tool": f"headwater {__version__}, {program_digest()}",
        "command_line": " ".join(corridor.command),
        "approval_doc": mandate_of(corridor).number,
    }


@cache
def program_digest() -> str:
    """SHA-256 over the program's own modules in order of name: which headwater it was."""
    digest = hashlib.sha256()
    base = Path(__file__).parents[1]
    for path in sorted(base.rglob("*.py")):
        digest.update(str(path.relative_to(base)).encode() + b"\x00" + path.read_bytes() + b"\x00")
    return f"sha256 {digest.hexdigest()}"


def _digests(fd: int) -> dict[str, str]:
    found = {name: hashlib.new(name, usedforsecurity=False) for name in _ALGORITHMS}
    at = 0
    while block := os.pread(fd, 1 << 20, at):
        at += len(block)
        for each in found.values():
            each.update(block)
    return {name: each.hexdigest() for name, each in found.items()}


def judge(desk: Desk, number: str, said: Mapping[str, tuple[bool, str]]) -> None:
    """Record a person's judgement of an item: lawful, objective, relevant, each with its reason.

    Raises:
        UsageError: HW1015 where an aspect or a reason is missing; VaultError: HW3014.
    """
    if number not in holders(desk.corridor):
        items.one([], number)
    empty = [name for name in ASPECTS if name not in said or not said[name][1].strip()]
    if empty:
        raise UsageError("HW1015", what=", ".join(empty))
    note = {"item": number} | {n: {"holds": said[n][0], "reason": said[n][1].strip()} for n in ASPECTS}
    desk.do(JUDGED, "judge", note)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the register: its number, the seven columns, and everything else as (label, value)."""

    number: str
    seven: tuple[str, str, str, str, str, str, str]
    more: tuple[tuple[Text, str], ...]


def lines(corridor: Corridor, voice: Voice = _BOTH) -> list[Line]:
    """The register: the sources, then the items, each by number; the program's own words in the reader's language."""
    entries = list(corridor.ledger.entries())
    judged = items.judgements_of(entries)
    states = chains(corridor)
    found = []
    for source in evidence_of(corridor.ledger):
        number = f"E{source.number}"
        seven = (
            source.name, source.registered_at, source.source_path, source.digests["sha256"], source.method,
            states[number].holder or source.custodian, source.purpose,
        )  # fmt: skip
        more = [(Text("形式", "Form"), source.kind), (Text("大小（字节）", "Size (bytes)"), str(source.size))]
        more += [(Text(k, k), v) for k, v in source.digests.items() if k != "sha256"]
        found.append(Line(number, seven, (*more, *_judged(judged.get(number), voice))))
    for item in items.items_of(entries):
        value, aside = item.value, "({})" if voice.language == "en" else "（{}）"
        none = aside.format("absent: {}" if voice.language == "en" else "无：{}")
        category = CATEGORIES.get(value("category"), Text("—", "—"))
        seven = (
            value("name"), value("start_time") or aside.format(item.absent.get("start_time", "")), value("source"),
            item.sha256, value("acquisition_method"), states[item.number].holder or value("custodian"),
            value("purpose"),
        )  # fmt: skip
        more = [(Text("大小（字节）", "Size (bytes)"), str(item.size))]
        more += [(Text("上级检材", "Parent"), item.parent)] if item.parent else []
        more += [(Text("替代版本", "New version of"), item.version_of)] if item.version_of else []
        for field in FIELDS:
            shown = value(field.name) or (none.format(item.absent[field.name]) if field.name in item.absent else "")
            if field.name == "category" and value("category"):
                shown = voice.word(category.zh, category.en)
            if shown:
                more.append((field.label, shown))
        if missing := items.not_recorded(item):
            joint = ", " if voice.language == "en" else "、"
            more.append((_NOT_RECORDED, joint.join(voice.word(f.label.zh, f.label.en) for f in missing)))
        more += [(Text(k, k), v) for k, v in (item.hashes or {}).items() if k != "sha256"]
        found.append(Line(item.number, seven, (*more, *_judged(judged.get(item.number), voice))))
    return found


def _judged(said: Mapping[str, Any] | None, voice: Voice) -> list[tuple[Text, str]]:
    if said is None:
        return [(Text("三性审查", "Judged"), voice.word("未审查", "not judged yet"))]
    found = []
    for name, label in ASPECTS.items():
        verdict = voice.word("成立", "yes") if said[name]["holds"] else voice.word("不成立", "no")
        found.append((label, f"{verdict}：{said[name]['reason']}（{said['by']}，{said['time']}）"))
    return found


def print_register(corridor: Corridor, folder: Path, language: str) -> list[Path]:
    """Write the register as PDF and XLSX; returns their paths."""
    rows = lines(corridor, Voice(language))
    if not rows:
        raise UsageError("HW0005", what="register")
    made = corridor.ledger.checkpoint()
    assert made is not None, "a case with items has entries"
    head = anchors.printed(made)
    issued = from_rfc3339(made.time)
    pdf = typeset(_paper(corridor, rows, head, issued), language)
    paths = [folder / "register.pdf", folder / "register.xlsx"]
    for path, content in zip(paths, (pdf, _sheet(rows, head, issued, Voice(language)))):
        write_atomic(path, content)
    return paths


def _paper(corridor: Corridor, rows: Sequence[Line], head: str, issued: int) -> Document:
    columns = (Column(Text("编号", "No."), 6), *(Column(t, w) for t, w in zip(SEVEN, (15, 15, 15, 23, 9, 9, 8))))
    table = Table(columns, tuple(Row(((data(r.number),), *_cells(r))) for r in rows))
    body: list[Block] = [Heading(1, Text("登记总表", "The register"), "1"), table]
    body.append(Heading(1, Text("各项详情", "Each item"), "2"))
    for row in rows:
        body.append(Heading(2, Text(row.number, row.number), tail=(code(row.seven[0]),)))
        body.append(Fields(tuple((label, (data(value),)) for label, value in row.more if label != _NOT_RECORDED)))
        body += [
            Note(Text("未记载的栏目：", "Not recorded: "), "stamp", value)
            for label, value in row.more
            if label == _NOT_RECORDED
        ]
    body.append(Heading(1, Text("台账链首", "Head of the ledger"), "3"))
    words = Text(
        "登记时台账的状态。日后以 headwater anchor CASE --check 输入下列一行（或扫描二维码），即可核对台账未被回退、分叉或重签。",
        "The ledger as it stood. Give this line (or the QR code) to headwater anchor CASE --check later: it shows a rollback, "
        "a fork, or history signed anew.",
    )
    body += [Note(words), Fields(((Text("链首", "Head"), (code(head),)),)), _qr(head)]
    settings = corridor.settings
    named = (
        (Text("案件编号", "Case number"), settings.case_no),
        (Text("案由", "Cause"), settings.cause),
        (Text("登记时间", "Printed"), rfc3339(issued) or ""),
    )
    top: tuple[tuple[Text, Cell], ...] = tuple(
        (label, (data(value),) if value else (UNRECORDED,)) for label, value in named
    )
    return Document(
        Text("电子数据证据登记表", "Register of electronic evidence"), (data(settings.case_name),) if settings.case_name else (),
        (Fields(top),), tuple(body), Text("证据登记表", "Register of evidence"), settings.case_no, None, issued,
        contents=False,
    )  # fmt: skip


def _cells(row: Line) -> tuple[Cell, ...]:
    return tuple((code(v) if at in {0, 2, 3} else data(v),) for at, v in enumerate(row.seven))


def _qr(head: str) -> Graph:
    import segno

    made = segno.make(head, error="m", micro=False)
    side = made.symbol_size(scale=1, border=2)[0]
    path = made.svg_inline(border=2, omitsize=True, svgclass=None, lineclass=None)
    inner = path[path.index(">") + 1 : path.rindex("</svg>")]
    # a graph is set as wide as the page: the code takes a quarter of it
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{4 * side}" height="{side}" viewBox="0 0 {4 * side} {side}">{inner}</svg>'
    return Graph((svg,), (svg,), (svg,), Text("台账链首二维码", "The head of the ledger as a QR code"))


def _sheet(rows: Sequence[Line], head: str, issued: int, voice: Voice) -> bytes:
    """The register as XLSX. Every cell is written as text: what a name begins with (= + - @) is never a formula."""
    import xlsxwriter  # type: ignore[import-untyped]

    held = io.BytesIO()
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(held, plain)
    book.set_properties(
        {
            "title": voice.word("证据登记表", "Register of evidence"),
            "created": datetime.fromtimestamp(issued // 10**9, UTC),
        }
    )
    bold = book.add_format({"bold": True, "text_wrap": True})
    text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
    sheet = book.add_worksheet(voice.word("登记表", "register"))
    labels = list(dict.fromkeys((label.zh, label.en) for row in rows for label, _ in row.more))
    named = [*((t.zh, t.en) for t in SEVEN), ("编号", "No."), *labels]
    heads = [voice.word(zh, en) for zh, en in named]
    for at, name in enumerate(heads):
        sheet.write_string(0, at, name, bold)
    for line, row in enumerate(rows, 1):
        more = {(label.zh, label.en): value for label, value in row.more}
        for at, value in enumerate((*row.seven, row.number, *(more.get(key, "") for key in labels))):
            sheet.write_string(line, at, _safe(value), text)
    sheet.set_column(0, len(heads), 24)
    sheet.freeze_panes(1, 1)
    seal = book.add_worksheet(voice.word("链首", "head"))
    seal.write_string(0, 0, head, text)
    seal.set_column(0, 0, 160)
    book.close()
    return held.getvalue()


def _safe(value: str) -> str:
    """A value that no spreadsheet takes for a formula, also when it is copied on or saved as CSV.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    shown = "".join(c if c >= " " or c == "\n" else f"\\x{ord(c):02x}" for c in value)[:32_000]
    return f"'{shown}" if shown[:1] in {"=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"} else shown
