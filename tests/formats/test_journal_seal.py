# SPDX-License-Identifier: Apache-2.0
"""Sealed journals: a record that was changed after its epoch and passes as journald's own."""

from __future__ import annotations

import lzma
import random
import subprocess
from functools import cache
from pathlib import Path

import pytest
from disk_images import ext, run, source, tool

from headwater.formats.filesystems import open_filesystem
from headwater.formats.journal_layout import header_of
from headwater.formats.journal_seal import SealKey, Seals, check_seals, seal_keys

FIXTURE = Path(__file__).parent / "fixtures" / "sealed.journal.xz"
KEY = "ad739c-d52ff5-f25738-f6adde/3581657d-1e8480"


# SOURCE: written by systemd-journald 252 by lab/sealed_journal.sh, Apache-2.0, sha256 in fixtures/sealed.journal.sha256
@cache
def journal() -> bytes:
    return lzma.decompress(FIXTURE.read_bytes())


def checked(data: bytes, key: SealKey | None) -> Seals:
    header = header_of(data[:272])
    assert header is not None
    return check_seals(lambda at, n: data[at : at + n], len(data), header, key)


def test_journal_as_journald_sealed_it_holds_to_its_end() -> None:
    (key,) = seal_keys(f"the key is\n\t{KEY}\n")
    assert (key.start, key.interval) == (0x3581657D * 2_000_000, 2_000_000)
    found = checked(journal(), key)
    assert (found.sealed, found.checked, found.tags, found.good, found.fault) == (True, True, 4, 4, "")
    assert (found.entries, found.unsealed, found.miscounted) == (7, 0, {})
    assert found.first is not None
    assert found.until is not None
    assert 0 < found.until - found.first < 10_000_000
    without = checked(journal(), None)
    assert (without.checked, without.good, without.fault) == (False, 4, "")


@pytest.mark.parametrize("what", [b"later 2", b"web01", b"_COMM=logger"])
def test_one_changed_letter_breaks_the_seal_over_it_and_no_other(what: bytes) -> None:
    data = bytearray(journal())
    data[data.index(what) + len(what) - 1] ^= 1
    found = checked(bytes(data), seal_keys(KEY)[0])
    assert found.good == found.tags - 1 == 3
    assert "does not fit" in found.fault
    assert found.broken_until is not None
    assert checked(bytes(data), None).fault == "", "without the key nothing tells"


def test_record_cut_out_of_a_sealed_journal_shows() -> None:
    data = bytearray(journal())
    at = data.index(b"later 3") - 80
    data[at : at + 160] = bytes(160)
    assert checked(bytes(data), seal_keys(KEY)[0]).fault
    assert checked(bytes(data), None).fault == "no object stands where one must"


def test_key_of_another_host_fits_no_seal() -> None:
    key = seal_keys(KEY)[0]
    found = checked(journal(), key._replace(seed=bytes(12)))
    assert (found.good, found.tags) == (0, 4)
    assert seal_keys("no key, 4f8e2e-d2e03c/1-2 and more") == []


def test_hostile_journal_ends_in_a_fault_and_never_raises() -> None:
    key, rng = seal_keys(KEY)[0], random.Random(3)
    end = journal().rindex(b"later 3") + 4096
    for _ in range(25):
        data = bytearray(journal()[:end])
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(16, 264) if rng.random() < 0.2 else rng.randrange(3_700_000, end)] = rng.randrange(256)
        found = checked(bytes(data), key if rng.random() < 0.3 else None)
        assert found.good <= found.tags
    assert checked(journal()[:300], None).entries == 0


def test_verdict_is_that_of_journalctl(tmp_path: Path) -> None:
    journalctl, key = tool("journalctl"), seal_keys(KEY)[0]
    words = journal()
    flips = [None, *(words.index(w) + 2 for w in (b"later 1", b"Journal stopped"))]
    for flip in flips:
        data = bytearray(words)
        if flip is not None:
            data[flip] ^= 1
        path = tmp_path / "system.journal"
        path.write_bytes(data)
        done = subprocess.run(
            [journalctl, "--verify", f"--file={path}", f"--verify-key={KEY}"], capture_output=True, text=True
        )
        if "not supported" in done.stderr or "compiled without" in done.stderr:
            pytest.skip("this journalctl cannot check seals")
        assert (done.returncode == 0) == (not checked(bytes(data), key).fault), (flip, done.stderr)


def test_journal_in_an_image_is_found_and_checked(tmp_path: Path) -> None:
    from headwater.examine.opening import View
    from headwater.procedure.child_notamper import JOURNAL, _sealed

    path = tmp_path / "system.journal"
    path.write_bytes(journal())
    image = ext(tmp_path / "image", size="24M", commands=f"mkdir log\nwrite {path} log/system.journal\n")
    run(tool("debugfs"), "-R", "stat log/system.journal", image)
    tree = open_filesystem(source(image))
    assert tree is not None
    entry = next(e for e in tree.entries() if e.path.endswith(".journal"))
    found = _sealed(View("p1", tree, 0, 1, True), entry, [seal_keys(KEY)[0]._replace(seed=bytes(12)), *seal_keys(KEY)])
    assert found is not None
    assert (found["whole"], found["good"], found["checked"]) == ("p1!/log/system.journal", 4, True)
    assert found["hashed"] > 90
    assert found["altered"] == found["unhashed"] == 0
    other = _sealed(View("p1", tree, 0, 1, True), entry, [seal_keys(KEY)[0]._replace(seed=bytes(12))])
    assert other is not None
    assert (other["checked"], other["fault"]) == (False, ""), "another host's key proves nothing against this one"
    assert JOURNAL.match("/var/log/journal/00112233445566778899aabbccddeeff/user-1000.journal~")
    assert not JOURNAL.match("/home/u/x.journal")
