# SPDX-License-Identifier: Apache-2.0
"""What runs at boot or in every program: each line of rc.local and each preloaded library is seen."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, run, spoilt

from headwater.examine.parsers import linux_rc

FILES = {
    "rc.local": "p2!/etc/rc.local",
    "ld.so.preload": "p2!/etc/ld.so.preload",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_rc_golden(name: str) -> None:
    golden(linux_rc, "linux_rc", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_rc_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_rc" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_rc, bent, FILES[name])


def test_rc_init_script_is_one_event_with_its_text() -> None:
    rows, gaps, _ = run(linux_rc, b"#!/bin/sh\nexec /opt/x\n", "p2!/etc/init.d/x")
    assert [(r["command_line"], r["interpreter"], r["length"]) for r in rows] == [("/etc/init.d/x", "/bin/sh", 22)]
    assert gaps == []
