# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of each process: state, parents, command line, environment (live.proc_pid).

Reads:  /proc/*/{status,stat,cmdline,comm,environ,cgroup,limits,loginuid,sessionid,wchan} of a live collection.
Time:   of stat: the process's start, from ticks after the boot (100 a second, USER_HZ of Linux) and ``btime`` of /proc/stat,
        UTC, so to a second by the system's clock as it stands now; else none.
Format: proc(5): each file is one fact (``fact``) of the process that its path names; of environ each variable is one.
Limits: a process can rewrite its name, command line and environment; the exe link is told by the listing, not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import all_of, pid_of, value, whole
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value
from headwater.model.times import SECOND

FEED = "live.proc_pid"
VERSION = 1
_FACTS = ("status", "stat", "cmdline", "comm", "environ", "cgroup", "limits", "loginuid", "sessionid", "wchan")
READS = tuple(f"/proc/*/{name}" for name in _FACTS)
CONTEXT = ("/proc/stat",)
_STAT = lazy_regex(r"(\d+) \((.*)\) (\S) (-?\d+(?: -?\d+)*)\s*", re.DOTALL)
_TICK = SECOND // 100  # USER_HZ, include/asm-generic/param.h
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, include/linux/sched.h
_WANTED = {
    "PPid": "ppid", "TracerPid": "tracer_pid", "Threads": "threads", "NSpid": "pid_in_namespaces", "State": "state",
    "Kthread": "kernel_thread", "CapEff": "capabilities", "Seccomp": "seccomp", "NoNewPrivs": "no_new_privileges",
    "VmRSS": "resident", "Tgid": "tgid",
}  # fmt: skip
_MOST_VALUE = 32_768  # characters


def parse(file: File) -> Iterator[Record]:
    data, gap = all_of(file)
    name = file_layer(file.path).rpartition("/")[2]
    pid = pid_of(file)
    if data:
        if name == "environ":
            yield from _variables(data, pid)
        elif data.strip(b"\0\n "):
            found = _of_fact(name, data, pid, file)
            yield found or Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no fact of a process")
        else:
            yield Skip(0, len(data), "empty")
    if gap:
        yield gap


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _of_fact(name: str, data: bytes, pid: int | None, file: File) -> Event | None:
    if name == "status":
        return _status(data, pid)
    if name == "stat":
        return _stat(data, file)
    if name == "cmdline":
        words = _text(data.rstrip(b"\0")).split("\0")
        fields: dict[str, Value] = {"fact": name, "program": words[0], "arguments": len(words) - 1}
        line = " ".join(words)[:_MOST_VALUE]
        return Event(0, len(data), EventKind.STATE_PROCESS, pid=pid, command_line=line, fields=fields)
    text = _text(data.rstrip(b"\n\0")).replace("\0", " ")[:_MOST_VALUE]
    process = text if name == "comm" else None
    return Event(0, len(data), EventKind.STATE_PROCESS, pid=pid, process=process, fields={"fact": name, "value": text})


def _status(data: bytes, pid: int | None) -> Event | None:
    pairs = dict(line.partition(":")[::2] for line in _text(data).split("\n") if ":" in line)
    said = {name: text.strip() for name, text in pairs.items()}
    if not {"Name", "Pid", "State"} <= said.keys():
        return None
    fields: dict[str, Value] = {"fact": "status"}
    for name, own in _WANTED.items():
        if name in said:
            fields[own] = value(said[name])
    for name, owns in (("Uid", ("uid", "euid")), ("Gid", ("gid", "egid"))):
        numbers = said.get(name, "").split()
        fields |= {own: whole(number) for own, number in zip(owns, numbers)}
    if "Kthread" in said:
        fields["kernel_thread"] = said["Kthread"] == "1"
    elif "VmSize" not in said and not said["State"].startswith("Z"):
        fields["kernel_thread"] = True  # a thread of the kernel has no memory of its own
    # names in brackets of namespaces: the number by which this /proc knows the process is in the path
    return Event(
        0, len(data), EventKind.STATE_PROCESS, pid=pid if pid is not None else whole(said["Pid"]), process=said["Name"],
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _booted(file: File) -> int | None:
    """When the system was started, seconds since 1970, by /proc/stat."""
    layer = file_layer(file.path)
    root = layer[: layer.rfind("/proc/")] if "/proc/" in layer else ""
    match = re.search(r"^btime (\d{1,11})$", file.facts.context.get(root + "/proc/stat", ""), re.MULTILINE)
    return int(match[1]) if match else None


def _stat(data: bytes, file: File) -> Event | None:
    match = _STAT.fullmatch(_text(data))
    if match is None:
        return None
    numbers = [int(n) for n in match[4].split()]
    if len(numbers) < 19:
        return None
    booted, ticks = _booted(file), numbers[18]
    time = booted * SECOND + ticks * _TICK if booted is not None and 0 <= ticks < 1 << 50 else None
    fields: dict[str, Value] = {
        "fact": "stat", "state": match[3], "ppid": numbers[0], "session": numbers[2], "tty_number": numbers[3],
        "start_ticks": ticks if abs(ticks) < 1 << 63 else None,
    }  # fmt: skip
    if numbers[5] & _KERNEL_THREAD:
        fields["kernel_thread"] = True
    pid = pid_of(file)
    return Event(
        0, len(data), EventKind.STATE_PROCESS, time, TimeBasis.NONE if time is None else TimeBasis.UTC,
        "logged" if time is None else "started", pid=pid if pid is not None else whole(match[1]), process=match[2],
        fields={k: v for k, v in fields.items() if not isinstance(v, int) or abs(v) < 1 << 63},
    )  # fmt: skip


def _variables(data: bytes, pid: int | None) -> Iterator[Record]:
    at = 0
    for piece in data.split(b"\0"):
        length = len(piece) + (1 if at + len(piece) < len(data) else 0)
        if not length:
            continue
        name, equals, text = _text(piece).partition("=")
        if not piece:
            yield Skip(at, length, "empty")
        elif not equals or not name or not name.isprintable():
            yield Gap(at, length, GapReason.NOT_THIS_FORMAT, "no variable of an environment")
        else:
            fields: dict[str, Value] = {"fact": "environ", "variable": name, "value": text[:_MOST_VALUE]}
            yield Event(at, length, EventKind.STATE_PROCESS, pid=pid, fields=fields)
        at += length
