# SPDX-License-Identifier: Apache-2.0
"""Opens an NTFS volume that was not cleanly dismounted: with $LogFile played back in memory, or as it was recorded.

Windows would play the log back by writing; here what it changes lies over the volume when it is read. The log holds the
file system's own records, indexes, bitmaps and journals: the contents of files are never in it, not even those so small
that they stand in their record, so a file's last bytes may be missing in either view.
"""

from __future__ import annotations

from headwater.formats import ntfs
from headwater.formats.ntfs_log import PAGE, Log
from headwater.formats.ntfs_log_index import RECORDS_MOST, records_of
from headwater.formats.ntfs_replay import NotReplayable, Played, patches_of, play_log, start_of
from headwater.formats.ntfs_tree import LOG_FILE, NotNtfs, NtfsTree
from headwater.formats.overlay import Patched
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_REASONS_MOST = 8
_RESTARTS = 2 * 65536


def open_ntfs(source: ByteSource, play: bool = True) -> NtfsTree:
    """The tree of an NTFS volume, with $LogFile played back in memory where it was not cleanly dismounted.

    ``play`` False: as it was recorded, with a gap that says that the tree is stale.

    Raises:
        NotNtfs: the boot sector cannot be read, or no $MFT can be found.
    """
    tree = NtfsTree(source)
    file = tree.system(LOG_FILE)
    head = file.pread(0, _RESTARTS)
    if not head or ntfs.log_clean(head) is not False:
        return tree
    tree.view = "recorded"
    if not play:
        return _stale(tree, "$LogFile was left aside as asked")
    try:
        log = Log(file.pread, file.size)
        records = records_of(log)
        start = start_of(log, head, records)
        played = play_log(source, log, records, start, tree.boot.cluster, tree.boot.record)
    except NotReplayable as error:
        return _stale(tree, f"$LogFile cannot be played back: {error}")
    try:
        made = NtfsTree(Patched(source, patches_of(played)))
    except NotNtfs as error:  # a log may say anything: the volume as recorded can still be read
        return _stale(tree, f"playing $LogFile back leaves no volume that can be read ({error})")
    made.view = "replayed"
    at, size = tree.extents(str(LOG_FILE))[0] if tree.extents(str(LOG_FILE)) else (0, PAGE)
    if records.cut:
        text = f"$LogFile holds more than {RECORDS_MOST} records: those beyond were not played back"
        made.note(at, size, GapReason.LIMIT, text)
    for fault in played.faults:
        made.note(at, size, GapReason.UNREADABLE, f"$LogFile: {fault}")
    if played.left_out:
        what = "; ".join(f"{n} of {word}" for word, n in played.left_out.most_common(_REASONS_MOST))
        more = len(played.left_out) - _REASONS_MOST
        text = f"operations of $LogFile could not be played back: {what}" + (f"; {more} more kinds" if more > 0 else "")
        made.note(at, size, GapReason.NOT_REPLAYED, text)
    made.notes = (_said(played),)
    return made


def _stale(tree: NtfsTree, why: str) -> NtfsTree:
    text = f"the volume was not cleanly dismounted and {why}: the tree is older than the last writes"
    tree.note(0, tree.source.size, GapReason.NOT_REPLAYED, text)
    return tree


def _said(played: Played) -> str:
    changed = sum(unit.changed for unit in played.units.values())
    return (
        f"the volume was not cleanly dismounted: records {played.first} to {played.last} of $LogFile were played back in "
        f"memory: {played.applied} operations done, {played.held} that the volume held already, {played.undone} of "
        f"{played.transactions} unfinished transactions undone; {changed} records, buffers and pages are others now; "
        "contents of files are not in this log; the tree is the view after that, and the evidence itself is unchanged"
    )
