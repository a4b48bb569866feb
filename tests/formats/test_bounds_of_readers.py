# SPDX-License-Identifier: Apache-2.0
"""Files made to hold a reader up, to make it fail, or to make it hide what is sound: each stays within a bound."""

from __future__ import annotations

import io
import struct

from ese_writing import LEAF, LONG_BINARY, LONG_INT, ROOT, Tab, database, page

from headwater.formats import bits_jobs, der, pe_header
from headwater.formats.carve_pictures import jpeg
from headwater.formats.carve_walk import Budget, Stretch
from headwater.formats.carving import CarvedTree
from headwater.formats.compound_file import MAGIC, Content, open_compound
from headwater.formats.defender_quarantine import _resource
from headwater.formats.ese_file import Fault, Row, open_ese
from headwater.formats.known_files import known_files
from headwater.formats.message_table import manifest, messages
from headwater.formats.pe_resources import MESSAGE_TABLE, resources
from headwater.formats.sources import MemorySource
from headwater.formats.wmi_instance import FILTER, read
from headwater.formats.wmi_repository import PAGE, PageMap, Repository, name_hash


class Counted:
    """Bytes that count how often they are read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.reads, self.size, self.bad = data, 0, len(data), ()

    def pread(self, at: int, length: int) -> bytes:
        self.reads += 1
        return self.data[at : at + length]


def test_resources_that_share_their_entries_are_not_read_over_and_over() -> None:
    """4,000 directories over the same 4,000 entries, which all name one resource."""
    head = bytearray(4096)
    head[:2], head[60:64] = b"MZ", struct.pack("<I", 64)
    struct.pack_into("<4sHHIIIHH", head, 64, b"PE\0\0", 0x14C, 1, 0, 0, 0, 224, 0)
    struct.pack_into("<I", head, 88 + 96 + 16, 0x1000)
    struct.pack_into("<8s4I", head, 88 + 224, b".rsrc", 1 << 20, 0x1000, 1 << 20, 4096)
    body = bytearray(1 << 20)
    struct.pack_into("<HH", body, 12, 0, 4000)
    for row in range(4000):
        struct.pack_into("<II", body, 16 + 8 * row, MESSAGE_TABLE, 0x80000000 | (40_000 + 16 * row))
    for at in range(40_000, 40_000 + 16 * 8100, 16):
        struct.pack_into("<HH", body, at + 12, 0, 4000)
        struct.pack_into("<II", body, at, 1, 0)
    file = Counted(bytes(head + body))
    resources(file.pread, file.size, MESSAGE_TABLE)
    assert file.reads < 400_000


def test_blocks_of_messages_over_the_same_bytes_are_read_once() -> None:
    blocks = 300
    data = struct.pack("<I", blocks) + struct.pack("<III", 0, 0xFFFFFFFF, 4 + 12 * blocks) * blocks
    data += struct.pack("<HH", 4, 0) * 10_000
    assert sum(1 for _ in messages(data)) <= len(data) // 4


def test_providers_that_share_their_events_do_not_multiply_them() -> None:
    providers, events = 200, 2000
    place = 16 + 20 * providers
    head = b"CRIM" + struct.pack("<III", 0, 0, providers)
    head += b"".join(struct.pack("<IHH8sI", n, 0, 0, bytes(8), place) for n in range(providers))
    lists = b"WEVT" + struct.pack("<IIII", 0, 0, 64, 0) + struct.pack("<II", place + 20 + 8 * 64, 0) * 64
    table = (
        b"EVNT"
        + struct.pack("<III", 0, events, 0)
        + struct.pack("<HB13sII24s", 1, 0, bytes(13), 2, 0, bytes(24)) * events
    )
    data = head + lists + table
    found = manifest(data)
    assert len(found) == providers
    assert 0 < sum(map(len, found.values())) <= len(data) // 48


def test_records_that_all_claim_the_rest_of_a_repository_do_not_multiply_it() -> None:
    mark = name_hash(FILTER).encode("utf-16-le")
    pages = 200
    one = struct.pack("<IIII", 1, 64, PAGE * pages, 0) + bytes(16)
    data = (one.ljust(64, b"\0") + mark + struct.pack("<QQI", 1, 1, PAGE * pages)).ljust(PAGE, b"\0") * pages
    found = list(Repository(data, PageMap(1, False, tuple(range(pages)), ())).records(FILTER))
    assert len(found) == pages
    assert sum(len(record.data) for record in found) <= 4 * len(data)
    assert not found[-1].whole


def test_a_short_record_of_an_old_repository_is_none_and_no_failure() -> None:
    old = name_hash(FILTER, old=True).encode("utf-16-le")
    assert read(FILTER, old + b"A\0" * 14 + b"A") is not None  # 93 bytes: an odd number


def test_tables_of_a_compound_file_beyond_its_sectors_are_not_held() -> None:
    sectors = 3000
    head = bytearray(512)
    head[:8] = MAGIC
    struct.pack_into("<HHHH", head, 26, 3, 0xFFFE, 9, 6)
    struct.pack_into("<4x7I", head, 44, 0xFFFFFFFE, 0, 4096, 0xFFFFFFFE, 0, 0, sectors)
    data = bytes(head) + b"".join(struct.pack("<128I", *([7] * 127), n + 1) for n in range(sectors))
    file = Counted(data)
    open_compound(file.pread, file.size)
    assert file.reads < 200


def test_places_of_a_stream_in_many_pieces_are_those_of_its_bytes() -> None:
    held = Content(bytes(300), tuple((1000 * n, 10) for n in range(1, 31)))
    assert held.places(15, 10) == ((2005, 5), (3000, 5))
    assert held.places(0, 10) == ((1000, 10),)
    assert held.places(299, 5) == ((30_009, 1),)
    assert held.places(300, 5) == ()


def test_a_tree_of_pages_that_names_each_page_many_times_is_refused_and_the_sound_ones_are_read() -> None:
    made = bytearray(database([Tab("T", [("A", LONG_INT)], [{"A": n} for n in range(5)])]))
    pages = open_ese(MemorySource(bytes(made)))
    table = pages.tables()["T"]
    last = pages.pages.count  # what is put behind has this number
    branch = page(4096, last, 9, ROOT, [(b"k", struct.pack("<I", table.root), False)] * 300)
    hostile = open_ese(MemorySource(bytes(made) + branch))
    hostile.tables()["T"].root = last
    faults = [item for item in hostile.rows(hostile.tables()["T"]) if isinstance(item, Fault)]
    assert len(faults) < 5
    outside = page(4096, last, 9, ROOT, [(b"k", struct.pack("<I", n), False) for n in (table.root, 70_000, 70_001)])
    cut = open_ese(MemorySource(bytes(made) + outside))
    cut.tables()["T"].root = last
    found = list(cut.rows(cut.tables()["T"]))
    assert sum(isinstance(item, Row) for item in found) == 5  # what a cut file still has is not lost with the rest
    assert any(isinstance(item, Fault) and "2 pages below" in item.why for item in found)


def test_long_values_that_are_nowhere_do_not_walk_all_pages_each_time() -> None:
    made = database([Tab("T", [("L", LONG_BINARY)], [{"L": b"x" * 9000}])])
    first = open_ese(MemorySource(made)).pages.count + 1
    leaves = [
        page(4096, n, 9, LEAF | 0x80, [(b"\0\0\0\0", b"12345678", False)], n + 1) for n in range(first, first + 400)
    ]
    file = Counted(made + b"".join(leaves))
    opened = open_ese(file)  # type: ignore[arg-type]
    table = opened.tables()["T"]
    table.long_root = first
    before = file.reads
    opened._long(table, b"\xff\xff\xff\xff", [])
    assert file.reads - before < 20
    assert opened._given > 0  # a look in vain counts too


def test_an_identifier_of_many_bytes_is_none() -> None:
    body = b"\x2a" + b"\xff" * 200_000
    data = b"\x06\x83" + len(body).to_bytes(3, "big") + body
    assert der.oid(data, der.element(data, 0, len(data))) == ""


def test_resources_of_a_quarantine_without_an_end_are_sought_once() -> None:
    body = (b"a\0" * 400_000) + b"b"
    assert all(_resource(body, at) is None for at in range(0, 2000, 2))


def test_a_program_cut_in_its_header_of_64_bits_is_none_and_no_failure() -> None:
    head = bytearray(64 + 130)
    head[:2], head[60:64] = b"MZ", struct.pack("<I", 64)
    struct.pack_into("<4sHHIIIHH", head, 64, b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0)
    struct.pack_into("<H", head, 88, 0x20B)
    assert pe_header.header(lambda at, n: bytes(head[at : at + n]), len(head)) is None


def test_a_job_that_ends_its_queue_is_read_though_its_times_are_cut() -> None:
    texts = b"".join(struct.pack("<I", 2) + "x\0".encode("utf-16-le") for _ in range(5))
    fixed = struct.pack("<4I", 0, 2, 6, 0) + bytes(16)
    for behind in range(20, 70):
        data = fixed + texts + bytes(4) + bits_jobs.FILES + bytes(4) + bits_jobs.FILES + bytes(behind)
        assert bits_jobs.job(data).state == "transferred"


def test_a_picture_whose_frame_stands_at_the_end_of_free_space_is_a_part_and_no_failure() -> None:
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 20) + bytes(18) + b"\xff\xc0\x00\x11"
    for more in range(8):
        data = head + (b"\x08\x00\x10\x00\x10\x03" + bytes(9))[:more]
        jpeg(Stretch(MemorySource(data), 0, len(data), 512, Budget(1 << 20)))


class Free:
    """One free block, behind it one in use, and again one free."""

    def coverage(self):  # type: ignore[no-untyped-def]
        return iter([(0, 4096, "unallocated"), (4096, 4096, "allocated"), (8192, 4096, "unallocated")])


def test_a_carved_archive_whose_end_is_cut_claims_no_more_than_its_block() -> None:
    """The end of a ZIP states a comment of 65,535 bytes: those are not the next free block's."""
    name = b"word/a"
    member = struct.pack("<4sHHHIIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 4, 4, len(name), 0) + name + b"text"
    central = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 4, 4, len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(member), 65_535)
    volume = (member + central + end).ljust(4096, b"\0").ljust(12_288, b"z")
    tree = CarvedTree(Free(), MemorySource(volume), 4096, set)
    (found,) = tree.recovered()
    assert (found.walked.length, found.walked.whole) == (4096, False)
    assert tree.open(found.entry.key).size == found.entry.size


def test_a_set_of_known_files_with_a_mark_of_its_encoding_holds_its_first_file_too() -> None:
    wanted = "a" * 64
    found = known_files("set", io.BytesIO(b"\xef\xbb\xbf" + wanted.encode() + b"  good.exe\n"), {wanted})
    assert found.matched == {wanted: ("line 1", "good.exe")}
