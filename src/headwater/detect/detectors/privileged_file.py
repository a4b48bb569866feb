# SPDX-License-Identifier: Apache-2.0
"""Rights that a file gives whoever runs it, against what its package states: setuid, setgid, capabilities.

Needs:      fs.macb or fs.container for modes and capabilities; better with linux.rpm or linux.dpkg_files, and fs.content.
Technique:  T1548.001 setuid and setgid; T1548 abuse elevation control mechanism (file capabilities).
Says:       which program of a package has a setuid bit or a capability that the rpm database does not state; which shell,
            interpreter or tool has one that no distribution gives it; which file without a package is setgid or may do as root.
            Setuid files without a package are told by ``unowned-program``.
False when: an administrator gave a program of his own a right that it needs, or a package's script set it: dpkg keeps neither
            modes nor capabilities, so what its packages set is only told of programs that run others' commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.package_view import packages, place
from headwater.detect.system_view import counted_once
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="privileged-file",
    version="1",
    author="Headwater",
    title=Text("程序带有软件包未声明的特权", "A program has rights that its package does not state"),
    stage=Stage.ESCALATE,
    techniques=("T1548.001", "T1548"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "file_path", "mode", "uid", "gid", "capabilities")
OWNED = ("kind", "file_path", "package", "mode", "capabilities", "md5", "sha256")
HELD = ("kind", "file_path", "hash", "type")
MOST = 100
_SETUID, _SETGID = 0o4000, 0o2000
_KEYS = ["source", "system", "place"]
_PROGRAMS = r"^/(?:usr/)?(?:s?bin|libexec|lib|lib32|lib64)/"
# capabilities by which a program becomes root, or reads and writes what root may
_ROOT = re.compile(
    r"cap_(setuid|setgid|dac_override|dac_read_search|sys_admin|sys_ptrace|sys_module|sys_rawio|chown|fowner|setfcap|bpf|mac_admin"
    r"|mac_override|setpcap|mknod)\b"
)
_CAPABILITY = re.compile(r"cap_\w+")
# programs that run what they are told or write where they are told: no distribution gives them the right to do so as root
_TOOLS = (
    r"/(?:(?:ba|da|z|[mo]?k|pdk|rba|t?c|fi|a|l)?sh(?:93)?|busybox(?:\.static)?|toybox|python[\d.]*|perl[\d.]*|ruby[\d.]*|php[\d.]*|node|nodejs|lua(?:jit)?[\d.]*|tclsh[\d.]*|guile"
    r"[\d.]*|gdb|strace|ltrace|[gmn]?awk|original-awk|sed|find|xargs|env|nice|ionice|nohup|timeout|time|stdbuf|setarch|taskset|chrt|unshare"
    r"|nsenter|chroot|capsh|vi|view|vim(?:[.-][a-z]+)?|nvim|nano|ed|red|ex|emacs[\w.-]*|less|more|most|head|tail|cat|tac|cp|mv|dd|tee|install"
    r"|ln|chmod|chown|chgrp|tar|bsdtar|cpio|ar|zip|unzip|7z[ar]?|gzip|rsync|scp|sftp|ssh|curl|wget[\d]?|nc(?:\.\w+)?|ncat|netcat|socat|telnet"
    r"|nmap|tcpdump|openssl|gcc[\w.-]*|make|git|docker|systemctl|journalctl|xxd|hexdump|od|base(?:32|64)|strings|sort|diff|jq|script|tmux|flock"
    r"|run-parts|start-stop-daemon|ld[\w.-]*\.so[\d.]*|expect|mysql|psql|sqlite3|rlwrap|watch|java)$"
)
_LAYER = r"/(?:overlay2?|snapshots|aufs|vfs|dir)/[^/]+/(?:diff|fs)/|/vfs/dir/"
# made so by the scripts of their own packages
_KNOWN = r"/(?:snap-confine|newuidmap|newgidmap|apps\.plugin|slabinfo\.plugin|perf\.plugin|system-probe)$"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """In order of source, view and path; one finding for each inode."""
    files = _privileged(events)
    if files.is_empty():
        return
    joined = _with_packages(events, files)
    told = 0
    for n in range(joined.height):
        row = joined[n : n + 1]
        facts = row.row(0, named=True)
        verdict = _judged(facts)
        if verdict is not None and told < MOST:
            told += 1
            yield _finding(events, row, facts, *verdict)


def _privileged(events: Events) -> pl.DataFrame:
    """The files with such a right, each once: (source, path, inode) and what stands with it."""
    mode = pl.col("mode").cast(pl.Int64, strict=False).fill_null(0)
    rows = take(
        events, kinds=[EventKind.FILE_CHANGED, EventKind.FILE_MODIFIED], feeds=["fs.macb", "fs.container"], header=["file_path"],
        own=["mode", "uid", "gid", "inode", "capabilities"],
        where=((mode & (_SETUID | _SETGID)) != 0) | pl.col("capabilities").is_not_null(),
    )  # fmt: skip
    rows = rows.with_columns(
        pl.col("mode").cast(pl.Int64, strict=False), _of_view().alias("system"), place().alias("place")
    )
    regular = (pl.col("mode") & 0o170000).is_in([0, 0o100000]) & ((pl.col("mode") & 0o111) != 0)
    tool = pl.col("file_path").str.contains(_TOOLS)
    rows = rows.filter(regular).with_columns(
        tool.alias("tool"), (pl.col("kind") == EventKind.FILE_CHANGED).alias("first")
    )
    rows = rows.sort("source", "path", "tool", "first", "file_path", descending=[False, False, True, True, False])
    alone = rows.filter(pl.col("inode").cast(pl.Int64, strict=False).fill_null(0) == 0).unique(
        ["source", "path", "file_path"], keep="first", maintain_order=True
    )
    linked = rows.filter(pl.col("inode").cast(pl.Int64, strict=False).fill_null(0) != 0).unique(
        ["source", "path", "inode"], keep="first", maintain_order=True
    )
    return counted_once(pl.concat([linked, alone])).sort("source", "path", "file_path")


def _of_view() -> pl.Expr:
    """What stands before a path in the view that lists it, as in the paths of its files."""
    return pl.when(pl.col("path").is_in(["", "/"])).then(pl.lit("")).otherwise(pl.col("path") + "!")


def _with_packages(events: Events, files: pl.DataFrame) -> pl.DataFrame:
    """The files with what their package states (``…_stated``), their digest, and a file that holds the same (``same``)."""
    held = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["type"],
        where=pl.col("file_path").is_in(files["file_path"].unique().to_list()),
    )  # fmt: skip
    held = held.with_columns(pl.col("path").str.strip_suffix(pl.col("file_path")).alias("system"))
    held = held.unique(["source", "system", "file_path"], keep="first", maintain_order=True)
    files = files.join(
        held.select("source", "system", "file_path", "hash", "type"), on=["source", "system", "file_path"], how="left",
        maintain_order="left",
    )  # fmt: skip
    view = packages(events)
    if view is None:
        none = [pl.lit(None, dtype=pl.String).alias(n) for n in ("package_stated", "capabilities_stated", "same")]
        return files.with_columns(*none, pl.lit(None, dtype=pl.Int64).alias("mode_stated"), pl.lit(False).alias("kept"))
    stated = (
        view.owned.filter(pl.col("target").is_null())
        .group_by(_KEYS, maintain_order=True)
        .agg(
            pl.col("package").drop_nulls().first().alias("package_stated"),
            pl.col("mode").cast(pl.Int64, strict=False).drop_nulls().first().alias("mode_stated"),
            pl.col("capabilities").drop_nulls().first().alias("capabilities_stated"),
        )
    )
    known = view.owned.select("source", "system").unique().with_columns(pl.lit(True).alias("kept"))
    same = (
        view.held.filter(pl.col("file_path").str.contains(_TOOLS) & pl.col("hash").is_in(files["hash"].drop_nulls().to_list()))
        .sort("file_path").group_by("hash", maintain_order=True).agg(pl.col("file_path").first().alias("same"))
    )  # fmt: skip
    files = files.join(stated, on=_KEYS, how="left", maintain_order="left")
    files = files.join(known, on=["source", "system"], how="left", maintain_order="left")
    files = files.join(same, on="hash", how="left", maintain_order="left")
    return files.with_columns(pl.col("kept").fill_null(False))


def _judged(row: dict[str, Any]) -> tuple[str, str, str, Severity, Confidence] | None:
    """(reason, Chinese, English, severity, confidence) of one file; None for what is as it should be."""
    bits = int(row["mode"]) & (_SETUID | _SETGID)
    owned, tool = row["package_stated"] is not None, bool(row["tool"]) or row["same"] is not None
    layer = re.search(_LAYER, row["file_path"])  # of an image: its packages are not the host's
    kept = row["kept"] and not layer
    inside = bool(layer or re.search(_PROGRAMS, row["file_path"]))
    capable = set(_ROOT.findall(row["capabilities"] or ""))
    if row["mode_stated"] is not None:
        bits &= ~int(row["mode_stated"])
        capable -= set(_ROOT.findall(row["capabilities_stated"] or ""))
        if bits or capable:
            return _said(
                row, bits, capable, "软件包未声明", "its package does not state it", Severity.HIGH, Confidence.HIGH
            )
        return None
    if capable and not re.search(_KNOWN, row["file_path"]):
        if tool:
            return _said(row, 0, capable, *_given(row), Severity.HIGH, Confidence.HIGH)
        if not owned and (kept or not inside):
            away = row["file_path"].startswith(("/opt/", "/usr/local/"))
            severity = Severity.LOW if away else Severity.MEDIUM
            return _said(row, 0, capable, "不属于任何软件包", "no package brought it", severity, Confidence.MEDIUM)
    rootly = bits & _SETUID and row["uid"] == 0
    if bits and tool and (owned or (not kept and inside)):
        return _said(row, bits, set(), *_given(row), Severity.HIGH if rootly else Severity.MEDIUM, Confidence.HIGH)
    if bits == _SETGID and not owned and (kept or not inside):
        severity = Severity.HIGH if tool else Severity.MEDIUM
        return _said(row, bits, set(), "不属于任何软件包", "no package brought it", severity, Confidence.MEDIUM)
    return None


def _given(row: dict[str, Any]) -> tuple[str, str]:
    if row["same"] is not None and not row["tool"]:
        return f"内容与 {row['same']} 相同", f"it is a copy of {row['same']}"
    return "发行版从不赋予此类程序该特权", "no distribution gives such a program this right"


def _said(
    row: dict[str, Any], bits: int, capable: set[str], zh: str, en: str, severity: Severity, confidence: Confidence
) -> tuple[str, str, str, Severity, Confidence]:
    whom = []
    if bits & _SETUID:
        whom.append(("setuid 位（属主 {}）", "the setuid bit (owner {})", row["uid"]))
    if bits & _SETGID:
        whom.append(("setgid 位（属组 {}）", "the setgid bit (group {})", row["gid"]))
    rights_zh = [z.format(n) for z, _, n in whom]
    rights_en = [e.format(n) for _, e, n in whom]
    if capable:
        rights_zh.append(f"能力 {row['capabilities']}")
        rights_en.append(f"the capabilities {row['capabilities']}")
    return (
        "capabilities" if capable else "setuid" if bits & _SETUID else "setgid",
        f"{row['file_path']} 带有{'、'.join(rights_zh)}：{zh}。",
        f"{row['file_path']} has {' and '.join(rights_en)}: {en}.",
        severity, confidence,
    )  # fmt: skip


def _finding(
    events: Events, row: pl.DataFrame, facts: dict[str, Any], reason: str, zh: str, en: str, severity: Severity,
    confidence: Confidence,
) -> Finding:  # fmt: skip
    file_path, source = str(facts["file_path"]), pl.col("source") == facts["source"]
    beside = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["type"],
        where=source & (pl.col("path") == str(facts["system"]) + file_path),
    )  # fmt: skip
    stated = take(
        events, kinds=[EventKind.STATE_PACKAGE_FILE], header=["file_path"], own=list(OWNED[2:]),
        where=source & (pl.col("file_path") == file_path) & pl.col("path").str.starts_with(str(facts["system"])),
    )  # fmt: skip
    return state(
        events, RULE, row, CLAIMS, Text(zh, en), severity=severity, confidence=confidence,
        facts={"reason": reason, "path": file_path, "package": facts["package_stated"] or "", "copy_of": facts["same"] or ""},
        more=[(stated.head(1), OWNED), (beside.head(1), HELD)], limit=20,
    )  # fmt: skip
