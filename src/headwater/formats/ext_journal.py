# SPDX-License-Identifier: Apache-2.0
"""Opens an ext volume that was not cleanly unmounted: with its journal played back in memory, or as it was recorded.

The kernel would play the journal back by writing; here its blocks lie over the volume's own when they are read. Both
views are true of the disk: *recorded* is what stands in the blocks themselves, *replayed* what the next mount would
see. Which one a tree shows stands in ``view``, and in ``notes`` in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headwater.formats.ext_content import Contents
from headwater.formats.ext_fast import read_fast_commits
from headwater.formats.ext_fast_view import Fast, play_fast
from headwater.formats.ext_inode import InodeTable
from headwater.formats.ext_layout import (
    INCOMPAT_JOURNAL_DEV,
    STATE_CLEAN,
    STATE_ERRORS,
    SUPERBLOCK_AT,
    SUPERBLOCK_SIZE,
    NotExt,
    Superblock,
    read_groups,
    read_superblock,
)
from headwater.formats.ext_layout import MAGIC as MAGIC_SUPER
from headwater.formats.jbd2 import MAGIC, NotJournal, Replay, replay
from headwater.formats.overlay import Overlay
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.model.times import rfc3339

_JOURNAL_UUID = 0xD0  # in the superblock
_MAX_JOURNAL = 1 << 22  # blocks; mke2fs makes at most 1 GiB


class View(NamedTuple):
    """``source``: what to read the tree from; ``view``: ``clean``, ``replayed`` or ``recorded``; ``fast``: what fast
    commits change beside blocks."""

    source: ByteSource
    view: str
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    fast: Fast | None = None


def view_of(source: ByteSource, block: Superblock, play: bool, others: Sequence[ByteSource] = ()) -> View:
    """The view of a volume that its state asks for; ``play`` False keeps to what is recorded. ``others``: volumes beside
    it, one of which may hold its journal."""
    if not block.needs_recovery:
        if not block.state & STATE_CLEAN and block.kind == "ext2":
            text = "the volume was not cleanly unmounted and has no journal: its last writes may be missing"
            return View(source, "recorded", (Gap(1024, 1024, GapReason.NOT_REPLAYED, text),), ())
        notes = ("the file system is marked as having errors",) if block.state & STATE_ERRORS else ()
        return View(source, "clean", (), notes)
    if block.journal_device or not block.journal_inode:
        return _outside(source, block, play, others)
    inodes = InodeTable(source, block, read_groups(source, block)[0])
    row = inodes.get(block.journal_inode)
    if row is None:
        return _stale(source, 1024, 1024, "its journal cannot be found")
    contents = Contents(source, block, inodes)
    runs = contents.map(row).runs
    places = _places([(r.logical, r.physical, r.blocks) for r in runs], block.block_size)
    at, length = (places[0], len(places) * block.block_size) if places else (1024, 1024)
    if not play:
        return _stale(source, at, length, "the journal was left aside as asked")
    try:
        found = replay(source, places, block.block_size)
    except NotJournal as error:
        return _stale(source, at, length, f"its journal cannot be played back: {error}")
    return _replayed(source, block, places, found)


def _outside(source: ByteSource, block: Superblock, play: bool, others: Sequence[ByteSource]) -> View:
    """A volume whose journal is a volume of its own: found by the identity that the superblock names."""
    wanted = source.pread(SUPERBLOCK_AT + _JOURNAL_UUID, 16)
    journal = next((each for each in others if journal_uuid(each) == wanted), None) if any(wanted) else None
    if journal is None:
        return _stale(source, 1024, 1024, f"its journal lies on another device ({wanted.hex()}) that is not at hand")
    if not play:
        return _stale(source, 1024, 1024, "the journal on another device was left aside as asked")
    first = SUPERBLOCK_AT // block.block_size + 1
    last = min(journal.size // block.block_size, _MAX_JOURNAL)
    # such a journal counts the blocks of its device; its own superblock stands behind the device's
    places = [first * block.block_size, *range(block.block_size, last * block.block_size, block.block_size)]
    try:
        found = replay(journal, places, block.block_size)
    except NotJournal as error:
        return _stale(source, 1024, 1024, f"its journal on another device cannot be played back: {error}")
    return _replayed(source, block, places, found, journal)


def journal_uuid(source: ByteSource) -> bytes:
    """The identity of a volume that is a journal and nothing else; b'' for any other."""
    raw = source.pread(SUPERBLOCK_AT, SUPERBLOCK_SIZE)  # a superblock without groups and inodes
    there = len(raw) == SUPERBLOCK_SIZE and raw[56:58] == MAGIC_SUPER
    return raw[104:120] if there and int.from_bytes(raw[96:100], "little") & INCOMPAT_JOURNAL_DEV else b""


def wanted_journal(source: ByteSource) -> bytes:
    """The identity of the journal that an ext volume keeps on another device and needs; b'' for any other volume."""
    try:
        block = read_superblock(source)
    except NotExt:
        return b""
    if not block.needs_recovery or (block.journal_inode and not block.journal_device):
        return b""
    wanted = source.pread(SUPERBLOCK_AT + _JOURNAL_UUID, 16)
    return wanted if any(wanted) else b""


def journal_places(source: ByteSource, block: Superblock) -> list[int]:
    """Where on the volume each block of its own journal begins, in bytes; empty where it has none."""
    if block.journal_device or not block.journal_inode:
        return []
    inodes = InodeTable(source, block, read_groups(source, block)[0])
    row = inodes.get(block.journal_inode)
    if row is None:
        return []
    runs = Contents(source, block, inodes).map(row).runs
    return _places([(r.logical, r.physical, r.blocks) for r in runs], block.block_size)


def _places(runs: Sequence[tuple[int, int, int]], size: int) -> list[int]:
    """Where each block of the journal begins, up to the first hole."""
    places: list[int] = []
    for logical, physical, count in runs:
        if logical != len(places) or not physical or len(places) + count > _MAX_JOURNAL:
            break
        places.extend(range(physical * size, (physical + count) * size, size))
    return places


def _stale(source: ByteSource, at: int, length: int, why: str) -> View:
    text = f"the volume was not cleanly unmounted and {why}: the tree is older than the last writes"
    return View(source, "recorded", (Gap(at, length, GapReason.NOT_REPLAYED, text),), ())


def _replayed(
    source: ByteSource, block: Superblock, places: list[int], found: Replay, journal: ByteSource | None = None
) -> View:
    front = MAGIC.to_bytes(4, "big")
    blocks = {
        number: (places[journal], front if escaped else b"")
        for number, (journal, escaped) in found.blocks.items()
        if number < block.blocks
    }
    span = (places[0], len(places) * block.block_size) if journal is None else (1024, 1024)
    gaps = [Gap(*span, GapReason.UNREADABLE, f"journal: {fault}") for fault in found.faults]
    beside = "" if journal is None else " (a volume of its own)"
    until = f", committed until {rfc3339(max(found.committed))}" if found.committed else ""
    note = (
        f"the volume was not cleanly unmounted: {found.transactions} transactions of its journal{beside} "
        f"({found.first} to {found.last}{until}) were played back in memory, replacing {len(blocks)} blocks; "
        "the tree is the view after that, and the evidence itself is unchanged"
    )
    over = Overlay(source, block.block_size, blocks, journal)
    area = [places[n] for n in found.fast]
    commits = read_fast_commits(journal or source, area, block.block_size, found.expected)
    if commits.fault:
        gaps.append(Gap(*span, GapReason.UNREADABLE, f"journal: {commits.fault}"))
    if not commits.changes:
        return View(over, "replayed", tuple(gaps), (note,))
    patched, fast = play_fast(source, block, read_groups(over, block)[0], blocks, commits.changes, journal)
    fast.commits = commits.commits
    if fast.left_out:
        text = f"{fast.left_out} of {len(commits.changes)} records of fast commits name what this volume cannot have"
        gaps.append(Gap(*span, GapReason.NOT_REPLAYED, text))
    more = (
        f"{fast.commits} fast commits after the last transaction ({len(commits.changes)} records, {fast.inodes} inodes) "
        "were played back in memory as well; folders keep the times that the journal gives them"
    )
    return View(patched, "replayed", tuple(gaps), (note, more), fast)
