# SPDX-License-Identifier: Apache-2.0
"""Items (证据登记): the full field set of the register; a required field has a value or a reason why it is absent.

The other fields may stay open: they are "not recorded", and stamped as such wherever the item is printed.

The fields follow the 《电子数据提取固定清单》 and Arts. 110–112 of the Supreme People's Court's 2021 interpretation of the
Criminal Procedure Law. Nothing is replaced: a new version is a new item that names the one it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.model.custody import Sealed
from headwater.model.errors import UsageError, VaultError
from headwater.model.nouns import Text

ADDED, JUDGED = "add-item", "judge-item"
MOST_VALUE = 4_000  # characters of one field
CATEGORIES: Mapping[str, Text] = {
    "disk-image": Text("磁盘镜像", "disk image"),
    "memory": Text("内存", "memory"),
    "network": Text("网络数据包", "network capture"),
    "log": Text("日志", "log"),
    "account": Text("注册与身份信息", "account data"),
    "communication": Text("通信信息", "communication"),
    "document": Text("文档", "document"),
    "photograph": Text("照片", "photograph"),
    "audio": Text("录音", "sound recording"),
    "video": Text("录像", "video"),
    "program": Text("程序", "program"),
    "statement": Text("笔录与陈述", "statement"),
    "export": Text("调取材料", "material obtained"),
    "device": Text("存储介质与设备", "medium or device"),
    "other": Text("其他", "other"),
}
ASPECTS: Mapping[str, Text] = {
    "lawful": Text("合法性", "lawful"),
    "objective": Text("客观性", "objective"),
    "relevant": Text("关联性", "relevant"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the register; ``required``: never silently empty."""

    name: str
    label: Text
    required: bool = True


FIELDS: tuple[Field, ...] = tuple(
    Field(name, Text(zh, en), need)
    for name, zh, en, need in (
        ("case_no", "案件编号", "Case number", True),
        ("cause", "案由", "Cause", True),
        ("name", "名称", "Name", True),
        ("category", "类别", "Category", True),
        ("file_format", "文件格式", "File format", True),
        ("source", "来源", "Source", True),
        ("source_path", "原始存放路径", "Path at the source", True),
        (
            "medium",
            "存储介质（品牌、型号、序列号、容量、接口）",
            "Medium (make, model, serial, capacity, interface)",
            False,
        ),
        ("original_or_copy", "原件或复制件", "Original or copy", True),
        ("no_seizure_reason", "未扣押原始介质的理由", "Why the original medium was not seized", True),
        ("storage_place", "原始介质存放地点", "Where the original medium is kept", True),
        ("quantity", "数量", "Quantity", False),
        ("acquisition_method", "采集方式", "Acquired by", True),
        ("tool", "工具及版本、校验值", "Tool, version and digest", True),
        ("command_line", "命令行", "Command line", True),
        ("start_time", "开始时间", "Started", True),
        ("end_time", "结束时间", "Ended", True),
        ("clock_offset", "时钟与标准时间之差", "Clock against a reference", True),
        ("place", "地点", "Place", True),
        ("operators", "提取人", "Operators", True),
        ("holder", "持有人（提供人）", "Holder", False),
        ("witness", "见证人", "Witness", True),
        ("recording", "录像", "Recording", True),
        ("approval_doc", "批准文书", "Approval document", True),
        ("seal_number", "封条编号", "Seal number", False),
        ("system_state", "提取时系统状态", "State of the system", True),
        ("secrecy", "密级与个人信息类别", "Secrecy and personal data", False),
        ("retention", "保存期限", "Retention", False),
        ("custodian", "保管人", "Custodian", True),
        ("purpose", "用途", "Purpose", True),
        ("modification_note", "增删改情况说明", "Note on changes", False),
    )
)
BY_NAME: Mapping[str, Field] = {f.name: f for f in FIELDS}
_ORIGINAL = {"原件", "原物", "original"}
SEVEN: tuple[Text, ...] = (
    Text("文件名", "File name"),
    Text("时间", "Time"),
    Text("来源", "Source"),
    Text("哈希（SHA-256）", "Hash (SHA-256)"),
    Text("采集方式", "Acquired by"),
    Text("保管人", "Custodian"),
    Text("用途", "Purpose"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the register. ``fields``: what is known; ``absent``: why the rest of the required is not."""

    number: str
    sha256: str
    size: int
    fields: Mapping[str, str]
    absent: Mapping[str, str]
    parent: str = ""
    version_of: str = ""
    hashes: Mapping[str, str] | None = None
    entry: str = ""  # hash of the ledger entry that holds it

    def value(self, name: str) -> str:
        """The field's value, or an empty text."""
        return self.fields.get(name, "")


def asked_of(fields: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the fields that an item with these fields must have, or a reason for each that it has not.

    Where there was no witness, the reason and a recording are asked for; with one, no recording. Why the original was
    not seized and where it is kept (Art. 110) are asked of what is not the original.
    """
    spared = {"recording"} if fields.get("witness") else set()
    if fields.get("original_or_copy", "").casefold() in _ORIGINAL:
        spared |= {"no_seizure_reason", "storage_place"}
    return tuple(f.name for f in FIELDS if f.required and f.name not in spared)


def not_recorded(item: Item) -> tuple[Field, ...]:
    """The fields that have neither a value nor a reason: those are stamped."""
    return tuple(f for f in FIELDS if f.name not in item.fields and f.name not in item.absent)


def filled(
    given: Mapping[str, str], absent: Mapping[str, str], defaults: Mapping[str, str], rest: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """The fields and the reasons for those that are absent, complete. ``rest``: one reason for all that are left open.

    Raises:
        UsageError: HW1018 for a field or category that does not exist, HW1015 for required ones left open.
    """
    for name in (*given, *absent):
        if name not in BY_NAME:
            raise UsageError("HW1018", what=name, known=", ".join(BY_NAME))
    fields = {k: v.strip() for k, v in {**defaults, **given}.items() if v.strip() and k not in absent}
    reasons = {k: v.strip() for k, v in absent.items() if v.strip() and k not in given}
    for name, value in (*fields.items(), *reasons.items()):
        if len(value) > MOST_VALUE:
            raise UsageError("HW1018", what=f"{name}: {len(value)} characters", known=f"≤ {MOST_VALUE}")
    if "category" in fields and fields["category"] not in CATEGORIES:
        raise UsageError("HW1018", what=fields["category"], known=", ".join(CATEGORIES))
    empty = [name for name in asked_of(fields) if name not in fields and name not in reasons]
    if rest.strip():
        reasons |= dict.fromkeys(empty, rest.strip()[:MOST_VALUE])
    elif empty:
        raise UsageError("HW1015", what=", ".join(empty))
    return fields, reasons


def note_of(item: Item) -> dict[str, Any]:
    """An item as its ledger entry holds it."""
    return {
        "item": item.number,
        "sha256": item.sha256,
        "size": item.size,
        "fields": dict(item.fields),
        "absent": dict(item.absent),
        "parent": item.parent,
        "version_of": item.version_of,
        "hashes": dict(item.hashes or {}),
    }


def items_of(entries: Iterable[Sealed]) -> list[Item]:
    """The items that the ledger holds, in order of number."""
    found = []
    for sealed in entries:
        if sealed.entry.action == ADDED:
            raw = sealed.entry.note
            found.append(
                Item(
                    str(raw["item"]), str(raw["sha256"]), int(raw["size"]), dict(raw["fields"]), dict(raw["absent"]),
                    str(raw["parent"]), str(raw["version_of"]), dict(raw["hashes"]), sealed.hash,
                )
            )  # fmt: skip
    return found


def judgements_of(entries: Iterable[Sealed]) -> dict[str, dict[str, Any]]:
    """Per number, the newest judgement: per aspect whether it holds and why, by whom and when."""
    found: dict[str, dict[str, Any]] = {}
    for sealed in entries:
        if sealed.entry.action == JUDGED:
            raw = dict(sealed.entry.note)
            found[str(raw["item"])] = raw | {"by": ", ".join(sealed.entry.actors), "time": sealed.entry.time}
    return found


def one(items: Iterable[Item], number: str) -> Item:
    """The item of a number.

    Raises:
        VaultError: HW3014.
    """
    for item in items:
        if item.number == number:
            return item
    raise VaultError("HW3014", what=number)
