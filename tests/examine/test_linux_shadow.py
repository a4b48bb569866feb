# SPDX-License-Identifier: Apache-2.0
"""Password states: empty, locked, none and hashed are told apart; no hash is copied out."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, run, spoilt

from headwater.examine.parsers import linux_shadow

FILES = {
    "shadow": "p2!/etc/shadow",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_shadow_golden(name: str) -> None:
    golden(linux_shadow, "linux_shadow", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_shadow_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_shadow" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_shadow, bent, FILES[name])


def test_shadow_never_copies_the_hash() -> None:
    rows, _, _ = run(linux_shadow, (GOLDEN / "linux_shadow" / "shadow").read_bytes(), "/etc/shadow")
    assert not [r for r in rows if any("tnSYvahCwPBHKZ" in str(v) for v in r.values())]
