# SPDX-License-Identifier: Apache-2.0
"""Encrypted or renamed files: one new extension on many files within a short time, and ransom notes.

Needs:      fs.macb.
Technique:  T1486 data encrypted for impact.
Says:       the extension, how many files in how many directories bear it, and the time within which they changed.
False when: a program stores its own files under double extensions and rewrites them all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl

from headwater.detect.frames import HOUR, names, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="ransomware",
    version="1",
    author="Headwater",
    title=Text("文件被批量加密或改名", "Files encrypted or renamed in bulk"),
    stage=Stage.IMPACT,
    techniques=("T1486",),
    severity=Severity.CRITICAL,
)
CLAIMS = ("kind", "file_path", "size", "uid")
# At least so many files, most of them within one burst.
FILES = 20
BURST = HOUR
SHARE = 0.8
# Extensions that stand behind another one in everyday life: compression, packages, copies, caches, signatures, types.
_EVERYDAY_WORDS = """
gz bz2 xz zst lz4 lzma zip 7z tgz bak old orig save swp swo tmp temp part new dist sample example default
disabled template tpl tmpl in pyc pyo pyi py map min js mjs cjs css html htm json yml yaml xml conf cfg ini
list md5sums sha256 sha512 sha1 md5 sig asc gpg sign crt pem key pub csr der lock pid log err out txt md rst c
h cpp hpp o a so la d po mo pot ko mod php phtml inc twig sh bash pl pm rb go java class jar war t ts tsx jsx
vue svg png jpg jpeg gif ico webp woff woff2 ttf eot db sqlite wal shm journal idx frm myd myi ibd service
timer socket target mount path slice scope wants requires link network rules types hash cache stamp done ok
state status preinst postinst prerm postrm conffiles triggers shlibs symbols templates config deb rpm tar iso
img bin dat data csv tsv xlsx docx pdf gzip br mp3 mp4 webm local dpkg-dist dpkg-new dpkg-old dpkg-bak dpkg-
tmp ucf-dist ucf-old rpmnew rpmsave rpmorig real distrib diff patch rej snap exe dll msi bundle pack rev
"""
_EVERYDAY = frozenset(_EVERYDAY_WORDS.split())
# Extensions that are known for this and nothing else.
_KNOWN_WORDS = """
encrypted locked crypt crypted crypto enc encrypt cry lockbit locky wncry wcry cerber zepto ryuk conti akira
mallox devos phobos eking makop babyk rook royal blackcat medusa
"""
_KNOWN = frozenset(_KNOWN_WORDS.split())
_NOTE = (
    r"(?i)(?:how[-_ ]?to[-_ ]?(?:decrypt|restore|recover|back)|(?:decrypt|recover|restore)[-_ ]?(?:my|your|all)?[-_ ]?"
    r"(?:files?|data|instructions?|info)|read[-_ ]?me[-_ ]?(?:to|for)?[-_ ]?(?:decrypt|restore|recover|locked|ransom)"
    r"|ransom[-_ ]?note|your[-_ ]?files[-_ ]?(?:are|were)|解密|勒索|恢复文件)[^/]{0,40}\.(?:txt|html?|hta|md)$"
)


def _double(rows: pl.DataFrame) -> pl.DataFrame:
    """Files whose name ends in an extension behind another one: ``ext``, ``before``, ``folder``."""
    name = pl.col("file_path").str.extract(r"([^/]+)$")
    return rows.with_columns(
        name.str.extract(r"\.([A-Za-z0-9_\-@\[\]]{2,24})$").str.to_lowercase().alias("ext"),
        name.str.extract(r"\.([A-Za-z0-9]{1,6})\.[A-Za-z0-9_\-@\[\]]{2,24}$").str.to_lowercase().alias("before"),
        pl.col("file_path").str.extract(r"^(.*)/").alias("folder"),
    ).filter(
        pl.col("ext").is_not_null() & ~pl.col("ext").is_in(list(_EVERYDAY)) & ~pl.col("ext").str.contains(r"^\d+$")
    )


def _burst(times: list[int]) -> tuple[int, int, int]:
    """The densest stretch of an hour: how many times lie in it, its first and its last."""
    ordered = sorted(times)
    best, start = (0, 0, 0), 0
    for end, at in enumerate(ordered):
        while at - ordered[start] > BURST:
            start += 1
        if end - start + 1 > best[0]:
            best = (end - start + 1, ordered[start], at)
    return best


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per evidence and extension; ransom notes without renamed files as low."""
    rows = take(
        events,
        kinds=[EventKind.FILE_CHANGED, EventKind.FILE_MODIFIED],
        header=["file_path", "host"],
        own=["size", "uid", "allocated"],
        where=pl.col("file_path").str.contains(r"\.[A-Za-z0-9_\-@\[\]]{2,24}$")
        & ~pl.col("file_path").str.contains(r"^/(?:usr|lib|boot|proc|sys|var/lib/(?:dpkg|apt|docker)|snap)/"),
    )
    rows = rows.filter((pl.col("allocated").cast(pl.String) != "false").fill_null(True))
    # The change of the inode tells a renaming; where it is not recorded, the last writing serves.
    changed = rows.filter(pl.col("kind") == EventKind.FILE_CHANGED.value)
    changed = changed if changed.height else rows
    notes = changed.filter(pl.col("file_path").str.contains(_NOTE))
    double = _double(changed)
    noted = False
    for part in double.sort("source", "ext", "file_path").partition_by("source", "ext", maintain_order=True):
        mine = notes.filter(pl.col("source") == part["source"][0])
        finding = _renamed(events, part, mine)
        if finding is not None:
            noted = noted or bool(mine.height)
            yield finding
    if notes.height and not noted:
        shown = notes["file_path"].unique().sort().to_list()
        zh = f"有名称似勒索说明的文件：{names(shown[:3], len(shown), 'zh')}，但未见批量改名的文件。"
        en = f"Files are named like ransom notes: {names(shown[:3], len(shown), 'en')}; no bulk renaming is seen."
        yield state(
            events, RULE, notes, CLAIMS, Text(zh, en),
            severity=Severity.LOW, confidence=Confidence.LOW, facts={"notes": len(shown)},
        )  # fmt: skip


def _renamed(events: Events, part: pl.DataFrame, notes: pl.DataFrame) -> Finding | None:
    extension = cast(str, part["ext"][0])
    part = part.unique("file_path", keep="first", maintain_order=True)
    doubled = part.filter(pl.col("before").is_not_null())
    known = extension in _KNOWN
    kinds = doubled["before"].n_unique()
    if part.height < FILES or doubled.height < SHARE * part.height:
        return None
    if not known and not notes.height and (kinds < 2 or part["folder"].n_unique() < 2):
        return None
    times = doubled["ts"].drop_nulls().to_list()
    count, first, last = _burst(times)
    if count < FILES or count < SHARE * len(times):
        return None
    held = doubled.filter(pl.col("ts").is_between(first, last))
    seconds = (last - first) // 1_000_000_000
    folders = held["folder"].n_unique()
    zh = f"{folders} 个目录中有 {count} 个文件名以 .{extension} 结尾（原扩展名保留在前），"
    zh += f"其状态改变时间集中在 {seconds} 秒之内"
    en = f"{count} files in {folders} directories end in .{extension} behind their former extension and changed within"
    en += f" {seconds} seconds"
    if notes.height:
        shown = notes["file_path"].unique().sort().to_list()
        zh += f"；并有勒索说明文件 {names(shown[:3], len(shown), 'zh')}"
        en += f"; there are ransom notes {names(shown[:3], len(shown), 'en')}"
    return state(
        events, RULE, held, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.CRITICAL if known or notes.height else Severity.HIGH,
        confidence=Confidence.HIGH if known or notes.height else Confidence.MEDIUM,
        facts={"extension": extension, "files": count, "folders": folders, "seconds": seconds},
        more=[(notes.head(50), CLAIMS)],
    )  # fmt: skip
