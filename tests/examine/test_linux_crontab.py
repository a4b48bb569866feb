# SPDX-License-Identifier: Apache-2.0
"""Schedules: the user column is read where there is one, and nowhere else."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, spoilt

from headwater.examine.parsers import linux_crontab

FILES = {
    "crontab": "p2!/etc/crontab",
    "deploy": "p2!/var/spool/cron/crontabs/deploy",
    "anacrontab": "p2!/etc/anacrontab",
    "logrotate": "p2!/etc/cron.daily/logrotate",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_crontab_golden(name: str) -> None:
    golden(linux_crontab, "linux_crontab", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_crontab_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_crontab" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_crontab, bent, FILES[name])
