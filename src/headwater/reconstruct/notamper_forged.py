# SPDX-License-Identifier: Apache-2.0
"""Layer 4 on file systems: times that contradict each other. Normal life looks odd too, so most are told and no more.

Installing packages, unpacking and copying leave files that were modified before they were created and times without a
fraction: on a Debian system 18,047 of 20,000 system files. A change time before the creation is another matter: no tool
can set it but by the clock or past the kernel. Still, building an image (mke2fs -d) and a clock set back do it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.reconstruct.notamper_terms import SECOND, Example, Question, Sign, Standing, listed

_STEP = 2 * SECOND
_BUILT = 3600 * SECOND  # from mkfs on, while an image is being filled
_MASS = 50  # as many alike are a tool or a clock, no hand
_DAY = 86_400 * SECOND


def signs(times: pl.DataFrame, question: Question, *, clock_set: bool, windows: bool) -> Iterator[Sign]:
    """``clock_set``: the records tell of a clock that was set; ``windows``: change times there mean something else."""
    files = _wide(times)
    if files.is_empty():
        return
    yield from _ordinary(files)
    if not windows:
        yield from _impossible(files, question, clock_set)
    yield from _out_of_line(files, question)


def _wide(times: pl.DataFrame) -> pl.DataFrame:
    """One row per inode with its times."""
    rows = times.filter(~pl.col("path").str.ends_with("!deleted") & pl.col("inode").is_not_null())
    keys = ["path", "inode"]
    kinds = [pl.col("ts").filter(pl.col("t_kind") == k).max().alias(k) for k in ("modified", "changed", "created")]
    return rows.group_by(keys).agg(
        *kinds, pl.col("whole").first(), pl.col("folder").first(), pl.col("offset").first(), pl.col("length").first()
    ).sort(keys)  # fmt: skip


def _ordinary(files: pl.DataFrame) -> Iterator[Sign]:
    """What installation and copying do: told with its share, so that nobody takes it for a trace."""
    known = files.filter(pl.col("created").is_not_null() & pl.col("modified").is_not_null())
    early = known.filter(pl.col("modified") < pl.col("created") - _STEP).height
    whole = files.filter(pl.col("modified").is_not_null() & (pl.col("modified") % SECOND == 0)).height
    if early:
        text = Text(
            f"{known.height} 个文件中有 {early} 个的修改时间早于创建时间，安装、解包、复制均会如此，不作为改动的迹象",
            f"{early} of {known.height} files were modified before they were created, as installing, unpacking and copying leave "
            "them: no sign of a change",
        )
        yield Sign(4, "modified-before-created", Standing.REPORTED, text, early)
    if whole:
        text = Text(
            f"{files.height} 个文件中有 {whole} 个的修改时间没有秒以下部分，安装与解包均会如此，不作为改动的迹象",
            f"{whole} of {files.height} files have modification times without a fraction, as installing and unpacking leave them: "
            "no sign of a change",
        )
        yield Sign(4, "whole-seconds", Standing.REPORTED, text, whole)


def _impossible(files: pl.DataFrame, question: Question, clock_set: bool) -> Iterator[Sign]:
    odd = files.filter(pl.col("changed") < pl.col("created") - _STEP)
    for volume in question.volumes:
        made = volume.times.get("made")
        if made is not None:
            built = (pl.col("path") == (volume.view or "/")) & (pl.col("created") <= made + _BUILT)
            odd = odd.filter(~built)
    if odd.is_empty():
        return
    base = question.baseline
    after = odd.filter(pl.col("created") > base.t0 + base.epsilon)
    rest = odd.filter(pl.col("created") <= base.t0 + base.epsilon)
    if after.height:
        text = Text(
            f"{after.height} 个文件创建于基准时间之后，而变更时间早于其创建：变更时间被伪造或时钟被拨回",
            f"{after.height} files were created after the baseline and changed before they were created: a forged change time, "
            "or a clock set back",
        )
        yield Sign(
            4, "changed-before-created", Standing.UNEXPLAINED, text, after.height, examples=_examples(after, question)
        )
    if rest.height:
        told = clock_set or rest.height >= _MASS
        zh = "；有拨钟记录或数量众多，系时钟或制作工具所致" if told else ""
        en = "; the clock was set, or they are many: a clock or a building tool did it" if told else ""
        text = Text(
            f"{rest.height} 个文件的变更时间早于创建时间{zh}",
            f"{rest.height} files were changed before they were created{en}",
        )
        standing = Standing.REPORTED if told else Standing.UNDECIDED
        yield Sign(4, "changed-before-created", standing, text, rest.height, examples=_examples(rest, question))


def _out_of_line(files: pl.DataFrame, question: Question) -> Iterator[Sign]:
    """Inodes between two neighbours that were made together, and which claim to be older by a day; weak, so only told."""
    near = files.filter(pl.col("created").is_not_null()).sort("path", "inode")
    ahead, behind = near.shift(-1), near.shift(1)
    row = pl.DataFrame(
        {
            "alone": (ahead["path"] == near["path"]) & (behind["path"] == near["path"])
            & (ahead["inode"] == near["inode"] + 1) & (behind["inode"] == near["inode"] - 1)
            & ((ahead["created"] - behind["created"]).abs() <= 5 * SECOND)
            & (near["created"] < behind["created"] - _DAY)
            & (ahead["folder"] == near["folder"]) & (behind["folder"] == near["folder"])
        }
    )  # fmt: skip
    odd = near.filter(row["alone"].fill_null(False))
    if odd.height:
        text = Text(
            f"{odd.height} 个 inode 夹在同时创建的相邻 inode 之间而自称更早，编号重用也会如此，仅作陈述",
            f"{odd.height} inodes stand between neighbours made together and claim to be older; reused numbers look the same",
        )
        yield Sign(4, "inode-order", Standing.REPORTED, text, odd.height, examples=_examples(odd, question))


def _examples(rows: pl.DataFrame, question: Question) -> tuple[Example, ...]:
    return listed(
        [
            Example(str(r["whole"]), "changed < created", cast(int, r["changed"]),
                    Span(question.source, r["path"], r["offset"] or 0, r["length"] or 0))
            for r in rows.head(400).iter_rows(named=True)
        ]
    )  # fmt: skip
