# SPDX-License-Identifier: Apache-2.0
"""What several tests of the vault share: a timestamp authority and an object store of their own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import weed
from stamping import Authority

from headwater.vault.s3 import Place


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not weed.BINARY.exists():
        pytest.skip("no weed here")
    with weed.serving(tmp_path_factory.mktemp("weed")) as found:
        yield found
