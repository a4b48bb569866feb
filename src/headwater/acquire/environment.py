# SPDX-License-Identifier: Apache-2.0
"""The environment record: what a source is, what is on it and who uses it, taken before a byte of the image is read.

1. The kernel's description of the device, of what it is built of and of what is built on it (sysfs).
2. What the medium says of itself: superblocks, read through an O_RDONLY descriptor in a confined child.
3. What the disk answers: hidden areas and health, where it can be asked.
4. Who uses it: mounts, swap, processes, services, and whether the kernel holds it for itself.
5. The system: release, kernel, name, identity, uptime, arrays, services that run.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from headwater.acquire.device_answers import DeviceAnswers, nothing
from headwater.acquire.device_use import DeviceUse, descendants, numbers_of, use_of
from headwater.acquire.devices import BlockDevice, block_devices, built_of, related
from headwater.acquire.medium_said import Superblock
from headwater.acquire.system_facts import system_facts
from headwater.acquire.system_files import LocalFiles, NotRecorded, SystemFiles, inert_text, recorded
from headwater.confine.pool import Limits, Pool, Task
from headwater.formats.opened import OpenFile, open_readonly
from headwater.model.errors import AcquireError, ExamineError

_LOOK_SECONDS = 60.0
_NAMED = 40


@dataclass(frozen=True, slots=True)
class Medium:
    """What the medium says of itself: kind of partition table, what lies on each volume, warnings."""

    table: str | NotRecorded
    superblocks: tuple[Superblock, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything known of a source before it is read. ``device`` is None for a file.

    ``devices``: by kernel name, the device, what is built on it and what it is built of. ``on_it``: the device and
    what is built on it. ``claimed``: the kernel holds it for itself (mounted, in an array, swap) whatever the tables say.
    ``here``: it stands under this machine's /dev; the devices of another may bear the same names and numbers.
    """

    source: str
    kind: str
    size: int | NotRecorded
    device: BlockDevice | None
    devices: Mapping[str, BlockDevice]
    on_it: tuple[str, ...]
    medium: Medium
    answers: DeviceAnswers
    use: DeviceUse
    claimed: bool | NotRecorded
    system: Mapping[str, Any] = field(default_factory=dict)
    here: bool = True

    @property
    def mounted_writable(self) -> bool:
        """Whether a file system on it is mounted so that it is being written, or it is swap in use."""
        return bool(self.use.writable or self.use.swaps)

    @property
    def sector_size(self) -> int:
        """Logical sector in bytes; 512 for a file."""
        return self.device.sector if self.device is not None else 512

    def plain(self) -> dict[str, Any]:
        """The whole record as JSON values."""
        return {
            "source": self.source,
            "kind": self.kind,
            "here": self.here,
            "size": recorded(self.size),
            "device": self.device.name if self.device else None,
            "devices": {n: plain(d) for n, d in self.devices.items()},
            "on_it": list(self.on_it),
            "medium": plain(self.medium),
            "answers": plain(self.answers),
            "use": {**plain(self.use), "services": list(self.use.services)},
            "claimed": recorded(self.claimed),
            "system": {k: recorded(v) for k, v in self.system.items()},
        }

    def facts(self) -> dict[str, str]:
        """The record as flat text, for a sidecar and an E01's notes."""
        device, answers = self.device, self.answers
        said: dict[str, Any] = {"source": self.source, "kind": self.kind, "size": self.size}
        if device is not None:
            for name in ("number", "transport", "vendor", "wwid", "logical_sector", "physical_sector", "rotational",
                         "removable", "read_only"):  # fmt: skip
                said[name] = getattr(device, name)
            for name in ("model", "serial", "firmware"):
                told = getattr(device, name)
                said[name] = getattr(answers, name) if isinstance(told, NotRecorded) else told
                if isinstance(said[name], NotRecorded):
                    said[name] = told
            said.update(device.layer or {})
        said |= {
            "hidden_hpa_bytes": answers.hidden_hpa,
            "hidden_dco_bytes": answers.hidden_dco,
            "health": answers.health,
            "table": self.medium.table,
            "contents": self._contents(),
            "mounts": "; ".join(f"{m.device} {m.where} {'rw' if m.writable else 'ro'}" for m in self.use.mounts)
            or "none",
            "swap": ", ".join(self.use.swaps) or "none",
            "held_by": self._held_by(),
            "claimed_by_kernel": self.claimed,
        }
        said |= {f"system_{k}": v for k, v in self.system.items() if isinstance(v, (str, NotRecorded))}
        return {k: _flat(v) for k, v in said.items()}

    def _contents(self) -> str | NotRecorded:
        if isinstance(self.medium.table, NotRecorded):
            return self.medium.table
        return "; ".join(_content(s) for s in self.medium.superblocks) or "nothing recognised"

    def _held_by(self) -> str:
        """The services, and the processes of no service by name, that hold it; a long list is cut and says so."""
        loose = [f"{h.name} ({h.pid})" for h in self.use.holders if not h.service]
        names = [*self.use.services, *loose]
        more = len(names) - _NAMED + self.use.holders_more
        return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "") or "nobody seen"


def _content(block: Superblock) -> str:
    words = f"{block.name or 'medium'}: {block.kind}"
    return f"{words} of {block.member_of}" if block.member_of else words


def _flat(value: object) -> str:
    if isinstance(value, NotRecorded):
        return f"not recorded: {value.reason}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def plain(value: Any) -> dict[str, Any]:
    """A dataclass of this record as JSON values; what is not recorded stays told as such."""
    return {name: _value(getattr(value, name)) for name in value.__dataclass_fields__}


def _value(value: Any) -> Any:
    if isinstance(value, NotRecorded):
        return recorded(value)
    if isinstance(value, (tuple, list)):
        return [_value(v) for v in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def environment_of(
    path: str | os.PathLike[str],
    sys_root: str = "/sys",
    proc_root: str = "/proc",
    dev_root: str = "/dev",
    etc_root: str = "/etc",
    pool: Pool | None = None,
) -> Environment:
    """The environment record of a block device or a file of this machine, or of a system kept in folders.

    Opens the source O_RDONLY; asks the disk and the kernel only where the roots are the machine's own. ``pool``: whose
    child reads the superblocks; one of its own where None.

    Raises:
        AcquireError: HW2001 it is not there. One that cannot be opened is described as far as the kernel tells.
    """
    where = os.fspath(path)
    files = LocalFiles(sys_root, proc_root, dev_root, etc_root)
    ours = (sys_root, proc_root, dev_root) == ("/sys", "/proc", "/dev")
    devices = block_devices(files)
    place = files.place(where)
    name = device_name(where, place, devices)
    if name is None and not os.path.exists(place):
        raise AcquireError("HW2001", where)
    opened, why = _open(place) if ours or name is None else (None, "the device is not at hand")
    try:
        medium = Medium(NotRecorded(why)) if opened is None else look_at(opened, pool)
        answers = _answers(devices[name], opened) if name and opened else nothing(why or "a file answers nothing")
        own = descendants(files, os.getpid()) if ours else frozenset()
        return describe(
            files, where, devices, name,
            size=opened.size if opened else None, medium=medium, answers=answers, own=own, ours=ours,
            claimed=_claimed(place) if name and ours else NotRecorded("not a device of this machine"),
        )  # fmt: skip
    finally:
        if opened is not None:
            opened.close()


def _open(place: str) -> tuple[OpenFile | None, str]:
    """The source opened for reading, or why it cannot be."""
    try:
        return open_readonly(place), ""
    except AcquireError as error:
        return None, error.text("en")


def describe(
    files: SystemFiles,
    where: str,
    devices: Mapping[str, BlockDevice],
    name: str | None,
    *,
    size: int | None,
    medium: Medium,
    answers: DeviceAnswers,
    own: frozenset[int] = frozenset(),
    ours: bool = False,
    here: bool = True,
    claimed: bool | NotRecorded,
) -> Environment:
    """The record from what was gathered; ``name`` is None for a file, whose loop devices then count as its use."""
    starts = [name] if name else _loops_over(devices, where) if here else []
    on_it = tuple(dict.fromkeys(n for start in starts for n in related(devices, start)))
    below = tuple(dict.fromkeys(n for start in on_it for n in built_of(devices, start)))
    device = devices[name] if name else None
    told: int | NotRecorded = NotRecorded("its size is not known") if size is None else size
    return Environment(
        source=inert_text(where),
        kind="block device" if device else "file",
        size=device.size if device is not None and size is None else told,
        device=device,
        devices={n: devices[n] for n in dict.fromkeys((*on_it, *below))},
        on_it=on_it,
        medium=medium,
        answers=answers,
        use=use_of(files, devices, on_it, own=own, numbers=numbers_of if ours else None),
        claimed=claimed,
        system=system_facts(files),
        here=here,
    )


def device_name(where: str, place: str, devices: Mapping[str, BlockDevice]) -> str | None:
    """The kernel name of a device, by its number where it can be had (links under /dev/disk), else by its path."""
    try:
        found = os.stat(place)
    except OSError:
        found = None
    if found is not None:
        if not stat.S_ISBLK(found.st_mode):
            stands_in = place != where  # a kept tree has files where the system had devices
            return _by_path(where, devices) if stands_in else None
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return next((n for n, d in devices.items() if d.number == number), None)
    return _by_path(where, devices)


def _by_path(where: str, devices: Mapping[str, BlockDevice]) -> str | None:
    for name, device in devices.items():
        if where in (device.path, "/dev/mapper/" + (device.layer or {}).get("dm.name", "\0")):
            return name
    return None


def _loops_over(devices: Mapping[str, BlockDevice], where: str) -> list[str]:
    """Loop devices whose backing file is this file."""
    real = inert_text(os.path.realpath(where))
    return [n for n, d in devices.items() if (d.layer or {}).get("loop.backing_file") == real]


def look_at(opened: OpenFile, pool: Pool | None = None) -> Medium:
    """The superblocks of an open medium, read in a confined child: a hostile one cannot hurt the record."""
    if not opened.size:
        return Medium(NotRecorded("the medium is empty"))
    task = Task(
        "superblocks", "headwater.acquire.superblocks:look", {"size": opened.size}, (opened.fd,),
        wall=_LOOK_SECONDS, cpu=int(_LOOK_SECONDS),
    )  # fmt: skip
    results: list[Mapping[str, Any]] = []
    try:
        with nullcontext(pool) if pool is not None else Pool(1, Limits()) as children:
            for outcome in children.run([task], lambda message: results.append(message.header)):
                if outcome.status != "done":
                    return Medium(
                        NotRecorded(f"reading the superblocks ended badly: {outcome.status} {outcome.detail}")
                    )
    except ExamineError as error:
        return Medium(NotRecorded(f"no confined child: {error}"))
    return medium_from(results[-1]["result"]) if results else Medium(NotRecorded("no answer from the child"))


def medium_from(result: Mapping[str, Any]) -> Medium:
    """A :class:`Medium` from what :func:`headwater.acquire.superblocks.look` sent."""
    blocks: Sequence[Mapping[str, Any]] = result["superblocks"]
    return Medium(result["table"], tuple(Superblock(**b) for b in blocks), tuple(result["warnings"]))


def _answers(device: BlockDevice, opened: OpenFile) -> DeviceAnswers:
    """What the disk says when asked; who is not asked, and why."""
    if sys.platform != "linux":
        return nothing("only asked on Linux")
    if device.parent:
        return nothing("a partition is not asked; ask its disk")
    from headwater.acquire.device_asking import ask_ata, ata_answers, nvme_health  # ctypes, and only for disks

    if device.transport in {"ata", "sas", "scsi"}:
        return ata_answers(ask_ata(opened.fd))
    why = nothing(
        "not asked through a USB bridge: some hang at ATA pass-through"
        if device.transport == "usb"
        else f"a device on {device.transport} takes no ATA commands"
    )
    if device.transport == "nvme":
        return DeviceAnswers(
            why.model, why.serial, why.firmware, why.hidden_hpa, why.hidden_dco, nvme_health(opened.fd)
        )
    return why


def _claimed(place: str) -> bool | NotRecorded:
    """Whether the kernel holds the device for itself: an exclusive opening, for reading, is then refused."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return True if error.errno == errno.EBUSY else NotRecorded(error.strerror or str(error))
    os.close(fd)
    return False


def lies_on(folder: str | os.PathLike[str], environment: Environment) -> bool:
    """Whether a folder stands on the very device that is to be imaged: writing there would write on the evidence."""
    if not environment.here:
        return False
    try:
        found = os.stat(folder)
    except OSError:
        return False
    number = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    return any(environment.devices[n].number == number for n in environment.on_it)
