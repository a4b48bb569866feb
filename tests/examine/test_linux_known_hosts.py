# SPDX-License-Identifier: Apache-2.0
"""Known hosts: hashed names stay hashed, an address is an address, half an entry is a gap."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, spoilt

from headwater.examine.parsers import linux_known_hosts

FILES = {
    "known_hosts": "p2!/root/.ssh/known_hosts",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_known_hosts_golden(name: str) -> None:
    golden(linux_known_hosts, "linux_known_hosts", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_known_hosts_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_known_hosts" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_known_hosts, bent, FILES[name])
