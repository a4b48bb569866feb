# SPDX-License-Identifier: Apache-2.0
"""headwater scene: acts without a reason, a witness or a screenshot must not enter the ledger; what happened must."""

from __future__ import annotations

import hashlib
import json
import random
import tarfile
from pathlib import Path

import pytest

from headwater.cli.main import EXIT_SOURCE, main
from headwater.model.errors import AcquireError
from headwater.procedure.corridor import evidence_of, open_case
from headwater.procedure.custody import at_desk
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_acts import HandAct, record_act
from headwater.scene.acts import ACTS, NEEDS, WAIVABLE, Stage
from headwater.vault.items import items_of


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    words = ["case", "new", str(folder), "--no-authority", "a test", "--examiner", "甲", "--examiner", "乙"]
    assert main([*words, "--case-no", "42", "--cause", "入侵"]) == 0
    return folder


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    path = tmp_path / "console.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n a screenshot of our own making")
    return path


def _notes(case: Path) -> list[dict[str, object]]:
    corridor = open_case(case)
    with corridor.ledger:
        return [dict(s.entry.note) for s in corridor.ledger.entries() if s.entry.action == ACTED]


def _record(case: Path, what: str, *more: object) -> int:
    return main(["scene", "record", str(case), what, "--asset", "web01", *map(str, more)])


def test_inversion_without_a_reason_is_refused_and_with_one_is_a_decision_in_the_ledger(
    case: Path, shot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _record(case, "isolate", "--attach", shot) == EXIT_SOURCE
    assert "HW2150" in capsys.readouterr().err
    assert _notes(case) == []
    assert _record(case, "isolate", "--attach", shot, "--because", "数据正在外传", "--allow", "10.0.0.9") == 0
    note = _notes(case)[0]
    assert note["because"] == "数据正在外传"
    assert note["allow"] == ["10.0.0.9"]
    assert [t["en"] for t in note["inversions"]] == [  # type: ignore[attr-defined]
        "web01: isolate, allow-list only before the seconds-long capture of sockets and processes"
    ]


def test_act_at_a_console_needs_its_screenshot_which_becomes_an_item(case: Path, shot: Path) -> None:
    assert main(["scene", "waive", str(case), "first", "--asset", "web01", "--because", "控制台无 shell"]) == 0
    assert _record(case, "isolate") == EXIT_SOURCE
    assert _record(case, "isolate", "--attach", shot, "--by", "管理员丙", "--at", "2026-03-02T10:00:00+08:00",
                   "--because", "先于计划") == 0  # fmt: skip
    corridor = open_case(case)
    with corridor.ledger:
        (item,) = items_of(corridor.ledger.entries())
    assert item.fields["operators"] == "管理员丙"
    assert item.fields["start_time"] == "2026-03-02T02:00:00.000000000Z"
    assert item.fields["category"] == "photograph"
    assert "witness" in item.absent
    assert _notes(case)[-1]["attested"] == [item.number]


def test_power_off_is_refused_even_with_a_reason_until_memory_and_keys_are_waived_by_name(case: Path) -> None:
    assert _record(case, "power-off", "--because", "停电") == EXIT_SOURCE
    for name in ("memory", "keys"):
        assert main(["scene", "waive", str(case), name, "--asset", "web01", "--because", "无法登录"]) == 0
    assert _record(case, "power-off") == EXIT_SOURCE  # nothing was copied yet: out of order
    assert _record(case, "power-off", "--because", "机房断电") == 0


def test_power_off_that_has_happened_is_recorded_with_the_guard_it_broke(case: Path) -> None:
    assert _record(case, "power-off", "--happened") == EXIT_SOURCE
    assert _record(case, "power-off", "--happened", "--because", "值班人员在我们到达前关机") == 0
    note = _notes(case)[0]
    assert note["happened"] is True
    assert len(note["guards_broken"]) == 2  # type: ignore[arg-type]


def test_waiver_without_a_reason_is_none(case: Path) -> None:
    assert main(["scene", "waive", str(case), "memory", "--asset", "web01"]) == EXIT_SOURCE
    assert main(["scene", "waive", str(case), "everything", "--because", "x"]) != 0
    assert _notes(case) == []


def test_court_order_asks_for_two_persons_and_a_witness(
    case: Path, shot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scene", "plan", str(case), "--type", "judicial", "--goal", "查明入侵"]) == 0
    attach = ["scene", "attach", str(case), str(shot), "--by", "甲"]
    assert main(attach) == EXIT_SOURCE
    assert main([*attach, "--by", "乙"]) == EXIT_SOURCE
    assert "HW2152" in capsys.readouterr().err
    assert main([*attach, "--by", "乙", "--witness", "丁"]) == 0
    assert _notes(case)[0]["witness"] == "丁"


def test_time_that_has_not_come_is_no_time_of_an_act(case: Path) -> None:
    assert _record(case, "state", "--at", "2199-01-01T00:00:00Z") == 2
    assert _record(case, "state", "--at", "yesterday") == 2


def test_snapshot_names_its_volume_and_the_image_made_of_it_is_traced_back(
    case: Path, shot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why = ["--because", "x", "--attach", shot]
    assert _record(case, "snapshot", *why) == EXIT_SOURCE
    assert _record(case, "snapshot", *why, "--of", "snap-1=vol-1", "--consistency", "crash") == 0
    assert _record(case, "image", "--because", "x", "--of", "E1=snap-1") == 0
    assert _record(case, "image", "--because", "x", "--of", "E1=snap-9") == EXIT_SOURCE
    capsys.readouterr()
    assert main(["scene", "show", str(case)]) == 0
    said = capsys.readouterr().out
    assert "E1 ← snap-1 ← vol-1" in said
    assert "crash-consistent" in said


def test_escalation_meets_the_duty_whose_clock_runs(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["case", "duties", str(case), "--known", "2026-11-22T00:00:00Z"]) in {0, 1}
    assert _record(case, "escalate", "--to", "police", "--duty", "police-24h", "--said", "已报案") == 0
    capsys.readouterr()
    main(["case", "duties", str(case)])
    assert "公安网安部门" in capsys.readouterr().out
    assert _record(case, "escalate") == 2


def test_plan_shows_the_next_step_of_each_asset(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--person", "甲=取证分析师", "--tool", "nftables 1.0.6", "--asset", "web01=10.0.0.5", "--due",
             "isolate=2099-01-01T00:00:00Z"]  # fmt: skip
    assert main(["scene", "plan", str(case), *words]) == 0
    capsys.readouterr()
    assert main(["scene", "plan", str(case), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["state"] for r in rows if r["acts"] == ["first"]] == ["next"]
    assert {r["asset"] for r in rows} == {"web01"}
    assert next(r for r in rows if r["acts"] == ["isolate"])["due"].startswith("2099")


def test_first_capture_holds_the_servers_own_words_and_proc_beside_them(case: Path) -> None:
    assert main(["scene", "first", "local:", "--case", str(case)]) == 0
    corridor = open_case(case)
    with corridor.ledger:
        (item,) = evidence_of(corridor.ledger)
    path = case / "acquired" / "first-0001.tar"
    assert item.kind == "archive"
    with tarfile.open(path) as tar:
        names = tar.getnames()
        member = tar.extractfile("proc/processes")
        assert member is not None
        assert b"python" in member.read()
        facts = tar.extractfile("@command/ps-ef.json")
        assert facts is not None
        asked = json.loads(facts.read())
        output = tar.extractfile("@command/ps-ef.stdout")
        assert output is not None
        assert asked["sha256"] == hashlib.sha256(output.read()).hexdigest()
    assert "proc/net/tcp" in names
    assert "@command/ps-ef.stdout" in names
    assert (asked["line"], asked["exit"]) == ("ps -ef", 0)
    assert 0 < int(asked["start_ns"]) <= int(asked["end_ns"])
    assert _notes(case)[0]["whole"] is True
    ran = _notes(case)[0]["visit"]["ran"]  # type: ignore[index]
    assert [r["exit"] for r in ran["scripts"]] == [0, 0]  # who it is, then the capture itself
    assert "ps -ef" in ran["scripts"][1]["script"]
    assert all(r["began"] <= r["ended"] and len(r["output_sha256"]) == 64 for r in ran["scripts"])
    assert main(["verify", str(case)]) in {0, 1}


def test_whatever_is_tried_in_whatever_order_no_unreasoned_inversion_stands_in_the_ledger(case: Path) -> None:
    rng = random.Random(42)
    refused: list[str] = []
    with at_desk(case, ()) as desk:
        for _ in range(120):
            act = rng.choice([n for n in ACTS if n not in {"waive", "escalate", "snapshot"}])
            reason = "x" if rng.random() < 0.2 else ""
            when = f"2026-03-02T10:{rng.randrange(60):02d}:00Z"
            wanted = HandAct(act, rng.choice(("web01", "db01")), when, because=reason, unattested="a test")
            if rng.random() < 0.2:
                wanted = HandAct("waive", wanted.asset, when, because="x", waives=rng.choice(WAIVABLE))
            try:
                record_act(desk, wanted)
            except AcquireError as error:
                refused.append(error.code)
    assert len(refused) > 20
    assert set(refused) == {"HW2150", "HW2151"}
    held: list[tuple[str, int, str]] = []
    checked = 0
    for note in _notes(case):
        act, when, asset = ACTS[str(note["act"])], int(str(note["when_ns"])), str(note["asset"])
        if act.stage is not None and not note["because"]:
            there = {n for a, w, n in held if a == asset and w <= when}
            before = [g for s in Stage if Stage.FIRST <= s < act.stage for g in NEEDS[s]]
            assert all(set(g) & there for g in before), note
            checked += 1
        if act.ends_memory:
            there = {n for a, w, n in held if a == asset and w <= when}
            assert {"memory", "keys"} <= there
        held += [(asset, when, str(note["act"])), (asset, when, str(note["waives"]))]
    assert checked > 2
