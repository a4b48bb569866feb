# SPDX-License-Identifier: Apache-2.0
"""Error codes of the scene: order and guards, isolation, memory, network capture (HW2150 to HW2199).

Each as (Chinese, English, hint in Chinese, hint in English); :mod:`headwater.model.codes` makes one table of all.
"""

from __future__ import annotations

SCENE: dict[str, tuple[str, str, str, str]] = {
    "HW2150": (
        "违反取证顺序：{act}——{what}",
        "out of order: {act} - {what}",
        '先完成前面的步骤，或以 --because "理由" 说明；理由作为决定记入台账。',
        'Do what comes first, or give --because "reason": it is recorded as a decision.',
    ),
    "HW2151": (
        "现场保护规则不允许：{act}——{what}",
        "the scene's rules forbid it: {act} - {what}",
        '先完成所缺各项，或逐项 scene waive … --because "理由"；确已发生的，以 --happened --because 如实登记。',
        "Do what is missing, or waive each by scene waive … --because; what has happened is recorded with --happened --because.",
    ),
    "HW2152": (
        "此类调查要求的人员不足：{what}",
        "this kind of investigation asks for more people: {what}",
        "补上人员，或以 {option} 说明理由。",
        "Name them, or give the reason with {option}.",
    ),
    "HW2154": (
        "人工操作须附截图或导出文件：{where}",
        "an act done by hand needs a screenshot or an export: {where}",
        '用 --attach 文件；确实没有的，用 --unattested "理由"。',
        'Give --attach FILE, or --unattested "reason" where there is none.',
    ),
    "HW2155": (
        "时间无法采用：{what}",
        "the time cannot be used: {what}",
        "写作 RFC 3339，如 2026-03-02T19:22:33+08:00，且不晚于现在。",
        "Write it as RFC 3339, such as 2026-03-02T19:22:33+08:00, and not later than now.",
    ),
    "HW2156": (
        "来源关系无法采用：{what}",
        "the lineage cannot be used: {what}",
        "快照须写明所属卷：--of 快照=卷；一物只能有一个来源。",
        "A snapshot names its volume: --of SNAPSHOT=VOLUME; a thing has one parent.",
    ),
    "HW2190": (
        "服务器没有按要求应答：{where}（{what}）",
        "the server does not answer as asked: {where} ({what})",
        "该账户的登录 shell 须能运行 sh。",
        "The account's login shell must be able to run sh.",
    ),
}
