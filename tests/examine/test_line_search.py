# SPDX-License-Identifier: Apache-2.0
"""Harms: a byte passed over, digits read short, a bracket without a number taken for a pid, a host judged by another line's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from headwater.examine.line_search import places, words_from
from headwater.examine.line_templates import run_of_digits
from headwater.examine.line_views import PADDING, column
from headwater.examine.line_words import decimal_back, word
from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_auth
from headwater.formats import compiled
from headwater.model.records import Facts, File


@pytest.fixture(params=["compiled", "pure"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "pure":
        compiled.forbid()
    elif compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    yield
    compiled.allow()


@pytest.mark.parametrize("step", [1, 7, 8, 9, 30, 1000])
def test_every_place_of_a_byte_is_found(step: int) -> None:
    chance = random.Random(step)
    for size in (0, 1, 7, 8, 9, 63, 5_003):
        data = bytearray(b"x" * size)
        for at in range(chance.randrange(step), size, step):
            data[at] = 10
        found = places(np.frombuffer(bytes(data), dtype=np.uint8), 10)
        assert found.tolist() == [k for k, byte in enumerate(data) if byte == 10]


def test_digits_before_a_place_are_read_as_they_stand() -> None:
    chance = random.Random(3)
    data = bytes(PADDING) + bytes(chance.choice(b"0123456789999:/\xb5\xff\0") for _ in range(5_000)) + bytes(PADDING)
    block = np.frombuffer(data, dtype=np.uint8)
    at = np.arange(PADDING, PADDING + 5_000)
    limit = at - np.array([chance.randrange(25) for _ in at])
    counts, values = decimal_back(word(block, at - 8))
    ends, wholes = run_of_digits(block, at, np.maximum(limit, PADDING), -1)
    for k, place in enumerate(at.tolist()):
        digits = re.search(rb"[0-9]*$", data[place - 8 : place])
        assert digits is not None
        assert (counts[k], values[k]) == (len(digits.group()), int(digits.group() or b"0"))
        run = re.search(rb"[0-9]*$", data[max(int(limit[k]), PADDING) : place])
        assert run is not None
        kept = run.group()[-18:]
        assert (place - ends[k], wholes[k]) == (len(kept), int(kept or b"0"))


def test_words_from_a_place_are_those_of_the_bytes_there() -> None:
    data = bytes(range(200)) + bytes(PADDING)
    found = words_from(np.frombuffer(data, dtype=np.uint8), np.array([0, 3, 199]), 4)
    for row, at in enumerate((0, 3, 199)):
        assert b"".join(int(part[row]).to_bytes(8, "little") for part in found) == data[at : at + 32]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("longest", [3, 8, 9, 12, 13, 40])
@pytest.mark.usefixtures("way")
def test_a_column_says_what_stands_in_the_block(share: float, longest: int) -> None:
    chance = random.Random(longest)
    data = bytes(chance.choice(b"abcdefgh") for _ in range(3_000))
    block = np.frombuffer(data + bytes(PADDING), dtype=np.uint8)
    start = np.array([chance.randrange(2_900) for _ in range(500)])
    end = start + np.array([chance.randrange(longest + 1) for _ in start])
    valid = np.array([chance.random() < share for _ in start])
    texts = [data[a:b].decode() for a, b in zip(start.tolist(), end.tolist())]
    assert column(block, start, end).to_list() == texts
    assert column(block, start, end, valid).to_list() == [t if v else None for t, v in zip(texts, valid)]


def _read(lines: list[str]) -> pl.DataFrame:
    file = File.of("\n".join(lines).encode(), facts=Facts(year=2026))
    return pl.concat([b.events for b in line_batches(linux_auth.GRAMMAR, file)], how="diagonal")


@pytest.mark.usefixtures("way")
def test_brackets_without_a_number_are_no_pid() -> None:
    tags = ["CRON[]", "CRON[7]", "CRON[1234567]", "CRON[12345678]", "CRON[12[34]", "CRON[a7]", "CRON"]
    found = _read(
        [f"Mar  2 11:22:33 web01 {tag}: pam_unix(cron:session): session closed for user root" for tag in tags]
    )
    assert found["pid"].to_list() == [None, 7, 1234567, None, 34, None, None]


@pytest.mark.usefixtures("way")
def test_a_host_is_judged_by_its_own_name_alone() -> None:
    name = "a-very-long-host-name"
    hosts = [
        "web01",
        "web01",
        "12345",
        "web01",
        f"{name}1",
        f"{name}_",
        f"{name}2",
        name,
        "web01:",
        "web-1",
        "web-",
        "web",
    ]
    found = _read([f"Mar  2 11:22:33 {host} sshd[5]: Connection closed by 192.0.2.1 [preauth]" for host in hosts])
    fits = ["web01", "web01", None, "web01", f"{name}1", None, f"{name}2", name, None, "web-1", None, "web"]
    assert found["host"].to_list() == fits if "host" in found.columns else not any(fits)
