# SPDX-License-Identifier: Apache-2.0
"""A small case, worked through once per session: a folder of logs with one guessed password, lines of our own making."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kept_children
from headwater.procedure.investigate import Outcome, investigate
from small_case import make_evidence, order

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_cache() -> Iterator[None]:
    """What is kept between runs goes to a folder of this session, not to that of the person who runs the tests."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _kept_children() -> Iterator[None]:
    """The children of an examination are started once, not once for each case."""
    yield from kept_children.kept()


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Outcome]:
    """(evidence, case, outcome) of the small case; read it, do not change it."""
    base = tmp_path_factory.mktemp("worked")
    source = make_evidence(base / "evidence")
    outcome = investigate(order(source, base / "case"))
    return source, base / "case", outcome


@pytest.fixture
def copied(worked: tuple[Path, Path, Outcome], tmp_path: Path) -> Path:
    """A copy of the small case that a test may spoil; its evidence stays where it was registered."""
    shutil.copytree(worked[1], tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture
def shared_data() -> Path:
    """The reference data, or a skip."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data here")
    return SHARED
