# SPDX-License-Identifier: Apache-2.0
"""The journal: every entry is found whatever the index says, and hostile lengths, cycles and bombs stay bounded."""

from __future__ import annotations

import lzma
import random
import shutil
import struct
import subprocess
from pathlib import Path

import journal_scalar
import pytest
from tiling import fixture, golden, hold, run

from headwater.examine.parsers import linux_journal
from headwater.formats.journal import VALUE_LIMIT
from headwater.formats.lz4_block import decompress
from headwater.model.kinds import GapReason
from headwater.model.records import File

PATH = "p2!/var/log/journal/8f3b6e0b1d5a4c0f9e2d7a6c5b4a3920/system.journal"


class Writer:
    """A journal by the specification, small enough to be bent at will."""

    def __init__(self) -> None:
        self.body = bytearray(272)
        self.entries: list[int] = []

    def put(self, kind: int, content: bytes, flags: int = 0, size: int | None = None) -> int:
        at = len(self.body)
        self.body += struct.pack("<BB6xQ", kind, flags, size or 16 + len(content)) + content
        self.body += bytes(-len(self.body) % 8)
        return at

    def data(self, payload: bytes, flags: int = 0, size: int | None = None) -> int:
        return self.put(1, bytes(48) + payload, flags, size)

    def entry(self, *items: int, second: int = 1_772_336_000) -> int:
        number = len(self.entries) + 1
        content = struct.pack("<QQQ16sQ", number, second * 1_000_000 + number, number, b"\x11" * 16, 0)
        self.entries.append(self.put(3, content + b"".join(struct.pack("<QQ", i, 0) for i in items)))
        return self.entries[-1]

    def close(self, arrays: list[tuple[int, list[int]]] | None = None, count: int | None = None) -> bytes:
        at = 0
        if arrays is None:
            at = self.put(6, struct.pack(f"<Q{len(self.entries)}Q", 0, *self.entries))
        head = struct.pack("<8sIIB7x64xQQQQQQQQ", b"LPKSHHRH", 0, 3, 1, 272, len(self.body) - 272, 0, 0, 0, 0, 0, 0)
        number = len(self.entries) if count is None else count
        head += struct.pack("<QQQQQQQ", number, len(self.entries), 1, at, 0, 0, 0)
        self.body[: len(head)] = head
        return bytes(self.body)


def lz4_literals(content: bytes) -> bytes:
    """The simplest LZ4 block: literals alone."""
    out = bytearray([0xF0])
    rest = len(content) - 15
    out += b"\xff" * (rest // 255) + bytes([rest % 255])
    return struct.pack("<Q", len(content)) + bytes(out) + content


@pytest.mark.parametrize("name", ["compact.journal.gz", "regular.journal.gz"])
def test_journal_golden(name: str) -> None:
    golden(linux_journal, "linux_journal", name, PATH)


@pytest.mark.parametrize("name", ["compact.journal.gz", "regular.journal.gz"])
def test_journal_is_accounted_for_in_any_state(name: str) -> None:
    data = fixture("linux_journal", name)
    first = _entries(data)[0][0]
    chance = random.Random(11)
    states = [data, b"", data[:100], data[:250], data + chance.randbytes(300), chance.randbytes(4000)]
    states += [data[: chance.randrange(first, len(data))] for _ in range(4)]
    for _ in range(8):
        bent = bytearray(data)
        for _ in range(30):
            bent[chance.randrange(first - 4000, len(bent))] = chance.randrange(256)
        states.append(bytes(bent))
    for state in states:
        done = hold(linux_journal, state, PATH)
        count = done[-1].count
        if count:
            found = sum(len(b.events) for b in done)
            assert found + count.lost == count.declared
        covered = sum(int(b.events["length"].sum()) for b in done)
        covered += sum(g.length for b in done for g in b.gaps) + sum(s.size for b in done for s in b.skipped)
        assert covered == len(state)


def _entries(data: bytes) -> list[tuple[int, int]]:
    """Where the entries stand, and how long they are."""
    return [(row[0], row[1]) for row in journal_scalar.answer(data)[0]]


def test_journal_zeroed_entry_is_overwritten_and_counted_as_lost() -> None:
    data = bytearray(fixture("linux_journal", "compact.journal.gz"))
    at, length = _entries(bytes(data))[7]
    data[at : at + length] = bytes(length)
    rows, gaps, done = run(linux_journal, bytes(data), PATH)
    assert len(rows) == 39
    assert [(g.offset, g.reason) for g in gaps] == [(at, GapReason.OVERWRITTEN)]
    assert done[-1].count.lost == 1  # type: ignore[union-attr]


def test_journal_entry_cut_out_of_the_index_is_still_there_and_said_to_be() -> None:
    writer = Writer()
    for text in (b"MESSAGE=one", b"MESSAGE=two", b"MESSAGE=three"):
        writer.entry(writer.data(text))
    hidden = writer.entries.pop(1)
    rows, _, done = run(linux_journal, writer.close(count=2), PATH)
    assert [(r["message"], r["unlisted"]) for r in rows] == [("one", False), ("two", True), ("three", False)]
    assert rows[1]["offset"] == hidden
    assert done[-1].count.declared == 3  # type: ignore[union-attr]


def test_journal_lying_length_hides_no_listed_entry() -> None:
    writer = Writer()
    writer.entry(writer.data(b"MESSAGE=one"))
    writer.data(b"MESSAGE=liar", size=1 << 10)
    writer.entry(writer.data(b"MESSAGE=two"))
    data = writer.close() + bytes(2000)
    rows, gaps, _ = run(linux_journal, data, PATH)
    assert [r.get("message") for r in rows] == ["one", "two"]
    assert sum(g.length for g in gaps) > 0


def test_journal_array_that_points_to_itself_ends() -> None:
    writer = Writer()
    writer.entry(writer.data(b"MESSAGE=one"))
    at = len(writer.body)
    data = bytearray(writer.close())
    struct.pack_into("<Q", data, at + 16, at)
    rows, _, _ = run(linux_journal, bytes(data), PATH)
    assert [r["message"] for r in rows] == ["one"]


def test_journal_items_that_point_nowhere_are_counted_not_guessed() -> None:
    writer = Writer()
    good = writer.data(b"MESSAGE=one")
    writer.entry(good, 7, 1 << 60, 272 + 8, len(writer.body) + 100_000)
    rows, _, _ = run(linux_journal, writer.close(), PATH)
    assert (rows[0]["message"], rows[0]["fields_missing"]) == ("one", 4)


def test_journal_compressed_fields_of_each_kind() -> None:
    writer = Writer()
    text = b"MESSAGE=" + b"word " * 300
    writer.entry(writer.data(lzma.compress(text), flags=1))
    writer.entry(writer.data(lz4_literals(text), flags=2))
    writer.entry(writer.data(b"not compressed at all", flags=2))
    rows, gaps, _ = run(linux_journal, writer.close(), PATH)
    assert [len(r.get("message", "")) for r in rows] == [1500, 1500, 0]
    assert [g.reason for g in gaps] == [GapReason.UNREADABLE]


def test_journal_bomb_in_a_field_is_cut() -> None:
    writer = Writer()
    writer.entry(writer.data(lzma.compress(b"MESSAGE=" + bytes(8_000_000)), flags=1))
    rows, gaps, _ = run(linux_journal, writer.close(), PATH)
    assert len(rows[0]["message"]) == VALUE_LIMIT
    assert [g.reason for g in gaps] == [GapReason.TOO_LONG]


def test_journal_unknown_feature_is_unsupported_and_not_guessed() -> None:
    data = bytearray(fixture("linux_journal", "regular.journal.gz"))
    data[13] |= 0x80
    rows, gaps, _ = run(linux_journal, bytes(data), PATH)
    assert (rows, [g.reason for g in gaps]) == ([], [GapReason.UNSUPPORTED])


def test_journal_repeated_and_strange_fields() -> None:
    writer = Writer()
    fields = [
        b"MESSAGE=a\xffb",
        b"X=1",
        b"X=2",
        b"lower=case",
        b"UNIT=nginx.service",
        b"USER=root",
        b"_PID=77",
        b"_UID=x",
    ]
    writer.entry(*[writer.data(f) for f in fields])
    rows, _, _ = run(linux_journal, writer.close(), PATH)
    row = rows[0]
    assert (row["message"], row["X"], row["other_fields"]) == ("a\\xffb", "1\n2", "lower=case")
    assert (row["unit"], row["own.USER"], row["pid"]) == ("nginx.service", "root", 77)
    assert len({name.lower() for name in row}) == len(row)


def test_journal_unreadable_page_costs_what_stands_there_and_no_more() -> None:
    data = fixture("linux_journal", "compact.journal.gz")
    last = _entries(data)[-1][0]

    def pread(at: int, length: int) -> bytes:
        if at <= last < at + length:
            raise OSError(5, "input/output error")
        return data[at : at + length]

    done = list(linux_journal.batches(File(PATH, len(data), pread)))
    assert GapReason.UNREADABLE in {g.reason for g in done[-1].gaps}


@pytest.mark.parametrize("seed", range(3))
def test_lz4_noise_raises_only_value_errors(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(300):
        try:
            assert len(decompress(chance.randbytes(chance.randrange(200)), 1000)) < 3000
        except ValueError:
            continue


def test_lz4_block_with_overlapping_match() -> None:
    assert decompress(bytes([0x35]) + b"abc" + struct.pack("<H", 3) + bytes([0x10]) + b"!", 100) == b"abc" * 4 + b"!"


def test_journal_agrees_with_journalctl(tmp_path: Path) -> None:
    if not shutil.which("journalctl"):
        pytest.skip("no journalctl")
    for name in ("compact.journal.gz", "regular.journal.gz"):
        data = fixture("linux_journal", name)
        place = tmp_path / name.removesuffix(".gz")
        arena = sum(struct.unpack_from("<QQ", data, 88))
        place.write_bytes(data.ljust(arena, b"\0"))  # journalctl wants the zeros that the fixture leaves out
        command = ["journalctl", "--file", str(place), "-o", "export", "--all"]
        told = subprocess.run(command, capture_output=True, check=False).stdout
        rows, _, _ = run(linux_journal, data, PATH)
        assert told.count(b"__REALTIME_TIMESTAMP=") == len(rows)
        for row in rows:
            assert b"__REALTIME_TIMESTAMP=%d\n" % (row["t_recorded"] // 1000) in told
            assert row["message"].encode() in told  # also in binary fields, whose bytes stand as they are


def test_journal_ending_of_a_users_own_manager_is_no_shutdown() -> None:
    writer = Writer()
    text = writer.data(b"MESSAGE=Reached target shutdown.target - Shutdown.")
    common = [writer.data(f) for f in (b"SYSLOG_IDENTIFIER=systemd", b"_COMM=systemd")]
    writer.entry(text, *common, writer.data(b"_PID=453"), writer.data(b"_UID=1000"))
    writer.entry(text, *common, writer.data(b"_PID=1"), writer.data(b"_UID=0"))
    rows, _, _ = run(linux_journal, writer.close(), PATH)
    assert [r["kind"] for r in rows] == ["log.message", "system.shutdown"]


def test_journal_sudo_writes_blanks_before_its_text() -> None:
    writer = Writer()
    text = b"MESSAGE=   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id"
    writer.entry(writer.data(text), writer.data(b"SYSLOG_IDENTIFIER=sudo"))
    rows, _, _ = run(linux_journal, writer.close(), PATH)
    assert (rows[0]["kind"], rows[0]["user"], rows[0]["command_line"]) == ("privilege.use", "alice", "/usr/bin/id")
    assert rows[0]["message"].startswith("   alice")


def test_journal_long_field_named_a_thousand_times_costs_no_memory() -> None:
    writer = Writer()
    big = writer.data(b"MESSAGE=" + b"A" * 200_000)
    writer.entry(*[big] * 1000)
    rows, _, _ = run(linux_journal, writer.close(), PATH)
    assert len(rows[0]["message"]) < 5_000_000
    assert rows[0]["fields_missing"] > 900
