# SPDX-License-Identifier: Apache-2.0
"""What leaves for other programs must neither command them nor lose what it says."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from headwater.model.records import HEADER
from headwater.store import forms


def row(**given: Any) -> dict[str, Any]:
    held: dict[str, Any] = {name: None for name, _ in HEADER}
    held |= {
        "ts": 1_772_000_000_123_456_789, "t_recorded": 1_772_000_000_123_456_789, "kind": "auth.success", "t_basis": "utc",
        "outcome": "success", "source": 1, "path": "/var/log/auth.log", "offset": 7, "length": 90, "ordinal": 0,
        "feed": "linux.auth", "fields": {"message": "Accepted"}, "id": "1:/var/log/auth.log:7:0",
    }  # fmt: skip
    return held | given


def test_spreadsheet_is_given_no_formula() -> None:
    hostile = row(user="=cmd|' /C calc'!A0", command_line="@SUM(1)", process="+1", file_path="-2", host="\t=1")
    text = forms.csv_head() + forms.csv_line(hostile)
    (cells,) = list(csv.DictReader(io.StringIO(text)))
    for name in ("user", "command_line", "process", "file_path", "host"):
        assert cells[name] == "'" + hostile[name]
    assert cells["offset"] == "7"
    assert cells["ts"] == "2026-02-25T06:13:20.123456789Z"


def test_line_ends_and_quotes_stay_in_their_cell() -> None:
    held = row(command_line='a "b"\r\nc,d')
    (cells,) = list(csv.DictReader(io.StringIO(forms.csv_head() + forms.csv_line(held), newline="")))
    assert cells["command_line"] == held["command_line"]


def test_body_file_keeps_its_columns_whatever_a_name_holds() -> None:
    held = {
        "file_path": "/tmp/a|b\n50%", "mode": 0o100755, "inode": 12, "uid": 0, "gid": None, "size": 5,
        "accessed": 1_000_000_000_000_000_000, "modified": None, "changed": -1, "created": 5,
    }  # fmt: skip
    cells = forms.body_line(held).rstrip("\n").split("|")
    assert cells == ["0", "/tmp/a%7Cb%0A50%25", "12", "-rwxr-xr-x", "0", "0", "5", "1000000000", "0", "-1", "0"]


def test_forms_that_need_a_time_say_so_rather_than_invent_one() -> None:
    timeless = row(ts=None)
    assert forms.timesketch_line(timeless) is None
    assert forms.ocsf_line(timeless, "0") is None
    assert "@timestamp" not in json.loads(forms.ecs_line(timeless))


def test_timesketch_lines_have_its_four_fields_and_evidence_cannot_replace_them() -> None:
    held = row(fields={"message": "Accepted", "timestamp": "1", "datetime": "x", "timestamp_desc": "y"})
    made = json.loads(forms.timesketch_line(held) or "")
    assert made["timestamp"] == 1_772_000_000_123_456
    assert made["datetime"] == "2026-02-25T06:13:20.123456789Z"
    assert (made["timestamp_desc"], made["message"]) == ("auth.success", "Accepted")


def test_ocsf_type_follows_from_class_and_activity() -> None:
    web = row(kind="web.request", fields={"cs-method": "POST", "cs-uri": "/x.php", "sc-status": 200})
    for held in (row(), web, row(kind="file.deleted"), row(kind="log.message")):
        made = json.loads(forms.ocsf_line(held, "0") or "")
        assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
        assert made["category_uid"] == made["class_uid"] // 1000
        assert made["time"] == 1_772_000_000_123
    assert json.loads(forms.ocsf_line(web, "0") or "")["type_uid"] == 400206


def test_body_file_does_not_pass_a_deleted_file_for_one_in_use() -> None:
    held = dict.fromkeys(("mode", "inode", "uid", "gid", "size", "accessed", "modified", "changed", "created"))
    names = [forms.body_line({**held, "file_path": "/a", "allocated": a}).split("|")[1] for a in (True, False, None)]
    assert names == ["/a", "/a (deleted)", "/a"]
