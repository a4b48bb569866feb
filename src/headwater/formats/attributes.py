# SPDX-License-Identifier: Apache-2.0
"""Extended attributes of ext and XFS as an inode's record holds them: ``trusted.overlay.opaque`` and its like.

Layouts: https://docs.kernel.org/filesystems/ext4/attributes.html (in the inode behind its extra fields, and in one block of
its own), and for XFS the short form in the inode's attribute fork (https://git.kernel.org/pub/scm/fs/xfs/xfs-documentation.git,
"Extended Attributes"). Values of XFS that fill blocks of their own, attribute forks with a tree of extents, and values of ext
that have inodes of their own are not read: :func:`attributes` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from headwater.formats.trees import Entry

_EXT_MAGIC = 0xEA020000
_EXT_PREFIXES = {1: b"user.", 4: b"trusted.", 6: b"security.", 7: b"system."}
_XFS_LOCAL, _XFS_EXTENTS, _XFS_NONE = 1, 2, 2  # without extents, the second says that there is nothing
_XFS_INLINE = 1  # the value stands behind the name
_LEAVES_MOST = 16  # blocks
_XFS_ROOT, _XFS_SECURE = 2, 4
_MOST = 256  # attributes of one inode
_BLOCK_MOST = 64 << 10  # bytes

CAPABILITY = b"capability"  # as records name it, the prefix being a number
_CAPABLE_MOST = 1_000_000
_REVISIONS = {1: (12, 1), 2: (20, 2), 3: (24, 2)}  # bytes of the value, words of each set
# linux/capability.h, in the order of their numbers
_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
    "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
    "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
    "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
    "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip

Read = Callable[[int, int], bytes]


@dataclass(slots=True)
class Attributes:
    """The attributes by their full names; ``whole`` is False where some of them were not read.

    ``device``: the number of a device as it stands in the record, read as one; None where that is not known.
    """

    values: dict[bytes, bytes] = field(default_factory=dict)
    whole: bool = True
    device: int | None = None


def attributes(kind: str, record: bytes, read: Read | None = None, block_size: int = 4096) -> Attributes:
    """What an inode's record says. ``kind`` is its tree's; ``read(offset, length)`` reads the volume, where that is wanted; of XFS
    it is asked with the number of a block.

    Hostile records give what can be had of them and ``whole`` False; nothing raises.
    """
    found = Attributes()
    try:
        if kind.startswith("ext"):
            _of_ext(record, read, block_size, found)
        elif kind == "xfs":
            _of_xfs(record, read, block_size, found)
        else:
            found.whole = False
    except (struct.error, IndexError):
        found.whole = False
    return found


def _of_ext(record: bytes, read: Read | None, block_size: int, found: Attributes) -> None:
    old, new = struct.unpack_from("<II", record, 40)
    found.device = old or new
    if len(record) > 132:
        at = 128 + struct.unpack_from("<H", record, 128)[0]
        if at + 4 <= len(record) and struct.unpack_from("<I", record, at)[0] == _EXT_MAGIC:
            _ext_entries(record, at + 4, at + 4, found)
    low, high = struct.unpack_from("<I", record, 104)[0], struct.unpack_from("<H", record, 118)[0]
    block = low | high << 32
    if not block:
        return
    if read is None or not 1024 <= block_size <= _BLOCK_MOST:
        found.whole = False
        return
    data = read(block * block_size, block_size)
    if len(data) != block_size or struct.unpack_from("<I", data, 0)[0] != _EXT_MAGIC:
        found.whole = False
        return
    _ext_entries(data, 32, 0, found)


def _ext_entries(data: bytes, at: int, base: int, found: Attributes) -> None:
    for _ in range(_MOST):
        if at + 16 > len(data) or not any(data[at : at + 4]):
            return
        length, index, offset, inode, size = struct.unpack_from("<BBHII", data, at)
        name = _EXT_PREFIXES.get(index, b"%d." % index) + data[at + 16 : at + 16 + length]
        if inode or base + offset + size > len(data):
            found.whole = False
        else:
            found.values.setdefault(name, data[base + offset : base + offset + size])
        at += 16 + (length + 3 & ~3)
    found.whole = False


def _of_xfs(record: bytes, read: Read | None, block_size: int, found: Attributes) -> None:
    core = 176 if record[4] == 3 else 100
    found.device = struct.unpack_from(">I", record, core)[0]
    fork, form = record[82], record[83]
    if not fork or (form == _XFS_NONE and not struct.unpack_from(">H", record, 80)[0]):
        return
    if form == _XFS_EXTENTS and read is not None:
        _xfs_leaves(record[core + fork * 8 :], struct.unpack_from(">H", record, 80)[0], read, block_size, found)
        return
    if form != _XFS_LOCAL:
        found.whole = False
        return
    at = core + fork * 8
    count = record[at + 2]
    at += 4
    for _ in range(count):
        name, value, flags = record[at], record[at + 1], record[at + 2]
        if at + 3 + name + value > len(record):
            found.whole = False
            return
        begin = at + 3 + name
        found.values.setdefault(_xfs_prefix(flags) + record[at + 3 : begin], record[begin : begin + value])
        at = begin + value


def _xfs_prefix(flags: int) -> bytes:
    return b"trusted." if flags & _XFS_ROOT else b"security." if flags & _XFS_SECURE else b"user."


def _xfs_leaves(fork: bytes, extents: int, read: Read, block_size: int, found: Attributes) -> None:
    """Attributes in blocks that the fork names: those of leaves whose value stands with the name.

    ``read`` is asked with the number of the block on the volume and the bytes wanted of it.
    """
    left = _LEAVES_MOST
    for at in range(0, min(extents * 16, len(fork) - 15), 16):
        low = int.from_bytes(fork[at : at + 16], "big")
        first, count = low >> 21 & (1 << 52) - 1, low & (1 << 21) - 1
        for block in range(first, first + min(count, left)):
            _xfs_leaf(read(block, block_size), found)
        left -= min(count, left)
        if not left:
            found.whole = False


def _xfs_leaf(data: bytes, found: Attributes) -> None:
    magic = data[8:10]
    if magic not in (b"\x3b\xee", b"\xfb\xee"):
        return  # an index node, or a value that has blocks of its own
    info, entries = (56, 80) if magic == b"\x3b\xee" else (12, 32)
    (count,) = struct.unpack_from(">H", data, info)
    for at in range(entries, min(entries + 8 * count, len(data) - 7), 8):
        place, flags = struct.unpack_from(">HB", data, at + 4)
        if not flags & _XFS_INLINE or place + 3 > len(data):
            found.whole = False
            continue
        size, length = struct.unpack_from(">HB", data, place)
        begin = place + 3 + length
        found.values.setdefault(_xfs_prefix(flags) + data[place + 3 : begin], data[begin : begin + size])


def capabilities_of(value: bytes) -> str | None:
    """The capabilities of ``security.capability`` as getcap(8) writes them; None for what is no such value.

    Layout: linux/capability.h, struct vfs_cap_data and vfs_ns_cap_data: revision and the effective bit, then the
    permitted and the inheritable set by words of 32 bits; the third revision ends in the user whose namespace it is of.
    """
    if len(value) < 4:
        return None
    (head,) = struct.unpack_from("<I", value)
    length, words = _REVISIONS.get(head >> 24, (0, 0))
    if not words or len(value) != length:
        return None
    sets = struct.unpack_from(f"<{2 * words}I", value, 4)
    permitted = sum(word << 32 * n for n, word in enumerate(sets[::2]))
    inheritable = sum(word << 32 * n for n, word in enumerate(sets[1::2]))
    parts = []
    for p, i in ((1, 1), (1, 0), (0, 1)):
        chosen = [n for n in range(32 * words) if permitted >> n & 1 == p and inheritable >> n & 1 == i]
        if chosen:
            names = ",".join(f"cap_{_NAMES[n]}" if n < len(_NAMES) else f"cap_{n}" for n in chosen)
            parts.append(f"{names}={'e' if head & 1 else ''}{'i' if i else ''}{'p' if p else ''}")
    text = " ".join(parts) or "="
    return text + (f" [rootid={struct.unpack_from('<I', value, 20)[0]}]" if length == 24 else "")


class Capable:
    """The inodes of a volume whose record names a capability, noted as their table is read for the listing."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def look_xfs(self, raw: bytes, size: int, first: int) -> None:
        """The same for XFS, and those whose attributes lie in blocks of their own."""
        self.look(raw, size, first)
        blocks, forks = raw[83::size], raw[82::size]
        at = blocks.find(b"\2")
        while at >= 0 and len(self.numbers) < _CAPABLE_MOST:
            if forks[at] and raw[at * size + 80 : at * size + 82] != b"\0\0":
                self.numbers.add(first + at)
            at = blocks.find(b"\2", at + 1)

    def look(self, raw: bytes, size: int, first: int) -> None:
        """Consecutive records of ``size`` bytes; ``first`` is the number of the first."""
        at = raw.find(CAPABILITY)
        while at >= 0 and len(self.numbers) < _CAPABLE_MOST:
            self.numbers.add(first + at // size)
            at = raw.find(CAPABILITY, (at // size + 1) * size)


def stated(entry: Entry, capable: Capable, elsewhere: Callable[[int], bool]) -> bool:
    """Whether a capability may stand with a file: its record names one, or its attributes lie ``elsewhere``.

    What may not be executed is passed over: a capability does nothing there.
    """
    return (
        entry.mode & 0o111 != 0 and entry.kind == "file" and (entry.inode in capable.numbers or elsewhere(entry.inode))
    )
