# SPDX-License-Identifier: Apache-2.0
"""Error codes HW2100 to HW2149, live collection: message and hint in both languages, as ``Code`` takes them."""

from __future__ import annotations

COLLECT: dict[str, tuple[str, ...]] = {
    "HW2100": (
        "没有此采集方案或采集项：{what}",
        "no such profile or artifact: {what}",
        "方案：{known}；headwater collect --list 列出全部采集项。",
        "Profiles: {known}; headwater collect --list shows every artifact.",
    ),
    "HW2101": (
        "采集项定义不可用：{where}（{what}）",
        "the definition of artifacts cannot be used: {where} ({what})",
    ),
    "HW2102": (
        "服务器上无法运行采集程序：{what}",
        "the collector cannot run on the server: {what}",
        "服务器上须有 POSIX sh；有 Python 3.6 以上则采集更快、更全。",
        "The server needs a POSIX sh; with Python 3.6 or newer it collects faster, and more.",
    ),
    "HW2103": ("没有采集到任何内容：{what}", "nothing was collected: {what}"),
    "HW2104": (
        "采集结果无法写入：{where}（{what}）",
        "the collection cannot be written: {where} ({what})",
        "检查磁盘空间与权限；已有文件不会被覆盖。",
        "Check disk space and permissions; an existing file is never written over.",
    ),
    "HW2105": (
        "没有可接续的采集：{what}",
        "no collection to go on with: {what}",
        "仅可接续同一台服务器上中断或达到上限的采集；headwater scene show 列出已做的操作。",
        "Only a collection of the same server that was cut or reached its limit is gone on with; headwater scene show lists what was done.",
    ),
}
