# SPDX-License-Identifier: Apache-2.0
"""Compressed logs: nothing good is lost before a fault, nothing raises, nothing grows without bound."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.formats.compressed import Decompression, Layer, Limits, decompress, layer_of
from headwater.formats.sources import MemorySource
from headwater.formats.spooled import spooled
from headwater.model.kinds import GapReason

DFVFS = Path(__file__).parents[3] / "shared/data/dfvfs/test_data"
needs_shared = pytest.mark.skipif(not DFVFS.is_dir(), reason="no ../shared/data/dfvfs")

TEXT = b"".join(
    b"Mar  2 11:22:%02d web01 sshd[%d]: Failed password for root\n" % (i % 60, i * 7919 % 65536) for i in range(4000)
)
PACK = {
    "gz": lambda data: gzip.compress(data, 6, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(level=3, write_checksum=True).compress,
}
LAYERS: tuple[Layer, ...] = ("gz", "bz2", "xz", "zst")


def run(data: bytes, layer: Layer, limits: Limits | None = None) -> tuple[bytes, Decompression]:
    stream = decompress(MemorySource(data), layer, limits or Limits())
    return b"".join(stream), stream


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", [0, 1, 65_536, len(TEXT)])
def test_whole_stream_comes_back(layer: Layer, size: int) -> None:
    packed = PACK[layer](TEXT[:size])
    out, stream = run(packed, layer)
    assert (out, stream.gap, stream.total) == (TEXT[:size], None, size)
    assert layer_of("x", packed[:6]) == layer


@pytest.mark.parametrize("layer", LAYERS)
def test_second_member_is_not_lost(layer: Layer) -> None:
    out, stream = run(PACK[layer](TEXT) + PACK[layer](b"") + PACK[layer](b"tail\n") + bytes(512), layer)
    assert out == TEXT + b"tail\n"
    assert stream.gap is None


@pytest.mark.parametrize("layer", LAYERS)
def test_bytes_after_the_stream_are_said(layer: Layer) -> None:
    packed = PACK[layer](TEXT)
    out, stream = run(packed + b"intruder", layer)
    assert out == TEXT
    assert stream.gap is not None
    assert (stream.gap.offset, stream.gap.length) == (len(packed), 8)
    assert stream.gap.reason is GapReason.NOT_THIS_FORMAT


@pytest.mark.parametrize("layer", LAYERS)
def test_cut_stream_keeps_what_was_good(layer: Layer) -> None:
    noise = random.Random(7).randbytes(1_000_000)
    packed = bz2.compress(noise, 1) if layer == "bz2" else PACK[layer](noise)  # 1: blocks of 100 kB
    out, stream = run(packed[: len(packed) * 2 // 3], layer)
    assert noise.startswith(out)
    assert len(out) > 200_000
    assert stream.gap is not None
    assert stream.gap.reason is GapReason.TRUNCATED


def test_gzip_with_wrong_checksum_is_doubtful_not_dropped() -> None:
    packed = bytearray(gzip.compress(TEXT, mtime=0) + gzip.compress(b"next", mtime=0))
    packed[len(gzip.compress(TEXT, mtime=0)) - 6] ^= 1
    out, stream = run(bytes(packed), "gz")
    assert out == TEXT + b"next"
    assert stream.gap is not None
    assert (stream.gap.offset, stream.gap.reason) == (0, GapReason.UNREADABLE)


def test_gzip_broken_in_the_middle_keeps_all_before_it() -> None:
    noise = random.Random(1).randbytes(50_000)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflate.compress(noise) + deflate.flush(zlib.Z_FULL_FLUSH)
    out, stream = run(head + b"\x07" + bytes(100), "gz")  # block type 3 does not exist
    assert out == noise
    assert stream.gap is not None
    assert abs(stream.gap.offset - len(head)) <= 64


def test_gzip_header_fields_are_passed_over() -> None:
    body = zlib.compress(TEXT, 6, wbits=-15)
    header = b"\x1f\x8b\x08\x1e" + bytes(5) + b"\xff" + b"\x03\0abc" + b"auth.log\0" + b"comment\0" + b"\0\0"
    out, stream = run(header + body + zlib.crc32(TEXT).to_bytes(4, "little") + len(TEXT).to_bytes(4, "little"), "gz")
    assert (out, stream.gap) == (TEXT, None)


@pytest.mark.parametrize("layer", LAYERS)
def test_bomb_stops_at_the_limit(layer: Layer) -> None:
    packed = PACK[layer](bytes(12_000_000))
    out, stream = run(packed, layer, Limits(total=10_000_000))
    assert len(out) == 10_000_000
    assert stream.gap is not None
    assert stream.gap.reason is GapReason.LIMIT
    out, stream = run(packed, layer, Limits(ratio=100, ratio_from=1_000_000))
    assert len(out) < 11_000_000
    assert stream.gap is not None
    assert stream.gap.reason is GapReason.LIMIT


@pytest.mark.parametrize("layer", LAYERS)
def test_only_the_limit_of_the_ratio_over_its_floor(layer: Layer) -> None:
    out, stream = run(PACK[layer](bytes(5_000_000)), layer)
    assert (len(out), stream.gap) == (5_000_000, None)


def test_zstd_window_that_would_take_gigabytes_is_refused() -> None:
    head = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\xa8" + b"\x01\0\0"
    out, stream = run(head, "zst")
    assert out == b""
    assert stream.gap is not None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(layer=st.sampled_from(LAYERS), seed=st.integers(0, 2**32), flips=st.integers(1, 3), cut=st.booleans())
def test_damage_never_raises_and_is_never_silent(layer: Layer, seed: int, flips: int, cut: bool) -> None:
    rng = random.Random(seed)
    data = bytearray(PACK[layer](TEXT[:20_000]))
    for _ in range(flips):
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
    if cut:
        del data[rng.randrange(len(data)) :]
    out, stream = run(bytes(data), layer)
    if out != TEXT[:20_000]:
        assert stream.gap is not None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(layer=st.sampled_from(LAYERS), tail=st.binary(max_size=300))
def test_noise_behind_a_magic_number_never_raises(layer: Layer, tail: bytes) -> None:
    run(PACK[layer](b"x")[:6] + tail, layer, Limits(total=1_000_000))


def test_spooled_content_reads_at_any_offset(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(700_000) + TEXT * 20
    packed = MemorySource(gzip.compress(data, 1, mtime=0))
    fd = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR)
    try:
        forms = [
            spooled(packed, "gz"),
            spooled(packed, "gz", memory=100_000),
            spooled(packed, "gz", memory=100_000, spool=fd),
        ]
        rng = random.Random(4)
        for form in forms:
            assert form.size == len(data)
            for _ in range(30):
                at, length = rng.randrange(len(data) + 10), rng.randrange(3_000_000)
                assert form.pread(at, length) == data[at : at + length]
            assert form.pread(0, len(data)) == data
    finally:
        os.close(fd)


def test_spooled_bomb_is_capped() -> None:
    form = spooled(MemorySource(gzip.compress(bytes(50_000_000))), "gz", Limits(total=9_000_000), memory=1_000_000)
    assert form.size == 9_000_000
    assert form.gap is not None
    assert form.pread(8_999_990, 100) == bytes(10)


@needs_shared
@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_real_compressed_syslog(suffix: Layer) -> None:
    data = (DFVFS / f"syslog.{suffix}").read_bytes()
    out, stream = run(data, suffix)
    assert out == (DFVFS / "syslog").read_bytes()
    assert stream.gap is None


@needs_shared
def test_real_corrupt_gzip_is_a_gap() -> None:
    data = (DFVFS / "corrupt1.gz").read_bytes()
    _, stream = run(data, "gz", Limits(total=50_000_000))
    assert stream.gap is not None
