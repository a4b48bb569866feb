# SPDX-License-Identifier: Apache-2.0
"""Libraries that were pushed into programs: by LD_PRELOAD, by /etc/ld.so.preload, or found in their memory from odd places.

Needs:      live.proc_pid (environ), live.proc_maps, linux.rc for /etc/ld.so.preload.
Technique:  T1574.006 dynamic linker hijacking; T1055 process injection.
Says:       which library which processes were given or have mapped to run, and how.
False when: performance libraries and agents are preloaded on purpose; those that a package brought into a system folder, and known
            allocators, stay untold or low.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.detect.live_view import DELETED, HIDDEN, SYSTEM, TEMPORARY, collected, contained, odd_place, rows, starts
from headwater.detect.package_view import packages
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-library",
    version="1",
    author="Headwater",
    title=Text("被强行装入程序的库", "A library pushed into programs"),
    stage=Stage.PERSIST,
    techniques=("T1574.006", "T1055"),
    severity=Severity.HIGH,
)
ENVIRON = ("kind", "pid", "variable", "value")
MAPS = ("kind", "pid", "file_path", "permissions", "deleted", "first")
PRELOAD = ("kind", "libraries")
MOST = 100
# https://github.com/jemalloc, gperftools, libeatmydata, fakeroot, sanitizers, X toolkits: what people preload by hand
_USUAL = lazy_regex(
    r"/lib(?:jemalloc|tcmalloc|mimalloc|hoard|eatmydata|fakeroot|faketime|SegFault|gtk3-nocsd|[alt]san|nss_wrapper|uid_wrapper)\b"
)
_LIBRARY = r"\.so(?:\.[\d.]+)?(?: \(deleted\))?$|^/memfd:"
_Times = dict[tuple[int, int], int]
# executable memory that is no library: libffi's and .NET's code, sound and display servers' buffers
_MEMORY = r"^/memfd:(?:libffi|doublemapper|jit|JIT|pulseaudio|wayland|xshmfence|gdk|mozilla|v8|wine|memfd-kwin)"
# what Java's native bindings unpack into a temporary folder at every start
_UNPACKED = lazy_regex(
    r"/(?:lib)?(?:netty|snappy|jna|jffi|jansi|sqlite|lz4|zstd|rocksdb|leveldb|tcnative|conscrypt|brotli|jline|onnx|rxtx|jnidispatch)"
    r"|/site-packages/|/_MEI[A-Za-z0-9]+/",
    re.IGNORECASE,
)
_ODD = lazy_regex(f"{TEMPORARY}|{HIDDEN}|^/memfd:")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """LD_PRELOAD, then /etc/ld.so.preload, then memory; each by source and library."""
    if not collected(events):
        return
    inside, began = contained(events), starts(events)
    view = packages(events)
    owned = set() if view is None else set(view.owned.select("source", "place").iter_rows())
    yield from _environment(events, owned, inside, began)
    yield from _preload(events, owned)
    yield from _mapped(events, inside, began)


def _grade(library: str, source: int, owned: set[tuple[int, str]]) -> Severity | None:
    """How odd a preloaded library is by where it lies and who brought it."""
    place = re.sub(r"^/(lib|lib32|lib64)/", r"/usr/\1/", library)
    if _ODD.search(library):
        return Severity.HIGH
    if (source, place) in owned:
        return None
    if _USUAL.search(library):
        return None
    if re.search(SYSTEM, library):
        return Severity.MEDIUM if owned else Severity.LOW
    return Severity.MEDIUM if library.startswith("/") else Severity.LOW


def _environment(
    events: Events, owned: set[tuple[int, str]], inside: set[tuple[int, int]], began: _Times
) -> Iterator[Finding]:
    found = rows(
        events, ["live.proc_pid"], ["fact", "variable", "value"], EventKind.STATE_PROCESS,
        pl.col("variable").is_in(["LD_PRELOAD", "LD_AUDIT"]), whole=False,
    )  # fmt: skip
    for part in found.partition_by("source", "variable", "value", maintain_order=True)[:MOST]:
        source, name, text = int(part["source"][0]), str(part["variable"][0]), str(part["value"][0])
        grades = [g for lib in re.split(r"[\s:]+", text.strip()) if lib and (g := _grade(lib, source, owned))]
        if not grades:
            continue
        pids = part["pid"].drop_nulls().to_list()
        severity = max(grades, key=list(Severity).index)
        if pids and all((source, p) in inside for p in pids):
            severity = min(severity, Severity.MEDIUM, key=list(Severity).index)
        shown = [str(p) for p in pids[:5]]
        zh = f"进程 {names(shown, len(pids), 'zh')} 的环境变量 {name} 令其先行装入 {text}。"
        en = f"The variable {name} made process {names(shown, len(pids), 'en')} load {text} first."
        values: dict[str, Value] = {"reason": "environment", "library": text, "processes": len(pids)}
        yield state(
            events, RULE, part, ENVIRON, Text(zh, en), severity=severity,
            confidence=Confidence.HIGH if severity == Severity.HIGH else Confidence.MEDIUM, facts=values, limit=20,
            moments=[began[source, p] for p in pids if (source, p) in began],
        )  # fmt: skip


def _preload(events: Events, owned: set[tuple[int, str]]) -> Iterator[Finding]:
    found = take(
        events, feeds=["linux.rc"], header=["host"], own=["mechanism", "libraries"],
        where=pl.col("libraries").is_not_null() & (pl.col("libraries") != ""),
    )  # fmt: skip
    for row in found.sort("source", "path", "offset").head(MOST).iter_slices(1):
        source, text = int(row["source"][0]), str(row["libraries"][0])
        grades = [g for lib in text.split() if (g := _grade(lib, source, owned))]
        if not grades:
            continue
        severity = max(Severity.MEDIUM, *grades, key=list(Severity).index)
        zh = f"/etc/ld.so.preload 令每个程序装入 {text}，而该库不属于任何已知软件包。"
        en = f"/etc/ld.so.preload makes every program load {text}, which no known package brought."
        yield state(
            events, RULE, row, PRELOAD, Text(zh, en), severity=severity, confidence=Confidence.MEDIUM,
            facts={"reason": "preload", "library": text},
        )  # fmt: skip


def _odd(library: str) -> Severity:
    """How odd it is that a library runs from where it lies."""
    temporary = re.search(TEMPORARY, library) is not None
    if temporary and (re.search(HIDDEN, library) or library.startswith("/dev/shm/")):  # noqa: S108 - a place to judge
        return Severity.HIGH
    if temporary:
        return Severity.LOW if _UNPACKED.search(library) else Severity.MEDIUM
    return Severity.MEDIUM if re.search(HIDDEN, library) or library.startswith("/memfd:") else Severity.LOW


def _mapped(events: Events, inside: set[tuple[int, int]], began: _Times) -> Iterator[Finding]:
    """Libraries that run from a temporary or hidden folder, from memory alone, or deleted outside the system's folders."""
    path = pl.col("file_path")
    odd = odd_place(path) | path.str.starts_with("/memfd:")
    lost = pl.col("name").str.ends_with(DELETED) & ~path.str.contains(SYSTEM)
    folder = pl.when(path.str.starts_with("/memfd:")).then(path).otherwise(path.str.extract(r"^(.*)/[^/]*$", 1))
    found = take(
        events, kinds=[EventKind.STATE_MAPPING], header=["pid", "file_path"], own=["permissions", "deleted", "first", "name"],
        where=pl.col("permissions").str.contains("x") & pl.col("name").str.contains(_LIBRARY)
        & (odd | lost) & ~path.str.contains(_MEMORY),
    ).sort("source", "file_path", "path", "offset")  # fmt: skip
    main = take(
        events, feeds=["fs.macb"], header=["file_path"], own=["target"], where=path.str.contains(r"^/proc/\d+/exe$")
    )
    programs = {str(t).removesuffix(DELETED) for t in main["target"].drop_nulls().to_list()}
    # the program itself is another detector's; libraries of one folder are one finding
    found = found.filter(~path.is_in(sorted(programs))).with_columns(folder.alias("folder"))
    for part in found.sort("source", "folder", "file_path", "path", "offset").partition_by(
        "source", "folder", maintain_order=True
    )[:MOST]:
        libraries = part["file_path"].unique().sort().to_list()
        library, source = str(libraries[0]), int(part["source"][0])
        pids = part["pid"].drop_nulls().unique(maintain_order=True).to_list()
        boxed = bool(pids) and all((source, p) in inside for p in pids)
        gone = part["name"].str.ends_with(DELETED).any()
        severity = max((_odd(str(lib)) for lib in libraries), key=list(Severity).index)
        if boxed:
            severity = min(severity, Severity.LOW, key=list(Severity).index)
        shown = [str(p) for p in pids[:5]]
        zh = f"进程 {names(shown, len(pids), 'zh')} 的内存中正在执行库 {names(libraries[:3], len(libraries), 'zh')}" + (
            "，其文件已被删除。" if gone else "。"
        )
        en = (
            f"Process {names(shown, len(pids), 'en')} runs the library {names(libraries[:3], len(libraries), 'en')} in its memory"
            + (", whose file was deleted." if gone else ".")
        )
        values: dict[str, Value] = {"reason": "mapped", "library": library, "processes": len(pids)}
        yield state(
            events, RULE, part, MAPS, Text(zh, en), severity=severity, confidence=Confidence.MEDIUM, facts=values, limit=20,
            moments=[began[source, p] for p in pids if (source, p) in began],
        )  # fmt: skip
