# SPDX-License-Identifier: Apache-2.0
"""A small system of its own (namespaces), collected by the real collector, as events for detectors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from memory_events import MemoryEvents

from headwater.acquire import collector
from headwater.examine import reading, registry
from headwater.examine.macb import macb_batches
from headwater.formats.collection import CollectionTree
from headwater.formats.sources import MemorySource
from headwater.model.records import Facts, File

MARK = "hw_unseen"
PORT = 4444
TOOLS = ("unshare", "ps", "ss", "netstat", "ls", "ip", "mount")
COMMANDS = {
    "ss-antp": ["ss", "-antpe"], "netstat-antp": ["netstat", "-antp"], "ps-ef": ["ps", "-efww"], "ps-auxww": ["ps", "auxww"],
}  # fmt: skip
LATER = {"top": ["top", "-b", "-n", "1", "-w", "512"]}
# listeners that are seen and one that is not; a program deleted while it runs, one in memory alone, one with a preload
SCENE = """
set -e
ip link set lo up
echo 4096 > {top}/pid_max; mount --bind {top}/pid_max /proc/sys/kernel/pid_max
{python} -I -S {top}/serve.py 8080 & {python} -I -S {top}/serve.py {port} {mark} &
{extra}
i=0; while [ $(ss -antH | wc -l) -lt 2 ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done
sleep 2.1
{hook}
exec {python} -I -S -B -c "$BOOT"
"""
SERVE = (
    "import socket, sys, time\ns = socket.socket()\ns.bind(('0.0.0.0', int(sys.argv[1])))\ns.listen()\ntime.sleep(60)\n"
)
EXTRA = """
cp /bin/sleep {top}/d/worker; {top}/d/worker 60 & sleep 0.2; rm {top}/d/worker
LD_PRELOAD={top}/d/none.so /bin/sleep 61 2>/dev/null &
{python} -I -S {top}/memory.py &
"""
MEMORY = (
    "import os\nfd = os.memfd_create('m', 0)\nos.write(fd, open('/bin/sleep', 'rb').read())\n"
    "os.execve('/proc/self/fd/%d' % fd, ['[kworker/0:1]', '62'], {'HOME': '/'})\n"
)


def order(top: Path) -> list[dict[str, Any]]:
    """What is collected, in the order of the profiles: tools, /proc, past the C library, top."""
    listing = {"command": ["ls", "-lani", "--full-time", f"{top}/d"], "timeout": 20}
    per_process = {
        "process": ["stat", "status", "cmdline", "comm", "maps", "environ", "cgroup"],
        "links": ["exe", "fd"],
    }
    steps: list[tuple[str, list[dict[str, Any]]]] = [
        *((name, [{"command": line, "timeout": 20}]) for name, line in COMMANDS.items()),
        ("proc-net", [{"pseudo": ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"]}]),
        ("proc-pid", [per_process]),
        ("raw-pids", [{"raw": "pids"}]),
        ("raw-net", [{"raw": "files", "paths": ["/proc/net/tcp", "/proc/net/tcp6"]}]),
        *((name, [{"command": line, "timeout": 20}]) for name, line in LATER.items()),
        ("kernel-facts", [{"pseudo": ["/proc/stat", "/proc/mounts"]}]),
        ("ls-d", [listing, {"raw": "names", "path": f"{top}/d"}]),
        ("d", [{"files": [f"{top}/d/**", "/etc/ld.so.preload"], "exclude": []}]),
    ]
    return [{"name": name, "collect": what} for name, what in steps]


def everywhere(top: Path) -> str:
    """The library preloaded into every program, the collector's interpreter among them."""
    made = library(top)
    layers = f"lowerdir=/etc,upperdir={top}/upper,workdir={top}/work"
    return f"mkdir {top}/upper {top}/work; mount -t overlay o -o {layers} /etc; echo {made} > /etc/ld.so.preload"


def in_tools(top: Path) -> str:
    """The server's own tools replaced by ones that load the library; everything else as it was."""
    made = library(top)
    (top / "real").mkdir()
    lines = []
    for tool in ("ps", "ss", "netstat", "ls"):
        place = shutil.which(tool, path="/usr/bin:/bin") or tool
        (top / tool).write_text(f'#!/bin/sh\nLD_PRELOAD={made} exec {top}/real/{tool} "$@"\n')
        (top / tool).chmod(0o755)
        lines.append(f"cp {place} {top}/real/{tool}; mount --bind {top}/{tool} {place}")
    return "; ".join(lines)


def library(top: Path) -> Path:
    """The library that hides, built here; a skip that names what is lacking."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("no C compiler (cc)")
    made = top / "hide.so"
    source = Path(__file__).with_name("hide.c")
    given = [f'-DMARK="{MARK}"', f"-DPORT={PORT}"]
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", *given, "-o", made, source, "-ldl"], check=True, capture_output=True
    )
    return made


def collect(top: Path, hook: str = "", extra: str = "") -> bytes:
    """The stream of one collection in namespaces of its own; a skip where they cannot be had."""
    if missing := [t for t in TOOLS if not shutil.which(t)]:
        pytest.skip(f"no {', '.join(missing)}")
    inside = ["unshare", "-p", "-n", "-m", "-f", "--mount-proc", "--kill-child"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("namespaces of its own are not permitted here")
    (top / "d").mkdir(exist_ok=True)
    for name, text in (("serve.py", SERVE), ("memory.py", MEMORY), ("d/plain.txt", "x"), (f"d/{MARK}.txt", "x")):
        (top / name).write_text(text)
    names = {"top": top, "python": sys.executable, "port": PORT, "mark": MARK}
    scene = SCENE.format(hook=hook, extra=extra.format(**names), **names)
    ordered = collector.order_of("0123456789abcdef", order(top), tool="headwater test", facts={})
    done = subprocess.run(
        [*inside, "sh", "-c", scene], input=collector.said(collector.script()) + collector.said(ordered), capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BOOT": collector.BOOT}, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.partition(b"R\n")[2]


def events_of(stream: bytes, also: Callable[[MemoryEvents], None] | None = None) -> MemoryEvents:
    """Every file of a collection by its parser, and the listing itself, as a store holds them."""
    tree = CollectionTree(MemorySource(stream))
    events = MemoryEvents()
    entries: list[Any] = []
    for frame, some in macb_batches(tree):
        entries += some
        events.put_frame("fs.macb", _stored(frame, "fs.macb", "/"))
    wanted = {e.path: e for e in entries if e.kind == "file" and registry.is_context(e.path)}
    texts = {p: tree.open(e.key).pread(0, e.size).decode("utf-8", "replace") for p, e in wanted.items()}
    for entry in entries:
        if entry.kind != "file" or not entry.size:
            continue
        source = tree.open(entry.key)
        file = File(entry.path, source.size, source.pread, None, Facts(context=texts))
        for parser in registry.by_path(entry.path):
            ready = reading.Reading(entry.path, source.size, (parser,), file, source)
            for batch in reading.run(parser, ready):
                if batch.events.height:
                    events.put_frame(parser.feed, _stored(batch.events, parser.feed, entry.path))
    if also:
        also(events)
    return events


def _stored(frame: pl.DataFrame, feed: str, path: str) -> pl.DataFrame:
    return frame.with_columns(
        pl.col("t_recorded").alias("ts"), pl.lit(feed).alias("feed"), pl.lit(1, dtype=pl.Int64).alias("source"),
        pl.lit(path).alias("path"), pl.lit("host").alias("clock"),
    )  # fmt: skip
