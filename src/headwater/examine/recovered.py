# SPDX-License-Identifier: Apache-2.0
"""What can be claimed of each file that is not there any more; feed ``fs.recovered``, one row for each.

A row stands on the old inode record in the journal (ext), on the free record of $MFT or on an entry in the free space of
a folder's index (NTFS), on the deleted entry in a directory (FAT, exFAT), on the inode in the log or on its freed record
(XFS), on the name in a directory's free space where its inode is another file's by now (ext, XFS), or, for what was carved,
on the first range of the content, with an ordinal from :data:`RECOVERED` on, which no time of ``fs.macb`` on the same record
has.
Name, metadata and content are claims of their own: ``name_claim`` (``journal``, ``record``, ``index``, ``log``,
``directory``, ``none``), ``metadata_claim`` (``checksum`` where the journal proves its copies, else ``journal``;
``record``; ``index``; ``log``; ``none``), ``content_claim`` (``whole``, ``part``, ``bound``: all blocks, the length
known to the block alone; ``none``, ``empty``; ``not-applicable`` for a folder) with the blocks it had and those that no
other file has now; ``content_method`` and ``confidence`` say on what the content rests and how far that carries, ``note``
what limits it. The file's own times are columns in nanoseconds since 1970, UTC (FAT, exFAT: wall clock, as ``note`` says).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.examine.batch import HEAD_SCHEMA
from headwater.formats import carving, ext_deleted, fat_deleted, ntfs_deleted, xfs_deleted
from headwater.formats.ntfs_index import SlackName
from headwater.formats.slack_names import NameAlone
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import own_column

FEED = "fs.recovered"
RECOVERED = 1 << 29  # the ordinal of such a row

_OWN: dict[str, Any] = {
    own_column(name): dtype
    for name, dtype in (
        ("reason", pl.String), ("inode", pl.Int64), ("generation", pl.Int64), ("size", pl.Int64), ("uid", pl.Int64),
        ("mode", pl.Int64), ("transaction", pl.Int64), ("seen", pl.Int64), ("name_claim", pl.String),
        ("metadata_claim", pl.String), ("content_claim", pl.String), ("blocks", pl.Int64), ("blocks_free", pl.Int64),
        ("modified", pl.Int64), ("accessed", pl.Int64), ("changed", pl.Int64), ("created", pl.Int64),
        ("content_method", pl.String), ("confidence", pl.String), ("note", pl.String),
    )
}  # fmt: skip


Named = ext_deleted.Recovered | fat_deleted.Recovered | ntfs_deleted.Recovered | xfs_deleted.Recovered
_TREES = (ext_deleted.DeletedTree, ntfs_deleted.DeletedFiles, xfs_deleted.DeletedTree, carving.CarvedTree)
_WITHOUT_VIEW = ("fat", "exfat")  # their deleted names stand in the volume's own tree (formats/tsk.py)
Recovered = Named | carving.Carved | NameAlone


def recovered_of(tree: object) -> Sequence[Recovered]:
    """What a tree of deleted or carved files has to claim; nothing for any other tree."""
    if isinstance(tree, ext_deleted.DeletedTree | xfs_deleted.DeletedTree):
        return [*tree.recovered(), *tree.names_alone()]
    if isinstance(tree, _TREES):
        return tree.recovered()
    if getattr(tree, "kind", "").startswith(_WITHOUT_VIEW):
        found: Sequence[Recovered] = getattr(tree, "recovered", tuple)()
        return found
    return ()


def _slack(found: Recovered) -> SlackName | None:
    """The entry in a folder's index that is all that is left of a file."""
    return found.slack if isinstance(found, ntfs_deleted.Recovered) else None


def _grounds(found: Named) -> tuple[str, str]:
    """On what its name and its metadata rest."""
    if isinstance(found, fat_deleted.Recovered | ntfs_deleted.Recovered | xfs_deleted.Recovered):
        return found.name_claim, found.metadata_claim
    if found.ground == "record":
        return "directory" if found.named else "none", "record"
    return "journal" if found.named else "none", "checksum" if found.checked else "journal"


def content_claim(found: Recovered) -> str:
    """How much of the content can be claimed."""
    if isinstance(found, carving.Carved):
        return "whole" if found.walked.whole else "part"
    if isinstance(found, NameAlone):
        return "not-applicable" if found.entry.kind == "dir" else "none"
    if found.entry.kind == "dir":
        return "not-applicable"
    if _slack(found) is not None:
        return "none"
    if not found.entry.size:
        return "empty"
    if found.blocks and found.free == found.blocks:
        return "bound" if isinstance(found, xfs_deleted.Recovered) and found.bound else "whole"
    return "part" if found.free else "none"


def _method(found: Recovered, claim: str) -> tuple[str | None, str | None]:
    """On what the content rests, and how far that carries."""
    if isinstance(found, carving.Carved):
        proof = found.walked.proof
        strong = {"checksum": "high", "structure": "medium", "text": "low"}[proof]
        return f"signature+{proof}", strong if found.walked.whole else "low"
    if claim not in ("whole", "part", "bound"):
        return None, None
    if isinstance(found, fat_deleted.Recovered) and not found.chained:
        return "blocks-free-now", "low"  # that the clusters follow each other is assumed
    # that free blocks were not given away and freed again cannot be told
    return "blocks-free-now", "medium" if claim == "whole" else "low"


def _carved(found: carving.Carved) -> dict[str, Any]:
    return {
        "t_basis": str(TimeBasis.NONE), "t_kind": "deleted", own_column("reason"): "carved",
        own_column("size"): found.entry.size, own_column("name_claim"): "none", own_column("metadata_claim"): "none",
        own_column("note"): found.walked.note or None,
    }  # fmt: skip


def _alone(found: NameAlone) -> dict[str, Any]:
    return {
        "t_basis": str(TimeBasis.NONE), "t_kind": "deleted", own_column("reason"): "deleted",
        own_column("inode"): found.entry.inode or None, own_column("name_claim"): "directory",
        own_column("metadata_claim"): "none", own_column("note"): "its inode is another file's by now, or was wiped",
    }  # fmt: skip


def _row(found: Recovered) -> dict[str, Any]:
    if isinstance(found, carving.Carved):
        return _carved(found)
    return _alone(found) if isinstance(found, NameAlone) else _named(found)


def _named(each: Named) -> dict[str, Any]:
    entry, slack = each.entry, _slack(each)
    name, metadata = _grounds(each)
    known = slack is None or slack.record >= 0
    return {
        "t_recorded": each.gone, "t_basis": str(TimeBasis.UTC if each.gone is not None else TimeBasis.NONE),
        "t_kind": "deleted" if each.reason == "deleted" else "changed", own_column("reason"): each.reason,
        own_column("inode"): entry.inode if known else None, own_column("generation"): each.generation if known else None,
        own_column("size"): entry.size if slack is None else slack.size, own_column("uid"): entry.uid,
        own_column("mode"): entry.mode if slack is None and entry.uid is not None else None,
        own_column("transaction"): each.transaction or None,
        own_column("seen"): each.seen, own_column("name_claim"): name, own_column("metadata_claim"): metadata,
        own_column("blocks"): each.blocks, own_column("blocks_free"): each.free,
        own_column("modified"): entry.modified, own_column("accessed"): entry.accessed,
        own_column("changed"): entry.changed, own_column("created"): entry.created,
        own_column("note"): each.note if isinstance(each, fat_deleted.Recovered) else None,
    }  # fmt: skip


def frame(found: Sequence[Recovered], view: str) -> pl.DataFrame:
    """The claims as events; ``view`` is the layer that the tree stands in. The time is that of the deletion, where known."""
    rows: list[dict[str, Any]] = []
    before: dict[int, int] = {}
    for each in found:
        earlier = before.get(each.place, 0)  # hard links and streams share a record
        before[each.place] = earlier + 1
        claim = content_claim(each)
        method, confidence = _method(each, claim)
        row = _row(each)
        rows.append(
            row | {
                "kind": str(EventKind.STATE_RECOVERED), "file_path": each.entry.path, "offset": each.place,
                "length": each.record_size, "ordinal": RECOVERED + earlier, own_column("content_claim"): claim,
                own_column("content_method"): method, own_column("confidence"): confidence,
            }
        )  # fmt: skip
    schema = {**HEAD_SCHEMA, **_OWN}
    columns = {name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()}
    return pl.DataFrame(columns).with_columns(pl.lit(view or "/", dtype=pl.String).alias("path"))
