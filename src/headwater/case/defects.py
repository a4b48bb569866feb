# SPDX-License-Identifier: Apache-2.0
"""The defect checker (瑕疵检查): what can still be mended before evidence leaves the house.

Art. 113 of the SPC's 2021 interpretation of the Criminal Procedure Law lets curable defects be mended or explained:
not handed over sealed; signatures missing; name, category or format unclear; others. Each defect here names the text
that it comes from and what mends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.case.duties import Law, laws
from headwater.case.mandate import PARTS
from headwater.formats.patterns import lazy_regex
from headwater.model.nouns import Text

_NAMES = lazy_regex(r"[、,，;；/]")


@dataclass(frozen=True, slots=True)
class Held:
    """What the checker needs to know of one item."""

    number: str
    fields: Mapping[str, str]
    absent: Mapping[str, str]
    judged: bool
    sealed: bool
    handed_over_unsealed: bool
    gaps: Sequence[Text] = ()
    objections: Sequence[Text] = ()
    override: str = ""
    unlike: Sequence[str] = ()  # digests stated elsewhere that differ


@dataclass(frozen=True, slots=True)
class Whole:
    """What the checker needs to know of the case."""

    persons: int
    enrolled: bool
    mandate_missing: Sequence[str]
    anchored: bool
    remarks: Sequence[Text] = ()
    items: Sequence[Held] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Defect:
    """``item`` is empty for the case itself. ``cure``: what mends or explains it."""

    item: str
    law: Law
    what: Text
    cure: Text


def defects(case: Whole) -> list[Defect]:
    """All defects: first the case's, then each item's."""
    found = list(_of_case(case))
    for item in case.items:
        found.extend(_of_item(item))
    return found


def _defect(item: str, law: str, what: tuple[str, str], cure: tuple[str, str]) -> Defect:
    return Defect(item, laws()[law], Text(*what), Text(*cure))


def _of_case(case: Whole) -> Iterator[Defect]:
    if case.persons < 2:
        yield _defect("", "cpl-interp-112", ("案件经办人不足两人", "fewer than two persons on the case"),
                      ("补充第二名经办人，或说明理由", "name the second person, or explain"))  # fmt: skip
    if case.mandate_missing:
        lacking = [PARTS[name] for name in case.mandate_missing]
        zh, en = "、".join(t.zh for t in lacking), ", ".join(t.en for t in lacking)
        yield _defect("", "cpl-interp-112", (f"授权未记载：{zh}", f"of the authority not recorded: {en}"),
                      ("headwater case scope 补记", "record it with headwater case scope"))  # fmt: skip
    if not case.enrolled:
        yield _defect("", "e-signature-13", ("没有人以本人密钥签名", "nobody signs with a key of their own"),
                      ("headwater case people add 登记人员与公钥", "enrol people with headwater case people add"))  # fmt: skip
    if not case.anchored:
        yield _defect("", "internet-courts-11", ("台账从未经外部锚定（时间戳或见证）", "the ledger was never anchored outside"),
                      ("导出前运行 headwater anchor", "run headwater anchor before export"))  # fmt: skip
    for remark in case.remarks:
        yield _defect("", "civil-evidence-93", (f"台账时钟异常：{remark.zh}", f"clock of the ledger: {remark.en}"),
                      ("说明原因", "explain it"))  # fmt: skip


def _of_item(item: Held) -> Iterator[Defect]:
    n = item.number
    if item.handed_over_unsealed:
        yield _defect(n, "cpl-interp-113", ("未以封存状态移送", "handed over unsealed"),
                      ("补充说明移送时的状态，重新封存", "explain the state in which it went; seal it"))  # fmt: skip
    operators = [o for o in _NAMES.split(item.fields.get("operators", "")) if o.strip()]
    if item.fields and len(operators) < 2:
        yield _defect(n, "cpl-interp-112", ("提取人不足两人", "fewer than two persons collected it"),
                      ("补正提取人，或说明理由", "name the second person, or explain"))  # fmt: skip
    for name, zh, en in (("holder", "持有人（提供人）", "holder"), ("witness", "见证人", "witness")):
        if item.fields and name not in item.fields and "recording" not in item.fields:
            why = item.absent.get(name, "")
            yield _defect(n, "cpl-interp-113", (f"没有{zh}签名（{why or '未记载'}），也没有录像",
                                                f"no {en} ({why or 'not recorded'}) and no recording"),
                          ("补签或说明，有录像的登记录像", "obtain the signature or explain; add the recording"))  # fmt: skip
    if item.fields and (item.fields.get("category") in {None, "other"} or "file_format" not in item.fields):
        yield _defect(n, "cpl-interp-113", ("类别或文件格式注明不清", "category or file format unclear"),
                      ("登记新版本并注明", "register a new version that states them"))  # fmt: skip
    if item.fields and "no_seizure_reason" not in item.fields and item.fields.get("original_or_copy", "") in {
        "复制件", "copy"}:  # fmt: skip
        yield _defect(n, "cpl-interp-110", ("复制件未说明为何未扣押原始介质", "a copy, and not said why the original was not seized"),
                      ("补记理由与原件存放地点", "record the reason and where the original is"))  # fmt: skip
    if item.fields and "clock_offset" not in item.fields:
        why = item.absent.get("clock_offset", "")
        yield _defect(n, "civil-evidence-93", (f"未测量时钟偏差（{why}）", f"the clock was not measured ({why})"),
                      ("说明时间的来源与可能误差", "say where times come from and how far they may be off"))  # fmt: skip
    if not item.judged:
        yield _defect(n, "cpl-interp-113", ("尚未审查合法性、客观性、关联性", "not yet judged lawful, objective, relevant"),
                      (f"headwater register CASE --judge {n} …", f"headwater register CASE --judge {n} …"))  # fmt: skip
    for text in item.objections:
        why = item.override or "—"
        yield _defect(n, "cpl-interp-112", (f"{text.zh}（{why}）", f"{text.en} ({why})"),
                      ("补办授权", "obtain the authority"))  # fmt: skip
    for gap in item.gaps:
        yield _defect(n, "cpl-interp-111", (f"保管链缺口：{gap.zh}", f"gap in custody: {gap.en}"),
                      ("说明原因", "explain it"))  # fmt: skip
    for name in item.unlike:
        yield _defect(n, "cpl-interp-111", (f"校验值不符：{name}", f"digests differ: {name}"),
                      ("查明并说明", "find out why and explain"))  # fmt: skip
