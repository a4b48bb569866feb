# SPDX-License-Identifier: Apache-2.0
"""Failed logins as PAM counts them: the user is the file's name, or the place in it."""

from __future__ import annotations

import pytest
from tiling import fixture, golden, hold, spoilt

from headwater.examine.parsers import linux_faillock

FILES = {"deploy": "p2!/var/lib/faillock/deploy", "faillog": "p2!/var/log/faillog"}


@pytest.mark.parametrize("name", FILES)
def test_faillock_golden(name: str) -> None:
    golden(linux_faillock, "linux_faillock", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_faillock_loses_no_byte_in_any_state(name: str) -> None:
    data = fixture("linux_faillock", name)
    for bent in [data, *spoilt(data)]:
        hold(linux_faillock, bent, FILES[name])
