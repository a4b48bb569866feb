# SPDX-License-Identifier: Apache-2.0
"""What several tests of the vault share: a timestamp authority of their own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stamping import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    return Authority(tmp_path_factory.mktemp("tsa"))
