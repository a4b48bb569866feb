# SPDX-License-Identifier: Apache-2.0
"""Who uses a block device: where it is mounted and how, swap, and the processes and services that hold it open.

Sources: proc(5) for mountinfo, swaps, fd and cgroup; mounts are looked for in every mount namespace, since a container
may have mounted what the host has not. Pure over :class:`SystemFiles` but for the numbers of open files, which are
asked of the kernel through ``stat_of``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from headwater.acquire.devices import BlockDevice
from headwater.acquire.system_files import SystemFiles, inert_text, word
from headwater.formats.patterns import lazy_regex

_OCTAL = lazy_regex(rb"\\([0-7]{3})")
_PROCESSES_MOST = 65_536
_FILES_MOST = 65_536  # descriptors of one process
_MOUNTS_MOST = 100_000
_MAPS = 8 << 20
_NAMED = 1_000  # processes told one by one

Numbers = Callable[[str], "tuple[str, str] | None"]


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount. ``writable`` is the file system's own state: a read-only bind of it still leaves it being written.

    ``namespace``: '' is the one that we are in, else the first process seen in another.
    """

    device: str
    where: str
    kind: str
    options: str
    writable: bool
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that uses a device: ``itself`` when it has the device open or mapped, ``files`` open on it."""

    pid: int
    name: str
    program: str
    service: str
    itself: bool
    files: int


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """``swaps``: device names in use as swap. ``unseen``: processes whose open files we were not allowed to see."""

    mounts: tuple[Mount, ...]
    swaps: tuple[str, ...]
    holders: tuple[Holder, ...]
    holders_more: int = 0
    unseen: int = 0

    @property
    def writable(self) -> tuple[Mount, ...]:
        """The mounts through which it is being written."""
        return tuple(m for m in self.mounts if m.writable)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that hold it, sorted."""
        return tuple(sorted({h.service for h in self.holders if h.service}))


def numbers_of(path: str) -> tuple[str, str] | None:
    """(the device that an open file is, '' if none; the device that it lies on) as ``major:minor``."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    block = _pair(found.st_rdev) if stat.S_ISBLK(found.st_mode) else ""
    return block, _pair(found.st_dev)


def _pair(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"


def use_of(
    files: SystemFiles,
    devices: Mapping[str, BlockDevice],
    names: Sequence[str],
    *,
    own: Set[int] = frozenset(),
    numbers: Numbers | None = None,
) -> DeviceUse:
    """How the devices ``names`` (a disk and all that is on it) are used; processes ``own`` are left out."""
    wanted = {n: devices[n] for n in names if n in devices}
    mounts = tuple(mounts_of(files, wanted, devices))
    holders, more, unseen = _holders(files, wanted, mounts, own, numbers)
    return DeviceUse(mounts, _swaps(files, wanted), holders, more, unseen)


def _plain(raw: bytes) -> bytes:
    """A field of mountinfo or swaps with its octal escapes undone."""
    return _OCTAL.sub(lambda m: bytes([int(m.group(1), 8) & 0xFF]), raw)


def _paths(wanted: Mapping[str, BlockDevice]) -> dict[str, str]:
    """Every name under /dev that a device is known by → its kernel name."""
    known = {}
    for name, device in wanted.items():
        known[device.path] = name
        mapper = (device.layer or {}).get("dm.name")
        if mapper:
            known[f"/dev/mapper/{mapper}"] = name
    return known


def _tables(files: SystemFiles) -> Iterator[tuple[str, bytes]]:
    """(namespace, mountinfo) once per mount namespace; our own first."""
    own = files.read("/proc/self/mountinfo", 16 << 20)
    if own is not None:
        yield "", own
    seen = {files.link("/proc/self/ns/mnt")}
    for pid in _pids(files):
        space = files.link(f"/proc/{pid}/ns/mnt")
        if not space or space in seen:
            continue
        seen.add(space)
        table = files.read(f"/proc/{pid}/mountinfo", 16 << 20)
        if table is not None:
            yield f"{pid} {word(files, f'/proc/{pid}/comm') or ''}".strip(), table


def mounts_of(
    files: SystemFiles, wanted: Mapping[str, BlockDevice], devices: Mapping[str, BlockDevice]
) -> Iterator[Mount]:
    """The mounts of these devices in every mount namespace that can be seen; equal ones are told once."""
    by_number = {d.number: n for n, d in wanted.items() if d.number}
    by_path = _paths(wanted)
    pools = _pools(files, wanted, devices)
    told: set[Mount] = set()
    for namespace, table in _tables(files):
        for line in table.split(b"\n")[:_MOUNTS_MOST]:
            found = _mount(line, namespace, by_number, by_path, pools)
            if found is not None and found not in told:
                told.add(found)
                yield found


def _mount(
    line: bytes, namespace: str, by_number: Mapping[str, str], by_path: Mapping[str, str], pools: Mapping[str, str]
) -> Mount | None:
    """One line of mountinfo as a mount of a wanted device; None for all others."""
    left, dash, right = line.partition(b" - ")
    head, tail = left.split(b" "), right.split(b" ")
    if not dash or len(head) < 6 or len(tail) < 3:
        return None
    source = os.fsdecode(_plain(tail[1]))
    name = by_number.get(head[2].decode("ascii", "replace")) or by_path.get(source) or pools.get(source)
    if name is None:
        return None
    state = tail[2].split(b",")
    return Mount(
        device=name,
        where=inert_text(_plain(head[4])),
        kind=inert_text(tail[0]),
        options=inert_text(head[5] + b" / " + tail[2]),
        writable=b"ro" not in state,
        namespace=namespace,
    )


def _pools(files: SystemFiles, wanted: Mapping[str, BlockDevice], devices: Mapping[str, BlockDevice]) -> dict[str, str]:
    """Paths that mountinfo may name for a btrfs of several devices → the wanted one among them."""
    found = {}
    for pool in files.names("/sys/fs/btrfs"):
        members = files.names(f"/sys/fs/btrfs/{pool}/devices")
        mine = [m for m in members if m in wanted]
        if mine:
            others = {m: devices[m] for m in members if m in devices}
            found.update(dict.fromkeys(_paths(others), mine[0]))
    return found


def _swaps(files: SystemFiles, wanted: Mapping[str, BlockDevice]) -> tuple[str, ...]:
    known = _paths(wanted)
    found = []
    for line in (files.read("/proc/swaps") or b"").split(b"\n")[1:]:
        columns = line.split()
        if columns:
            name = known.get(os.fsdecode(_plain(columns[0])))
            if name is not None:
                found.append(name)
    return tuple(found)


def _pids(files: SystemFiles) -> list[int]:
    return sorted(int(n) for n in files.names("/proc") if n.isascii() and n.isdigit())[:_PROCESSES_MOST]


def _holders(
    files: SystemFiles,
    wanted: Mapping[str, BlockDevice],
    mounts: Sequence[Mount],
    own: Set[int],
    numbers: Numbers | None,
) -> tuple[tuple[Holder, ...], int, int]:
    paths = set(_paths(wanted))
    blocks = {d.number for d in wanted.values() if d.number}
    mounted = {wanted[m.device].number for m in mounts if m.device in wanted}
    found: list[Holder] = []
    unseen = 0
    for pid in _pids(files):
        if pid in own:
            continue
        entries = files.names(f"/proc/{pid}/fd")[:_FILES_MOST]
        if not entries and not files.names(f"/proc/{pid}/map_files") and files.read(f"/proc/{pid}/maps", 1) is None:
            unseen += 1  # another user's process; a kernel thread has an empty but readable maps
            continue
        itself, on_it = _mapped(files, pid, paths), 0
        for entry in entries:
            place = f"/proc/{pid}/fd/{entry}"
            pair = numbers(place) if numbers is not None else None
            if (pair and pair[0] in blocks) or files.link(place) in paths:
                itself = True
            elif pair and not pair[0] and pair[1] in mounted:
                on_it += 1
        if itself or on_it:
            found.append(_holder(files, pid, itself, on_it))
    found.sort(key=lambda h: (not h.itself, -h.files, h.pid))
    return tuple(found[:_NAMED]), max(0, len(found) - _NAMED), unseen


def _mapped(files: SystemFiles, pid: int, paths: Set[str]) -> bool:
    """Whether a process has one of the devices mapped into its memory."""
    maps = files.read(f"/proc/{pid}/maps", _MAPS) or b""
    if b" /dev/" not in maps:
        return False
    return any(os.fsdecode(line.split(None, 5)[-1]) in paths for line in maps.split(b"\n") if b" /dev/" in line)


def _holder(files: SystemFiles, pid: int, itself: bool, on_it: int) -> Holder:
    program = files.link(f"/proc/{pid}/exe")
    return Holder(
        pid=pid,
        name=word(files, f"/proc/{pid}/comm") or "",
        program=inert_text(program),
        service=service_of(files.read(f"/proc/{pid}/cgroup") or b""),
        itself=itself,
        files=on_it,
    )


def service_of(cgroup: bytes) -> str:
    """The systemd unit or the container that a process belongs to, by its cgroup; '' where it tells neither."""
    for line in cgroup.split(b"\n"):
        for part in reversed(line.split(b":", 2)[-1].split(b"/")):
            if part.endswith((b".service", b".scope")) and part != b"init.scope":
                return inert_text(part)
            if re.fullmatch(rb"[0-9a-f]{64}", part):
                return f"container {part[:12].decode()}"
    return ""


def descendants(files: SystemFiles, pid: int) -> frozenset[int]:
    """A process and everything it started: what must not count as somebody else's use."""
    parents: dict[int, int] = {}
    for each in _pids(files):
        fields = (files.read(f"/proc/{each}/stat", 4096) or b"").rpartition(b")")[2].split()
        if len(fields) > 1 and fields[1].isdigit():
            parents[each] = int(fields[1])
    mine = {pid}
    for _ in range(64):
        more = {child for child, parent in parents.items() if parent in mine} - mine
        if not more:
            break
        mine |= more
    return frozenset(mine)
