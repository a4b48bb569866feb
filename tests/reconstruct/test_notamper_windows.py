# SPDX-License-Identifier: Apache-2.0
"""Windows' own records: a journal of changes and event logs of real machines, read as evidence of a touched disk is.

SOURCE: ``UsnJrnl.raw`` of plaso's test data (Apache-2.0); evtx-attack-samples (GPL-3.0, read where they lie, not shipped).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from touched_disks import SECOND, MemoryEvents, _stored, event, question

from headwater.examine import registry
from headwater.examine.reading import Reading, run
from headwater.formats.sources import MemorySource
from headwater.model.kinds import EventKind
from headwater.model.records import Facts, File
from headwater.reconstruct.notamper import examined
from headwater.reconstruct.notamper_terms import Examined, Standing, Volume

SHARED = Path(__file__).parents[3] / "shared" / "data"
VOLUMES = (Volume("p1", "ntfs", "clean"),)
LIVE, COPIES = "p1!/Windows/System32/winevt/Logs/Security.evtx", "p1!/cases/Security.evtx"


def _read(events: MemoryEvents, parser: str, path: str, name: str) -> pl.DataFrame:
    """A real file at a place of an NTFS volume."""
    place = SHARED / name
    if not place.is_file():
        pytest.skip(f"shared data is not here: {name}")
    data, known = place.read_bytes(), registry.all_parsers()[parser]
    source = MemorySource(data)
    file = File(path, len(data), source.pread, 1_790_000_000 * SECOND, Facts())
    found = [b.events for b in run(known, Reading(path, len(data), (known,), file, source)) if b.events.height]
    frame = pl.concat(found, how="diagonal")
    events.put_frame(known.feed, _stored(frame, known.feed, path))
    return frame


def _own_times(events: MemoryEvents, name: str, moment: int) -> None:
    for word, kind in (
        ("modified", EventKind.FILE_MODIFIED),
        ("changed", EventKind.FILE_CHANGED),
        ("created", EventKind.FILE_CREATED),
    ):
        row = event(kind, moment, 7168, t_kind=word, file_path=name, inode=40, mode=0)
        events.put("fs.macb", "p1", [row])


def _signs(found: Examined, standing: Standing) -> set[str]:
    return {s.rule for s in found.signs if s.standing is standing}


def test_real_journal_gives_away_a_file_whose_times_were_set_back() -> None:
    events = MemoryEvents()
    noted = _read(events, "windows.usnjrnl", "p1!/$Extend/$UsnJrnl:$J", "plaso/test_data/UsnJrnl.raw")
    first, last = int(str(noted["t_recorded"].min())), int(str(noted["t_recorded"].max()))
    _own_times(
        events, "/second.txt", first - 86_400 * SECOND
    )  # its owner wants it older than the journal knows it to be
    between = 1_448_918_145 * SECOND  # after first.txt was renamed, before its copy became second.txt
    found = examined(events, question(between, VOLUMES))
    assert found.verdict == "D"
    named = {s.rule: {e.path for e in s.examples} for s in found.signs}
    assert named["change-journal"] == {"/second.txt"}
    assert examined(events, question(last + 10 * SECOND, VOLUMES)).verdict == "A"


@pytest.mark.parametrize(
    "name", ["DE_104_system_log_cleared.evtx", "DE_1102_security_log_cleared.evtx"],
)  # fmt: skip
def test_real_record_of_a_cleared_log_counts_after_the_baseline_alone(name: str) -> None:
    events = MemoryEvents()
    frame = _read(events, "windows.evtx", LIVE, f"evtx-attack-samples/Defense Evasion/{name}")
    at = int(str(frame.filter(pl.col("kind") == "log.cleared")["t_recorded"].min()))
    _own_times(events, "/Users/u/a.txt", at - 86_400 * SECOND)
    after = examined(events, question(at - 60 * SECOND, VOLUMES))
    assert after.verdict == "D"
    assert "log-cleared" in _signs(after, Standing.UNEXPLAINED)
    assert examined(events, question(int(str(frame["t_recorded"].max())) + 60 * SECOND, VOLUMES)).verdict == "A"


def test_real_exports_lack_numbers_and_decide_nothing() -> None:
    """55 of 150 real exports lack numbers; in 43 of these the records bear a second time that live ones do not."""
    folder = SHARED / "evtx-attack-samples"
    names = (
        "Lateral Movement/LM_REMCOM_5145_TargetHost.evtx", "Command and Control/DE_RDP_Tunnel_5156.evtx",
        "Credential Access/4794_DSRM_password_change_t1098.evtx",
    )  # fmt: skip
    tried = 0
    for name in names:
        if not (folder / name).is_file():
            continue
        events = MemoryEvents()
        frame = _read(events, "windows.evtx", COPIES, f"evtx-attack-samples/{name}")
        latest = int(str(frame["t_recorded"].max()))
        _own_times(events, "/Users/u/a.txt", latest - 86_400 * SECOND)
        found = examined(events, question(latest + 60 * SECOND, VOLUMES))
        assert found.verdict == "A", (name, found.reasons)
        tried += 1
    if not tried:
        pytest.skip("shared data is not here: evtx-attack-samples")
