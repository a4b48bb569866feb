# SPDX-License-Identifier: Apache-2.0
"""Authorized keys: fingerprints are those of ssh-keygen, a forced command is seen, a broken line is a gap."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, run, spoilt

from headwater.examine.parsers import linux_authorized_keys

FILES = {
    "authorized_keys": "p2!/home/deploy/.ssh/authorized_keys",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_authorized_keys_golden(name: str) -> None:
    golden(linux_authorized_keys, "linux_authorized_keys", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_authorized_keys_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_authorized_keys" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_authorized_keys, bent, FILES[name])


def test_authorized_keys_fingerprints_are_those_of_ssh_keygen() -> None:
    data = (GOLDEN / "linux_authorized_keys" / "authorized_keys").read_bytes()
    rows, _, _ = run(linux_authorized_keys, data, "/root/.ssh/authorized_keys")
    assert [r["key_fingerprint"] for r in rows] == [
        "SHA256:T9+bQDHhlcC1+Yndcxt7hwGYkAWctKav2eE3sG/tmPc",
        "SHA256:YPU5K0UKGFXaP2o5+QNd4xUvGosQUdE5n79vAGRtvXU",
        "SHA256:Ii9ORC9IFTTPNS974m+6i/CGbj7p/6Xb4wa9EeikfRE",
    ]
    assert {r["user"] for r in rows} == {"root"}
