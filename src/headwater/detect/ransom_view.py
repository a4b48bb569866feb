# SPDX-License-Identifier: Apache-2.0
"""What stands around files that were encrypted: how long it took, what was deleted, what may be had back, who was there.

Everything here is looked up for one item of evidence and one window of time, and cited; nothing is weighed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.commands import excerpt, quoted
from headwater.detect.frames import DAY, HOUR, MINUTE, names, take
from headwater.detect.intrusion import cited, entries
from headwater.model.kinds import EventKind
from headwater.model.nouns import Citation
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

# journals that state each change with its own time, whatever the file's times say afterwards
JOURNALS = ("windows.usnjrnl", "windows.logfile")
_RENAMED = r"(?i)rename"
# what makes originals and backups go away; https://attack.mitre.org/techniques/T1490/
_UNDO = (
    r"(?i)\bvssadmin\b.*\bdelete\b|\bshadowcopy\b.*\bdelete\b|\bdelete\b.*\bshadowcopy\b|\bwbadmin\b.*\bdelete\b"
    r"|\bbcdedit\b.*\b(?:recoveryenabled|ignoreallfailures)\b|\bdiskshadow\b.*\bdelete\b|\bWin32_ShadowCopy\b.*\b(?:Delete|Remove)\b"
    r"|\b(?:lvremove|btrfs\s+subvolume\s+delete|zfs\s+destroy)\b|\bwevtutil\b.*\bcl\b|\bcipher\b.*/w:"
)
_BESIDE = 5 * MINUTE  # before and after the window
_VIEWS = r"(?:^|!)vss[^!]*(?:!|$)"
_SHOWN = 3
_NOISE = 7.0  # bits per byte


@dataclass(frozen=True, slots=True)
class Window:
    """When files were encrypted: UTC ns of the first and the last, how many, the most in one minute, and what says so."""

    first: int
    last: int
    count: int
    peak: int
    by: str  # ``journal`` or ``file-times``
    first_path: str
    last_path: str

    @property
    def seconds(self) -> int:
        """How long it took, whole seconds."""
        return (self.last - self.first) // 1_000_000_000


@dataclass(slots=True)
class View:
    """What is told of an encryption beside the files themselves: words, facts, and rows to cite with their claims."""

    zh: list[str] = field(default_factory=list)
    en: list[str] = field(default_factory=list)
    facts: dict[str, Value] = field(default_factory=dict)
    more: list[tuple[pl.DataFrame, Sequence[str]]] = field(default_factory=list)
    beside: tuple[Citation, ...] = ()
    src_ip: str | None = None

    def say(self, zh: str, en: str) -> None:
        """One more clause."""
        self.zh.append(zh)
        self.en.append(en)


def densest(times: Sequence[int], span: int = HOUR) -> tuple[int, int, int]:
    """The densest stretch of ``span`` ns: how many times lie in it, its first and its last."""
    ordered = sorted(times)
    best, start = (0, 0, 0), 0
    for end, at in enumerate(ordered):
        while at - ordered[start] > span:
            start += 1
        if end - start + 1 > best[0]:
            best = (end - start + 1, ordered[start], at)
    return best


def window(held: pl.DataFrame, journal: pl.DataFrame) -> Window:
    """The window by the journal where it names at least half of the files, else by the files' own times.

    Both frames have ``ts`` and ``file_path``, and each file once; ``held`` is not empty.
    """
    by = "journal" if journal.height * 2 >= held.height else "file-times"
    rows = (journal if by == "journal" else held).filter(pl.col("ts").is_not_null()).sort("ts", "file_path")
    times = rows["ts"].to_list()
    first, last = rows.row(0, named=True), rows.row(-1, named=True)
    return Window(
        int(times[0]),
        int(times[-1]),
        len(times),
        densest(times, MINUTE)[0],
        by,
        str(first["file_path"]),
        str(last["file_path"]),
    )


def journal_of(events: Events, source: int, extension: str) -> pl.DataFrame:
    """Each file that a journal shows getting this extension, at the first time that it does."""
    if not set(JOURNALS) & set(events.feeds()):
        return pl.DataFrame(schema={"ts": pl.Int64, "file_path": pl.String})
    rows = take(
        events, feeds=list(JOURNALS), header=["file_path"], own=["reason"],
        where=(pl.col("source") == source)
        & pl.col("file_path").str.to_lowercase().str.ends_with("." + extension)
        & (pl.col("kind") != EventKind.FILE_DELETED.value),
    )  # fmt: skip
    renamed = rows.filter(pl.col("reason").cast(pl.String).str.contains(_RENAMED).fill_null(False))
    return (renamed if renamed.height else rows).unique("file_path", keep="first", maintain_order=True)


def around(events: Events, settings: Settings, held: pl.DataFrame, when: Window, extension: str) -> View:
    """Everything that stands around the encrypted files of one item; ``held`` as for :func:`window`."""
    view = View()
    source = int(held["source"][0])
    originals = held["file_path"].str.slice(0, held["file_path"].str.len_chars() - len(extension) - 1)
    wanted = originals.unique().to_list() if extension else held["file_path"].unique().to_list()
    steps: tuple[Callable[[], None], ...] = (
        lambda: _deleted(events, view, source, when, wanted),
        lambda: _recoverable(events, view, source, wanted),
        lambda: _entropy(events, view, source, held, wanted),
        lambda: _undone(events, view, source, when),
        lambda: _accounts(events, view, source, held),
        lambda: _programs(events, view, source, when),
        lambda: _traces(events, view, source, when, extension),
        lambda: _logins(events, settings, view, source, when),
    )
    for step in steps:
        step()
    return view


def _deleted(events: Events, view: View, source: int, when: Window, originals: list[str]) -> None:
    """What was deleted in the window, as journals and file systems tell it."""
    rows = take(
        events, kinds=[EventKind.FILE_DELETED, EventKind.STATE_RECOVERED], header=["file_path"], own=["reason"],
        where=(pl.col("source") == source) & pl.col("ts").is_between(when.first - _BESIDE, when.last + _BESIDE)
        & pl.col("file_path").is_not_null(),
    ).unique("file_path", keep="first", maintain_order=True)  # fmt: skip
    if rows.is_empty():
        return
    of_them = rows.filter(pl.col("file_path").is_in(originals)).height
    shown = rows["file_path"].head(_SHOWN).to_list()
    view.say(
        f"同一时段删除了 {rows.height} 个文件（其中 {of_them} 个是原文件名）：{names(shown, rows.height, 'zh')}",
        f"{rows.height} files were deleted then ({of_them} of them under the original names): {names(shown, rows.height, 'en')}",
    )
    view.facts |= {"deleted": rows.height, "deleted_originals": of_them}
    view.more.append((rows.head(20), ("kind", "file_path")))


def _recoverable(events: Events, view: View, source: int, originals: list[str]) -> None:
    """Originals that deleted records still prove, or that a shadow copy holds."""
    mine = (pl.col("source") == source) & pl.col("file_path").is_in(originals)
    rows = take(
        events, kinds=[EventKind.STATE_RECOVERED], header=["file_path"], own=["content_claim"],
        where=mine,
    ).unique("file_path", keep="first", maintain_order=True)  # fmt: skip
    whole = rows.filter(pl.col("content_claim") == "whole")
    part = rows.filter(pl.col("content_claim") == "part")
    if whole.height or part.height:
        view.say(
            f"原文件可恢复：内容完整 {whole.height} 个，部分 {part.height} 个",
            f"originals that can be had back: {whole.height} whole, {part.height} in part",
        )
        view.more.append((pl.concat([whole, part]).head(20), ("kind", "file_path", "content_claim")))
    copies = take(
        events, kinds=[EventKind.FILE_MODIFIED], header=["file_path"], where=mine & pl.col("path").str.contains(_VIEWS)
    )
    copies = copies.unique("file_path", keep="first", maintain_order=True)
    if copies.height:
        view.say(f"卷影副本中有 {copies.height} 个原文件", f"shadow copies hold {copies.height} of the originals")
        view.more.append((copies.head(20), ("kind", "file_path")))
    view.facts |= {"recoverable": whole.height, "recoverable_part": part.height, "in_shadow_copies": copies.height}


def _entropy(events: Events, view: View, source: int, held: pl.DataFrame, originals: list[str]) -> None:
    """How random the files are now, beside their originals where those are there, else beside others of their kinds."""
    now = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["entropy", "type"],
        where=(pl.col("source") == source) & pl.col("file_path").is_in(held["file_path"].unique().to_list())
        & ~pl.col("path").str.contains(_VIEWS) & (pl.col("length") >= 256),
    )  # fmt: skip
    if now.is_empty():
        return
    before = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["entropy"],
        where=(pl.col("source") == source) & pl.col("file_path").is_in(originals) & (pl.col("length") >= 256)
        & ~(pl.col("file_path").is_in(held["file_path"].unique().to_list()) & ~pl.col("path").str.contains(_VIEWS)),
    )  # fmt: skip
    high = cast(float, now["entropy"].cast(pl.Float64).median())
    view.facts |= {"entropy_hundredths": round(high * 100)}
    zh, en = f"这些文件的熵（中位数）为 {high:.2f} 比特/字节", f"their entropy (median) is {high:.2f} bits a byte"
    if before.height:
        low = cast(float, before["entropy"].cast(pl.Float64).median())
        zh += f"，原文件为 {low:.2f}"
        en += f", that of the originals {low:.2f}"
        view.facts |= {"entropy_before_hundredths": round(low * 100)}
        view.more.append((before.head(10), ("kind", "file_path", "hash")))
    if high < _NOISE:
        known = now.filter(~pl.col("type").is_in(["data", "openssl-enc"])).height
        zh += f"，低于密文：可能只是改名，或只作了弱变换（{now.height} 个中 {known} 个仍可辨认类型）"
        en += ", low for ciphertext: renamed only, or changed by something weak"
        en += f" ({known} of {now.height} are still of a known type)"
    view.say(zh, en)
    view.more.append((now.head(10), ("kind", "file_path", "hash", "type")))


def _undone(events: Events, view: View, source: int, when: Window) -> None:
    """Commands that destroy copies and backups, within a day of the window."""
    rows = take(
        events, kinds=[EventKind.PROCESS_CREATE, EventKind.COMMAND_HISTORY, EventKind.PRIVILEGE_USE, EventKind.LOG_MESSAGE],
        header=["command_line", "user"],
        where=(pl.col("source") == source) & pl.col("command_line").str.contains(_UNDO)
        & (pl.col("ts").is_null() | pl.col("ts").is_between(when.first - DAY, when.last + DAY)),
    )  # fmt: skip
    if rows.is_empty():
        return
    shown = rows["command_line"].unique(maintain_order=True).to_list()
    view.say(
        f"销毁副本或备份的命令：{quoted(shown, 'zh')}",
        f"commands that destroy copies or backups: {quoted(shown, 'en')}",
    )
    view.facts["destroys_copies"] = rows.height
    view.more.append((rows.head(10), ("kind", "user", "command_line")))


def _accounts(events: Events, view: View, source: int, held: pl.DataFrame) -> None:
    """Who owns the files: their numbers, and the accounts that go by them."""
    if "uid" not in held.columns:
        return
    numbers = held["uid"].cast(pl.Int64, strict=False).drop_nulls().unique().sort().to_list()
    if not numbers:
        return
    rows = take(
        events, kinds=[EventKind.STATE_ACCOUNT], header=["user"], own=["uid"],
        where=(pl.col("source") == source) & pl.col("uid").cast(pl.Int64, strict=False).is_in(numbers),
    ).unique("user", keep="first", maintain_order=True)  # fmt: skip
    known = dict(zip(rows["uid"].cast(pl.Int64, strict=False).to_list(), rows["user"].to_list(), strict=True))
    told = [str(known.get(n, f"uid {n}")) for n in numbers[:_SHOWN]]
    view.say(f"文件属主：{names(told, len(numbers), 'zh')}", f"the files belong to {names(told, len(numbers), 'en')}")
    view.facts["owners"] = ",".join(told)


def _programs(events: Events, view: View, source: int, when: Window) -> None:
    """Programs that were started shortly before and in the window, where the system recorded it."""
    rows = take(
        events, kinds=[EventKind.PROCESS_CREATE, EventKind.PRIVILEGE_USE], header=["command_line", "user", "process", "pid"],
        where=(pl.col("source") == source) & pl.col("ts").is_between(when.first - _BESIDE, when.last),
    )  # fmt: skip
    rows = rows.filter(pl.col("command_line").is_not_null() | pl.col("process").is_not_null())
    if rows.is_empty():
        return
    told = rows.select(pl.coalesce("command_line", "process"), "user").unique(maintain_order=True)
    shown = [excerpt(str(c), 100) for c in told["command_line"].tail(_SHOWN).to_list()]
    users = told["user"].drop_nulls().unique().sort().to_list()
    who_zh, who_en = (
        (f"（账户 {names(users[:3], len(users), 'zh')}）", f" (as {names(users[:3], len(users), 'en')})")
        if users
        else ("", "")
    )
    view.say(
        f"其前及其间启动的程序{who_zh}：{quoted(shown, 'zh')}",
        f"programs started then or just before{who_en}: {quoted(shown, 'en')}",
    )
    view.facts["programs"] = told.height
    view.more.append((rows.tail(10), ("kind", "user", "command_line", "process")))


def _traces(events: Events, view: View, source: int, when: Window, extension: str) -> None:
    """Programs that by the traces of their runs (prefetch, activity moderator, userassist) ran then.

    Those come first that had such files open in the first seconds of a run, as prefetch lists them.
    """
    listed = pl.lit(False)
    if extension:
        listed = (
            pl.col("file_names").cast(pl.String).str.contains(rf"(?i)\.{re.escape(extension)}(?:\n|$)").fill_null(False)
        )
    rows = take(
        events, kinds=[EventKind.EXECUTION_TRACE], header=["process", "file_path", "t_kind"], own=["trace", "file_names"],
        where=(pl.col("source") == source) & (pl.col("t_kind") == "run")
        & (pl.col("ts").is_between(when.first - _BESIDE, when.last) | listed),
    )  # fmt: skip
    if rows.is_empty():
        return
    name = pl.coalesce(pl.col("process"), pl.col("file_path")).str.replace_all(r"^.*[\\/]", "").str.to_lowercase()
    rows = rows.with_columns(name.alias("name"), listed.alias("opened")).filter(pl.col("name").is_not_null())
    opened = rows.filter(pl.col("opened"))["name"].unique(maintain_order=True).to_list()
    told = [*opened, *(n for n in rows["name"].unique(maintain_order=True).to_list() if n not in opened)]
    zh, en = names(told[:_SHOWN], len(told), "zh"), names(told[:_SHOWN], len(told), "en")
    zh, en = f"运行痕迹表明其前及其间运行过 {zh}", f"traces of runs then or just before: {en}"
    if opened:
        zh += f"，其中 {names(opened[:_SHOWN], len(opened), 'zh')} 打开过此类文件（预读取文件所列）"
        en += f"; prefetch lists such files among those that {names(opened[:_SHOWN], len(opened), 'en')} opened"
    view.say(zh, en)
    view.facts |= {"traces": len(told), "opened_by": ",".join(opened) or None}
    cited = ("kind", "process", "file_path", "trace")
    proof = rows.filter(pl.col("opened")).head(_SHOWN)  # what they list is long
    view.more.append((proof.drop("name", "opened"), (*cited, "file_names")))
    view.more.append((rows.filter(~pl.col("opened")).head(10).drop("name", "opened"), cited))


def _logins(events: Events, settings: Settings, view: View, source: int, when: Window) -> None:
    """From where somebody had come in: an entry that stands by itself, else the remote logins of the day before."""
    near = entries(events, settings).before(source, when.first)
    who = list(dict.fromkeys(e.src_ip or "?" for e in near))
    if len(who) > 1:  # nothing here says which of them did it, and so none of them is named as its source
        view.beside = cited(near)
        view.facts |= {"entered_from": ",".join(who[:_SHOWN])}
        view.say(
            f"此前一日内 {names(who[:_SHOWN], len(who), 'zh')} 均已侵入本机（另有记录为证），何者所为未见记载",
            f"within the day before, {names(who[:_SHOWN], len(who), 'en')} had each entered the host, as the cited records show; "
            "which of them did this is not recorded",
        )
        return
    if near:
        entry = near[-1]
        view.beside, view.src_ip = entry.spans, entry.src_ip
        view.facts |= {"entered_from": entry.src_ip or "", "entered_as": entry.user or ""}
        account = (f"账户 {entry.user}", f"as {entry.user}") if entry.user else ("账户未记录", "account not recorded")
        view.say(
            f"此前一日内 {entry.src_ip or '?'} 已侵入本机（{account[0]}，另有记录为证）",
            f"within the day before, {entry.src_ip or '?'} had entered the host ({account[1]}), as the cited records show",
        )
        return
    rows = take(
        events, kinds=[EventKind.AUTH_SUCCESS, EventKind.SESSION_OPEN], header=["user", "src_ip"],
        where=(pl.col("source") == source) & pl.col("src_ip").is_not_null()
        & pl.col("ts").is_between(when.first - DAY, when.last),
    )  # fmt: skip
    rows = rows.filter(~pl.col("src_ip").is_in(["127.0.0.1", "::1", "-", "0.0.0.0"]))  # noqa: S104 - values of records
    if rows.is_empty():
        return
    far = rows.filter(~pl.Series([inside(a) for a in rows["src_ip"].to_list()], dtype=pl.Boolean))
    told = far if far.height else rows
    addresses = told["src_ip"].unique(maintain_order=True).to_list()
    last = told.row(-1, named=True)
    view.say(
        f"此前一日内的远程登录来自 {names(addresses[-_SHOWN:], len(addresses), 'zh')}，"
        f"最后一次账户 {last['user'] or '未记录'}、地址 {last['src_ip']}",
        f"remote logins of the day before came from {names(addresses[-_SHOWN:], len(addresses), 'en')}, the last as"
        f" {last['user'] or 'an account not recorded'} from {last['src_ip']}",
    )
    view.facts |= {"login_from": str(last["src_ip"]), "login_as": str(last["user"] or "")}
    view.more.append((told.tail(10), ("kind", "user", "src_ip")))


def notes_in(files: pl.DataFrame, when: Window, pattern: re.Pattern[str]) -> Iterator[str]:
    """Names of text files that appeared in many folders at once in the window, whatever they are called."""
    name = pl.col("file_path").str.extract(r"([^/]+)$")
    rows = files.filter(
        pl.col("ts").is_between(when.first - _BESIDE, when.last + _BESIDE)
        & name.str.contains(r"(?i)\.(?:txt|html?|hta|rtf|md|url)$")
    ).with_columns(name.alias("name"), pl.col("file_path").str.extract(r"^(.*)/").alias("folder"))
    counts = rows.group_by("name").agg(pl.col("folder").n_unique().alias("folders")).sort("name")
    for found, folders in counts.iter_rows():
        if folders >= 3 and not pattern.search("/" + found):
            yield found
