# SPDX-License-Identifier: Apache-2.0
"""The register: no field silently empty, nothing replaced, nothing outside the mandate, no formula in a sheet."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure import registering
from headwater.procedure.corridor import open_case
from headwater.vault.items import items_of
from people import added, cheap, do, photograph, staffed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap(monkeypatch, tmp_path)
    return tmp_path


def _rows(case: Path) -> list[registering.Line]:
    corridor = open_case(case)
    with corridor.ledger:
        return registering.lines(corridor)


def test_field_left_open_is_named_and_nothing_is_added(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    assert (
        do(home, "add", str(case), str(photograph(home)), "--category", "photograph", who="张三") == 2
    )  # fields, not rights
    said = capsys.readouterr().err
    assert "HW1015" in said
    for name in ("operators", "witness", "clock_offset", "original_or_copy"):
        assert name in said
    assert _rows(case) == []


def test_first_photograph_takes_four_options_and_what_is_open_is_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = staffed(home)
    words = ("--category", "photograph", "--source", "3号机柜", "--operators", "张三、李四", "--field",
             "original_or_copy=原件", "--absent-rest", "现场拍摄，见笔录")  # fmt: skip
    assert do(home, "add", str(case), str(photograph(home)), *words, who="张三") == 0
    said = capsys.readouterr().out
    assert "Witness" in said.partition("空缺 absent")[2].splitlines()[0]
    assert "Holder" in said.partition("未记载 not recorded")[2]
    corridor = open_case(case)
    with corridor.ledger:
        (item,) = items_of(corridor.ledger.entries())
    assert item.value("approval_doc") == "公网安〔2026〕1号"
    assert item.absent["witness"] == item.absent["clock_offset"] == "现场拍摄，见笔录"
    assert "holder" not in item.absent
    assert "storage_place" not in item.absent, "the original itself was taken"
    shown = {label.zh: value for label, value in _rows(case)[0].more}
    assert shown["见证人"] == "（无：现场拍摄，见笔录）"
    assert "持有人" in shown["未记载"]
    assert "见证人" not in shown["未记载"]


def test_what_the_law_asks_for_is_not_spared_by_leaving_it_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    words = ("--category", "photograph", "--source", "x", "--operators", "张三、李四", "--absent-rest", "  ")
    assert do(home, "add", str(case), str(photograph(home)), *words, who="张三") == 2
    said = capsys.readouterr().err.splitlines()[0]
    for name in ("witness", "recording", "no_seizure_reason", "storage_place", "system_state"):
        assert name in said
    assert "holder" not in said
    assert do(home, "add", str(case), str(photograph(home)), *words, "--witness", "钱七", who="张三") == 2
    said = capsys.readouterr().err.splitlines()[0]
    assert "recording" not in said


def test_item_is_stored_under_its_digest_and_never_replaced(home: Path) -> None:
    case = staffed(home)
    path = photograph(home)
    assert added(home, case, path) == 0
    path.write_bytes(b"another picture under the same name")
    assert added(home, case, path, "--version-of", "I1") == 0
    corridor = open_case(case)
    with corridor.ledger:
        first, second = items_of(corridor.ledger.entries())
    assert (first.number, second.number, second.version_of) == ("I1", "I2", "I1")
    for item in (first, second):
        stored = case / "objects" / item.sha256[:2] / item.sha256
        assert stored.stat().st_mode & 0o777 == 0o444
        assert stored.stat().st_size == item.size
    assert added(home, case, path, "--parent", "I9") == 5  # no such parent
    assert do(home, "add", str(case), str(path), "--like", "I1", "--name", "third", who="李四") == 0
    assert _rows(case)[2].seven[0] == "third"


def test_item_outside_the_mandate_needs_a_recorded_reason(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    path = photograph(home)
    assert added(home, case, path, "--says", "host=db07") == 3
    assert "HW1013" in capsys.readouterr().err
    assert added(home, case, path, "--says", "host=WEB01.example.org") == 0
    assert added(home, case, path, "--says", "host=db07", "--override", "检察官口头同意，补批中") == 0
    corridor = open_case(case)
    with corridor.ledger:
        notes = [s.entry.note for s in corridor.ledger.entries() if s.entry.action == "add-item"]
    assert notes[0]["objections"] == []
    assert notes[1]["override"] == "检察官口头同意，补批中"
    assert notes[1]["objections"][0]["result"] == "outside"


def test_remote_work_without_its_fields_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    assert added(home, case, photograph(home), "--method", "online") == 3
    assert "server_location" in capsys.readouterr().err
    fields = ("server_location=香港", "remote_method=ssh", "screen_recording=rec-01.mp4")
    words = [w for f in fields for w in ("--remote", f)]
    assert do(home, "case", "scope", str(case), *words, who="张三") == 0
    assert added(home, case, photograph(home), "--method", "online") == 0


def test_role_that_does_not_permit_it_is_refused_in_the_room(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    assert added(home, case, photograph(home), who="赵六") == 3
    assert "HW1011" in capsys.readouterr().err
    assert added(home, case, photograph(home), who="") == 3  # nobody named
    (home / "pass").write_text("wrong\n")
    assert added(home, case, photograph(home)) == 5


def test_judgement_takes_a_reason_for_each_of_three(home: Path) -> None:
    case = staffed(home)
    added(home, case, photograph(home))
    some = ("--judge", "I1", "--lawful", "程序完备", "--objective", "原始存储介质")
    assert do(home, "register", str(case), *some, who="李四") == 2
    assert do(home, "register", str(case), *some, "--relevant", "no:与本案时间不符", who="李四") == 0
    shown = {label.zh: value for label, value in _rows(case)[0].more}
    assert shown["合法性"].startswith("成立 yes：程序完备（李四")
    assert shown["关联性"].startswith("不成立 no：与本案时间不符")


def test_register_shows_seven_columns_first_and_no_formula(home: Path, tmp_path: Path) -> None:
    case = staffed(home)
    evil = photograph(home, '=HYPERLINK("http:..x","y")')
    assert added(home, case, evil, "--purpose", "@SUM(1+1)|cmd") == 0
    corridor = open_case(case)
    with corridor.ledger:
        pdf, xlsx = registering.print_register(corridor, tmp_path / "out", "both")
        again = registering.print_register(corridor, tmp_path / "again", "both")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) <= 2  # the first is not a list of contents alone
    assert [p.read_bytes() for p in again] == [pdf.read_bytes(), xlsx.read_bytes()]
    with zipfile.ZipFile(xlsx) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "'=HYPERLINK" in strings
    assert "'@SUM" in strings
    order = [strings.index(w) for w in ("文件名", "时间 Time", "来源 Source", "哈希", "采集方式", "保管人", "用途")]
    assert order == sorted(order)
    assert "HW1 " in strings


def test_case_opened_first_can_be_shown_and_its_people_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    assert main(["case", "show", str(case)]) == 0
    assert main(["case", "people", str(case), "list"]) == 0
    said = capsys.readouterr().out
    assert "王五  某局  approver" in said
    assert "法律依据 legal basis: 未记载 not recorded" in said
    assert main(["case", "new", str(case), "--no-authority", "x"]) == 2


def test_only_an_administrator_enrols(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = staffed(home)
    words = ("people", str(case), "add", "外人", "--role", "admin")
    assert do(home, "case", *words, who="张三") == 3
    assert "HW1011" in capsys.readouterr().err
    assert do(home, "case", "people", str(case), "dismiss", "张三", "--reason", "调离", who="管理员") == 0
    assert added(home, case, photograph(home), who="张三") == 3
    assert "HW1010" in capsys.readouterr().err


def test_somebody_else_s_key_is_not_taken_for_a_person_who_is_missing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = staffed(home)
    key = next((home / "config").rglob("王五*.key"))
    words = (
        "baseline",
        str(case),
        "2026-11-09T09:30:00+08:00",
        "--source",
        "x",
        "--uncertainty",
        "1",
        "--key",
        str(key),
    )
    assert do(home, "case", *words, who="张三") == 3
    said = capsys.readouterr().err
    assert "HW1019" in said
    assert "是王五的，不是张三的" in said
