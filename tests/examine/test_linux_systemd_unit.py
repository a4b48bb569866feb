# SPDX-License-Identifier: Apache-2.0
"""Units: continued lines and comments between them are joined as systemd joins them."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, spoilt

from headwater.examine.parsers import linux_systemd_unit

FILES = {
    "beat.service": "p2!/etc/systemd/system/beat.service",
    "beat.timer": "p2!/etc/systemd/system/beat.timer",
    "override.conf": "p2!/etc/systemd/system/beat.service.d/override.conf",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_systemd_unit_golden(name: str) -> None:
    golden(linux_systemd_unit, "linux_systemd_unit", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_systemd_unit_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_systemd_unit" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_systemd_unit, bent, FILES[name])
