# SPDX-License-Identifier: Apache-2.0
"""Accounts as they stand: a second UID 0 and an empty password are seen, a broken line is a gap."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, run, spoilt

from headwater.examine.parsers import linux_passwd

FILES = {
    "passwd": "p2!/etc/passwd",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_passwd_golden(name: str) -> None:
    golden(linux_passwd, "linux_passwd", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_passwd_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_passwd" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_passwd, bent, FILES[name])


def test_passwd_backup_is_marked() -> None:
    rows, _, _ = run(linux_passwd, b"a:x:1:1::/:/bin/sh\n", "p2!/etc/passwd-")
    assert rows[0]["backup"] is True
