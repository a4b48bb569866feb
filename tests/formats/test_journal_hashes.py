# SPDX-License-Identifier: Apache-2.0
"""Hashes of journals: a record whose words were changed in place, and whose journal still opens and lists without a word."""

from __future__ import annotations

import gzip
import lzma
import random
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest

from headwater.formats.journal_hashes import CONTENT_MOST, KEYED, Hashes, check_hashes, lookup3, siphash
from headwater.formats.journal_layout import DATA, INCOMPATIBLE_COMPACT, header_of

GOLDEN = Path(__file__).parents[1] / "golden" / "linux_journal"
SEALED = Path(__file__).parent / "fixtures" / "sealed.journal.xz"


@cache
def journal(name: str) -> bytes:
    """A journal that journald wrote; sources beside each fixture."""
    if name == "sealed":
        return lzma.decompress(SEALED.read_bytes())
    return gzip.decompress((GOLDEN / f"{name}.journal.gz").read_bytes())


def checked(data: bytes) -> Hashes:
    header = header_of(data[:272])
    assert header is not None
    return check_hashes(lambda at, n: data[at : at + n], len(data), header)


def test_both_hashes_give_what_their_authors_publish() -> None:
    # the SipHash paper, appendix A; Jenkins' lookup3.c, driver5
    assert int(siphash([bytes(range(15))], bytes(range(16)))[0]) == 0xA129CA6149BE45E5
    assert int(lookup3([b"Four score and seven years ago"])[0]) == 0x17770551CE7226E6
    assert int(lookup3([b""])[0]) == 0xDEADBEEFDEADBEEF
    some = [random.Random(n).randbytes(n) for n in range(70)]
    for hashes in (lookup3, lambda c: siphash(c, b"k" * 16)):
        assert [int(h) for h in hashes(some)] == [int(hashes([c])[0]) for c in some], "alone as among others"


@pytest.mark.parametrize(("name", "keyed"), [("regular", False), ("compact", True), ("sealed", True)])
def test_a_journal_as_journald_wrote_it_fits(name: str, keyed: bool) -> None:
    header = header_of(journal(name)[:272])
    assert header is not None
    assert bool(header.incompatible & KEYED) is keyed
    found = checked(journal(name))
    assert found.hashed > 90
    assert (found.wrong, found.passed_over) == (0, 0)


@pytest.mark.parametrize("name", ["regular", "compact", "sealed"])
def test_words_changed_in_place_do_not_fit_their_hash(name: str) -> None:
    data = bytearray(journal(name))
    at = data.index(b"MESSAGE=")
    data[at + 8] ^= 1
    found = checked(bytes(data))
    head = 72 if struct.unpack_from("<I", data, 12)[0] & INCOMPATIBLE_COMPACT else 64
    assert (found.wrong, found.wrong_at) == (1, at - head)


@pytest.mark.parametrize("name", ["regular", "compact"])
def test_verdict_is_that_of_journalctl(name: str, tmp_path: Path) -> None:
    journalctl = shutil.which("journalctl")
    if journalctl is None:
        pytest.skip("journalctl is not installed")
    path = tmp_path / "system.journal"
    for flip in (-1, 0, 3, 9):
        data = bytearray(journal(name))
        if flip >= 0:
            data[data.index(b"MESSAGE=") + 8 + flip] ^= 4
        header = header_of(bytes(data[:272]))
        assert header is not None
        path.write_bytes(
            data.ljust(header.header_size + header.arena_size, b"\0")
        )  # the fixtures end where zeros begin
        done = subprocess.run([journalctl, "--verify", f"--file={path}"], capture_output=True, text=True)
        assert (done.returncode == 0) == (not checked(bytes(data)).wrong), (flip, done.stderr)


def test_an_object_beyond_the_bound_is_told_and_not_read() -> None:
    data = bytearray(journal("regular") + bytes(1 << 17))
    at = data.index(b"MESSAGE=") - 64
    assert data[at] == DATA
    struct.pack_into("<Q", data, at + 8, CONTENT_MOST + 65)
    assert checked(bytes(data)).passed_over == 1
    data[at + 1] = 4  # ZSTD, of which nothing there is
    struct.pack_into("<Q", data, at + 8, 100)
    assert checked(bytes(data)).passed_over == 1


def test_hostile_journals_end() -> None:
    chance = random.Random(5)
    for _ in range(150):
        data = bytearray(journal(chance.choice(["regular", "compact"]))[: 1 << 20])
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(60_000 if chance.random() < 0.8 else 272)] = chance.randrange(256)
        data[:8] = b"LPKSHHRH"
        cut = bytes(data[: chance.randrange(272, len(data))])
        assert checked(cut).hashed >= 0
