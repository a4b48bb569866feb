# SPDX-License-Identifier: Apache-2.0
"""The block devices of this machine with their environment records, for a person to choose the right one from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from headwater.acquire.device_use import Mount
from headwater.acquire.devices import BlockDevice, block_devices
from headwater.acquire.environment import Environment, environment_of
from headwater.acquire.system_files import LocalFiles, NotRecorded
from headwater.confine.pool import Limits, Pool
from headwater.model.columns import columns, padded
from headwater.model.errors import AcquireError
from headwater.model.voice import Voice

_UNKNOWN, _BOTH = "—", Voice()
_HEADS = (
    ("设备", "device"), ("容量", "size"), ("类型", "kind"), ("总线", "bus"), ("型号", "model"), ("序列号", "serial"),
    ("固件", "fw"), ("扇区", "sector"), ("只读", "RO"), ("内容", "contents"), ("使用情况", "in use"),
)  # fmt: skip
_WIDEST = 40


def disks(
    sys_root: str = "/sys", proc_root: str = "/proc", dev_root: str = "/dev", etc_root: str = "/etc"
) -> Iterator[Environment]:
    """The environment record of every disk, array and mapped device that holds anything; nothing is opened for writing.

    Raises:
        AcquireError: HW2071, this system shows no block devices.
    """
    files = LocalFiles(sys_root, proc_root, dev_root, etc_root)
    devices = block_devices(files)
    if not devices:
        raise AcquireError("HW2071", sys_root, what=sys.platform)
    with Pool(1, Limits()) as pool:
        for name, device in devices.items():
            if device.parent or device.size == 0 or files.read(f"/sys/class/block/{name}/size") is None:
                continue
            yield environment_of(device.path, sys_root, proc_root, dev_root, etc_root, pool)


def table(records: Sequence[Environment], voice: Voice = _BOTH) -> list[str]:
    """The records as lines of a table: each device, then its partitions and what is built on them, indented."""
    rows = [tuple(voice.word(*h) for h in _HEADS), *(row for record in records for row in _rows(record, voice))]
    widths = [max(columns(row[at]) for row in rows) for at in range(len(_HEADS))]
    lines = ["  ".join(padded(cell, width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    if any(row[-1].startswith("! ") for row in rows[1:]):
        lines.append(
            "! "
            + voice.sentence(
                "正在被写入，不加 --live 时拒绝制作镜像", "being written: imaging is refused without --live"
            )
        )
    return lines


def _rows(record: Environment, voice: Voice) -> Iterator[tuple[str, ...]]:
    for at, name in enumerate(record.on_it):
        device = record.devices[name]
        yield (
            ("  └ " if at else "") + device.path,
            _size(device.size),
            device.kind,
            device.transport if not at else "",
            _told(device.model) if not at else "",
            _told(device.serial) if not at else "",
            _told(device.firmware) if not at else "",
            f"{_told(device.logical_sector)}/{_told(device.physical_sector)}" if not at else "",
            voice.word("是", "ro") if device.read_only is True else voice.word("否", "rw"),
            _contents(record, device),
            _use(record, device, voice),
        )


def _contents(record: Environment, device: BlockDevice) -> str:
    """What lies on a device: the medium's own superblocks, and the table on a whole disk."""
    whole = record.device is not None and device.name == record.device.name
    if isinstance(record.medium.table, NotRecorded):
        return _UNKNOWN
    words = [record.medium.table] if whole and record.medium.table != "none" else []
    for block in record.medium.superblocks:
        mine = (
            block.name == "" if whole else block.offset == device.start and device.parent and block.name.startswith("p")
        )
        if mine:
            words.append(f"{block.kind} ({block.member_of})" if block.member_of else block.kind)
    return _cut(", ".join(words)) or (device.layer or {}).get("dm.name", "")


def _use(record: Environment, device: BlockDevice, voice: Voice) -> str:
    mounts = [m for m in record.use.mounts if m.device == device.name]
    words = [_mount(m) for m in mounts[:3]] + (["…"] if len(mounts) > 3 else [])
    if device.name in record.use.swaps:
        words.append(voice.word("交换", "swap"))
    if record.device is not None and device.name == record.device.name:
        if record.claimed is True and not record.use.mounts and not record.use.swaps:
            words.append(voice.word("被内核占用", "claimed by the kernel"))
        holders = sum(1 for h in record.use.holders if h.itself)
        if holders:
            words.append(voice.word(f"{holders} 个进程打开", f"{holders} processes hold it open"))
    mark = "! " if any(m.writable for m in mounts) or device.name in record.use.swaps else ""
    return mark + "; ".join(words)


def _mount(mount: Mount) -> str:
    return _cut(
        f"{mount.where} ({'rw' if mount.writable else 'ro'}{', ' + mount.namespace if mount.namespace else ''})"
    )


def _told(value: object) -> str:
    return _UNKNOWN if isinstance(value, NotRecorded) else _cut(str(value))


def _size(value: int | NotRecorded) -> str:
    if isinstance(value, NotRecorded):
        return _UNKNOWN
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
