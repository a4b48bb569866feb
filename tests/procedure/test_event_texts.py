# SPDX-License-Identifier: Apache-2.0
"""An event is shown in its provider's words with its own values, from the very file in evidence that the registry names."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import polars as pl
import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "formats"), str(TESTS / "examine")]
from evt_writing import log, record  # noqa: E402
from hive_writing import tree, write  # noqa: E402

from headwater.examine.event_texts import Ask, describe  # noqa: E402
from headwater.formats.sources import MemorySource  # noqa: E402
from headwater.procedure.corridor import open_case  # noqa: E402
from headwater.procedure.event_texts import _local  # noqa: E402
from headwater.procedure.event_words import Texts  # noqa: E402
from headwater.procedure.investigate import investigate  # noqa: E402
from headwater.procedure.tracing import trace  # noqa: E402
from small_case import make_evidence, order  # noqa: E402

LIBRARY = (TESTS / "formats" / "fixtures" / "event_messages.dll").read_bytes()
WHEN = 1_172_500_000


def test_an_event_is_traced_to_its_words_and_to_the_file_that_has_them(tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    config = source / "Windows" / "System32" / "config"
    config.mkdir(parents=True)
    (source / "Windows" / "System32" / "said.dll").write_bytes(LIBRARY)
    named = {"EventMessageFile": "%SystemRoot%\\System32\\said.dll;%SystemRoot%\\missing.dll"}
    keys = {"Select": {"Current": 1}, "ControlSet001\\Services\\EventLog\\System\\Said": named}
    (config / "SYSTEM").write_bytes(write(tree(keys), "SYSTEM"))
    events = [
        record(1, WHEN, 0x40000001, "Said", ("防火墙", "stopped")),
        record(2, WHEN, 777, "Said", ("x",)),
        record(3, WHEN, 0x40000001, "Other", ("x",)),
    ]
    (config / "SysEvent.Evt").write_bytes(log(events))
    investigate(order(source, tmp_path / "case"))
    rows = pl.read_parquet(tmp_path / "case" / "events" / "feed=windows.eventtext" / "*.parquet")
    assert set(rows["language"]) == {0x409, 0x804}
    assert set(rows["hash"]) == {hashlib.sha256(LIBRARY).hexdigest()}
    for row in rows.iter_rows(named=True):
        assert row["text"].encode("utf-16-le") in LIBRARY[row["offset"] : row["offset"] + row["length"]]
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        said = {link.kind: link for link in trace(corridor, "1:/Windows/System32/config/SysEvent.Evt:48:0")}
        assert said["event-text"].facts["text"] == "Service 防火墙 (zh) is now stopped."
        assert said["event-text"].facts["file"] == "/Windows/System32/said.dll"
        other = 48 + len(events[0])
        kinds = {link.kind for link in trace(corridor, f"1:/Windows/System32/config/SysEvent.Evt:{other}:0")}
        assert "event-text" not in kinds
        words = {link.kind for link in trace(corridor, said["event-text"].id)}
        assert {"event", "bytes", "evidence"} <= words


def _row(**more: object) -> dict[str, object]:
    return {
        "source": 1, "path": "/d", "offset": 0, "ordinal": 1 << 34, "provider": "P", "event_code": "1", "inserts": None,
        "language": 0x409, "version": None, "qualifiers": None, "file_path": "/d", "hash": None, "text": "%2 then %1", **more,
    }  # fmt: skip


def _say(row: dict[str, object], language: str = "en", **event: object) -> str | None:
    words = Texts([row]).say(
        {"feed": "windows.eventlog", "source": 1, "provider": "P", "event_code": "1", **event}, language
    )
    return None if words is None else words.text


def test_values_take_the_place_that_the_manifest_gives_them() -> None:
    assert _say(_row(inserts="Beta\nUser"), **{"Beta": "b", "own.User": "u", "user": "no"}) == "u then b"
    assert _say(_row(inserts="Beta\n"), Beta="b") == "%2 then b"
    assert _say(_row(), param1="a", param2="b") == "b then a"
    assert _say(_row(), Data="a\nb") == "b then a"
    assert _say(_row(text="[%1]"), Data="a\nb") == "[a\nb]"
    assert _say(_row(), Data="a", Data_1="b") == "b then a"
    assert _say(_row()) == "%2 then %1"


def test_the_text_of_the_same_version_and_of_the_reader_s_language_is_taken() -> None:
    rows = [_row(text="old", version=0), _row(text="new", version=2), _row(text="新", version=2, language=0x804)]
    event = {"feed": "windows.eventlog", "source": 1, "provider": "P", "event_code": "1", "Version": 2}
    texts = Texts(rows)
    assert [texts.say(event, each).text for each in ("en", "zh", "both")] == ["new", "新", "新"]  # type: ignore[union-attr]
    assert texts.say(event | {"feed": "other"}, "en") is None
    assert texts.say(event | {"source": 2}, "en") is None


def test_only_paths_within_the_system_are_looked_for() -> None:
    assert _local("%SystemRoot%\\System32\\netevent.dll") == "/windows/system32/netevent.dll"
    assert _local("C:\\Program Files\\X\\y.exe") == "/program files/x/y.exe"
    assert _local("adtschema.dll") == "/windows/system32/adtschema.dll"
    assert _local("%ProgramW6432%\\x.dll") == ""


def test_a_manifest_gives_a_text_its_number_and_the_names_of_its_values() -> None:
    library = TESTS.parents[1] / "shared" / "data" / "plaso" / "test_data" / "wrc-test-wevt_template.dll"
    if not library.exists():
        pytest.skip("no reference data: plaso/test_data/wrc-test-wevt_template.dll")
    ask = Ask("Test", "{67883bbc-d592-4d02-8e29-66907fcb07d6}", ((1, None), (2, None)), (0,))
    ((row,),) = describe([ask], [MemorySource(library.read_bytes())])
    assert (row["text"], row["inserts"], row["message_number"]) == ("A test value", "name\nvalue", 0xB0010001)
    assert describe([ask], [MemorySource(b"MZ" + bytes(9))]) == [[]]


def test_a_bad_place_in_one_file_costs_no_other_file_its_texts() -> None:
    from headwater.procedure.child_event_texts import _Steady

    class Broken(MemorySource):
        def pread(self, offset: int, length: int) -> bytes:
            if offset >= 8:
                raise OSError(5, "Input/output error")
            return super().pread(offset, length)

    steady = _Steady(Broken(b"MZ" + bytes(62)))
    assert steady.pread(0, 2) == b"MZ"
    assert steady.pread(60, 100) == b""
    assert steady.lost == [(60, 4)]
