# SPDX-License-Identifier: Apache-2.0
"""Harms: a log reads otherwise where a compiler was at hand; hostile bytes lead the compiled scanner out of its block."""

from __future__ import annotations

import importlib.machinery
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.examine import registry
from headwater.examine.line_views import PADDING, column, find, find_back
from headwater.examine.reading import Reading, run
from headwater.formats import compiled
from headwater.formats.sources import MemorySource
from headwater.model.records import Facts, File

GOLDEN = Path(__file__).parents[1] / "golden"
LONG = bool(os.environ.get("HEADWATER_LONG"))
BULK = sorted(
    p.name
    for p in registry.all_parsers().values()
    if (p.grammar is not None or p.batches is not None) and (GOLDEN / p.name.replace(".", "_")).is_dir()
)
# what lines are cut at, and what may stand where nobody expects it
ODD = [*b" \"'\\[](){}:;=?/-.,<>%0123456789aAzZ\r\n\t\0\x1d", *b"\xff\xc3\xe4\xb8\xad"]


@pytest.fixture(autouse=True)
def _both_ways() -> Iterator[None]:
    if compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    yield
    compiled.allow()


def _fixtures(name: str) -> list[Path]:
    folder = GOLDEN / name.replace(".", "_")
    skip = {"SOURCES.md", "paths.json"}
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name not in skip and ".golden." not in p.name)


def _said(name: str, data: bytes) -> tuple[list[pl.DataFrame], list[Any]]:
    """What a parser says of bytes: events, one frame a batch, its columns in order of name; and all the rest."""
    source = MemorySource(data)
    file = File("/file", len(data), source.pread, 1_790_000_000_000_000_000, Facts())
    parser = registry.all_parsers()[name]
    batches = list(run(parser, Reading("/file", len(data), (parser,), file, source)))
    frames = [b.events.select(sorted(b.events.columns)) for b in batches]
    return frames, [(b.start, b.end, b.gaps, b.skipped, b.count) for b in batches]


def _same(name: str, data: bytes) -> None:
    compiled.allow()
    quick, rest = _said(name, data)
    compiled.forbid()
    slow, other = _said(name, data)
    assert rest == other
    for a, b in zip(quick, slow, strict=True):
        assert_frame_equal(a, b)


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed, put in and left out, more of them in some stretches than in others."""
    out = bytearray(data)
    for _ in range(1 + len(data) // chance.choice((40, 200, 1000))):
        at = chance.randrange(len(out) + 1)
        piece = bytes(chance.choice(ODD) for _ in range(chance.choice((1, 1, 1, 2, 9))))
        out[at : at + chance.choice((0, 1, 1, 3))] = piece
    return bytes(out[: chance.randrange(len(out) + 1)] if chance.random() < 0.2 else out)


@pytest.mark.parametrize("name", BULK)
def test_a_log_says_the_same_in_both_ways(name: str) -> None:
    for path in _fixtures(name):
        data = path.read_bytes()
        if len(data) > 1 << 20:
            data = data[: 1 << 20]
        _same(name, data)
        chance = random.Random(path.name)
        for _ in range(200 if LONG else 1):
            _same(name, _spoilt(data, chance))
        if not LONG:
            continue
        lines = data.splitlines(keepends=True)
        for _ in range(20):
            _same(name, _spoilt(b"".join(chance.choice(lines) for _ in range(2_000)), chance))


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="HEADWATER_LONG is not set")
def test_no_fault_under_the_sanitizers(tmp_path: Path) -> None:
    """The same comparison with a library that ends the process at any read or write out of bounds, or undefined step."""
    compiler = shutil.which("gcc")
    asan = (
        subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
        if compiler
        else ""
    )
    if not compiler or not Path(asan).is_file():
        pytest.skip("gcc or its address sanitizer is not here")
    sources = sorted(str(p) for p in Path(compiled.__file__).parent.glob("*.c"))
    built = tmp_path / f"_scanner{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    flags = ["-g", "-O1", "-shared", "-fPIC", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([compiler, *flags, "-o", str(built), *sources], check=True)
    checked = [
        __file__,
        *(
            str(GOLDEN.parent / name)
            for name in (
                "store/test_parquet.py",
                "examine/test_linux_audit.py",
                "formats/test_twin_digests.py",
                "formats/test_joint_digests.py",
                "formats/test_histogram.py",
            )
        ),
    ]
    script = (
        "import pathlib, sys, pytest\n"
        "from headwater.formats import compiled\n"
        f"compiled._HERE = pathlib.Path({str(tmp_path)!r})\n"
        "compiled.library.cache_clear()\n"
        "assert compiled.library() is not None\n"
        f"sys.exit(pytest.main(['-q', '-x', *{checked!r}, '-k', 'both_ways or outside or read_back or blocks or no_length or read_only or every_byte']))\n"
    )
    environment = {
        **os.environ, "LD_PRELOAD": asan, "HEADWATER_LONG": "", "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_a_place_outside_the_block_is_refused() -> None:
    data = np.frombuffer(b"some text" + bytes(PADDING), dtype=np.uint8)
    for low, high in ((-1, 3), (0, 10), (5, 4), (2**62, 2**62 + 1), (-(2**63), 2**63 - 1)):
        with pytest.raises(IndexError):
            column(data, np.array([low]), np.array([high]))
    with pytest.raises(IndexError):
        find(data, np.array([-5]), 32, np.array([4]))
    with pytest.raises(IndexError):
        find(data, np.array([0]), 32, np.array([2**40]))
    with pytest.raises(IndexError):
        find_back(data, np.array([2**40]), 32, np.array([0]))
    assert column(data, np.array([0, -9]), np.array([4, 2**50]), np.array([True, False])).to_list() == ["some", None]


def test_without_the_library_everything_is_there() -> None:
    compiled.forbid()
    assert compiled.library() is None
    assert compiled.which() == "pure"
    compiled.allow()
    assert compiled.which() == f"compiled {compiled.VERSION}"
