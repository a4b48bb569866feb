# SPDX-License-Identifier: Apache-2.0
"""Windows programs that are not what or where they should be: altered, under a system name elsewhere, in data folders, unsigned.

Needs:      windows.pe and windows.catalog; windows.service, windows.autorun, windows.task for what starts by itself.
Technique:  T1036.005 names and places of the system; T1036.007 double extensions; T1553.002 signatures; T1543.003 services.
Says:       which programs, where, how they are signed, and what starts them; never "unsigned" where catalogs were not all read.
False when: a vendor ships without signatures; an installer unpacks into a temporary folder; a program of the system was copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.detect.program_view import CLAIMS, place_of, programs
from headwater.detect.windows_commands import program_of
from headwater.formats.certificate_chain import BROKEN, SELF
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="windows-programs",
    version="1",
    author="Headwater",
    title=Text("来历或位置异常的 Windows 程序", "Windows programs of unusual origin or place"),
    stage=Stage.PERSIST,
    techniques=("T1036.005", "T1036.007", "T1553.002", "T1543.003"),
    severity=Severity.HIGH,
)
_SYSTEM = (
    "svchost|lsass|csrss|services|winlogon|smss|wininit|spoolsv|lsm|taskhostw?|dllhost|conhost|rundll32|userinit|dwm|ntoskrnl|explorer|taskmgr"
    "|cmd|powershell|regsvr32|wmiprvse|searchindexer|sihost|runtimebroker|ctfmon|logonui|msdtc|wuauclt|net1?|certutil"
)
_NAMED = lazy_regex(rf"/(?:{_SYSTEM})\.exe\Z")
_HOME = lazy_regex(r"\A/(?:windows(?:\.old)?/(?:system32|syswow64|sysnative|winsxs|servicing|sysarm32|softwaredistribution|explorer\.exe)"
                   r"|windows/[^/]+\.exe\Z|\$windows\.~|program files/powershell/|recovery/|boot/)")  # fmt: skip
_DOUBLE = lazy_regex(
    r"\.(?:pdf|docx?|xlsx?|pptx?|txt|rtf|jpe?g|png|gif|bmp|zip|rar|7z|mp[34]|html?|csv)[ _]*\.(?:exe|scr|com|cpl|dll)\Z"
)
_DATA = lazy_regex(
    r"\A/(?:users/public/|windows/temp/|perflogs/|\$recycle\.bin/|temp/|tmp/|inetpub/|windows/(?:fonts|help|debug|tracing|tasks|media|addins)/"
    r"|programdata/[^/]+\Z|users/[^/]+/(?:appdata/local/temp/|appdata/roaming/[^/]+\Z|downloads/|desktop/|documents/|music/|pictures/|videos/))"
)
_FOLDERS = ("/windows/system32/", "/windows/syswow64/")
_NONE = ("neither", "not embedded", "unreadable")


@dataclass(frozen=True, slots=True)
class Sort:
    """One kind of remark: which programs, how grave, why."""

    name: str
    fits: Callable[[str, str, bool], bool]  # place, standing, started by itself
    severity: Severity
    technique: str
    zh: str
    en: str


SORTS: tuple[Sort, ...] = (
    Sort("altered", lambda place, standing, starts: standing == "altered", Severity.HIGH, "T1553.002",
         "签名与内容不符（签名后被改动，或签名是从别的程序移来的）",
         "carry a signature that does not fit them (altered after it, or another's)"),
    Sort("borrowed-name", lambda place, standing, starts: standing == "borrowed", Severity.HIGH, "T1553.002",
         "签名证书冒用知名厂商之名（自签名，或并非由其所称的颁发者签发）",
         "are signed under a known maker's name by a certificate that nobody vouches for"),
    Sort("system-name", lambda place, standing, starts: bool(_NAMED.search(place)) and not _HOME.match(place), Severity.HIGH, "T1036.005",
         "使用系统程序的名字却不在系统目录", "have the name of a system program and lie outside of the system's folders"),
    Sort("double-extension", lambda place, standing, starts: bool(_DOUBLE.search(place)), Severity.HIGH, "T1036.007",
         "带双重扩展名，冒充文档", "have two extensions and pass for documents"),
    Sort("unsigned-start", lambda place, standing, starts: starts and standing in _NONE, Severity.MEDIUM, "T1543.003",
         "随系统或用户登录自启动而没有签名", "start by themselves without a signature"),
    Sort("unsigned-data", lambda place, standing, starts: standing in _NONE and bool(_DATA.match(place)), Severity.MEDIUM, "T1036.005",
         "位于存放数据的目录且没有签名", "lie in folders for data without a signature"),
    Sort("unsigned-system", lambda place, standing, starts: standing == "neither" and place.startswith(_FOLDERS),
         Severity.LOW, "T1553.002", "位于系统目录而没有签名", "lie in the system's folders without a signature"),
)  # fmt: skip
# what of a signer's chain matters to whoever reads its name
_CHAINS = {
    SELF: ("有自签名证书，任何人都可自称该名；", "one signed itself, as anybody can under any name; "),
    BROKEN: (
        "有证书并非由其所称的颁发者签发；",
        "one was not issued by whom it names; ",
    ),
}
_TOLD = 4


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per item and sort, by item and in the order of the table; a program stands in the first that fits."""
    rows = programs(events)
    if rows.is_empty():
        return
    started = _started(events)
    for source in sorted(rows["source"].unique().to_list()):
        mine = rows.filter(pl.col("source") == source)
        starts = started.get(source, {})
        sorts = [_sort(p, s, p in starts) for p, s in zip(mine["place"].to_list(), mine["standing"].to_list())]
        told = mine.with_columns(pl.Series("sort", sorts, dtype=pl.String))
        for sort in SORTS:
            part = told.filter(pl.col("sort") == sort.name).sort("file_path", "path")
            if part.height:
                yield _finding(events, sort, part, starts)


def _sort(place: str, standing: str, starts: bool) -> str | None:
    return next((sort.name for sort in SORTS if sort.fits(place, standing, starts)), None)


def _started(events: Events) -> dict[int, dict[str, pl.DataFrame]]:
    """What starts by itself: by item, the program's place and the row that says so."""
    feeds = [
        f for f in ("windows.service", "windows.task", "windows.task_file", "windows.autorun") if f in events.feeds()
    ]
    found: dict[int, dict[str, pl.DataFrame]] = {}
    if not feeds:
        return found
    rows = take(events, feeds=feeds, header=["command_line", "host"], own=["library", "unit", "name"])
    for number, (source, command, library) in enumerate(rows.select("source", "command_line", "library").iter_rows()):
        for text in (program_of(command) if command else None, library):
            if text:
                found.setdefault(int(source), {}).setdefault(place_of(str(text)), rows[number])
    return found


def _chains(states: list[str], language: int) -> str:
    return "".join(_CHAINS[s][language] for s in states if s in _CHAINS)


def _finding(events: Events, sort: Sort, part: pl.DataFrame, starts: dict[str, pl.DataFrame]) -> Finding:
    paths = part["file_path"].unique(maintain_order=True).to_list()
    zh = f"{len(paths)} 个程序{sort.zh}：{names(paths[:_TOLD], len(paths), 'zh')}"
    en = f"Windows programs that {sort.en} ({len(paths)}): {names(paths[:_TOLD], len(paths), 'en')}"
    standing = set(part["standing"].to_list())
    if "neither" in standing:
        zh += "；“没有签名”指无内嵌签名，且不在本检材任何签名目录中"
        en += "; without a signature: no embedded one, and in no catalog of this image"
    if "not embedded" in standing:
        zh += "；部分程序只知无内嵌签名，因签名目录未能全部读取"
        en += "; of some it is only known that none is embedded: catalogs were missing or not all read"
    if "unreadable" in standing:
        zh += "；部分程序的签名无法读取"
        en += "; the signature of some cannot be read"
    signers = part["signer"].drop_nulls().unique().sort().to_list()
    if signers:
        states = part["chain_state"].cast(pl.String).drop_nulls().unique().sort().to_list()
        zh += (
            f"；证书所载签名者 {names(signers[:2], len(signers), 'zh')}（{_chains(states, 0)}未核对是否链至受信任的根）"
        )
        en += f"; signed, as the certificates say, by {names(signers[:2], len(signers), 'en')} "
        en += f"({_chains(states, 1)}no chain is traced to a trusted root)"
    weak = "not embedded" in standing and sort.name.startswith("unsigned")
    beside = [starts[p] for p in part["place"].unique(maintain_order=True).to_list() if p in starts]
    more = [(pl.concat(beside[:20]), ("kind", "command_line", "library", "unit", "name"))] if beside else []
    return state(
        events, replace(RULE, techniques=(sort.technique,)), part, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.LOW if weak else sort.severity, confidence=Confidence.LOW if weak else Confidence.MEDIUM,
        facts={"sort": sort.name, "programs": len(paths)}, limit=40, more=more, moments=[],
    )  # fmt: skip
