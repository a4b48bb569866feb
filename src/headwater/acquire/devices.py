# SPDX-License-Identifier: Apache-2.0
"""Block devices as the kernel describes them in sysfs: what they are, how they are cut, what is built on them.

Source: Linux Documentation/ABI/stable/sysfs-block and testing/sysfs-class-block; ``size`` and ``start`` count
512-byte units whatever the sector size. Pure over :class:`SystemFiles`: no device is opened here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headwater.acquire.system_files import NotRecorded, SystemFiles, inert_text, number, word

UNIT = 512
_CLASS = "/sys/class/block"
_MOST = 4096  # devices looked at
_DEPTH = 16  # layers of RAID, LVM and encryption followed

# part of the device's place in sysfs → the bus, the first that fits; order matters (a USB disk is a SCSI disk too)
_BUSES: tuple[tuple[str, str], ...] = (
    ("/usb", "usb"),
    ("/nvme", "nvme"),
    ("/mmc_host", "mmc"),
    ("/ata", "ata"),
    ("/rport-", "fibre-channel"),
    ("/session", "iscsi"),
    ("/end_device-", "sas"),
    ("/vmbus", "hyper-v"),
    ("/vbd-", "xen"),
    ("/virtio", "virtio"),
    ("/virtual/", "virtual"),
    ("/host", "scsi"),
)


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One block device. ``size``, ``start`` and sectors in bytes; ``number`` is ``major:minor``.

    ``path``: what the kernel calls it under /dev. ``partitions``, ``holders`` (built on it) and ``slaves`` (built of
    them) are kernel names. ``layer``: what device-mapper, md or loop say of it. What the device or its driver does not
    tell is :class:`NotRecorded`.
    """

    name: str
    path: str
    number: str
    kind: str
    size: int | NotRecorded
    logical_sector: int | NotRecorded
    physical_sector: int | NotRecorded
    rotational: bool | NotRecorded
    removable: bool | NotRecorded
    read_only: bool | NotRecorded
    transport: str
    vendor: str | NotRecorded
    model: str | NotRecorded
    serial: str | NotRecorded
    firmware: str | NotRecorded
    wwid: str | NotRecorded
    parent: str = ""
    partition: int = 0
    start: int = 0
    partitions: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    slaves: tuple[str, ...] = ()
    layer: Mapping[str, str] | None = None

    @property
    def sector(self) -> int:
        """The logical sector size; 512 for reading in aligned pieces where the kernel does not tell."""
        return self.logical_sector if isinstance(self.logical_sector, int) else UNIT


def block_devices(files: SystemFiles) -> dict[str, BlockDevice]:
    """Every block device of the system by kernel name, in order of name; partitions stand beside their disks."""
    names = files.names(_CLASS)[:_MOST]
    parents = {name: _parent(files, name) for name in names}
    parts: dict[str, list[str]] = {}
    for name, parent in parents.items():
        if parent:
            parts.setdefault(parent, []).append(name)
    found = {}
    for name in names:
        mine = sorted(parts.get(name, ()), key=lambda p: (number(files, f"{_CLASS}/{p}/partition") or 0, p))
        found[name] = _device(files, name, parents[name], tuple(mine))
    return found


def _parent(files: SystemFiles, name: str) -> str:
    """The disk of a partition: the folder above it in /sys/devices; '' for what is no partition."""
    if files.read(f"{_CLASS}/{name}/partition") is None:
        return ""
    place = files.link(f"{_CLASS}/{name}")
    return place.rsplit("/", 2)[-2] if place.count("/") >= 2 else ""


def _device(files: SystemFiles, name: str, parent: str, partitions: tuple[str, ...]) -> BlockDevice:
    base = f"{_CLASS}/{name}"
    disk = f"{_CLASS}/{parent}" if parent else base
    units, started = number(files, f"{base}/size"), number(files, f"{base}/start")
    return BlockDevice(
        name=name,
        path="/dev/" + name.replace("!", "/"),  # sysfs writes the / of cciss/c0d0 as !
        number=word(files, f"{base}/dev") or "",
        kind=_kind(files, name, parent),
        size=NotRecorded("the kernel gives no size") if units is None else units * UNIT,
        logical_sector=_count(files, f"{disk}/queue/logical_block_size"),
        physical_sector=_count(files, f"{disk}/queue/physical_block_size"),
        rotational=_flag(files, f"{disk}/queue/rotational"),
        removable=_flag(files, f"{disk}/removable"),
        read_only=_flag(files, f"{base}/ro"),
        transport=_transport(files, parent or name),
        vendor=_first(files, disk, ("device/vendor",)),
        model=_first(files, disk, ("device/model", "device/name")),
        serial=_serial(files, disk),
        firmware=_first(files, disk, ("device/firmware_rev", "device/rev", "device/fwrev")),
        wwid=_first(files, disk, ("wwid", "device/wwid", "device/cid")),
        parent=parent,
        partition=number(files, f"{base}/partition") or 0,
        start=(started or 0) * UNIT,
        partitions=partitions,
        holders=files.names(f"{base}/holders"),
        slaves=files.names(f"{base}/slaves"),
        layer=_layer(files, base),
    )


def _count(files: SystemFiles, path: str) -> int | NotRecorded:
    value = number(files, path)
    return value if value else NotRecorded("the kernel does not tell")


def _flag(files: SystemFiles, path: str) -> bool | NotRecorded:
    value = number(files, path)
    return NotRecorded("the kernel does not tell") if value is None else bool(value)


def _first(files: SystemFiles, base: str, names: tuple[str, ...]) -> str | NotRecorded:
    for name in names:
        value = word(files, f"{base}/{name}")
        if value:
            return value
    return NotRecorded("the driver does not tell")


def _serial(files: SystemFiles, disk: str) -> str | NotRecorded:
    """The serial number: as an attribute, or from the SCSI unit serial number page (SPC-4, 7.8.15)."""
    page = files.read(f"{disk}/device/vpd_pg80", 260)
    if page is not None and len(page) > 4 and page[1] == 0x80:
        text = inert_text(page[4 : 4 + int.from_bytes(page[2:4], "big")].strip(b" \0"))
        if text:
            return text
    return _first(files, disk, ("serial", "device/serial"))


def _kind(files: SystemFiles, name: str, parent: str) -> str:
    if parent:
        return "partition"
    if files.names(f"{_CLASS}/{name}/dm"):
        return "device-mapper"
    if files.names(f"{_CLASS}/{name}/md"):
        return "md-raid"
    for start in ("loop", "zram", "ram", "nbd", "sr", "fd", "rbd", "drbd", "bcache"):
        if name.startswith(start) and name[len(start) :].isdigit():
            return {"sr": "optical", "fd": "floppy", "ram": "ram-disk"}.get(start, start)
    return "disk"


def _transport(files: SystemFiles, name: str) -> str:
    place = files.link(f"{_CLASS}/{name}")
    for part, bus in _BUSES:
        if part in place:
            return bus
    return "unknown"


def _layer(files: SystemFiles, base: str) -> dict[str, str]:
    """What the layers that make a device say of it."""
    said = {}
    for folder, names in (
        ("dm", ("name", "uuid", "suspended")),
        ("md", ("level", "raid_disks", "array_state", "metadata_version", "uuid", "degraded")),
        ("loop", ("backing_file", "offset", "sizelimit")),
    ):
        for name in names:
            value = word(files, f"{base}/{folder}/{name}")
            if value is not None:
                said[f"{folder}.{name}"] = value
    return said


def related(devices: Mapping[str, BlockDevice], name: str) -> tuple[str, ...]:
    """A device, its partitions, and all that is built on any of them, nearest first: what a write to it would touch."""
    seen: dict[str, None] = {}
    layer = [name]
    for _ in range(_DEPTH):
        fresh = [n for n in layer if n in devices and n not in seen]
        if not fresh:
            break
        seen.update(dict.fromkeys(fresh))
        layer = [above for n in fresh for above in (*devices[n].partitions, *devices[n].holders)]
    return tuple(seen)


def built_of(devices: Mapping[str, BlockDevice], name: str) -> tuple[str, ...]:
    """The devices that a device is made of (RAID members, physical volumes, the encrypted one), down to the disks."""
    seen: dict[str, None] = {}
    layer = list(_below(devices, name))
    for _ in range(_DEPTH):
        fresh = [n for n in layer if n in devices and n not in seen]
        if not fresh:
            break
        seen.update(dict.fromkeys(fresh))
        layer = [below for n in fresh for below in _below(devices, n)]
    return tuple(seen)


def _below(devices: Mapping[str, BlockDevice], name: str) -> Iterator[str]:
    device = devices.get(name)
    if device is not None:
        yield from device.slaves
        if device.parent:
            yield device.parent
