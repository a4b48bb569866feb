# SPDX-License-Identifier: Apache-2.0
"""A case that went on over the wrong machine, after its authority ended, or into the attacker's own host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.case.authority import Claim
from headwater.case.mandate import Mandate, from_attack_source
from headwater.cli.main import EXIT_AUTHORITY, main
from headwater.model.errors import AuthorityError
from headwater.procedure.casework import new_case, whole
from headwater.procedure.corridor import open_case
from headwater.procedure.intake import Gate
from headwater.procedure.investigate import Order, investigate
from headwater.procedure.reporting import fill
from headwater.procedure.within_mandate import OVERRIDDEN, REFUSED, compared, within
from headwater.vault.ledger import Ledger
from small_case import make_evidence


def _case(base: Path, mandate: Mandate) -> Path:
    new_case(base / "case", Claim(number="1", issuer="某市公安局"), mandate, {}, ["甲", "乙"], ["headwater"])
    return base / "case"


def _server(base: Path, host: str) -> Path:
    """A collected folder that names itself. SOURCE: written here."""
    folder = make_evidence(base / "evidence")
    (folder / "etc").mkdir()
    (folder / "etc" / "hostname").write_text(f"{host}\n")
    (folder / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    return folder


def _order(source: Path, case: Path, gate: Gate | None = None) -> Order:
    return Order((source,), case, Claim(), ("甲", "乙"), {"zone": "UTC"}, workers=1, gate=gate or Gate())


def _acts(case: Path) -> list[str]:
    with Ledger(case) as ledger:
        return [s.entry.action for s in ledger.entries()]


def test_wrong_machine_is_refused_before_a_file_is_parsed_and_examined_only_with_a_reason(tmp_path: Path) -> None:
    case = _case(tmp_path, Mandate(targets=(("host", "web01"),)))
    source = _server(tmp_path, "db07")
    for _ in range(2):
        with pytest.raises(AuthorityError, match=r"HW1013.*db07"):
            investigate(_order(source, case))
    acts = _acts(case)
    assert acts.count(REFUSED) == 1, "the refusal is entered once"
    assert "examine" not in acts
    assert not (case / "report").exists()
    assert not (case / "findings.jsonl").exists()
    assert not list((case / "events").rglob("*.parquet")), "nothing was parsed"
    investigate(_order(source, case, Gate("同一案件的数据库服务器，已口头批准，补办中")))
    investigate(_order(source, case))  # the reason stands in the ledger: it is not asked for again
    assert _acts(case).count(OVERRIDDEN) == 1
    corridor = open_case(case)
    with corridor.ledger:
        assert compared(corridor)[0].override.startswith("同一案件")
        assert whole(corridor).items[0].override.startswith("同一案件")
        said = [s.text.zh for s in fill(corridor).authority_notes]
    assert any("db07" in text and "补办中" in text for text in said), "the report says so"


def test_right_machine_passes_and_a_silent_one_is_only_noted(tmp_path: Path) -> None:
    case = _case(tmp_path, Mandate(targets=(("host", "web01"), ("machine-id", "0123456789ABCDEF0123456789abcdef"))))
    investigate(_order(_server(tmp_path, "web01.example.org"), case))
    assert not {REFUSED, OVERRIDDEN} & set(_acts(case))
    other = _case(tmp_path / "other", Mandate(targets=(("host", "web01"),)))
    investigate(_order(make_evidence(tmp_path / "logs"), other))
    corridor = open_case(other)
    with corridor.ledger:
        assert [o.result for o in compared(corridor)[0].objections] == ["not-comparable"]


def test_import_after_the_mandate_ended_reads_nothing(tmp_path: Path) -> None:
    case = _case(tmp_path, Mandate(valid_from="2020-01-01", valid_until="2020-02-01"))
    source = make_evidence(tmp_path / "evidence")
    with pytest.raises(AuthorityError, match=r"HW1013.*after 2020-02-01"):
        investigate(_order(source, case))
    assert "register" not in _acts(case)
    words = ["investigate", str(source), "--case", str(case), "--workers", "1"]
    assert main(words) == EXIT_AUTHORITY
    assert main([*words, "--override", "补批文号待发"]) == 0


def test_remote_work_states_where_how_and_its_recording(tmp_path: Path) -> None:
    case = _case(tmp_path, Mandate(remote={"server_location": "上海"}))
    corridor = open_case(case)
    with corridor.ledger:
        for method in ("online", "remote", "live"):
            with pytest.raises(AuthorityError, match=r"remote_method.*screen_recording"):
                within(corridor, (), None, method=method)
        full = {"remote_method": "SSH 只读", "screen_recording": "rec-01.mp4"}
        assert within(corridor, (), None, method="remote", remote=full) == []
        assert [o["about"] for o in within(corridor, (), "无录屏设备", method="remote")] == ["remote", "remote"]


def test_attackers_own_host_is_opened_by_no_reason(tmp_path: Path) -> None:
    case = _case(tmp_path, Mandate())
    (case / "findings.jsonl").write_text(json.dumps({"src_ip": "203.0.113.66"}) + "\n")
    corridor = open_case(case)
    with corridor.ledger:
        for override in (None, "时间紧迫"):
            with pytest.raises(AuthorityError, match=r"HW2200.*203"):
                within(corridor, [("address", "203.0.113.66")], override)
        assert within(corridor, [("address", "203.0.113.67")], None) == []
        with pytest.raises(AuthorityError, match=r"HW2200"):
            within(corridor, None, "时间紧迫", method="import", attack_source=True)
    words = ["investigate", str(make_evidence(tmp_path / "evidence")), "--case", str(case), "--attack-source"]
    assert main([*words, "--override", "时间紧迫"]) == EXIT_AUTHORITY
    assert "register" not in _acts(case)
    assert main(["case", "scope", str(case), "--attack-source", "某市公安局网安支队，调证〔2026〕7号"]) == 0
    corridor = open_case(case)
    with corridor.ledger:
        assert within(corridor, [("address", "203.0.113.66")], None, method="obtain", attack_source=True) == []
        with pytest.raises(AuthorityError, match=r"HW2200"):
            within(corridor, (), None, method="remote", attack_source=True)


def test_own_network_is_no_attackers_host() -> None:
    assert from_attack_source(Mandate(), ["10.0.0.7", "fe80::1", "web01"], {"10.0.0.7", "fe80::1", "web01"}) == []
    assert from_attack_source(Mandate(), ["203.0.113.66", "2001:db8::9"], {"2001:db8::9"}) == ["2001:db8::9"]
