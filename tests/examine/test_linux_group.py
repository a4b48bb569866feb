# SPDX-License-Identifier: Apache-2.0
"""Groups: members are kept, a line that is no group is a gap."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, spoilt

from headwater.examine.parsers import linux_group

FILES = {
    "group": "p2!/etc/group",
    "gshadow": "p2!/etc/gshadow",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_group_golden(name: str) -> None:
    golden(linux_group, "linux_group", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_group_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_group" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_group, bent, FILES[name])
