# SPDX-License-Identifier: Apache-2.0
"""The attack path as SVG: lanes are the stages in order, columns are origin, account, asset, trace.

Layout: each step is one row of its stage's lane, so edges are level and never cross; an entity that stays the same in
consecutive rows of a lane is one tall box; one that comes back later is joined to its earlier box by a dotted thread
in the gutter left of its column, each thread on its own track. Time stands above the first edge of a step, technique
below it. No scripts, no style sheet, no ids, no outside fonts; everything from evidence is escaped and inert.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from headwater.model.kinds import STAGE_TEXT, Confidence, Stage
from headwater.model.nouns import Finding, Step, Text
from headwater.report import inert, moments

ROWS = 19  # steps in one drawing: what fits a page of A4
WIDTH = 760
_ROW, _LANE, _EMPTY, _TOP = 42, 21, 19, 40
_FONT = "Headwater Sans SC, Noto Sans CJK SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, sans-serif"
_DASH = {Confidence.HIGH: "", Confidence.MEDIUM: "6 3", Confidence.LOW: "2 3"}
_TRACE_FIELDS = ("file_path", "cs-uri-stem", "command_line", "dst_ip", "hash")


@dataclass(frozen=True, slots=True)
class _Lane:
    """One column of the drawing."""

    text: Text
    left: int
    width: int
    fill: str
    stroke: str


_COLUMNS = (
    _Lane(Text("来源", "Origin"), 70, 128, "#f6e6e2", "#9a4a3c"),
    _Lane(Text("账户", "Account"), 316, 96, "#efe8f4", "#6a4c93"),
    _Lane(Text("对象", "Asset"), 446, 112, "#e3edf4", "#2b5d82"),
    _Lane(Text("痕迹", "Trace"), 592, 164, "#f0f1e4", "#6b7030"),
)
_EDGE_LABEL = Text("时间（UTC）与技术", "Time (UTC), technique")
_NO_ORIGIN = Text("来源未查明", "origin not found")
_NO_STEP = Text("未重建出步骤", "no step reconstructed")
_KEY = Text(
    "连线：实线为高度可能，长虚线为较可能，点线为可能；列左侧的细点线连接同一来源、账户、对象或痕迹。",
    "Lines: solid highly probable, dashed probable, dotted possible; thin dotted threads left of a column join what "
    "recurs.",
)


@dataclass(slots=True)
class _Box:
    """An entity over one or more consecutive rows of a lane."""

    name: str
    top: float
    bottom: float


def attack_graph_svg(steps: Sequence[Step], findings: Sequence[Finding], language: str) -> str:
    """One drawing of all steps, in ``zh``, ``en`` or ``both``; steps are labelled S1, S2 … in the order given."""
    labels = {step.id: f"S{at}" for at, step in enumerate(steps, 1)}
    rows = _ordered(steps)
    return _draw(rows, list(Stage)[:6], {f.id: f for f in findings}, language, labels)


def attack_graph_parts(
    steps: Sequence[Step], findings: Sequence[Finding], language: str, labels: Mapping[str, str]
) -> list[str]:
    """The same as drawings of at most :data:`ROWS` steps each, for pages."""
    rows = _ordered(steps)
    held = {f.id: f for f in findings}
    if len(rows) <= ROWS:
        return [_draw(rows, list(Stage)[:6], held, language, labels)]
    return [_draw(rows[at : at + ROWS], [], held, language, labels) for at in range(0, len(rows), ROWS)]


def _ordered(steps: Sequence[Step]) -> list[Step]:
    """By stage, then time, then the order given; a step without a time comes last in its stage."""
    order = {stage: at for at, stage in enumerate(Stage)}
    keyed = sorted(
        enumerate(steps),
        key=lambda pair: (order[pair[1].stage], pair[1].ts_first is None, pair[1].ts_first or 0, pair[0]),
    )
    return [step for _, step in keyed]


def _is_address(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True


def _entities(step: Step, findings: Mapping[str, Finding]) -> tuple[str | None, ...]:
    """Origin, account, asset and trace of a step: from the step, else from the findings that it cites."""
    held = [findings[name] for name in step.findings if name in findings]
    address = step.actor if _is_address(step.actor) else next((f.src_ip for f in held if f.src_ip), None)
    account = next((f.user for f in held if f.user), None)
    if step.actor and not _is_address(step.actor):
        account = step.actor
    asset = step.asset or next((f.host for f in held if f.host), None)
    trace = _trace(held, (address, account, asset))
    return address, account, asset, trace


def _trace(held: Sequence[Finding], named: Sequence[str | None]) -> str | None:
    """What the weightiest finding that names something says it left or touched; findings stand in order of weight.

    What a finding is about (``path`` of its facts) goes before what its records happen to lie in: a login record that
    was wiped is not in the rotated log that shows the gap.
    """
    for finding in held:
        about = finding.facts.get("path")
        if about:
            return str(about)
        for field in _TRACE_FIELDS:
            values = (c.claims[field] for c in finding.spans if c.claims.get(field) not in (None, ""))
            trace = next((str(v) for v in values), None)
            if trace and trace not in named:
                return trace
    return None


def _clean(text: str) -> str:
    """One line of inert text: escapes are set in guillemets, characters that no font here has as well."""
    shown = inert.printable(inert.pieces(text, 400))
    return "".join(f"‹{part}›" if escaped else part for escaped, part in shown)


def _em(char: str) -> float:
    """An upper estimate of a character's width, so that text stays in its box whatever the font."""
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    return 0.72 if char.isupper() or char in "mwMW%@" else 0.57


def _wrap(text: str, width: float, size: float, lines: int) -> list[str]:
    """At most ``lines`` lines no wider than ``width``; the last ends in an ellipsis where text is left over."""
    room = width / size
    found: list[str] = []
    line, used = "", 0.0
    for at, char in enumerate(text):
        if used + _em(char) > room:
            if len(found) == lines - 1:
                return [*found, line[:-1] + "…"]
            cut = line.rfind(" ") + 1
            kept = line[cut:] if cut > len(line) // 2 else ""  # end a line at a space where one is near
            found.append(line[: len(line) - len(kept)].rstrip())
            line, used = kept, sum(map(_em, kept))
        line, used = line + char, used + _em(char)
        if at == len(text) - 1:
            found.append(line)
    return found or [""]


def _say(text: Text, language: str) -> str:
    return {"zh": text.zh, "en": text.en}.get(language, f"{text.zh} {text.en}")


class _Drawing:
    """SVG elements as they are added; y grows downwards."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, said: str, size: float = 10, **more: str) -> None:
        extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in sorted(more.items()))
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}"{extra}>{escape(said)}</text>')

    def rect(self, x: float, y: float, width: float, height: float, fill: str, **more: str) -> None:
        extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in sorted(more.items()))
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"{extra}/>')

    def path(self, d: str, stroke: str, width: float, dash: str = "") -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{dashed}/>')

    def arrow(self, start: float, end: float, y: float, dash: str) -> None:
        self.path(f"M{start:g} {y:g}H{end - 6:g}", "#3a3a3a", 1.3, dash)
        self.parts.append(f'<path d="M{end:g} {y:g}l-8 -3.6v7.2z" fill="#3a3a3a"/>')


def _draw(
    steps: Sequence[Step],
    always: Sequence[Stage],
    findings: Mapping[str, Finding],
    language: str,
    labels: Mapping[str, str],
) -> str:
    under, over = _Drawing(), _Drawing()
    boxes: list[list[_Box]] = [[], [], [], []]
    for at, column in enumerate(_COLUMNS):
        _head(over, column.left + column.width / 2, column.text, language, 10.5)
        if at == 0:
            middle = (column.left + column.width + _COLUMNS[1].left) / 2
            _head(over, middle, _EDGE_LABEL, language, 9)
    y = float(_TOP - 14)
    for stage in Stage:
        held = [step for step in steps if step.stage is stage]
        if not held and stage not in always:
            continue
        y = _lane(under, over, boxes, y, stage, held, findings, language, labels)
    _threads(under, boxes)
    for column, found in zip(_COLUMNS, boxes, strict=True):
        for box in found:
            _box(over, column, box, language)
    for at, line in enumerate(_wrap(_say(_KEY, language), WIDTH - 16, 9, 3)):
        over.text(8, y + 14 + 12 * at, line, 9, fill="#666")
        bottom = y + 14 + 12 * at + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:g}" width="{WIDTH}" height="{bottom:g}" '
        f'font-family="{_FONT}" role="img">'
    )
    return head + "".join(under.parts + over.parts) + "</svg>"


def _head(over: _Drawing, x: float, text: Text, language: str, size: float) -> None:
    """A column's heading; in both languages on two lines."""
    lines = [text.zh, text.en] if language == "both" else [_say(text, language)]
    for at, line in enumerate(lines):
        over.text(x, 16 - 6 * (len(lines) - 1) + 12 * at, line, size, fill="#444", text_anchor="middle")


def _lane(
    under: _Drawing,
    over: _Drawing,
    boxes: list[list[_Box]],
    y: float,
    stage: Stage,
    steps: Sequence[Step],
    findings: Mapping[str, Finding],
    language: str,
    labels: Mapping[str, str],
) -> float:
    """Draw one stage from ``y`` down; return where the next begins."""
    height = _LANE + _ROW * len(steps) if steps else _EMPTY
    under.rect(0, y, WIDTH, height - 2, "#f7f7f5" if steps else "#fbfbfa")
    under.rect(0, y, 3, height - 2, "#7a2e22" if steps else "#c9c9c4")
    title = _say(Text(*STAGE_TEXT[stage]), language)
    if steps:  # a ground of its own keeps threads from crossing the title
        over.rect(8, y + 3, 10.5 * sum(map(_em, title)) + 4, 15, "#f7f7f5")
    weight = "bold" if steps else "normal"
    over.text(10, y + 14, title, 10.5, fill="#222" if steps else "#888", font_weight=weight)
    if not steps:
        over.text(WIDTH - 8, y + 13, _say(_NO_STEP, language), 9, fill="#888", text_anchor="end")
        return y + height
    last: list[_Box | None] = [None] * 4
    for at, step in enumerate(steps):
        top = y + _LANE + _ROW * at
        middle = top + _ROW / 2 - 1
        names = _entities(step, findings)
        for column, name in enumerate(names):
            shown = name if name or column else ""
            if shown is None:
                last[column] = None
                continue
            before = last[column]
            if before is not None and before.name == shown:
                before.bottom = top + _ROW - 5
                continue
            last[column] = _Box(shown, top + 3, top + _ROW - 5)
            boxes[column].append(last[column])  # type: ignore[arg-type]
        label = labels.get(step.id, "?")
        over.parts.append(f'<circle cx="34" cy="{middle:g}" r="13" fill="#7a2e22"/>')
        over.text(34, middle + 3.6, label, 9.5 if len(label) < 4 else 8, fill="#fff", text_anchor="middle")
        _edges(over, step, names, middle)
    return y + height


def _edges(over: _Drawing, step: Step, names: Sequence[str | None], y: float) -> None:
    """Level arrows through the columns that this step has, the time above and the technique below the first."""
    dash = _DASH[step.confidence]
    at = _COLUMNS[0].left + _COLUMNS[0].width
    for column, name in zip(_COLUMNS[1:], names[1:], strict=True):
        if name:
            over.arrow(at, column.left, y, dash)
            at = column.left + column.width
    if at == _COLUMNS[0].left + _COLUMNS[0].width:
        over.path(f"M{at} {y:g}H{_COLUMNS[1].left:g}", "#3a3a3a", 1.3, dash)
    middle = (_COLUMNS[0].left + _COLUMNS[0].width + _COLUMNS[1].left) / 2 - 3
    when = moments.short(step.ts_first) if step.ts_first is not None else "—"
    over.text(middle, y - 5, when, 9.5, fill="#222", text_anchor="middle")
    technique = _wrap(_clean(step.technique), 104, 9, 1)[0]
    over.text(middle, y + 12, technique, 9, fill="#666", text_anchor="middle")


def _box(over: _Drawing, column: _Lane, box: _Box, language: str) -> None:
    name = _clean(box.name) if box.name else _say(_NO_ORIGIN, language)
    dash = {} if box.name else {"stroke_dasharray": "3 2"}
    over.rect(
        column.left, box.top, column.width, box.bottom - box.top, column.fill,
        rx="3", stroke=column.stroke, stroke_width="0.9", **dash,
    )  # fmt: skip
    lines = _wrap(name, column.width - 10, 9.5, 2 if box.bottom - box.top < 60 else 4)
    if not box.name and language == "both":
        lines = [_NO_ORIGIN.zh, _NO_ORIGIN.en]
    first = (box.top + box.bottom) / 2 + 3.4 - 6 * (len(lines) - 1)
    for at, line in enumerate(lines):
        colour = "#222" if box.name else "#777"
        over.text(column.left + column.width / 2, first + 12 * at, line, 9.5, fill=colour, text_anchor="middle")
    if len(lines) > 1 or lines[0] != name:
        over.parts[-1] = over.parts[-1].replace("</text>", f"<title>{escape(name)}</title></text>")


def _threads(under: _Drawing, boxes: Sequence[Sequence[_Box]]) -> None:
    """Join each later box of an entity to the one before it; threads that overlap in height take different tracks."""
    for column, found in zip(_COLUMNS, boxes, strict=True):
        tracks: list[float] = []  # for each track, how far down it is taken
        before: dict[str, _Box] = {}
        for box in found:
            if box.name and box.name in before:
                start = (before[box.name].top + before[box.name].bottom) / 2 + 5
                end = (box.top + box.bottom) / 2 - 5
                track = next((i for i, used in enumerate(tracks) if used <= start), len(tracks))
                tracks[track : track + 1] = [end]
                x = column.left - 5 - 4 * min(track, 3)
                under.path(f"M{column.left} {start:g}H{x:g}V{end:g}H{column.left}", column.stroke, 0.9, "1.5 2")
            before[box.name] = box
