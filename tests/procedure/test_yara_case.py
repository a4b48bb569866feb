# SPDX-License-Identifier: Apache-2.0
"""YARA in a case: each content once under all its names, memory as it lies, the rules kept; traced, verified, made again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl
import pytest

from headwater.examine.program_strings import STRING
from headwater.model.errors import DetectError
from headwater.model.nouns import Finding
from headwater.procedure import yara
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Order, investigate
from headwater.procedure.tracing import trace
from headwater.procedure.verification import verify
from small_case import make_evidence, order

SHELL = b"<?php @eval($_POST['pw']); ?>"
LINK = b"tcp://198.51.100.7:4444/x"
PROGRAM = (
    b"\x7fELF"
    + bytes(200)
    + b"\0"
    + LINK
    + bytes(50)
    + "C:\\Users\\Public\\a.exe".encode("utf-16-le")
    + b"\0\0 1.2.3.4 \0"
)
RULES = """
rule planted { meta: author = "Li Si" description = "planted word" strings: $a = "IMPLANT-7" condition: $a }
rule broken { condition: $nothing }
"""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Finding, ...]]:
    base = tmp_path_factory.mktemp("yara")
    source = make_evidence(base / "evidence")
    for name in ("tmp/a.php", "srv/b.txt", "srv/c.txt"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(SHELL)
    (source / "tmp" / ".x").write_bytes(PROGRAM)
    (source / "opt").mkdir()
    (source / "opt" / "tool").write_bytes(PROGRAM + b"another")  # without a package database only likely places count
    memory = base / "memory.img"
    memory.write_bytes(bytes(1 << 20) + b"\x01 IMPLANT-7 \x02" + bytes((1 << 20) - 13))
    rules = base / "rules"
    rules.mkdir()
    (rules / "mine.yar").write_text(RULES)
    made = dataclasses.replace(order(source, base / "case"), sources=(source, memory), yara=(rules,))
    outcome = investigate(made)
    (rules / "mine.yar").unlink()  # what the case rests on must be in the case
    return base / "case", outcome.judged.findings


def _events(case: Path) -> pl.DataFrame:
    return pl.read_parquet(case / "events" / "feed=yara.match" / "*.parquet")


def test_same_content_is_told_under_every_name(scanned: tuple[Path, tuple[Finding, ...]]) -> None:
    case, findings = scanned
    (finding,) = (f for f in findings if f.rule.id == "yara-headwater-php-runs-request")
    assert finding.facts["files"] == 3
    assert {c.span.path for c in finding.spans} == {"/tmp/a.php", "/srv/b.txt", "/srv/c.txt"}
    rows = _events(case).filter(pl.col("rule") == "php_runs_request")
    assert rows.filter(pl.col("pattern") == "$run")["matched"].unique().to_list() == ["eval($_POST"]


def test_memory_is_looked_at_as_it_lies_and_its_bytes_are_shown(scanned: tuple[Path, tuple[Finding, ...]]) -> None:
    case, findings = scanned
    (finding,) = (f for f in findings if f.rule.id == "yara-mine-yar-planted")
    assert finding.rule.author == "Li Si"
    place = next(c for c in finding.spans if c.claims.get("pattern"))
    assert (place.span.evidence, place.span.path, place.span.offset) == (2, "/", (1 << 20) + 2)
    corridor = open_case(case)
    with corridor.ledger:
        assert any(link.data == b"IMPLANT-7" for link in trace(corridor, finding.id))


def test_strings_of_a_new_program_are_told_where_they_stand(scanned: tuple[Path, tuple[Finding, ...]]) -> None:
    case, findings = scanned
    rows = pl.read_parquet(case / "events" / "feed=file.strings" / "*.parquet").filter(pl.col("class").is_not_null())
    assert set(rows["file_path"]) == {"/tmp/.x"}
    (found,) = (f for f in findings if f.rule.id == "program-strings")
    assert (found.spans[0].span.path, found.spans[0].span.offset, found.spans[0].ordinal) == (
        "/tmp/.x",
        205,
        STRING + 1,
    )
    assert found.spans[0].claims["part"] == LINK.decode()


def test_rule_that_does_not_compile_is_named(scanned: tuple[Path, tuple[Finding, ...]]) -> None:
    case, _ = scanned
    page = (case / "report" / "report.html").read_text()
    assert "mine.yar broken" in page


def test_matches_are_derived_again_with_the_rules_of_the_case(scanned: tuple[Path, tuple[Finding, ...]]) -> None:
    case, _ = scanned
    corridor = open_case(case)
    with corridor.ledger:
        checks = verify(corridor, rebuild=True)
    assert [(c.what, c.detail) for c in checks if c.result == "failed"] == []
    assert any("yara.match" in c.what for c in checks)
    kept = case / yara.NAME
    before = kept.read_bytes()
    kept.write_bytes(before.replace(b"IMPLANT-7", b"IMPLANT-8"))
    corridor = open_case(case)
    with corridor.ledger:
        failed = [c.what for c in verify(corridor) if c.result == "failed"]
    kept.write_bytes(before)
    assert f"file {yara.NAME}" in failed
    assert any(name.startswith("finding") for name in failed)


def test_rules_that_are_not_there_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    made: Order = dataclasses.replace(
        order(make_evidence(tmp_path / "e"), tmp_path / "case"), yara=(tmp_path / "none",)
    )
    with pytest.raises(DetectError, match="HW6011"):
        investigate(made)
    assert not (tmp_path / "case").exists()
