# SPDX-License-Identifier: Apache-2.0
"""The chain of custody: a break is refused, or told and listed; two persons where it takes two."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.procedure import custody
from headwater.procedure.corridor import open_case
from headwater.vault.custody import open_ends
from people import added, cheap, do, photograph, staffed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap(monkeypatch, tmp_path)
    case = staffed(tmp_path)
    assert added(tmp_path, case, photograph(tmp_path)) == 0
    return tmp_path


def _gaps(home: Path) -> list[str]:
    corridor = open_case(home / "case")
    with corridor.ledger:
        state = custody.chains(corridor)["I1"]
    return [g.what.en for g in [*state.gaps, *open_ends(state)]]


def _act(home: Path, verb: str, *words: str, who: str = "张三") -> int:
    return do(home, verb, str(home / "case"), "I1", "--purpose", "检验", *words, who=who)


def test_whole_chain_without_a_gap(home: Path) -> None:
    assert _act(home, "seal", "--seal-after", "S-1") == 0
    assert _act(home, "transfer", "--receiver", "李四") == 0
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "王五", who="李四") == 0
    assert _act(home, "checkout", who="李四") == 0
    assert _act(home, "return", who="李四") == 0
    assert _act(home, "seal", "--seal-after", "S-2", who="李四") == 0
    assert _gaps(home) == []
    assert do(home, "custody", str(home / "case"), "I1") == 0
    corridor = open_case(home / "case")
    with corridor.ledger:
        state = custody.chains(corridor)["I1"]
        trail = corridor.ledger.examined()
    assert (state.holder, state.seal) == ("李四", "S-2")
    assert len(trail.people) == 5


def test_seal_without_a_number_seals_all_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _act(home, "seal") == 0
    capsys.readouterr()
    assert do(home, "custody", str(home / "case"), "I1") == 0
    assert "未封存" not in capsys.readouterr().out
    assert _act(home, "seal", "--seal-after", "S-1") == 5  # sealed already
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "王五") == 5  # another seal than the one put on
    assert _act(home, "unseal", "--approver", "王五") == 0
    assert _gaps(home) == []


def test_handover_by_somebody_who_does_not_hold_it_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _act(home, "transfer", "--to", "张三", who="李四") == 5
    assert "HW3016" in capsys.readouterr().err
    assert _act(home, "transfer", "--to", "张三", "--override", "张三出差，代为移交", who="李四") == 0
    assert "handed over by 李四, though 张三 held it" in _gaps(home)[0]
    assert do(home, "custody", str(home / "case"), "I1") == 1


def test_transfer_that_nobody_signed_for_stays_open(home: Path) -> None:
    assert _act(home, "transfer", "--to", "李四") == 0
    assert _gaps(home) == ["handed to 李四, who has not signed for it"]
    assert _act(home, "transfer", "--receive", who="李四") == 0
    assert _gaps(home) == []
    assert _act(home, "transfer", "--receive", who="李四") == 5  # nothing waits


def test_unsealing_takes_two_and_the_same_seal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "王五") == 5  # not sealed
    assert _act(home, "seal", "--seal-after", "S-1") == 0
    assert _act(home, "seal", "--seal-after", "S-2") == 5  # sealed already
    assert _act(home, "unseal", "--seal-before", "S-1") == 3
    assert "HW1012" in capsys.readouterr().err
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "李四") == 3  # no approver
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "张三") == 3  # the same person
    assert _act(home, "unseal", "--seal-before", "S-9", "--approver", "王五") == 5  # another seal
    assert do(home, "custody", str(home / "case"), "I1", "--enter", "analyse", "--purpose", "x", who="张三") == 5
    assert _act(home, "unseal", "--seal-before", "S-9", "--approver", "王五", "--override", "封条破损更换") == 0
    assert _gaps(home) == ["the seal was S-9 when opened, S-1 when closed"]


def test_out_and_not_back_is_shown(home: Path) -> None:
    assert _act(home, "return") == 5
    assert _act(home, "checkout") == 0
    assert _act(home, "checkout", who="李四") == 5
    assert _gaps(home) == ["out to 张三, not back"]


def test_hold_forbids_destruction_and_destruction_takes_two(home: Path) -> None:
    enter = ("custody", str(home / "case"), "I1", "--enter", "destroy", "--purpose", "期满")
    assert _act(home, "hold", who="张三") == 3
    assert _act(home, "hold", who="王五") == 0
    assert do(home, *enter, "--approver", "王五", who="张三") == 5
    assert _act(home, "hold", "--release", who="王五") == 0
    assert do(home, *enter, who="张三") == 3
    assert do(home, *enter, "--approver", "王五", who="张三") == 0
    assert _act(home, "checkout") == 5  # it is gone


def test_content_that_changed_in_the_store_stops_the_act(home: Path) -> None:
    stored = next((home / "case" / "objects").glob("??/*"))
    stored.chmod(0o644)
    stored.write_bytes(b"\xff\xd8\xff\xe0 a photograpH")
    assert _act(home, "seal", "--seal-after", "S-1") == 5


def test_approval_taken_from_another_act_does_not_count(home: Path) -> None:
    """An approval is over exactly one request: put beside another act it is no approval."""
    assert _act(home, "seal", "--seal-after", "S-1") == 0
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "王五") == 0
    corridor = open_case(home / "case")
    with corridor.ledger:
        last = corridor.ledger.last("custody")
        assert last is not None
        note = {k: v for k, v in last.entry.note.items() if k != "signer"}
        from headwater.procedure.signing import key_file
        from headwater.vault.keys import open_personal

        holder = open_personal(key_file("张三"), "correct horse")
        forged = note | {"act": "destroy", "request": "0" * 64}
        corridor.ledger.append("custody", time=last.entry.time, actors=["张三"], tool="t", note=forged, signer=holder)
    assert "takes two persons; nobody approved it" in _gaps(home)


def test_reading_after_freezing_is_in_the_ledger(home: Path) -> None:
    corridor = open_case(home / "case")
    with corridor.ledger:
        assert custody.looked(corridor, "events") is None
    assert _act(home, "seal", "--seal-after", "S-1") == 0
    corridor = open_case(home / "case")
    with corridor.ledger:
        entered = custody.looked(corridor, "events", "src_ip = '203.0.113.7'")
        assert entered is not None
        assert entered.entry.note["query"] == "src_ip = '203.0.113.7'"
        assert corridor.ledger.check()
    assert _gaps(home) == []


def test_item_sealed_into_a_container_opens_for_two_persons_only(home: Path) -> None:
    import pyrage

    people = [pyrage.x25519.Identity.generate() for _ in range(2)]
    (home / "id.txt").write_text(f"# an age identity\n{people[1]}\n")
    made = home / "sealed" / "I1-001.hwsealed"
    into = ["--container", str(home / "sealed")]
    for person in people[:1]:
        into += ["--recipient", str(person.to_public())]
    assert _act(home, "seal", "--seal-after", "S-1", *into) == 5  # one recipient is too few
    assert not made.exists()
    assert _act(home, "seal", "--seal-after", "S-1", *into, "--recipient", str(people[1].to_public())) == 0
    out = ["--container", str(made), "--identity", str(home / "id.txt"), "--out", str(home / "opened.jpg")]
    assert _act(home, "unseal", "--seal-before", "S-1", *out) == 3
    assert not (home / "opened.jpg").exists()
    assert _act(home, "unseal", "--seal-before", "S-1", "--approver", "王五", *out) == 0
    assert (home / "opened.jpg").read_bytes() == b"\xff\xd8\xff\xe0 a photograph"
    corridor = open_case(home / "case")
    with corridor.ledger:
        event = custody.chains(corridor)["I1"].events[0]
    assert "I1-001.hwsealed" in event.attachments
    assert _gaps(home) == []
