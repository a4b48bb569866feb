# SPDX-License-Identifier: Apache-2.0
"""Notes of a core that are longer than is read are a gap, and not called memory of the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.examine.parsers import linux_core
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap

GOLDEN = Path(__file__).parents[1] / "golden" / "linux_core"


def test_notes_behind_the_bound_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (p for p in GOLDEN.glob("core.*") if not p.name.endswith(".json"))
    data = path.read_bytes()
    whole = list(linux_core.parse(File.of(data, f"/var/lib/systemd/coredump/{path.name}")))
    (event,) = (r for r in whole if isinstance(r, Event))
    assert not any(isinstance(r, Gap) for r in whole)
    monkeypatch.setattr(linux_core, "_NOTES_MOST", event.length - 100)
    cut = list(linux_core.parse(File.of(data, f"/var/lib/systemd/coredump/{path.name}")))
    (gap,) = (r for r in cut if isinstance(r, Gap))
    assert (gap.reason, gap.length) == (GapReason.LIMIT, 100)
    assert sum(r.length for r in cut) == len(data)
