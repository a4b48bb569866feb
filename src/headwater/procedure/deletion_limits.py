# SPDX-License-Identifier: Apache-2.0
"""What the storage itself keeps from us of deleted files: a journal that wrapped, blocks handed back, thin pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.model.nouns import Sentence, Text
from headwater.model.times import rfc3339

_BY = {
    "discard": Text("挂载选项 discard", "the mount option discard"),
    "fstrim.timer": Text("定时任务 fstrim.timer", "the timer fstrim.timer"),
}


def deletion_limits(number: int, facts: Mapping[str, Mapping[str, str]]) -> Iterator[Sentence]:
    """One sentence for each such limit of an item; ``facts``: what its listing found, per view."""
    for name, said in sorted(facts.items()):
        volume = (name.removesuffix("!deleted") if name != "deleted" else "") or "/"
        back = said.get("reaches_back", "")
        when = (rfc3339(int(back)) or "")[:19].replace("T", " ") if back else ""
        if when:
            zh = (
                f"检材 {number} 的卷 {volume} 的文件系统日志循环覆写，现存最早的事务在 {when} UTC；"
                "此前删除的文件，日志中已无旧副本可据以恢复。"
            )
            en = (
                f"The journal of volume {volume} of item {number} is written in a circle and begins now at {when} UTC: of files "
                "deleted before that it holds no old copies."
            )
            yield Sentence(Text(zh, en), (f"evidence-{number}",))
        by = _BY.get(said.get("trim", ""))
        if by:
            zh = (
                f"检材 {number} 的系统（{volume}）以{by.zh}将已释放的块交还存储设备（TRIM）；"
                "已删除文件的内容可能因此已被设备清除，无从恢复。"
            )
            en = (
                f"The system on {volume} of item {number} hands freed blocks back to the device (TRIM) by {by.en}: the contents of "
                "deleted files may be gone from the device for that reason."
            )
            yield Sentence(Text(zh, en), (f"evidence-{number}",))
        if said.get("carving"):
            zh = f"检材 {number}：按检验人员的设定，未从未分配空间按结构恢复文件（--no-carve）；没有名称的已删除文件未予查找。"
            en = (
                f"Item {number}: by the examiner's setting no files were carved out of unallocated space (--no-carve); deleted files "
                "without a name were not looked for."
            )
            yield Sentence(Text(zh, en), (f"evidence-{number}",))
        if said.get("volume thin"):
            zh = f"检材 {number} 的卷 {volume} 位于精简配置（thin）存储池；未分配的块在池中没有内容，读作零，不等于曾被清零。"
            en = (
                f"Volume {volume} of item {number} comes out of a thin pool: a block that was never or is no more allocated reads as "
                "zeros, which does not mean that somebody wrote zeros."
            )
            yield Sentence(Text(zh, en), (f"evidence-{number}",))
