# SPDX-License-Identifier: Apache-2.0
"""E01: the bytes are the medium's or they are listed as bad; checked against ewfacquire and ewfexport."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ewf_writing import write_set
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.formats.e01 import E01Medium
from headwater.formats.hashing import hash_source
from headwater.formats.media import Medium, open_medium, read_into, segments
from headwater.formats.opened import open_readonly
from headwater.formats.segments import e01_number, e01_suffix
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

SHARED = Path(__file__).parents[3] / "shared/data"
REAL = [
    ("dfvfs/test_data/ext2.E01", "196066add11fb71c4c49cf1bb50d6d24"),
    ("dfvfs/test_data/ext2.split.E01", "196066add11fb71c4c49cf1bb50d6d24"),
    ("plaso/test_data/image.E01", "d73c51f10c7ee6a681b7b619ccc6f1c4"),
    ("plaso/test_data/image-split.E01", "38ea5af8a80e16e46c095c9110242fc0"),
]
needs_ewf = pytest.mark.skipif(not shutil.which("ewfacquire"), reason="ewfacquire is not installed")
DATA = random.Random(11).randbytes(50_000) + bytes(30_000) + (b"Failed password for root\n" * 2_000)[:49_536]


def opened(paths: Sequence[Path], allow_missing: bool = False) -> Medium:
    return open_medium([open_readonly(path) for path in paths], allow_missing=allow_missing)


def content(medium: Medium) -> bytes:
    return medium.pread(0, medium.size)


def assert_honest(medium: Medium, truth: bytes) -> None:
    """Every byte is right, or zero and listed."""
    found, expected = content(medium), bytearray(truth)
    assert len(found) == len(truth)
    for offset, length, _, _ in medium.bad:
        length = max(0, min(length, len(found) - offset))
        if found[offset : offset + length] == bytes(length):
            expected[offset : offset + length] = bytes(length)
    assert hashlib.sha256(found).digest() == hashlib.sha256(expected).digest()


@pytest.mark.parametrize(("name", "md5"), REAL)
def test_real_images_give_the_stated_digest(name: str, md5: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no ../shared/data/{name}")
    medium = opened(segments(path))
    assert medium.stated["md5"] == md5
    assert hash_source(medium, ("md5",))["md5"] == md5
    assert (medium.bad, medium.warnings) == ((), ())
    assert medium.notes["examiner_name"]
    medium.close()


def acquire(folder: Path, data: bytes, *options: str) -> Path:
    source = folder / "disk.raw"
    source.write_bytes(data)
    command = ["ewfacquire", "-u", "-q", "-t", str(folder / "made"), *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return next(path for path in folder.iterdir() if path.suffix.lower() in (".e01", ".s01"))


@needs_ewf
@pytest.mark.parametrize("kind", ["ewf", "smart", "ftk", "encase2", "encase5", "encase6", "encase7", "linen7", "ewfx"])
def test_every_dialect_reads_as_ewfacquire_wrote_it(tmp_path: Path, kind: str) -> None:
    data = (DATA * 4)[: 512 * 999]
    medium = opened(segments(acquire(tmp_path, data, "-f", kind, "-c", "fast", "-d", "sha1")))
    assert medium.size == len(data)
    assert content(medium) == data
    assert (medium.bad, medium.warnings) == ((), ())
    if "md5" in medium.stated:
        assert medium.stated["md5"] == hashlib.md5(data).hexdigest()
    if "sha1" in medium.stated:
        assert medium.stated["sha1"] == hashlib.sha1(data).hexdigest()
    medium.close()


@needs_ewf
@pytest.mark.parametrize("size", [512, 1024, 32_768, 32_768 + 512, 65_536 * 3 + 1536])
@pytest.mark.parametrize("level", ["none", "fast", "empty-block"])
def test_sizes_that_are_no_multiple_of_a_chunk(tmp_path: Path, size: int, level: str) -> None:
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    path = acquire(tmp_path, data, "-c", level, "-b", "64")
    medium = opened(segments(path))
    exported = subprocess.run(
        ["ewfexport", "-u", "-q", "-f", "raw", "-t", str(tmp_path / "out"), str(path)],
        capture_output=True,
        cwd=tmp_path,
    )
    assert exported.returncode == 0
    assert content(medium) == (tmp_path / "out.raw").read_bytes() == data
    medium.close()


@needs_ewf
def test_sectors_of_4096_bytes(tmp_path: Path) -> None:
    data = (DATA * 2)[: 4096 * 21]
    medium = opened(segments(acquire(tmp_path, data, "-P", "4096", "-b", "16")))
    assert (medium.sector_size, medium.size, content(medium) == data) == (4096, len(data), True)
    medium.close()


@needs_ewf
def test_more_than_99_segments(tmp_path: Path) -> None:
    block = random.Random(2).randbytes(1 << 20)
    source = tmp_path / "disk.raw"
    with source.open("wb") as file:
        for index in range(104):
            file.write(index.to_bytes(4, "little") + block[4:])
    subprocess.run(
        ["ewfacquire", "-u", "-q", "-S", "1048576", "-c", "none", "-t", str(tmp_path / "made"), str(source)],
        check=True,
        capture_output=True,
    )
    found = segments(tmp_path / "made.E50")
    assert len(found) > 100
    assert found[99].suffix == ".EAA"
    medium = opened(found)
    with source.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    assert hash_source(medium)["sha256"] == expected
    medium.close()


def test_names_of_segments_count_on() -> None:
    wanted = {1: "E01", 99: "E99", 100: "EAA", 125: "EAZ", 126: "EBA", 775: "EZZ", 776: "FAA", 14971: "ZZZ"}
    for number, suffix in wanted.items():
        assert e01_suffix(number) == suffix
        assert e01_number(f"web01.{suffix}") == e01_number(f"web01.{suffix.lower()}") == number
    assert [e01_number(n) for n in ("a.E00", "a.F01", "a.log", "a.D01", "E01")] == [
        None,
        None,
        100 + 7 * 676 + 14 * 26 + 6,
        None,
        None,
    ]


@needs_ewf
def test_a_set_of_smart_is_found_whole_and_what_is_missing_is_named(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 << 20)
    first = acquire(tmp_path, data, "-f", "smart", "-S", str(1 << 20), "-c", "none")
    names = [f"made.s{n:02d}" for n in range(1, 5)]
    for name in ("made.s01", "made.s03"):
        found = segments(tmp_path / name)
        assert [path.name for path in found] == names
    medium = opened(found)
    assert content(medium) == data
    assert (medium.bad, medium.warnings) == ((), ())
    assert medium.stated["md5"] == hashlib.md5(data).hexdigest()
    medium.close()
    (tmp_path / "made.s03").unlink()
    with pytest.raises(AcquireError) as error:
        opened(segments(first))
    assert (error.value.code, "made.S03" in str(error.value)) == ("HW2004", True)
    (tmp_path / "notes.s01").write_bytes(b"no image")
    assert segments(tmp_path / "notes.s01") == [tmp_path / "notes.s01"]


def test_names_of_smart_and_of_encase_are_told_apart() -> None:
    assert [e01_number(f"x.{s}", True) for s in ("s01", "S99", "saa", "SZZ", "TAA", "ZZZ")] == [
        1,
        99,
        100,
        775,
        776,
        5507,
    ]
    assert [e01_suffix(n, True) for n in (1, 99, 100, 776)] == ["S01", "S99", "SAA", "TAA"]
    assert [e01_number(name, True) for name in ("x.e01", "x.eaa", "x.s00")] == [None, None, None]
    assert e01_number("x.saa") == 100 + 14 * 676


def test_other_files_beside_an_image_are_not_its_segments(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    for name in ("case.log", "case.txt", "case.exe", "other.E02", "case.E01.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert segments(paths[1]) == paths


@needs_ewf
@pytest.mark.parametrize(
    ("size", "level"), [(100, "none"), (511, "fast"), (70_000, "none"), (70_000, "fast"), (65_537, "none")]
)
def test_bytes_behind_the_last_whole_sector_are_kept(tmp_path: Path, size: int, level: str) -> None:
    # ewfexport drops them, and the digest that ewfacquire stated then fits nothing
    data = random.Random(size).randbytes(size)
    medium = opened(segments(acquire(tmp_path, data, "-c", level)))
    assert content(medium) == data
    assert medium.stated["md5"] == hashlib.md5(data).hexdigest()
    medium.close()


def test_any_range_in_any_order(tmp_path: Path) -> None:
    medium = opened(write_set(tmp_path, DATA))
    truth = DATA
    rng = random.Random(3)
    for _ in range(300):
        at, length = rng.randrange(medium.size + 5), rng.randrange(30_000)
        assert medium.pread(at, length) == truth[at : at + length]
    assert medium.pread(-1, 5) == medium.pread(0, 0) == medium.pread(medium.size, 1) == b""
    assert medium.bad == ()
    medium.close()


@needs_ewf
def test_block_put_together_in_its_place_is_the_same_as_one_that_is_read(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(20 * 32_768 + 700) + bytes(40 * 32_768) + b"end" * 100
    data += bytes(-len(data) % 512)
    medium = opened(segments(acquire(tmp_path, data, "-c", "fast")))
    assert isinstance(medium, E01Medium)
    pick = random.Random(4)
    for _ in range(60):
        offset = pick.randrange(len(data) + 100)
        view = bytearray(b"x" * pick.choice([1, 511, 32_768, 100_000, 1 << 20, len(data) + 1]))
        count = read_into(medium, offset, memoryview(view))
        assert view[:count] == data[offset : offset + len(view)]
        assert view[count:].strip(b"x") == b""
    medium.close()


def test_missing_segment_is_named(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    for gone, what in ((1, "case.E02"), (len(paths) - 1, f"case.E{len(paths):02d}"), (0, "case.E01")):
        left = [path for path in paths if path != paths[gone]]
        with pytest.raises(AcquireError) as caught:
            opened(left)
        assert (caught.value.code, caught.value.names["what"]) == ("HW2004", what)
        medium = opened(left, allow_missing=True)
        assert_honest(medium, DATA)
        assert sum(length for _, length, _, _ in medium.bad) <= 8 * 4096
        assert any("missing" in detail for *_, detail in medium.bad)
        medium.close()


def test_two_missing_segments_leave_no_wrong_byte(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    left = [path for path in paths if path not in (paths[1], paths[3])]
    medium = opened(left, allow_missing=True)
    assert_honest(medium, DATA)
    assert content(medium)[: 8 * 4096] == DATA[: 8 * 4096]
    medium.close()


def test_foreign_segment_is_named(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    (tmp_path / "x").mkdir()
    other = write_set(tmp_path / "x", bytes(reversed(DATA)), set_id=b"another-image-02")
    shutil.copy(other[1], paths[1])
    with pytest.raises(AcquireError) as caught:
        opened(paths)
    assert (caught.value.code, caught.value.names["what"]) == ("HW2005", "case.E02")
    medium = opened(paths, allow_missing=True)
    assert_honest(medium, DATA)
    medium.close()


def test_swapped_names_are_put_right(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    paths[1].rename(tmp_path / "t")
    paths[2].rename(paths[1])
    (tmp_path / "t").rename(paths[2])
    medium = opened(segments(paths[0]))
    assert content(medium) == DATA
    medium.close()


def test_flipped_bit_in_a_chunk_loses_that_chunk_alone(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    data = bytearray(paths[0].read_bytes())
    place = data.find(b"sectors")
    data[place + 76 + 100] ^= 4
    paths[0].write_bytes(data)
    medium = opened(paths)
    assert_honest(medium, DATA)
    assert [(o, n, r) for o, n, r, _ in medium.bad] == [(0, 4096, GapReason.UNREADABLE)]
    medium.close()


@pytest.mark.parametrize("names", [(b"table\0",), (b"table2\0",), (b"sectors\0",), (b"table\0", b"table2\0")])
def test_broken_descriptors(tmp_path: Path, names: tuple[bytes, ...]) -> None:
    paths = write_set(tmp_path, DATA)
    data = bytearray(paths[1].read_bytes())
    for name in names:
        data[data.find(name) + 17] ^= 0x20
    paths[1].write_bytes(data)
    medium = opened(paths)
    assert_honest(medium, DATA)
    assert medium.warnings
    lost = sum(length for _, length, _, _ in medium.bad)
    assert lost == (4 * 4096 if len(names) == 2 else 0)
    medium.close()


def test_broken_entries_in_both_copies_of_a_table(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    data = bytearray(paths[0].read_bytes())
    for name in (b"table\0", b"table2\0"):
        data[data.find(name) + 76 + 24 + 5] ^= 1
    paths[0].write_bytes(data)
    medium = opened(paths)
    assert_honest(medium, DATA)
    assert 0 < sum(length for _, length, _, _ in medium.bad) <= 3 * 4096
    medium.close()


def test_broken_volume_section_is_derived_from_the_chunks(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA[:20_000], per_segment=99)
    data = bytearray(paths[0].read_bytes())
    data[13 + 76 + 17] ^= 0x40
    paths[0].write_bytes(data)
    medium = opened(paths)
    assert content(medium) == DATA[:20_000]
    assert any("volume section" in w.detail for w in medium.warnings)
    medium.close()


def test_volume_section_of_another_segment_serves(tmp_path: Path) -> None:
    paths = write_set(tmp_path, DATA)
    data = bytearray(paths[0].read_bytes())
    data[13 + 76 + 17] ^= 0x40
    paths[0].write_bytes(data)
    medium = opened(paths)
    assert content(medium) == DATA
    medium.close()


def test_read_errors_of_the_acquisition_are_bad(tmp_path: Path) -> None:
    medium = opened(write_set(tmp_path, DATA, errors=((3, 2), (100, 1))))
    assert [(o, n) for o, n, _, _ in medium.bad] == [(1536, 1024), (51_200, 512)]
    medium.close()


def test_e01_held_inside_the_evidence_misleads_no_search(tmp_path: Path) -> None:
    inner_folder = tmp_path / "inner"
    inner_folder.mkdir()
    inner = write_set(inner_folder, b"decoy " * 3000, per_segment=99)[0].read_bytes()
    truth = bytes(4096) + inner.ljust(24 * 4096, b"\0")
    paths = write_set(tmp_path, truth, chunk=32_768, per_segment=99)
    data = bytearray(paths[0].read_bytes())
    data[data.find(b"sectors\0") + 17] ^= 0x20
    paths[0].write_bytes(data)
    medium = opened(paths)
    assert_honest(medium, truth)
    medium.close()


@pytest.mark.parametrize(
    "data", [b"", SHARED.name.encode(), b"EVF\x09\x0d\x0a\xff\x00", b"EVF\x09\x0d\x0a\xff\x00\x01\x01\0\0\0"]
)
def test_empty_and_tiny_files_are_refused_by_number(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.E01"
    path.write_bytes(data)
    with pytest.raises(AcquireError) as caught:
        opened(segments(path))
    assert caught.value.code in ("HW2002", "HW2006")


class Originals:
    """A small set and the bytes behind it; an object, so that a failing test does not print it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth = DATA[40_000 : 40_000 + 51 * 512]
        self.parts = [p.read_bytes() for p in write_set(folder, self.truth, chunk=1024, per_segment=12, per_table=4)]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(tmp_path_factory.mktemp("e01"))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**48), flips=st.integers(0, 4), cut=st.integers(0, 5))
def test_no_damage_raises_or_gives_a_wrong_byte(originals: Originals, seed: int, flips: int, cut: int) -> None:
    rng = random.Random(seed)
    parts = [bytearray(part) for part in originals.parts]
    for _ in range(flips):
        part = rng.choice(parts)
        # half of the flips go into the structure rather than the chunks
        at = rng.randrange(len(part))
        if rng.random() < 0.5:
            name = rng.choice([b"volume", b"data\0", b"table\0", b"table2", b"sectors", b"next", b"done", b"digest"])
            at = max(0, min(len(part) - 1, part.find(name) + rng.randrange(120)))
        part[at] ^= 1 << rng.randrange(8)
    if cut == 0:
        part = rng.choice(parts)
        del part[rng.randrange(1, len(part)) :]
    paths = []
    for number, part in enumerate(parts, 1):
        path = originals.folder / f"hurt.E{number:02d}"
        path.write_bytes(part)
        paths.append(path)
    for allow in (False, True):
        try:
            medium = opened(paths, allow_missing=allow)
        except AcquireError as error:
            refused = error.code
        else:
            refused = ""
        if refused:
            assert refused in ("HW2004", "HW2005", "HW2006")
            assert flips or cut == 0
            continue
        assert_honest(medium, originals.truth)
        if not flips and cut:
            assert medium.bad == ()
        medium.close()
