# SPDX-License-Identifier: Apache-2.0
"""Write protection of a source: which kind there is, how that is known, and what is refused without it.

Kinds: ``hardware``, a write blocker that a person names (its make and serial number go into the record, with the
device's own read-only flag beside them); ``software``, the kernel's read-only flag on the device and on every partition
of it (``blockdev --setro``, BLKROSET; linux/fs.h), which no write through the block layer passes, not even a file
system's journal; ``none``. The flag is set here only when the person asks for that, and never taken off.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.acquire.environment import Environment
from headwater.acquire.system_files import NotRecorded, inert_text, recorded
from headwater.model.errors import AcquireError

HARDWARE, SOFTWARE, NONE = "hardware", "software", "none"

# linux/fs.h: _IO(0x12, 93) and _IO(0x12, 94)
BLKROSET = 0x125D
BLKROGET = 0x125E

Ioctl = Callable[[int, int, bytes], bytes]


@dataclass(frozen=True, slots=True)
class WriteProtection:
    """``flags``: the kernel's read-only flag of the device and of all that a write to it would touch, by name.

    ``set_by_us``: the devices whose flag was set at the person's word. ``said``: a sentence for the record.
    """

    kind: str
    blocker: str | NotRecorded
    flags: Mapping[str, bool | NotRecorded]
    set_by_us: tuple[str, ...]
    said: str

    @property
    def needs_confirmation(self) -> bool:
        """Whether nothing but the reader's own care protects the source: a person has to accept that."""
        return self.kind == NONE

    def plain(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "kind": self.kind,
            "blocker": recorded(self.blocker),
            "read_only_flags": {n: recorded(v) for n, v in self.flags.items()},
            "set_by_us": list(self.set_by_us),
            "said": self.said,
        }


def write_protection(
    environment: Environment,
    *,
    write_blocker: str | None = None,
    set_readonly: bool = False,
    ioctl: Ioctl | None = None,
    dev_root: str = "/dev",
) -> WriteProtection:
    """The write protection of a source as it stands, after setting the read-only flag where that was asked for.

    Setting it is refused while a file system on the device is mounted for writing: its writes would fail half-way,
    which changes what a journal holds.

    Raises:
        AcquireError: HW2060 asked for, but mounted for writing; HW2061 the flag cannot be set.
    """
    blocker: str | NotRecorded = NotRecorded("no write blocker was named")
    if write_blocker and write_blocker.strip():
        blocker = inert_text(write_blocker.strip())
    if environment.device is None:
        if set_readonly:
            raise AcquireError("HW2061", environment.source, what="not a block device")
        kind = HARDWARE if isinstance(blocker, str) else NONE
        return WriteProtection(kind, blocker, {}, (), "a file, opened O_RDONLY; the kernel keeps no flag for it")
    names = _touched(environment)
    if not environment.here:
        if set_readonly:
            raise AcquireError("HW2061", environment.source, what="not under the /dev of this machine")
        return _verdict(blocker, {name: environment.devices[name].read_only for name in names}, ())
    asked = ioctl or _ioctl
    done: list[str] = []
    if set_readonly:
        refuse_mounted(environment, live=False)
        for name in names:
            if _flag(environment, name, asked, dev_root) is not True:
                _set(environment, name, asked, dev_root)
                done.append(name)
    flags = {name: _flag(environment, name, asked, dev_root) for name in names}
    return _verdict(blocker, flags, tuple(done))


def _verdict(
    blocker: str | NotRecorded, flags: Mapping[str, bool | NotRecorded], done: tuple[str, ...]
) -> WriteProtection:
    all_set = bool(flags) and all(v is True for v in flags.values())
    open_to_writing = ", ".join(n for n, v in flags.items() if v is not True)
    if isinstance(blocker, str):
        seen = "the kernel sees the device read-only" if all_set else f"no read-only flag on: {open_to_writing}"
        return WriteProtection(
            HARDWARE, blocker, flags, done, f"write blocker {blocker}, by the examiner's word; {seen}"
        )
    if all_set:
        how = f"set by this program on {', '.join(done)}" if done else "found set"
        return WriteProtection(SOFTWARE, blocker, flags, done, f"the kernel's read-only flag, {how}")
    said = f"none: no blocker named, no read-only flag on: {open_to_writing}"
    return WriteProtection(NONE, blocker, flags, done, said)


def refuse_mounted(environment: Environment, *, live: bool) -> None:
    """Refuse a source that is being written, unless a person has decided to image it live.

    Raises:
        AcquireError: HW2060, naming where it is mounted.
    """
    if live or not environment.mounted_writable:
        return
    where = [f"{m.where} ({m.device}{', ' + m.namespace if m.namespace else ''})" for m in environment.use.writable]
    where.extend(f"swap ({name})" for name in environment.use.swaps)
    raise AcquireError("HW2060", environment.source, what="; ".join(where[:10]))


def _touched(environment: Environment) -> list[str]:
    """The device and its partitions; for a partition, itself. A flag on the disk alone leaves partitions open."""
    device = environment.device
    return [] if device is None else [device.name, *(p for p in device.partitions if p in environment.devices)]


def _flag(environment: Environment, name: str, ioctl: Ioctl, dev_root: str) -> bool | NotRecorded:
    """BLKROGET; where the device cannot be opened, what sysfs said."""
    try:
        fd = os.open(_place(environment, name, dev_root), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return environment.devices[name].read_only
    try:
        return bool(struct.unpack("=i", ioctl(fd, BLKROGET, bytes(4)))[0])
    except OSError as error:
        return NotRecorded(error.strerror or str(error))
    finally:
        os.close(fd)


def _set(environment: Environment, name: str, ioctl: Ioctl, dev_root: str) -> None:
    """BLKROSET 1 through a descriptor that is itself read-only; the medium is not touched."""
    place = _place(environment, name, dev_root)
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            ioctl(fd, BLKROSET, struct.pack("=i", 1))
        finally:
            os.close(fd)
    except OSError as error:
        raise AcquireError("HW2061", place, what=error.strerror or str(error)) from error


def _place(environment: Environment, name: str, dev_root: str) -> str:
    return dev_root.rstrip("/") + environment.devices[name].path.removeprefix("/dev")


def _ioctl(fd: int, request: int, argument: bytes) -> bytes:
    import fcntl  # not on Windows

    return fcntl.ioctl(fd, request, argument)
