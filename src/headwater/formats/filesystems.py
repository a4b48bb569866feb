# SPDX-License-Identifier: Apache-2.0
"""Opens whatever file system lies on a volume as a tree, and says what it is when it cannot be read.

Recognition reads only the places where each format keeps its signature. A volume that is encrypted, of a kind without
a reader here, or broken becomes a tree without entries whose warnings say so: never an exception, never silence.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

from headwater.formats.trees import Coverage, Entry, Tree
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_HEAD = 4096

# kind: (offset, signature); the first that fits wins. Sources: libblkid's superblocks (util-linux), the formats' own
# specifications. Boot sectors (NTFS, FAT, BitLocker) are told apart by _boot_sector.
_SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("luks", 0, b"LUKS\xba\xbe"),
    ("luks", 0x4000, b"SKUL\xba\xbe"),
    ("xfs", 0, b"XFSB"),
    ("squashfs", 0, b"hsqs"),
    ("cramfs", 0, b"\x45\x3d\xcd\x28"),
    ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("ext", 1080, b"\x53\xef"),
    ("hfsplus", 1024, b"H+\x00\x04"),
    ("hfsx", 1024, b"HX\x00\x05"),
    ("hfs", 1024, b"BD"),
    ("apfs", 32, b"NXSB"),
    ("lvm2", 512, b"LABELONE"),
    ("lvm2", 0, b"LABELONE"),
    ("mdraid", 4096, b"\xfc\x4e\x2b\xa9"),
    ("mdraid", 0, b"\xfc\x4e\x2b\xa9"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("iso9660", 0x8001, b"CD001"),
    ("udf", 0x8001, b"BEA01"),
    ("swap", 4086, b"SWAPSPACE2"),
    ("swap", 4086, b"SWAP-SPACE"),
    ("swap", 65526, b"SWAPSPACE2"),
    ("reiserfs", 0x10034, b"ReIsEr"),
    ("jfs", 0x8000, b"JFS1"),
    ("ufs2", 65536 + 1372, b"\x19\x01\x54\x19"),
    ("ufs1", 8192 + 1372, b"\x54\x19\x01\x00"),
    ("ufs2", 65536 + 1372, b"\x19\x54\x01\x19"),  # big-endian, as SPARC and others write them
    ("ufs1", 8192 + 1372, b"\x00\x01\x19\x54"),
    ("ufs2", 262144 + 1372, b"\x19\x01\x54\x19"),
    ("ufs2", 8192 + 1372, b"\x19\x01\x54\x19"),
    ("ufs2", 8192 + 1372, b"\x19\x54\x01\x19"),
)

_ENCRYPTED = {
    "luks": "a LUKS volume; its key is needed",
    "bitlocker": "a BitLocker volume; its key is needed",
}
_NOT_FILES = {
    "swap": "swap space: pages of memory, no files",
    "lvm2": "an LVM2 physical volume, not a file system",
    "mdraid": "a member of a Linux RAID, not a file system",
    "jbd2": "the journal of another volume, not a file system",
}
_TSK = frozenset({"fat12", "fat16", "fat32", "fat", "exfat", "iso9660", "hfs", "hfsplus", "hfsx", "ufs1", "ufs2"})


def identify(source: ByteSource) -> str:
    """What lies on a volume: ``ext4``, ``xfs``, ``ntfs``, ``fat32``, ``luks``, ``swap``, ``unknown`` …

    ``empty`` is a volume whose first 64 KiB are zeros without any signature.
    """
    head = source.pread(0, _HEAD)
    boot = _boot_sector(head)
    if boot:
        return boot
    for kind, offset, signature in _SIGNATURES:
        at = head[offset : offset + len(signature)] if offset + len(signature) <= len(head) else b""
        if (at or source.pread(offset, len(signature))) == signature:
            return _ext_kind(source) if kind == "ext" else kind
    if _ntfs_backup(source):
        return "ntfs"
    return "unknown" if source.pread(0, 65536).strip(b"\0") else "empty"


def _ntfs_backup(source: ByteSource) -> bool:
    """Whether the volume's last sector is a backup of an NTFS boot sector of a volume of this very size."""
    from headwater.formats.ntfs_runs import read_boot

    boot = read_boot(source)
    return boot is not None and 0 <= source.size // boot.sector - boot.sectors <= 1


def _ext_kind(source: ByteSource) -> str:
    from headwater.formats.ext_journal import journal_uuid
    from headwater.formats.ext_layout import NotExt, read_superblock

    if journal_uuid(source):
        return "jbd2"
    try:
        return read_superblock(source).kind
    except NotExt:
        return "ext"


def _boot_sector(head: bytes) -> str:
    """NTFS, BitLocker, exFAT and FAT by their boot sector; '' where it is none of them."""
    if len(head) < 512:
        return ""
    name = head[3:11]
    if name == b"-FVE-FS-":
        return "bitlocker"
    if name == b"MSWIN4.1" and head[424:440] == bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"):
        return "bitlocker"  # BitLocker To Go hides behind a FAT32 boot sector
    if head[510:512] != b"\x55\xaa":
        return ""
    if name == b"NTFS    ":
        return "ntfs"
    if name == b"EXFAT   ":
        return "exfat"
    sector, cluster, reserved, fats, root, total16, media, per_fat = struct.unpack_from("<HBHBHHBH", head, 11)
    if (
        sector not in (512, 1024, 2048, 4096)
        or not cluster
        or cluster & (cluster - 1)
        or not reserved
        or not 1 <= fats <= 4
    ):
        return ""
    if media != 0xF0 and media < 0xF8:
        return ""
    total = total16 or struct.unpack_from("<I", head, 32)[0]
    per_fat = per_fat or struct.unpack_from("<I", head, 36)[0]
    if not root and not struct.unpack_from("<H", head, 22)[0]:
        return "fat32" if per_fat and total else ""  # as Linux has it; mkfs.fat -F 32 makes them with few clusters
    data = total - reserved - fats * per_fat - (root * 32 + sector - 1) // sector
    if data <= 0 or not per_fat:
        return ""
    # Microsoft's own rule (fatgen103): the number of clusters alone decides
    clusters = data // cluster
    return "fat12" if clusters < 4085 else "fat16" if clusters < 65525 else "fat32"


class UnreadTree:
    """A volume whose files cannot be listed, and why."""

    def __init__(self, kind: str, warnings: Sequence[Gap], size: int) -> None:
        self.kind = kind
        self.warnings = tuple(warnings)
        self._size = size

    def entries(self) -> Iterator[Entry]:
        return iter(())

    def open(self, key: str) -> ByteSource:
        raise KeyError(key)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        return ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        return iter(())


def open_filesystem(source: ByteSource, play: bool = True, others: Sequence[ByteSource] = ()) -> Tree | None:
    """The tree of the file system on a volume; None where no known file system, container or cipher is recognised.

    A journal that was not played back is played back in memory where that is possible (ext3, ext4, XFS, NTFS), and the tree's
    ``view`` and ``notes`` say so; where it is not, the warnings say that the tree is older than the last writes.
    ``play`` False asks for the tree as it was recorded. ``others``: volumes beside it, one of which may hold its journal.
    """
    kind = identify(source)
    if kind in ("unknown", "empty"):
        return None
    if kind in _ENCRYPTED:
        return _unread(kind, source, GapReason.ENCRYPTED, _ENCRYPTED[kind])
    if kind in _NOT_FILES:
        return _unread(kind, source, GapReason.UNSUPPORTED, _NOT_FILES[kind])
    opener = _OPENERS.get("tsk" if kind in _TSK else kind)
    if opener is None:
        return _unread(kind, source, GapReason.UNSUPPORTED, f"no reader for {kind}")
    try:
        return opener(source, kind, play) if opener is not _open_ext else _open_ext(source, kind, play, others)
    except (ValueError, KeyError, OSError, IndexError, struct.error, OverflowError, MemoryError) as error:
        detail = f"recognised as {kind}, but it cannot be opened: {type(error).__name__}: {error}"
        return _unread(kind, source, GapReason.NOT_THIS_FORMAT, detail)


def _unread(kind: str, source: ByteSource, reason: GapReason, detail: str) -> UnreadTree:
    return UnreadTree(kind, (Gap(0, source.size, reason, detail),), source.size)


def _open_ext(source: ByteSource, kind: str, play: bool, others: Sequence[ByteSource] = ()) -> Tree:
    from headwater.formats.ext import open_ext

    return open_ext(source, play, others)


def _open_xfs(source: ByteSource, kind: str, play: bool) -> Tree:
    from headwater.formats.xfs import XfsTree

    return XfsTree(source, play)


def _open_ntfs(source: ByteSource, kind: str, play: bool) -> Tree:
    from headwater.formats.ntfs_log_view import open_ntfs

    return open_ntfs(source, play)


def _open_tsk(source: ByteSource, kind: str, play: bool) -> Tree:
    from headwater.formats.tsk import TskTree

    return TskTree(source, kind)


_OPENERS: dict[str, Callable[[ByteSource, str, bool], Tree]] = {
    "ext2": _open_ext,
    "ext3": _open_ext,
    "ext4": _open_ext,
    "xfs": _open_xfs,
    "ntfs": _open_ntfs,
    "tsk": _open_tsk,
}
