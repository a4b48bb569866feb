# SPDX-License-Identifier: Apache-2.0
"""A volume whose journal is another item of the same case is read with it: what only the journal has is not missed.

SOURCE: fixtures/outer-ext4.tar.xz, made by lab/volumes/outer_journal.sh with Linux 6.18 on 2026-11-22 from the log of logins of
tests/small_case.py, which stands in the journal alone. Apache-2.0.
"""

from __future__ import annotations

import io
import lzma
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.examine.opening import open_evidence
from headwater.formats.opened import open_readonly
from headwater.model.kinds import GapReason
from headwater.procedure.corridor import facts_of, open_case
from headwater.procedure.fetching import bytes_of
from headwater.procedure.investigate import investigate
from headwater.procedure.outer_journals import listed_with
from headwater.procedure.verification import verify
from small_case import auth_lines, order

FIXTURE = Path(__file__).parents[1] / "formats" / "fixtures" / "outer-ext4.tar.xz"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """(volume, journal)."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(FIXTURE.read_bytes()))) as tar:
        for name in ("volume", "journal"):
            member = tar.extractfile(f"outer-ext4/{name}")
            assert member is not None
            (tmp_path / name).write_bytes(member.read())
    return tmp_path / "volume", tmp_path / "journal"


def test_a_login_that_only_the_journal_on_another_disk_has_is_found(pair: tuple[Path, Path], tmp_path: Path) -> None:
    volume, journal = pair
    line = b"Accepted password for root from 203.0.113.66"
    assert line in auth_lines()
    assert line not in volume.read_bytes()
    outcome = investigate(replace(order(volume, tmp_path / "case"), sources=(volume, journal)))
    found = next(f for f in outcome.judged.findings if f.rule.id == "ssh-guessing-success")
    assert "journal-not-replayed" not in {reason for reason, _, _ in outcome.gaps}
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        assert (listed_with(corridor.ledger, 1), listed_with(corridor.ledger, 2)) == ((2,), ())
        assert facts_of(corridor.ledger, 1)[""]["view"] == "replayed"
        assert {c.result for c in verify(corridor, rebuild=True)} == {"ok"}
        assert any(line in data for data in bytes_of(corridor, found.spans))


def test_without_its_own_journal_the_volume_says_what_it_lacks(pair: tuple[Path, Path], tmp_path: Path) -> None:
    bent = bytearray(pair[1].read_bytes())
    bent[1024 + 104] ^= 1  # another volume's journal
    (tmp_path / "other").write_bytes(bent)
    outcome = investigate(replace(order(pair[0], tmp_path / "case"), sources=(pair[0], tmp_path / "other")))
    assert not outcome.judged.findings
    assert "journal-not-replayed" in {reason for reason, _, _ in outcome.gaps}


def test_a_journal_disk_that_is_cut_or_spoilt_is_told_and_hides_nothing(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Names that the volume itself has are there whatever the other disk holds."""
    data = pair[1].read_bytes()
    chance = random.Random(3)
    spoilt = bytearray(data)
    for _ in range(200):
        spoilt[chance.randrange(2048, 1 << 17)] = chance.randrange(256)
    for name, held in (
        ("none", b"\0" * 4096),
        ("cut", data[:40_000]),
        ("short", data[:2100]),
        ("spoilt", bytes(spoilt)),
    ):
        (tmp_path / name).write_bytes(held)
        files = [open_readonly(pair[0]), replace(open_readonly(tmp_path / name), item=2)]
        view = open_evidence(files).views[0]
        assert "/etc/hostname" in {entry.path for entry in view.tree.entries()}
        if name != "spoilt":
            assert {gap.reason for gap in view.tree.warnings} & {GapReason.NOT_REPLAYED, GapReason.UNREADABLE}
        for file in files:
            file.close()
