# SPDX-License-Identifier: Apache-2.0
"""Start-up that costs more than the work, and a record of versions or a key that is not what the libraries say."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headwater.model.errors import VaultError
from headwater.procedure.corridor import _LIBRARIES
from headwater.procedure.installed import ABSENT, system, versions
from headwater.vault.keys import make_case_key, open_case_key


@pytest.mark.parametrize(("modules", "unwanted"), [
    ("headwater.acquire.superblocks, headwater.procedure.child_image", "numpy zstandard ctypes pickle"),
    ("headwater.cli.main, headwater.procedure.imaging", "numpy polars asyncssh importlib.metadata email"),
])  # fmt: skip
def test_imaging_loads_nothing_heavy_before_it_is_needed(modules: str, unwanted: str) -> None:
    code = f"import sys, {modules}; print(*[n for n in {unwanted.split()!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-s", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_versions_and_system_are_those_that_the_standard_library_tells() -> None:
    told = versions((*_LIBRARIES, "no-such-library"))
    assert told.pop("no-such-library") == ABSENT
    assert told == {name: metadata.version(name) for name in _LIBRARIES}
    assert system() == platform.platform()


def test_case_key_is_the_pem_that_every_other_program_reads_and_writes(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "case.key"
    make_case_key(path)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    assert key.private_bytes(*plain) == path.read_bytes()
    assert open_case_key(path).public == key.public_key().public_bytes_raw().hex()
    path.write_bytes(b"# a comment of another program\n" + path.read_bytes())  # the general way
    assert open_case_key(path).public == key.public_key().public_bytes_raw().hex()
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(VaultError):
        open_case_key(path)
