# SPDX-License-Identifier: Apache-2.0
"""The stream of a collection: what a hostile server sends may cost itself, never the rest nor us."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.acquire.collector_wire import Wire
from headwater.formats.collection import CollectionTree, is_collection, members
from headwater.formats.collection_records import Records
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason

MARKER = b"0123456789abcdef"


def _made(write: Callable[[Wire], None]) -> bytes:
    fd = os.memfd_create("stream")
    try:
        wire = Wire(fd, MARKER)
        wire.start()
        wire.record("H", {"host": "web01", "start": 1})
        write(wire)
        wire.record("Q", {"end": 2})
        wire.flush()
        return os.pread(fd, 1 << 24, 0)
    finally:
        os.close(fd)


def _small(wire: Wire) -> None:
    for name in (b"/etc/passwd", b"/etc/group", b"/etc/hosts"):
        wire.record(
            "F", {"kind": "file", "mode": 33188, "status": "success", "modified": 5}, name, b"content of " + name
        )
    wire.record("B", {"kind": "file", "mode": 33188}, b"/big")
    wire.record("D", {}, b"", b"abc")
    wire.record("S", {"length": 10})
    wire.record("D", {}, b"", b"def")
    wire.record("E", {"status": "success", "size": 16})
    wire.record("B", {"kind": "command", "line": "ps%20-ef", "start": 10**18}, b"ps-ef")
    wire.record("D", {}, b"", b"PID\n")
    wire.record("X", {}, b"", b"oops")
    wire.record("E", {"status": "success", "exit": 0, "end": 10**18 + 5})


def _tree(data: bytes) -> CollectionTree:
    return CollectionTree(MemorySource(data))


def _all(data: bytes) -> dict[str, bytes]:
    tree = _tree(data)
    found = {}
    for entry in tree.entries():
        source = tree.open(entry.key)
        found[entry.path] = source.pread(0, min(source.size, 1 << 20))
        tree.extents(entry.key)
    return found


def test_tree_gives_files_holes_and_answers() -> None:
    data = _made(_small)
    assert is_collection(data)
    found = _all(data)
    assert found["/etc/group"] == b"content of /etc/group"
    assert found["/big"] == b"abc" + bytes(10) + b"def"
    assert found["/@command/ps-ef.stdout"] == b"PID\n"
    assert found["/@command/ps-ef.stderr"] == b"oops"
    assert b'"line": "ps -ef"' in found["/@command/ps-ef.json"]
    tree = _tree(data)
    entry = next(e for e in tree.entries() if e.path == "/big")
    assert [data[at : at + n] for at, n in tree.extents(entry.key)] == [b"abc", b"def"]
    assert not tree.warnings
    assert tree.facts["host"] == "web01"


def test_stream_cut_anywhere_keeps_what_came_whole_and_says_so() -> None:
    data = _made(_small)
    whole = _all(data)
    for cut in range(30, len(data) - 1, 7):
        tree = _tree(data[:cut])
        for path, content in _all(data[:cut]).items():
            assert whole[path].startswith(content) or path.endswith(".json")
        list(tree.entries())
        assert any(w.reason == GapReason.TRUNCATED for w in tree.warnings)


def test_damage_in_the_middle_costs_one_record() -> None:
    data = bytearray(_made(_small))
    at = data.index(b"F 65 ") if b"F 65 " in data else data.index(MARKER + b" F", 60)
    data[at : at + 40] = bytes(40)
    tree = _tree(bytes(data))
    paths = {e.path for e in tree.entries()}
    assert {"/etc/hosts", "/big"} <= paths
    assert sum(w.length for w in tree.warnings) > 0


def test_content_that_looks_like_records_is_content() -> None:
    bait = b"fedcba9876543210 F 40 0\nkind=file\nstatus=success\npath=/etc/shadow\nHWCOL1 0123456789abcde0\n"

    def write(wire: Wire) -> None:
        wire.record("F", {"kind": "file", "status": "success"}, b"/tmp/bait", bait)

    assert _all(_made(write)) == {"/tmp/bait": bait}


def test_path_that_climbs_stays_a_name() -> None:
    def write(wire: Wire) -> None:
        for name in (
            b"../../etc/cron.d/x",
            b"/a/../../b",
            b"relative",
            b"/x/\n/\x1b[2J",
            b"//double///",
            b"/@command/../evil",
        ):
            wire.record("F", {"kind": "file", "status": "success"}, name, b"1")
            wire.record("F", {"kind": "link", "target": 5, "status": "success"}, name + b"/etc/")

    tree = _tree(_made(write))
    for entry in tree.entries():
        assert entry.path.startswith("/")
        assert "\n" not in entry.path
        assert "\x1b" not in entry.path


def test_file_that_has_an_answers_name_does_not_pass_for_the_answer() -> None:
    def write(wire: Wire) -> None:
        for name in (b"/@command/ps-ef.stdout", b"/@raw/pids.txt", b"/@deleted/1/exe"):
            wire.record("F", {"kind": "file", "status": "success"}, name, b"planted")
        _small(wire)

    found = _all(_made(write))
    assert found["/@command/ps-ef.stdout"] == b"PID\n"
    assert found["/@file/@command/ps-ef.stdout"] == b"planted"
    assert "/@raw/pids.txt" not in found
    assert "/@deleted/1/exe" not in found


def test_lengths_that_lie_are_not_believed() -> None:
    head = b"HWCOL1 " + MARKER + b"\n" + MARKER + b" H 0 0\n"
    lies = (
        b" F 9 999999999999999999\npath=/liar",
        b" F 999999 5\npath=/liar",
        b" F -1 5\npath=/liar",
        b" F 99999999999 5\npath=/liar",
        b" B 20 0\nkind=file\npath=/liar" + MARKER + b" S 26 0\nlength=4611686018427387903\n",
        b" B 20 0\nkind=file\npath=/liar" + MARKER + b" S 10 0\nlength=-9\n",
        b" F 34 3\nkind=link\ntarget=99999\npath=/liarabc",
        b" F 40 3\nkind=file\nmode=99999999999999999999999\npath=",
    )
    for lie in lies:
        data = head + MARKER + lie + MARKER + b" F 34 2\nkind=file\nstatus=success\npath=/okok"
        tree = _tree(data)
        for entry in tree.entries():
            source = tree.open(entry.key)
            source.pread(0, 100)
            source.pread(max(0, source.size - 10), 100)
        assert tree.warnings


def test_thousand_pieces_of_a_byte_each_are_read_in_one_pass() -> None:
    def write(wire: Wire) -> None:
        wire.record("B", {"kind": "file"}, b"/drip")
        for _ in range(5000):
            wire.record("D", {}, b"", b"x")
        wire.record("E", {"status": "success"})

    assert _all(_made(write)) == {"/drip": b"x" * 5000}


def test_same_path_twice_is_two_entries() -> None:
    def write(wire: Wire) -> None:
        wire.record("F", {"kind": "file", "status": "success"}, b"/a", b"1")
        wire.record("F", {"kind": "file", "status": "success"}, b"/a", b"2")

    assert _all(_made(write)) == {"/a": b"1", "/a!2": b"2"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_noise_never_raises(seed: int, changes: int) -> None:
    noise = random.Random(seed)
    data = bytearray(_made(_small))
    for _ in range(changes):
        at = noise.randrange(24, len(data))
        data[at : at + noise.randrange(1, 4)] = noise.randbytes(noise.randrange(0, 6))
    _all(bytes(data))
    for member in members(Records(MemorySource(bytes(data)))):
        assert 0 <= member.record.offset < member.end <= len(data) or member.end == member.record.offset
