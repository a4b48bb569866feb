# SPDX-License-Identifier: Apache-2.0
"""Deleted files of XFS come back with what is left of them, and nothing is claimed that a later file overwrote.

SOURCE: fixtures/deleted-xfs.tar.xz, made by the kernel of Debian 12 with lab/volumes/make.sh OUT deleted on 2026-11-22; SHA256SUMS
is what sha256sum said of the files before they were deleted, DELETED the names in the order in which they went. Apache-2.0.
"""

from __future__ import annotations

import functools
import hashlib
import io
import lzma
import random
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from volume_fixtures import files, memory

from headwater.examine import recovered
from headwater.formats.block_claims import BlockClaims
from headwater.formats.sources import MemorySource
from headwater.formats.xfs import XfsTree
from headwater.formats.xfs_deleted import DeletedTree, Recovered
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import own_column

FIXTURE = Path(__file__).parent / "fixtures" / "deleted-xfs.tar.xz"
AGAIN = "/home/alice/secret1.txt"  # its inode and its block were used by second.txt
SPARSE = "/srv/fragmented.bin"  # its first block was used by the log of Mar 9


@functools.cache
def members() -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(FIXTURE.read_bytes()))) as tar:
        return {m.name.rpartition("/")[2]: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def image() -> bytes:
    return members()["image"]


def sums() -> dict[str, str]:
    lines = members()["SHA256SUMS"].decode().splitlines()
    return {name.removeprefix("."): digest for digest, _, name in (line.partition("  ") for line in lines)}


def deleted(source: ByteSource) -> DeletedTree:
    tree = XfsTree(source)
    assert tree.deleted is not None
    return tree.deleted


def digest(tree: DeletedTree, claim: Recovered, trim: bool = False) -> str:
    source = tree.open(claim.entry.key)
    data = source.pread(0, source.size)
    return hashlib.sha256(data.rstrip(b"\0") if trim else data).hexdigest()


@pytest.fixture(scope="module")
def tree() -> DeletedTree:
    found = deleted(MemorySource(image()))
    found.recovered()
    return found


@pytest.fixture(scope="module")
def without_log() -> DeletedTree:
    """The volume as it is when the log has come round: nothing of the deleted files is in it any more."""
    data = bytearray(image())
    head = XfsTree(MemorySource(data)).head
    at = head.place(head.log_start)
    data[at : at + head.log_blocks * head.block_size] = bytes(head.log_blocks * head.block_size)
    return deleted(MemorySource(data))


def test_every_deleted_name_has_its_exact_bytes(tree: DeletedTree) -> None:
    names = members()["DELETED"].decode().splitlines()
    claims = {c.entry.path: c for c in tree.recovered()}
    known = sums()
    assert len(names) > 180
    assert [n for n in names if n not in claims] == []
    assert [n for n in names if digest(tree, claims[n]) != known[n]] == [AGAIN, SPARSE]


def test_claims_are_separate_and_rest_on_the_log(tree: DeletedTree) -> None:
    claims = {c.entry.path: c for c in tree.recovered()}
    secret = claims["/home/alice/secret3.txt"]
    assert (secret.name_claim, secret.metadata_claim, secret.bound) == ("log", "log", False)
    assert secret.blocks == secret.free > 0
    assert secret.entry.mode == 0o100644
    assert secret.entry.modified is not None
    assert secret.gone is not None
    assert secret.gone > secret.entry.modified
    assert claims["/tmp/.x/link"].entry.target == "/etc/shadow"
    assert claims["/tmp/.x/deep"].entry.kind == "dir"


def test_a_truncated_log_shows_what_it_held(tree: DeletedTree) -> None:
    log = next(c for c in tree.recovered() if c.reason == "truncated")
    assert log.entry.path == "/$Truncated/var/log/auth.log"
    assert digest(tree, log) == sums()["/var/log/auth.log"]


def test_two_generations_of_one_inode_are_two_files_and_the_block_is_the_later_s(tree: DeletedTree) -> None:
    claims = {c.entry.path: c for c in tree.recovered()}
    first, second = claims[AGAIN], claims["/home/alice/second.txt"]
    assert first.entry.inode == second.entry.inode
    assert first.generation != second.generation
    assert digest(tree, second) == sums()["/home/alice/second.txt"]
    assert (first.free, second.free) == (0, second.blocks)
    assert [(o, r) for o, _, r, _ in tree.open(first.entry.key).bad] == [(0, GapReason.OVERWRITTEN)]


def test_blocks_that_a_live_file_has_by_now_are_zeros_and_said(tree: DeletedTree) -> None:
    claim = next(c for c in tree.recovered() if c.entry.path == SPARSE)
    assert (claim.blocks, claim.free) == (60, 59)
    source = tree.open(claim.entry.key)
    assert source.pread(0, 4096) == bytes(4096)
    assert [(o, n, r) for o, n, r, _ in source.bad] == [(0, 4096, GapReason.OVERWRITTEN)]


def test_files_that_are_there_are_not_told_as_deleted(tree: DeletedTree) -> None:
    there = set(sums()) - set(members()["DELETED"].decode().splitlines()) - {"/home/alice/second.txt"}
    assert not [c.entry.path for c in tree.recovered() if c.entry.path in there]


def test_old_inodes_are_cited_where_they_stand(tree: DeletedTree) -> None:
    data = image()
    for claim in tree.recovered():
        record = data[claim.place : claim.place + claim.record_size]
        order = "little" if record[:2] == b"NI" else "big"
        assert record[:2] in (b"NI", b"IN")
        if record[:2] == b"NI":
            assert int.from_bytes(record[92:96], order) == claim.generation  # type: ignore[arg-type]


def test_without_its_log_freed_inodes_still_lead_to_the_contents(without_log: DeletedTree) -> None:
    known = {digest: name for name, digest in sums().items()}
    claims = without_log.recovered()
    back = {known.get(digest(without_log, c, trim=True)) for c in claims if c.entry.kind == "file"}
    names = set(members()["DELETED"].decode().splitlines())
    assert len(back & names) >= len(names) - 2
    counted = Counter((c.name_claim, c.metadata_claim) for c in claims)
    assert set(counted) == {("none", "record"), ("directory", "record")}
    assert counted["directory", "record"] > 50
    # in chunks that are in use the length went with the inode: it is known to the block alone, and no owner is made up
    bound = [c for c in claims if c.bound]
    assert bound
    assert all(c.entry.size % 4096 == 0 and c.entry.uid is None and c.entry.modified is None for c in bound)


def test_the_claims_become_rows(tree: DeletedTree, without_log: DeletedTree) -> None:
    rows = recovered.frame(recovered.recovered_of(tree), "p1!deleted").to_dicts()
    assert len({(r["offset"], r["ordinal"]) for r in rows}) == len(rows)
    assert {r[own_column("name_claim")] for r in rows} == {"log"}
    more = recovered.frame(recovered.recovered_of(without_log), "p1!deleted").to_dicts()
    assert {"bound", "whole"} <= {r[own_column("content_claim")] for r in more}
    assert all(r[own_column("mode")] is None for r in more if r[own_column("content_claim")] == "bound")


@pytest.mark.parametrize("key", ["", "1.2", "1.2:5;0+1@x", "x.1:5;", "1.2:5;0+1", "1.2:5;0-1@3"])
def test_a_key_that_was_never_given_out_opens_nothing(tree: DeletedTree, key: str) -> None:
    with pytest.raises(KeyError):
        tree.open(key)


@pytest.mark.parametrize("seed", range(2))
def test_bent_volumes_neither_raise_nor_show_what_is_not_there(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(image())
    head = XfsTree(MemorySource(data)).head
    log = head.place(head.log_start)
    for _ in range(400):  # in the log, in the groups' heads, in the first inodes
        at = rng.choice((rng.randrange(log, log + (1 << 20)), rng.randrange(512, 1 << 18)))
        data[at] = rng.randrange(256)
    found = deleted(MemorySource(data))
    for claim in found.recovered():
        source = found.open(claim.entry.key)
        assert len(source.pread(0, 4096)) == min(4096, source.size)
        assert all(0 <= at <= len(data) and at + n <= len(data) for at, n in found.extents(claim.entry.key))


# SOURCE: fixtures/xfs4.tar.xz, made by lab/volumes/make.sh OUT xfs4 with Linux 6.1; its script removed /var/log/old-7
def test_version_4_gives_its_deleted_files_back_by_its_log() -> None:
    source = memory("xfs4", "image")
    tree = deleted(source)
    claims = {c.entry.path: c for c in tree.recovered()}
    (claim,) = claims.values()
    assert claim.entry.path == "/var/log/old-7"
    assert (claim.name_claim, claim.metadata_claim, claim.blocks, claim.free) == ("log", "log", 1, 1)
    assert tree.open(claim.entry.key).pread(0, 99) == b"settled line 7\n"
    record = source.pread(claim.place, claim.record_size)
    assert record[:2] == b"NI"
    assert int.from_bytes(record[92:96], "little") == claim.generation


def version_4(entries: list[tuple[int, bytes]], inodes: dict[int, tuple[int, int, int]]) -> MemorySource:
    """The sample with a directory of its own blocks in free space, and a chunk of freed inodes: (mode, first block, blocks)."""
    data = bytearray(files("xfs4")["image"])
    tree = XfsTree(MemorySource(bytes(data)))
    free = max((n, at) for at, n, what in tree.coverage() if what == "unallocated")[1]
    block = bytearray(4096)
    block[:4] = b"XD2D"
    at = 16
    for number, name in entries:
        size = 8 + 1 + len(name) + 2 + 7 & ~7
        block[at : at + 9 + len(name)] = number.to_bytes(8, "big") + bytes([len(name)]) + name
        block[at + size - 2 : at + size] = at.to_bytes(2, "big")
        at += size
    block[at : at + 4] = b"\xff\xff" + (4096 - at).to_bytes(2, "big")
    data[free : free + 4096] = block
    for index in range(8):
        mode, first, count = inodes.get(index, (0, 0, 0))
        record = bytearray(512)
        record[:6] = b"IN" + mode.to_bytes(2, "big") + b"\x02\x02"
        record[32:56] = (1_700_000_000).to_bytes(4, "big").ljust(8, b"\0") * 3
        record[56:64] = (count * 4096).to_bytes(8, "big")
        record[76:80] = (1 if count else 0).to_bytes(4, "big")
        record[100:116] = (first << 21 | count).to_bytes(16, "big")
        data[free + 4096 + index * 512 : free + 4096 + (index + 1) * 512] = record
    return MemorySource(bytes(data))


def test_a_freed_directory_and_a_freed_chunk_of_version_4_are_told_by_place() -> None:
    plain = XfsTree(memory("xfs4", "image"))
    free = max((n, at) for at, n, what in plain.coverage() if what == "unallocated")[1]
    group, inside = divmod(free // 4096 + 1, plain.head.ag_blocks)
    first = (group << plain.head.ag_block_bits | inside) << plain.head.inode_bits
    content = (group << plain.head.ag_block_bits) + inside + 9
    names = [(first, b"."), (plain.head.root, b".."), (first + 3, b"taken.tgz")]
    tree = deleted(version_4(names, {0: (0o40755, 0, 0), 3: (0o100600, content, 2)}))
    claims = {c.entry.inode: c for c in tree.recovered()}
    found = claims[first + 3]
    assert found.entry.path.endswith("/taken.tgz")
    assert (found.name_claim, found.metadata_claim, found.entry.size, found.free) == ("directory", "record", 8192, 2)
    # a block in which something else than inodes stands is no chunk
    bent = version_4(names, {3: (0o100600, content, 2)})
    data = bytearray(bent.pread(0, bent.size))
    data[free + 4096 + 7 * 512] = 0
    assert first + 3 not in {c.entry.inode for c in deleted(MemorySource(bytes(data))).recovered() if c.entry.mode}


def test_a_block_is_the_last_file_s_that_had_it() -> None:
    claims = BlockClaims()
    claims.add(10, 5, 1)
    claims.add(12, 1, 3)
    claims.add(12, 2, 2)
    assert claims.later(10, 5, 1).tolist() == [False, False, True, True, False]
    assert claims.later(12, 2, 2).tolist() == [True, False]
    assert not BlockClaims().later(1, 3, 0).any()
