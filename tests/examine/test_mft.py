# SPDX-License-Identifier: Apache-2.0
"""Events of $MFT: eight times told apart, nothing placed under a folder that was not its own, damage said."""

from __future__ import annotations

import struct

import polars as pl

from headwater.examine.parsers import windows_mft
from headwater.formats.ntfs import FILETIME_1970
from headwater.model.records import File, Gap

NOON = 1_760_000_000 * 10_000_000 + FILETIME_1970
T0 = 1_760_000_000 * 10**9
ROOT = 5 | 5 << 48


def attribute(kind: int, value: bytes, name: str = "") -> bytes:
    raw = name.encode("utf-16-le")
    start = (24 + len(raw) + 7) & ~7
    length = (start + len(value) + 7) & ~7
    head = struct.pack("<IIBBHHHIHH", kind, length, 0, len(raw) // 2, 24, 0, 0, len(value), start, 0)
    return ((head + raw).ljust(start, b"\0") + value).ljust(length, b"\0")


def standard(*times: int) -> bytes:
    return attribute(0x10, struct.pack("<4q", *times) + struct.pack("<I", 0x20).ljust(40, b"\0"))


def name(parent: int, text: str, *times: int, space: int = 1) -> bytes:
    raw = text.encode("utf-16-le", "surrogatepass")
    body = struct.pack("<Q4qqqII", parent, *times, 0, 0, 0x20, 0) + bytes((len(raw) // 2, space)) + raw
    return attribute(0x30, body)


def record(
    number: int, *attributes: bytes, flags: int = 1, sequence: int = 1, base: int = 0, size: int = 1024
) -> bytes:
    """One record with its fixups taken out."""
    sectors = size // 512
    first = (48 + 2 * (sectors + 1) + 7) & ~7
    body = b"".join(attributes) + b"\xff\xff\xff\xff\0\0\0\0"
    head = struct.pack(
        "<4sHHQHHHHIIQHHI", b"FILE", 48, sectors + 1, 77, sequence, 1, first, flags, first + len(body), size, base, 9, 0,
        number,
    )  # fmt: skip
    held = bytearray((head.ljust(first, b"\0") + body).ljust(size, b"\0"))
    held[48:50] = b"\x05\0"
    for n in range(1, sectors + 1):
        held[48 + 2 * n : 50 + 2 * n] = held[n * 512 - 2 : n * 512]
        held[n * 512 - 2 : n * 512] = b"\x05\0"
    return bytes(held)


def table(*held: bytes, size: int = 1024) -> bytes:
    """A table with the root at 5 and the given records from 24 on."""
    root = record(5, standard(NOON, NOON, NOON, NOON), name(ROOT, ".", *[NOON] * 4), flags=3, sequence=5, size=size)
    return bytes(5 * size) + root + bytes(18 * size) + b"".join(held)


def read(data: bytes) -> tuple[pl.DataFrame, list[Gap]]:
    batches = list(windows_mft.batches(File.of(data, "/$MFT")))
    return pl.concat([b.events for b in batches]), [gap for b in batches for gap in b.gaps]


def told(rows: pl.DataFrame, path: str) -> list[tuple[str, int, str | None, str | None]]:
    return rows.filter(pl.col("file_path") == path).select("t_kind", "t_recorded", "si", "fn").rows()


def test_times_that_were_set_back_stand_beside_those_that_the_system_kept() -> None:
    old = NOON - 10**15
    rows, _ = read(table(record(24, standard(old, old, NOON + 50, old), name(ROOT, "run.exe", *[NOON] * 4))))
    assert told(rows, "/run.exe") == [
        ("created", T0 - 10**17, "MA.B", None),
        ("changed", T0 + 5000, "..C.", None),
        ("created", T0, None, "MACB"),
    ]


def test_time_that_was_never_recorded_is_no_row_and_a_file_without_any_still_has_one() -> None:
    rows, _ = read(
        table(
            record(24, standard(0, NOON, 0, 0), name(ROOT, "a", 0, 0, 0, 0)),
            record(25, standard(0, 0, 0, 0), name(ROOT, "b", 0, 0, 0, 0)),
        )
    )
    assert told(rows, "/a") == [("modified", T0, "M...", None)]
    assert told(rows, "/b") == [("state", None, None, None)]


def test_deleted_file_stands_in_its_deleted_folder_and_not_in_a_later_one() -> None:
    same = [NOON] * 4
    gone = record(24, standard(*same), name(ROOT, "gone", *same), flags=2, sequence=2)
    inside = record(25, standard(*same), name(24 | 1 << 48, "a.txt", *same), flags=0, sequence=2)
    later = record(24, standard(*same), name(ROOT, "later", *same), flags=3, sequence=3)
    rows, _ = read(table(gone, inside))
    assert rows.filter(pl.col("inode") == 25)["file_path"].to_list() == ["/gone/a.txt"]
    assert rows.filter(pl.col("inode") == 25)["allocated"].to_list() == [False]
    rows, _ = read(table(later, inside))
    assert rows.filter(pl.col("inode") == 25)["file_path"].to_list() == ["/$OrphanFiles/24-1/a.txt"]


def test_names_in_extension_records_belong_to_their_file() -> None:
    same = [NOON] * 4
    base = record(24, standard(*same), name(ROOT, "long name.txt", *same), sequence=7)
    more = record(25, name(ROOT, "LONGNA~1.TXT", *same, space=2), name(ROOT, "link.txt", *same), base=24 | 7 << 48)
    stray = record(26, name(ROOT, "stray.txt", *same), base=24 | 6 << 48)
    rows, _ = read(table(base, more, stray))
    assert rows.filter(pl.col("inode") == 24)["file_path"].to_list() == ["/long name.txt", "/link.txt"]
    assert rows.filter(pl.col("inode") == 24)["ordinal"].to_list() == [0, 1]
    assert rows.filter(pl.col("inode") == 26)["file_path"].to_list() == ["/stray.txt"]


def test_alternate_data_stream_has_a_row_of_its_own() -> None:
    same = [NOON] * 4
    rows, _ = read(
        table(
            record(24, standard(*same), name(ROOT, "run.exe", *same), attribute(0x80, b"MZ"),
                   attribute(0x80, b"[ZoneTransfer]", "Zone.Identifier"))
        )
    )  # fmt: skip
    stream = rows.filter(pl.col("stream")).row(0, named=True)
    assert (stream["file_path"], stream["size"], stream["kind"]) == ("/run.exe:Zone.Identifier", 14, "state.stream")
    assert rows.filter(~pl.col("stream") & (pl.col("inode") == 24))["size"].to_list() == [2]


def test_records_of_4096_bytes_are_read() -> None:
    same = [NOON] * 4
    rows, gaps = read(table(record(24, standard(*same), name(ROOT, "big.txt", *same), size=4096), size=4096))
    assert rows.filter(pl.col("inode") == 24).select("file_path", "offset", "length").rows() == [
        ("/big.txt", 24 * 4096, 4096)
    ]
    assert gaps == []


def test_torn_record_is_a_gap_and_its_neighbours_are_whole() -> None:
    same = [NOON] * 4
    held = [record(24 + n, standard(*same), name(ROOT, f"f{n}", *same)) for n in range(3)]
    torn = bytearray(held[1])
    torn[511] ^= 1
    rows, gaps = read(table(held[0], bytes(torn), held[2]))
    assert rows.filter(pl.col("inode") >= 24)["file_path"].to_list() == ["/f0", "/f2"]
    assert [(g.offset, g.length, g.detail) for g in gaps] == [(25 * 1024, 1024, "a torn MFT record")]


def test_name_of_any_units_can_be_had_back() -> None:
    same = [NOON] * 4
    rows, _ = read(table(record(24, standard(*same), name(ROOT, "a\ud800\0/..%!", *same))))
    assert rows.filter(pl.col("inode") == 24)["file_path"].to_list() == ["/a%ED%A0%80%00%2F..%25%21"]
