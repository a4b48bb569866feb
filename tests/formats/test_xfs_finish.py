# SPDX-License-Identifier: Apache-2.0
"""XFS volumes that went down amid a change of several transactions: what was begun is ended as the next mount would end it.

SOURCE: fixtures/unfinished-xfs.tar.xz, made by lab/volumes/unfinished.py with Linux 6.18 on 2026-11-22; KERNEL.json is what that
kernel's own recovery made of a copy (digests of its files, free blocks by xfs_db). Apache-2.0.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from volume_fixtures import files, memory

from headwater.formats import xfs_finish, xfs_log_view
from headwater.formats.ext_content import Run
from headwater.formats.filesystems import open_filesystem
from headwater.formats.xfs import XfsTree
from headwater.formats.xfs_finish import BUI, CUI, EFI, RUI, XMI, Finished, finish
from headwater.model.kinds import GapReason


def opened() -> XfsTree:
    tree = open_filesystem(memory("unfinished-xfs", "image"))
    assert isinstance(tree, XfsTree)
    return tree


@pytest.fixture(scope="module")
def tree() -> XfsTree:
    return opened()


@pytest.fixture(scope="module")
def kernel() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("unfinished-xfs")["KERNEL.json"])
    return found


def digests(tree: XfsTree) -> dict[str, str]:
    return {
        e.path: hashlib.sha256(tree.open(e.key).pread(0, e.size)).hexdigest()
        for e in tree.entries()
        if e.kind == "file" and e.allocated and not e.path.startswith("/$")
    }


def blocks(tree: XfsTree, ranges: list[tuple[int, int]]) -> set[int]:
    size = tree.head.block_size
    return {number for at, n in ranges for number in range(at // size, (at + n) // size)}


def test_files_amid_a_change_read_as_the_next_mount_makes_them(tree: XfsTree, kernel: dict[str, Any]) -> None:
    assert digests(tree) == kernel["files"]
    assert tree.warnings == ()
    note = tree.notes[0]
    assert (
        "finished in memory as the next mount would: 2 of extents to be freed, 3 of maps of files, 4 of reference counts"
        in note
    )
    assert "read by nothing here: 2 of reverse mappings" in note


def test_without_finishing_the_files_would_be_others(kernel: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfs_log_view, "finish", lambda source, head, intents: Finished())
    mine = digests(opened())
    assert sorted(p for p in mine if mine[p] != kernel["files"][p]) == ["/copy-a4", "/copy-c1", "/copy-d2"]


def test_blocks_that_a_broken_off_deletion_gave_back_are_free(tree: XfsTree, kernel: dict[str, Any]) -> None:
    theirs = {group * tree.head.ag_blocks + at + n for group, at, count in kernel["free"] for n in range(count)}
    freed = blocks(tree, tree._freed)
    mine = blocks(tree, [(at, n) for at, n, what in tree.coverage() if what == "unallocated"])
    assert len(freed) == 1158
    assert freed <= theirs
    assert freed <= mine
    assert len(mine - theirs) <= 8  # what the kernel's trees themselves took in the meantime
    covered = [(at, n) for at, n, _ in tree.coverage()]
    assert all(at + n == after for (at, n), (after, _) in pairwise(covered))


def intent(kind: int, *extents: tuple[int, ...], form: str = "") -> tuple[int, bytes]:
    form = form or {EFI: "<QII", CUI: "<QII", BUI: "<QQQII", RUI: "<QQQII"}[kind]
    return kind, struct.pack("<HHIQ", kind, 1, len(extents), 7) + b"".join(struct.pack(form, *e) for e in extents)


def exchange(
    tree: XfsTree, one: int, two: int, at: int, other: int, count: int, flags: int = 0, bent: int = 0
) -> tuple[int, bytes]:
    generations = [int.from_bytes(tree.raw(n)[92:96], "big") + bent for n in (one, two)]
    row = [tree.row(n) for n in (one, two)]
    sizes = [row[1].size, row[0].size]  # type: ignore[union-attr]
    body = struct.pack("<QQIIQQQQqq", one, two, *generations, at, other, count, flags, *sizes)
    return XMI, struct.pack("<HHIQ", XMI, 1, 0, 7) + body


def numbers(tree: XfsTree) -> list[int]:
    """Files in pieces."""
    found = [e.inode for e in tree.entries() if e.kind == "file" and not e.path.startswith("/$")]
    rows = [tree.row(n) for n in found]
    return [r.number for r in rows if r is not None and len(tree._contents.map(r).runs) > 8]


def test_exchanged_files_have_each_others_contents_and_sizes(tree: XfsTree) -> None:
    one, two = numbers(tree)[:2]
    before = {n: tree._contents.map(tree.row(n)).runs for n in (one, two)}  # type: ignore[arg-type]
    done = finish(tree._source, tree.head, [exchange(tree, one, two, 0, 0, 1 << 20, 2)])
    assert done.maps == {one: before[two], two: before[one]}
    assert done.sizes == {one: tree.row(two).size, two: tree.row(one).size}  # type: ignore[union-attr]
    part = finish(tree._source, tree.head, [exchange(tree, one, two, 4, 6, 2)])
    assert part.sizes == {}
    assert [r._replace(logical=r.logical - 2) for r in xfs_finish._cut(before[two], 6, 2)] == xfs_finish._cut(
        part.maps[one], 4, 2
    )
    assert xfs_finish._cut(part.maps[one], 0, 4) == xfs_finish._cut(before[one], 0, 4)
    written = finish(tree._source, tree.head, [exchange(tree, one, two, 0, 0, 10, 4)])
    kept = [r for r in before[one] if r.physical and r.logical < 10]
    assert all(run in written.maps[two] for run in xfs_finish._cut(kept, 0, 10))


@pytest.mark.parametrize(
    "bad",
    [
        intent(EFI, (1 << 60, 1, 0)),
        intent(EFI, (10, 0, 0)),
        intent(EFI, (10, 1 << 31, 0)),
        (EFI, intent(EFI, (10, 1, 0))[1][:20]),
        (EFI, struct.pack("<HHIQ", EFI, 1, (1 << 32) - 1, 7)),
        intent(CUI, (10, 1, 9)),
        intent(CUI, (1 << 40, 1, 1)),
        intent(BUI, (131, 10, 0, 1, 7)),
        intent(BUI, (1 << 50, 10, 0, 1, 1)),
        intent(BUI, (131, 10, 1 << 60, 1, 1)),
        intent(BUI, (131, 10, 0, 1, 1 | 1 << 29)),
        (XMI, b"\0" * 40),
        (xfs_finish.ATTRI, b"\0" * 40),
        (EFI, b""),
    ],
)
def test_an_intent_that_cannot_be_is_told_and_changes_nothing(tree: XfsTree, bad: tuple[int, bytes]) -> None:
    plain = finish(tree._source, tree.head, [])
    found = finish(tree._source, tree.head, [bad])
    assert found.left == {xfs_finish.INTENTS[bad[0]]: 1}
    assert (found.freed, found.maps, found.sizes) == (plain.freed, {}, {})


def test_a_file_that_is_another_by_now_is_not_exchanged(tree: XfsTree) -> None:
    one, two = numbers(tree)[:2]
    assert finish(tree._source, tree.head, [exchange(tree, one, two, 0, 0, 9, 2, bent=1)]).left == {
        "exchanged contents": 1
    }


def test_what_could_not_be_finished_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    real = xfs_finish.finish
    monkeypatch.setattr(
        xfs_log_view, "finish", lambda source, head, intents: real(source, head, [*intents, (XMI, b"")])
    )
    tree = opened()
    assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
    assert "could not be finished here: 1 of exchanged contents" in tree.warnings[0].detail


def test_extents_of_a_32_bit_machine_are_freed_alike(tree: XfsTree) -> None:
    wide = finish(tree._source, tree.head, [intent(EFI, (700, 3, 0), (900, 1, 0))])
    assert finish(tree._source, tree.head, [intent(EFI, (700, 3), (900, 1), form="<QI")]).freed == wide.freed
    assert (700 * 4096, 3 * 4096) in wide.freed or any(at <= 700 * 4096 < at + n for at, n in wide.freed)


def test_counts_of_shared_blocks_are_those_of_one_by_one() -> None:
    chance = random.Random(5)
    for _ in range(200):
        rows, at = [], 0
        while at < 60:
            at, size = at + chance.randrange(4), chance.randrange(1, 9)
            rows.append((at, size, chance.randrange(2, 5)))
            at += size
        table = np.array(rows, np.int64).reshape(-1, 3)
        changes = [
            (a, a + chance.randrange(1, 20), chance.choice((-1, 1))) for a in (chance.randrange(60) for _ in range(9))
        ]
        slow = {n: 1 for first, behind, _ in changes for n in range(first, behind)}
        slow.update({n: c for a, size, c in rows for n in range(a, a + size) if n in slow})
        for first, behind, change in changes:
            for n in range(first, behind):
                slow[n] += change
        quick = {n: c for first, behind, c in xfs_finish._swept(changes, table, 1) for n in range(first, behind)}
        assert quick == slow


def test_a_hundred_thousand_changes_of_one_place_end(tree: XfsTree) -> None:
    many = intent(CUI, *[(600 + n % 900, 1 + n % 70, 1 + n % 2) for n in range(100_000)])
    found = finish(tree._source, tree.head, [many, many, many])
    assert found.done[xfs_finish.INTENTS[CUI]] + found.left[xfs_finish.INTENTS[CUI]] == 3
    assert found.left[xfs_finish.INTENTS[CUI]] == 1  # beyond what is taken
    assert xfs_finish._without([Run(0, 5, 10)], 3, 2) == [Run(0, 5, 3), Run(5, 10, 5)]


def test_a_map_that_is_changed_as_often_as_it_is_long_ends(tree: XfsTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfs_finish, "_STEPS_MOST", 20_000)
    owner, other = numbers(tree)[:2]
    many = intent(BUI, *[(owner, 10, 1000 + 2 * n, 1, 1) for n in range(300)])
    few = intent(BUI, *[(owner, 10, 1000 + 2 * n, 1, 1) for n in range(20)])
    assert finish(tree._source, tree.head, [many]).left == {xfs_finish.INTENTS[BUI]: 1}
    assert finish(tree._source, tree.head, [few]).done[xfs_finish.INTENTS[BUI]] == 1
    swaps = [exchange(tree, owner, other, 0, 0, 1 << 20, 4)] * 40
    assert finish(tree._source, tree.head, swaps).left[xfs_finish.INTENTS[XMI]] > 0
