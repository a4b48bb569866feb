# SPDX-License-Identifier: Apache-2.0
"""Encrypted or renamed files: one new extension on many files within a short time, noise under old names, ransom notes.

Needs:      fs.macb; better with windows.usnjrnl or windows.logfile, fs.content, fs.recovered, logins, process.create.
Technique:  T1486 data encrypted for impact; T1490 inhibit system recovery.
Says:       the extension, how many files bear it, the window by the journal or else the files' times, first, last and rate,
            what was deleted, which originals may be had back, how random the files are, who had come in before.
False when: a program stores its own files under double extensions and rewrites them all at once; a user encrypts on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import polars as pl

from headwater.detect.frames import HOUR, names, state, take
from headwater.detect.ransom_view import JOURNALS, Window, around, densest, journal_of, notes_in, window
from headwater.detect.system_view import IN_CONTAINER, LISTED, counted_once
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="ransomware",
    version="3",
    author="Headwater",
    title=Text("文件被批量加密或改名", "Files encrypted or renamed in bulk"),
    stage=Stage.IMPACT,
    techniques=("T1486",),
    severity=Severity.CRITICAL,
)
CLAIMS = ("kind", "file_path", "size", "uid")
JOURNAL = ("kind", "file_path", "reason")
# At least so many files, most of them within one burst.
FILES = 20
BURST = HOUR
SHARE = 0.8
_NOISE = 7.2  # bits per byte; ciphertext of half a KiB comes to about 7.5
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


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per evidence and extension, then files encrypted under their own names; notes alone as low."""
    rows = take(
        events,
        kinds=[EventKind.FILE_CHANGED, EventKind.FILE_MODIFIED],
        header=["file_path", "host"],
        own=["size", "uid", "allocated"],
        where=pl.col("file_path").str.contains(r"\.[A-Za-z0-9_\-@\[\]]{2,24}$")
        & ~pl.col("file_path").str.contains(r"^/(?:usr|lib|boot|proc|sys|var/lib/(?:dpkg|apt|docker)|snap)/")
        & ~pl.col("path").str.contains(r"(?:^|!)(?:vss\d*|deleted)(?:!|$)"),
    )
    # a master file table tells the same files again, by names' times as well; it serves where nothing else does
    listed = counted_once(rows.filter(pl.col("feed").is_in([LISTED, IN_CONTAINER])))
    rows = listed if listed.height else rows.filter(~pl.col("feed").is_in(JOURNALS))
    rows = rows.filter((pl.col("allocated").cast(pl.String) != "false").fill_null(True))
    # The change of the inode tells a renaming; where it is not recorded, the last writing serves.
    changed = rows.filter(pl.col("kind") == EventKind.FILE_CHANGED.value)
    changed = changed if changed.height else rows
    notes = changed.filter(pl.col("file_path").str.contains(_NOTE))
    double = _double(changed)
    noted = False
    told: set[tuple[int, str]] = set()
    for part in double.sort("source", "ext", "file_path").partition_by("source", "ext", maintain_order=True):
        here = pl.col("source") == part["source"][0]
        finding = _renamed(events, settings, part, notes.filter(here), changed.filter(here))
        if finding is not None:
            noted = noted or bool(notes.filter(here).height)
            told.add((int(part["source"][0]), str(part["ext"][0])))
            yield finding
    yield from _by_journal(events, settings, changed, notes, told)
    for finding in _in_place(events, settings, rows, notes):
        noted = noted or bool(notes.height)
        yield finding
    if notes.height and not noted:
        shown = notes["file_path"].unique().sort().to_list()
        zh = f"有名称似勒索说明的文件：{names(shown[:3], len(shown), 'zh')}，但未见批量改名的文件。"
        en = f"Files are named like ransom notes: {names(shown[:3], len(shown), 'en')}; no bulk renaming is seen."
        yield state(
            events, RULE, notes, CLAIMS, Text(zh, en),
            severity=Severity.LOW, confidence=Confidence.LOW, facts={"notes": len(shown)},
        )  # fmt: skip


def _renamed(
    events: Events, settings: Settings, part: pl.DataFrame, notes: pl.DataFrame, files: pl.DataFrame
) -> Finding | None:
    extension = cast(str, part["ext"][0])
    part = part.unique("file_path", keep="first", maintain_order=True)
    doubled = part.filter(pl.col("before").is_not_null())
    known = extension in _KNOWN
    kinds = doubled["before"].n_unique()
    if part.height < FILES or doubled.height < SHARE * part.height:
        return None
    if not known and not notes.height and (kinds < 2 or part["folder"].n_unique() < 2):
        return None
    journal = journal_of(events, int(part["source"][0]), extension)
    journal = journal.join(doubled.select("file_path"), on="file_path", how="semi", maintain_order="left")
    held = _dense(doubled)
    if held is None and journal.height:
        held = _dense(doubled, journal)
    if held is None:
        return None
    when = window(held, journal)
    folders = held["folder"].n_unique()
    zh = f"{folders} 个目录中有 {held.height} 个文件名以 .{extension} 结尾（原扩展名保留在前），"
    zh += f"其状态改变时间集中在 {when.seconds} 秒之内"
    en = f"{held.height} files in {folders} directories end in .{extension} behind their former extension and changed within"
    en += f" {when.seconds} seconds"
    bearing = pl.col("file_path").str.to_lowercase().str.ends_with("." + extension)
    share = files.filter(bearing)["file_path"].n_unique() * 1000 // max(1, files["file_path"].n_unique())
    facts: dict[str, Value] = {"extension": extension, "share_permille": share}
    return _stated(events, settings, _Encrypted(held, journal, notes, when, extension, known), zh, en, facts, files)


def _by_journal(
    events: Events, settings: Settings, files: pl.DataFrame, notes: pl.DataFrame, told: set[tuple[int, str]]
) -> Iterator[Finding]:
    """Renamings that only a journal shows any more: the files are gone, or the journal alone was collected."""
    if not set(JOURNALS) & set(events.feeds()):
        return
    renamed = take(
        events, feeds=list(JOURNALS), header=["file_path", "host"], own=["reason"],
        where=(pl.col("kind") == EventKind.FILE_RENAMED.value)
        & pl.col("reason").cast(pl.String).str.contains("(?i)rename_?new").fill_null(False)
        & pl.col("file_path").str.contains(r"\.[A-Za-z0-9_\-@\[\]]{2,24}$"),
    )  # fmt: skip
    double = _double(renamed)
    for part in double.sort("source", "ext", "ts", "file_path").partition_by("source", "ext", maintain_order=True):
        source, extension = int(part["source"][0]), str(part["ext"][0])
        part = part.unique("file_path", keep="first", maintain_order=True).filter(pl.col("before").is_not_null())
        known = extension in _KNOWN
        if (source, extension) in told or part.height < FILES or not (known or part["before"].n_unique() > 1):
            continue
        held = _dense(part)
        if held is None:
            continue
        when = window(held, held)
        zh = f"文件系统日志记录 {held.height} 个文件在 {when.seconds} 秒之内被改名为以 .{extension} 结尾（原扩展名保留在前），"
        zh += "文件今已不在或未随检材提供"
        en = f"The file system's journal holds {held.height} files that were renamed within {when.seconds} seconds to end in"
        en += f" .{extension} behind their former extension; the files are not there any more or not in the item"
        mine = notes.filter(pl.col("source") == source)
        it = _Encrypted(held, held, mine, when, extension, known)
        yield _stated(events, settings, it, zh, en, {"extension": extension}, files.filter(pl.col("source") == source))


def _dense(files: pl.DataFrame, journal: pl.DataFrame | None = None) -> pl.DataFrame | None:
    """The files of the densest hour where that holds most of them; by the journal's times where one is given."""
    timed = files if journal is None else files.drop("ts").join(journal.select("file_path", "ts"), on="file_path")
    times = timed["ts"].drop_nulls().to_list()
    count, first, last = densest(times, BURST)
    if count < FILES or count < SHARE * len(times):
        return None
    inside = timed.filter(pl.col("ts").is_between(first, last)).select("file_path")
    return files.join(inside, on="file_path", how="semi", maintain_order="left")


@dataclass(frozen=True, slots=True)
class _Encrypted:
    held: pl.DataFrame
    journal: pl.DataFrame
    notes: pl.DataFrame
    when: Window
    extension: str
    known: bool


def _stated(
    events: Events, settings: Settings, it: _Encrypted, zh: str, en: str, facts: dict[str, Value], files: pl.DataFrame
) -> Finding:
    """The finding: the files, the window, then what stands around them."""
    when, notes = it.when, it.notes
    source = (
        ("文件系统日志", "the file system's journal")
        if when.by == "journal"
        else ("文件自身的时间", "the files' own times")
    )
    rate = when.count * 60 // max(1, when.seconds)
    zh += f"；依{source[0]}，首个 {when.first_path}，末个 {when.last_path}，每分钟最多 {when.peak} 个"
    en += f"; by {source[1]} the first is {when.first_path}, the last {when.last_path}, at most {when.peak} in a minute"
    if notes.height:
        shown = notes["file_path"].unique().sort().to_list()
        zh += f"；并有勒索说明文件 {names(shown[:3], len(shown), 'zh')}"
        en += f"; there are ransom notes {names(shown[:3], len(shown), 'en')}"
    like = list(notes_in(files, when, re.compile(_NOTE)))
    if like:
        zh += f"；同时在多个目录出现同名文件 {names(like[:3], len(like), 'zh')}"
        en += f"; files of one name appeared in many folders then: {names(like[:3], len(like), 'en')}"
    view = around(events, settings, it.held, when, it.extension)
    zh, en = "；".join([zh, *view.zh]), "; ".join([en, *view.en])
    facts |= view.facts
    facts |= {"files": it.held.height, "folders": it.held["folder"].n_unique(), "seconds": when.seconds}
    facts |= {"window": when.by, "per_minute": rate, "peak_minute": when.peak}
    facts |= {"first": when.first_path, "last": when.last_path}
    sure = it.known or bool(notes.height)
    return state(
        events, RULE, it.held, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.CRITICAL if sure else Severity.HIGH,
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM, facts=facts,
        more=[(notes.head(50), CLAIMS), (it.journal.head(20), JOURNAL), (it.journal.tail(20), JOURNAL), *view.more],
        beside=view.beside, moments=[when.first, when.last], src_ip=view.src_ip,
    )  # fmt: skip


def _in_place(events: Events, settings: Settings, rows: pl.DataFrame, notes: pl.DataFrame) -> Iterator[Finding]:
    """Files that kept their names and hold noise now: documents, pictures and texts that are none any more."""
    held = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path"], own=["type", "disguised", "entropy"],
        where=(pl.col("disguised").cast(pl.String) == "true") & pl.col("type").is_in(["data", "openssl-enc"])
        & (pl.col("entropy").cast(pl.Float64, strict=False) >= _NOISE) & (pl.col("length") >= 512)
        & ~pl.col("path").str.contains(r"(?:^|!)(?:vss\d*|deleted)(?:!|$)"),
    )  # fmt: skip
    if held.height < FILES:
        return
    modified = rows.filter(pl.col("kind") == EventKind.FILE_MODIFIED.value)
    folder = pl.col("file_path").str.extract(r"^(.*)/").alias("folder")
    for (source,), part in held.sort("source", "path").group_by("source", maintain_order=True):
        mine = modified.filter(pl.col("source") == source)
        files = mine.join(part.select("file_path"), on="file_path", how="semi", maintain_order="left")
        files = files.unique("file_path", keep="first", maintain_order=True).with_columns(folder)
        dense = _dense(files) if files.height >= FILES else None
        if dense is None or dense["folder"].n_unique() < 2:
            continue
        when = window(dense, dense.head(0))
        zh = f"{dense['folder'].n_unique()} 个目录中有 {dense.height} 个文档、图片或文本名称未变而内容已成噪声，"
        zh += f"其修改时间集中在 {when.seconds} 秒之内"
        en = f"{dense.height} documents, pictures or texts in {dense['folder'].n_unique()} directories keep their names and hold"
        en += f" noise; they were written within {when.seconds} seconds"
        own = notes.filter(pl.col("source") == source)
        it = _Encrypted(dense, dense.head(0), own, when, "", False)
        yield _stated(events, settings, it, zh, en, {"extension": ""}, mine)
