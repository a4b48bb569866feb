# SPDX-License-Identifier: Apache-2.0
"""Rules of sudo: continued lines, NOPASSWD and ids written with # are not taken for comments."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, spoilt

from headwater.examine.parsers import linux_sudoers

FILES = {
    "sudoers": "p2!/etc/sudoers",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_sudoers_golden(name: str) -> None:
    golden(linux_sudoers, "linux_sudoers", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_sudoers_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_sudoers" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_sudoers, bent, FILES[name])


def test_sudoers_hostile_line_costs_no_time() -> None:
    for data in (b"a, " * 40_000 + b"\n", b'"a' * 50_000 + b"\n", b" " * 120_000 + b"x\n"):
        hold(linux_sudoers, data, "/etc/sudoers")
