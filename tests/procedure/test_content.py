# SPDX-License-Identifier: Apache-2.0
"""Every file's digest is the one that hashlib gives; a finding on a whole file is traced and derived again from its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from headwater.examine.content import WHOLE, describe, entropy, renamed
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason
from headwater.procedure.child_content import GAPS_MOST, _row
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import investigate
from headwater.procedure.tracing import trace
from headwater.procedure.verification import verify
from small_case import make_evidence, order

PICTURE = b"GIF89a" + bytes(200) + b"<?php system($_GET['c']); ?>"


def test_a_digest_is_the_file_s() -> None:
    data = b"#!/bin/sh\nid\n" * 1000
    row = describe(MemorySource(data), "/tmp/x.jpg")
    assert row["hash"] == hashlib.sha256(data).hexdigest()
    assert row["md5"] == hashlib.md5(data).hexdigest()
    assert (row["type"], row["disguised"], row["length"]) == ("script", True, len(data))


def test_entropy_of_one_byte_is_nothing_and_of_all_is_eight() -> None:
    assert entropy(b"a" * 999) == 0
    assert entropy(bytes(range(256)) * 16) == 8
    assert entropy(b"") == 0


def test_whole_files_are_described_found_traced_and_verified(tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    uploads = source / "var" / "www" / "html" / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "cat.gif").write_bytes(PICTURE)
    outcome = investigate(order(source, tmp_path / "case"))
    rows = pl.read_parquet(tmp_path / "case" / "events" / "feed=fs.content" / "*.parquet")
    found = dict(rows.select("path", "hash").iter_rows())
    held = {
        f"/{p.relative_to(source)}": hashlib.sha256(p.read_bytes()).hexdigest()
        for p in source.rglob("*")
        if p.is_file()
    }
    assert found == held
    (finding,) = (f for f in outcome.judged.findings if f.rule.id == "disguised-file")
    assert finding.spans[0].span.length == len(PICTURE)
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        links = trace(corridor, f"1:/var/www/html/uploads/cat.gif:0:{WHOLE}")
        assert any(link.data == PICTURE for link in links)
        assert {c.result for c in verify(corridor)} == {"ok"}
    (uploads / "cat.gif").write_bytes(PICTURE.replace(b"system", b"passth"))
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        assert "failed" in {c.result for c in verify(corridor)}


def test_a_changed_package_file_is_found_and_verified(tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    info, sbin = source / "var" / "lib" / "dpkg" / "info", source / "usr" / "sbin"
    info.mkdir(parents=True)
    sbin.mkdir(parents=True)
    lines = []
    for n in range(9):
        (sbin / f"tool{n}").write_bytes(b"\x7fELF" + bytes([n]) * 50)
        lines.append(f"{hashlib.md5((sbin / f'tool{n}').read_bytes()).hexdigest()}  usr/sbin/tool{n}\n")
    (info / "tools.md5sums").write_text("".join(lines))
    (sbin / "tool3").write_bytes(b"\x7fELF" + b"backdoor" * 9)
    outcome = investigate(order(source, tmp_path / "case"))
    (finding,) = (f for f in outcome.judged.findings if f.rule.id == "package-file-changed")
    assert finding.facts["path"] == "/usr/sbin/tool3"
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        assert {c.result for c in verify(corridor)} == {"ok"}


def test_a_hard_link_s_ending_is_its_own_and_no_unread_range_is_lost() -> None:
    row = describe(MemorySource(b"#!/bin/sh\nid\n"), "/usr/bin/tool")
    assert row["disguised"] is False
    assert renamed(row, "/srv/cat.jpg") == row | {"file_path": "/srv/cat.jpg", "disguised": True}
    bad = [(n * 1000, 10, GapReason.UNREADABLE, "input/output error") for n in range(150)]

    class Opens:
        def content(self, target: object) -> MemorySource:
            return MemorySource(bytes(200_000), bad)

    _, gaps = _row(Opens(), {"path": "/x"})  # type: ignore[arg-type]
    assert len(gaps) == GAPS_MOST + 1
    assert all(any(g.offset <= o and o + n <= g.offset + g.length for g in gaps) for o, n, _, _ in bad)
