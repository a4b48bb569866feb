# SPDX-License-Identifier: Apache-2.0
"""What is entered after a report was issued neither changes it nor hides: reads of frozen evidence stand in the ledger."""

from __future__ import annotations

from pathlib import Path

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from headwater.procedure.custody import looked
from headwater.procedure.verification import verify


def test_reads_after_the_baseline_are_entered_and_the_report_still_rebuilds(copied: Path) -> None:
    with (corridor := open_case(copied)).ledger:
        assert looked(corridor, "events", "kind = 'x'") is None  # nothing is frozen yet
        corridor.record("baseline", note={"time": "2026-03-02T00:00:00.000000000Z", "source": "a test"})
    assert main(["events", str(copied), "--where", "user = 'root'", "--json"]) == 0
    assert main(["findings", str(copied), "--json"]) == 0
    with (corridor := open_case(copied)).ledger:
        read = [s.entry.note for s in corridor.ledger.entries() if s.entry.action == "access"]
        assert [(note["verb"], note["query"]) for note in read] == [("events", "user = 'root'"), ("findings", "")]
        assert {c.result for c in verify(corridor, rebuild=True)} == {"ok"}


def test_a_copy_without_the_key_can_still_be_read(copied: Path) -> None:
    with (corridor := open_case(copied)).ledger:
        corridor.record("baseline", note={"time": "2026-03-02T00:00:00.000000000Z", "source": "a test"})
    (copied / "keys" / "case.key").unlink()
    assert main(["findings", str(copied), "--json"]) == 0
