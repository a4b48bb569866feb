# SPDX-License-Identifier: Apache-2.0
"""Windows event logs: read whole, by two readers that agree, in agreement with an independent parser, in any state."""

from __future__ import annotations

import json
import random
import re
import struct
from pathlib import Path
from typing import Any

import evtx
import evtx_writing as writing
import numpy as np
import polars as pl
import pytest

from headwater.examine import evtx_events
from headwater.examine.parsers import windows_evtx
from headwater.formats.evtx_groups import Groups
from headwater.model.records import File

SHARED = Path(__file__).parents[3] / "shared" / "data"
Row = dict[str, Any]


def _read(data: bytes) -> tuple[list[Row], list[Any], list[Any]]:
    """Rows without nulls, gaps, and the batches; they tile the file."""
    done = list(windows_evtx.batches(File.of(data, "/a.evtx")))
    at = covered = 0
    for batch in done:
        assert batch.start == at
        at = batch.end
        covered += sum(s.size for s in batch.skipped) + sum(g.length for g in batch.gaps)
        covered += int(batch.events["length"].sum())
    assert at == covered == len(data)
    rows = [{k: v for k, v in r.items() if v is not None} for b in done for r in b.events.iter_rows(named=True)]
    return rows, [g for b in done for g in b.gaps], done


class _AllLeft(Groups):
    """Leaves every record to the plain walker."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.left = np.ones(len(self.left), dtype=bool)


def _both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Row], list[Row]]:
    fast = _read(data)[0]
    with monkeypatch.context() as patch:
        patch.setattr(evtx_events, "Groups", _AllLeft)
        return fast, _read(data)[0]


def _reference() -> list[Path]:
    found = sorted(SHARED.glob("evtx-attack-samples/**/*.evtx")) + sorted(SHARED.glob("sigma-regression/**/*.evtx"))
    if not found:
        pytest.skip("no reference data: evtx-attack-samples")
    small = [p for p in found if p.stat().st_size < 200_000]
    return small[::9] + sorted(SHARED.glob("plaso/test_data/evtx/System2.evtx"))


def test_evtx_system_fields_survive_event_data_of_the_same_name() -> None:
    rows, _, _ = _read(writing.closed())
    service, cleared = rows[3], rows[4]
    assert service["EventID"] == 7045
    assert service["EventData.EventID"] == "not the event's number"
    assert cleared["Channel"] == "System"
    assert cleared["UserData.Channel"] == "System"


def test_evtx_unnamed_data_and_arrays_are_kept() -> None:
    rows, _, _ = _read(writing.closed())
    assert rows[5]["Data"].splitlines() == ["Available", "None", "HostApplication=powershell -enc AAAA"]
    assert rows[5]["Data_1"] == "true"


def test_evtx_slack_is_recovered_and_said_to_be() -> None:
    rows, _, done = _read(writing.closed())
    assert [r["recovered"] for r in rows] == [False] * 5 + [True] * 2
    assert done[-1].count.declared == 7


def test_evtx_dirty_log_loses_nothing() -> None:
    rows, gaps, _ = _read(writing.dirty())
    assert [r["RecordNumber"] for r in rows] == list(range(1, 11))
    assert not gaps
    assert not any(r.get("recovered") for r in rows)


def test_evtx_cut_file_says_what_is_missing() -> None:
    rows, gaps, done = _read(writing.cut())
    assert len(rows) == 6
    assert [g.reason.value for g in gaps] == ["truncated"]
    assert done[-1].count.lost == 1


def test_evtx_wrong_checksum_is_said_and_records_are_kept() -> None:
    data = bytearray(writing.closed())
    at = data.find("svchost".encode("utf-16-le"))
    data[at] ^= 1
    rows, _, _ = _read(bytes(data))
    assert len(rows) == 7
    assert all(r["checksum_wrong"] for r in rows)


def test_evtx_overwritten_record_is_a_gap_and_the_rest_is_read() -> None:
    data = bytearray(writing.closed())
    data[7224 : 7224 + 592] = bytes(592)
    rows, gaps, done = _read(bytes(data))
    assert [r["RecordNumber"] for r in rows] == [1, 2, 4, 5, 6, 7]
    assert [(g.offset, g.length, g.reason.value) for g in gaps] == [(7224, 592, "overwritten")]
    assert done[-1].count.lost == 1


def test_evtx_chunk_without_header_is_recovered() -> None:
    data = bytearray(writing.closed())
    data[4096:4104] = bytes(8)
    rows, gaps, _ = _read(bytes(data))
    assert len(rows) == 7
    assert all(r["recovered"] for r in rows)
    assert gaps[0].detail == "no chunk header"


def test_evtx_meanings() -> None:
    rows, _, _ = _read(writing.closed())
    said = [(r["kind"], r.get("user"), r.get("src_ip")) for r in rows[:5]]
    assert said == [
        ("auth.failure", "administrator", "203.0.113.9"),
        ("auth.success", "administrator", "203.0.113.9"),
        ("process.create", "管理员", None),
        ("service.install", None, None),
        ("log.cleared", "administrator", None),
    ]
    assert rows[2]["pid"] == 0x1F0C
    assert rows[2]["command_line"] == "vssadmin delete shadows /all /quiet"


@pytest.mark.parametrize("made", [writing.closed, writing.dirty, writing.cut])
def test_evtx_columnar_and_plain_reader_agree(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fast, plain = _both(made(), monkeypatch)
    assert fast == plain


def test_evtx_readers_agree_on_real_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in _reference()[::2]:
        fast, plain = _both(path.read_bytes(), monkeypatch)
        assert fast == plain, path


def _leaves(node: Any, name: str = "") -> list[tuple[str, Any]]:
    """The values of the independent parser's JSON, in order, with the name of their element."""
    if isinstance(node, dict):
        found = []
        for key, value in node.items():
            if key == "#attributes":
                named = {k: v for k, v in value.items() if not k.startswith("xmlns") and k != "Name"}
                found += [v for k, v in named.items() for v in _leaves(v, f"{name}_{k}")]
            else:
                found += _leaves(value, name if key == "#text" else key)
        return found
    if isinstance(node, list):
        return [v for item in node for v in _leaves(item, name)]
    return [] if node is None else [(name, node)]


def _canonical(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if re.fullmatch(r"\{[0-9A-Fa-f-]{36}\}", text):
        text = text[1:-1]
    moment = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})\dZ", text)
    return (moment.group(1) + "Z" if moment else text).lower()


def test_evtx_agrees_with_an_independent_parser() -> None:
    checked = 0
    for path in _reference():
        rows = {r["RecordNumber"]: r for r in _read(path.read_bytes())[0] if not r.get("recovered")}
        for record in evtx.PyEvtxParser(str(path)).records_json():
            row = rows[record["event_record_id"]]
            own = {_canonical(v) for v in row.values()}
            arrays = [text for text in map(_canonical, row.values()) if "\n" in text]
            for name, value in _leaves(json.loads(record["data"])["Event"]):
                if name == "TimeCreated_SystemTime" or name.startswith("ComplexData") or not _canonical(value):
                    continue
                one = _canonical(value)
                assert one in own or any(one in text for text in arrays), (path, record["event_record_id"], name, value)
                checked += 1
    assert checked > 5_000


def _hostile(seed: int) -> bytes:
    """A log with numbers bent where the structure stands: sizes, offsets, counts, types."""
    chance = random.Random(seed)
    data = bytearray(chance.choice((writing.closed, writing.dirty, writing.cut))())
    used = len(data.rstrip(b"\0"))
    for _ in range(chance.randrange(1, 30)):
        at = chance.randrange(4096, used - 8)
        if chance.random() < 0.5:
            data[at] = chance.randrange(256)
        else:
            value = chance.choice((0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, at % 65_536, chance.randrange(65_536)))
            struct.pack_into("<I", data, at, value)
    return bytes(data)


def test_evtx_that_lies_about_lengths_and_offsets_is_still_accounted_for() -> None:
    for seed in range(60):
        _read(_hostile(seed))


def test_evtx_readers_agree_on_hostile_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(30, 60):
        fast, plain = _both(_hostile(seed), monkeypatch)
        assert fast == plain, seed


def test_evtx_names_are_bounded_and_one_spelling_stands_for_both() -> None:
    events = [
        writing.Happening("P", n, "Application", [(f"n{n}_{i}", writing.text("x")) for i in range(40)])
        for n in range(45)
    ]
    events += [writing.Happening("P", 900, "Application", [("Zeta", writing.text("1"))])]
    events += [writing.Happening("P", 901, "Application", [("zeta", writing.text("2"))])]
    chunks = [writing.chunk_of([e], first=i + 1) for i, e in enumerate(events)]
    rows, gaps, done = _read(writing.log_file([*chunks[-2:], *chunks[:-2]], 48))
    assert not gaps
    assert [r["Zeta"] for r in rows[:2]] == ["1", "2"]
    assert done[0].events.width < evtx_events.MOST_NAMES + 60
    assert rows[-1]["other_fields"].splitlines()[0] == "n44_0=x"
    assert isinstance(done[0].events, pl.DataFrame)
