# SPDX-License-Identifier: Apache-2.0
"""Deleted files come back under their names with their exact bytes; what another file has by now is never shown as theirs.

SOURCE: fixtures/deleted-ext{3,4}.raw.xz, made by the Linux kernel's own driver with lab/deleted/make.sh on 2026-11-22;
the .sha256 files are what sha256sum said of the files before they were deleted. Apache-2.0.
"""

from __future__ import annotations

import hashlib
import lzma
import random
from pathlib import Path

import numpy as np
import pytest

from headwater.examine import recovered
from headwater.formats.ext import ExtTree, open_ext
from headwater.formats.ext_history import Old, OldName, OldState
from headwater.formats.ext_inode import Row
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason
from headwater.model.records import own_column

FIXTURES = Path(__file__).parent / "fixtures"
KINDS = ["ext4", "ext3"]


def image(kind: str) -> bytearray:
    return bytearray(lzma.decompress((FIXTURES / f"deleted-{kind}.raw.xz").read_bytes()))


def tree(data: bytes | bytearray) -> ExtTree:
    return open_ext(MemorySource(bytes(data)))


def known(kind: str) -> dict[str, str]:
    lines = (FIXTURES / f"deleted-{kind}.sha256").read_text().splitlines()
    return {name.removeprefix("."): digest for digest, _, name in (line.partition("  ") for line in lines)}


def found(opened: ExtTree) -> dict[str, str]:
    assert opened.deleted is not None
    out = {}
    for entry in opened.deleted.entries():
        if entry.kind == "file":
            source = opened.deleted.open(entry.key)
            out[entry.path] = hashlib.sha256(source.pread(0, source.size)).hexdigest()
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_every_deleted_name_has_its_exact_bytes(kind: str) -> None:
    before = known(kind)
    kept = "/home/alice/kept.txt"
    log = "/var/log/auth.log"
    expected = {
        ("/$Truncated" + path if path == log else path): digest for path, digest in before.items() if path != kept
    }
    assert found(tree(image(kind))) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_claims_are_separate_and_times_are_the_journal_s(kind: str) -> None:
    opened = tree(image(kind))
    assert opened.deleted is not None
    claims = {r.entry.path: r for r in opened.deleted.recovered()}
    secret = claims["/home/alice/secret12.txt"]
    assert (secret.reason, secret.named, secret.free, secret.blocks) == ("deleted", True, 25, 25)
    assert secret.seen is not None
    assert secret.gone is not None
    assert secret.seen < secret.gone
    assert secret.entry.deleted == secret.gone
    assert claims["/tmp/.x/link"].entry.target == "/etc/shadow"
    assert claims["/$Truncated/var/log/auth.log"].reason == "truncated"


def test_an_old_inode_is_cited_where_its_record_stands() -> None:
    data = image("ext4")
    opened = tree(data)
    assert opened.deleted is not None
    for claim in opened.deleted.recovered():
        record = bytes(data[claim.place : claim.place + claim.record_size])
        assert int.from_bytes(record[100:104], "little") == claim.generation
        assert int.from_bytes(record[4:8], "little") == claim.entry.size


def test_blocks_given_to_another_file_are_zeros_and_said() -> None:
    data = image("ext4")
    opened = tree(data)
    assert opened.deleted is not None
    secret = next(r for r in opened.deleted.recovered() if r.entry.path.endswith("secret12.txt"))
    offset, _ = opened.deleted.extents(secret.entry.key)[0]
    number = offset // 1024
    group, index = divmod(number - opened.block.first_block, opened.block.blocks_per_group)
    at = int(opened.groups.block_bitmap[group]) * 1024 + index // 8
    data[at] |= 1 << index % 8
    again = tree(data)
    assert again.deleted is not None
    secret = next(r for r in again.deleted.recovered() if r.entry.path.endswith("secret12.txt"))
    assert (secret.free, secret.blocks) == (24, 25)
    source = again.deleted.open(secret.entry.key)
    assert source.pread(0, 1024) == bytes(1024)
    assert [(o, n, r) for o, n, r, _ in source.bad] == [(0, 1024, GapReason.OVERWRITTEN)]


def test_a_live_file_is_not_told_as_deleted() -> None:
    assert not [path for path in found(tree(image("ext4"))) if "kept" in path]


@pytest.mark.parametrize(
    "key", ["", "1", "1.2:", "1.2:5;0+1@999999999", "x.y:5;0+1@3", "1.2:5;0+1@3;", "1.2:9;i@99999999999"]
)
def test_a_key_that_was_never_given_out_opens_nothing_outside(key: str) -> None:
    opened = tree(image("ext4"))
    assert opened.deleted is not None
    try:
        source = opened.deleted.open(key)
    except KeyError:
        return
    assert len(source.pread(0, source.size)) == source.size


@pytest.mark.parametrize("seed", range(12))
def test_a_bent_journal_raises_nothing_and_ends(seed: int) -> None:
    chance = random.Random(seed)
    data = image(KINDS[seed % 2])
    opened = tree(data)
    assert opened.deleted is not None
    places = opened.deleted.places
    for _ in range(60):
        at = chance.choice(places) + chance.randrange(1024)
        data[at] = chance.randrange(256)
    again = tree(data)
    if again.deleted is not None:
        for entry in again.deleted.entries():
            source = again.deleted.open(entry.key)
            source.pread(0, min(source.size, 4096))
            again.deleted.extents(entry.key)


def test_a_name_of_a_later_file_is_not_given_to_the_deleted_one() -> None:
    row = Row(20, 0o100644, 0, 0, 5, 1, 0, 0, 0, None, None, None, None, None)
    old = Old(True, 0, {})
    old.names[20] = [OldName(2, b"secret", 4), OldName(2, b"other", 9)]
    assert old.name_of(OldState(row, 1, 7, 0, b"")) == OldName(2, b"secret", 4)
    assert old.name_of(OldState(row, 2, 9, 0, b"")) == OldName(2, b"other", 9)
    assert old.name_of(OldState(row, 0, 3, 0, b"")) is None


def generations() -> bytearray:
    """SOURCE: fixtures/generations-ext4.raw.xz, made by the kernel with lab/deleted/generations.sh on 2026-11-22; Apache-2.0."""
    return bytearray(lzma.decompress((FIXTURES / "generations-ext4.raw.xz").read_bytes()))


def test_every_generation_of_one_inode_is_a_file_of_its_own() -> None:
    opened = tree(generations())
    assert opened.deleted is not None
    claims = {r.entry.path: r for r in opened.deleted.recovered()}
    names = ("/tmp/first", "/tmp/second", "/tmp/third")
    assert set(names) <= set(claims)
    assert len({claims[n].entry.inode for n in names}) == 1
    assert len({claims[n].generation for n in names}) == 3
    numbers = np.array([r.entry.inode for r in claims.values()])
    places = opened.deleted.record_spans(numbers)[0].tolist()
    assert places == [r.place for r in claims.values()]
    lines = (FIXTURES / "generations-ext4.sha256").read_text().split()
    known = {name.removeprefix("."): digest for digest, name in zip(lines[::2], lines[1::2], strict=True)}
    for name in names:  # whole, or with its lost blocks said: never another file's bytes
        claim, source = claims[name], opened.deleted.open(claims[name].entry.key)
        exact = hashlib.sha256(source.pread(0, source.size)).hexdigest() == known[name]
        assert exact == (claim.free == claim.blocks), name
        assert exact != bool(source.bad), name


def test_an_inode_that_the_journal_forgot_is_told_with_what_its_record_still_says() -> None:
    data = generations()
    opened = tree(data)
    assert opened.deleted is not None
    for place in opened.deleted.places[1:]:  # the journal as new: no transaction is left in it
        data[place : place + 1024] = bytes(1024)
    claims = recovered.recovered_of(tree(data).deleted)
    frame = recovered.frame(claims, "deleted").to_dicts()
    assert [
        (r[own_column("name_claim")], r[own_column("metadata_claim")]) for r in frame if r[own_column("inode")] == 14
    ]
    third = next(r for r in frame if r[own_column("inode")] == 14)
    assert third[own_column("metadata_claim")] == "record"
    assert third[own_column("content_claim")] in ("empty", "none")  # ext4 wiped size and extents
    assert third["t_recorded"] is not None  # the time of deletion is in the record
