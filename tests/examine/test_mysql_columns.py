# SPDX-License-Identifier: Apache-2.0
"""Harm: a statement log that is read in columns says anything else than the same log read record by record."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.examine.batch import Batch, batches_of, merge_gaps
from headwater.examine.parsers import _text, mysql_general
from headwater.model.records import File

_LOG = Path(__file__).parents[1] / "golden" / "mysql_general" / "general.log"
_TIMES = (
    b"2026-03-02T11:22:33.123456Z", b"2026-03-02T11:22:33.123456+08:00", b"260302 11:22:33", b"2026-02-30T11:22:33.123456Z",
    b"2026-03-02T11:22:60.123456Z", b"2026-03-02T11:22:33Z", b"\t",
)  # fmt: skip
_WHAT = (
    b"Connect\troot@10.0.0.5 on shop using TCP/IP", b"Connect\tshop@web.example on  using Socket",
    b"Connect\tAccess denied for user 'root'@'203.0.113.9' (using password: YES)", b"Quit\t", b"Quit",
    b"Query\tselect 1", b"Query\tselect *\nfrom t\n\nwhere a = 'x'", b"Init DB\tshop", b"Prepare\t", b"Query\tSELECT sys_exec('id')",
    b"Query\tselect 1 INTO OUTFILE '/var/www/x.php'", b"Query\tselect '\xe4\xb8\xad\xe6\x96\x87'", b"Query\tselect '\xff'",
    b"query in small letters", b"Execute\tselect sys_exec('')", b"Connect\troot@::ffff:10.1.2.3 as anonymous on shop",
    b"Connect\t@ on", b"Binlog Dump GTID\tLog: 'b.1'",
)  # fmt: skip
_ODD = (
    b"\n", b"a line before any record\n", b"Tcp port: 3306  Unix socket: /run/x\n", b"Time                 Id Command    Argument\n",
    b"/usr/sbin/mysqld, Version: 8.0.36 (MySQL). started with:\n", b"\0\0\0\0\n", b"cut\r\n", b"x" * 300 + b"\n",
)  # fmt: skip


def _record(chance: random.Random, odd: bool) -> bytes:
    thread = (
        chance.choice((b"7", b"8", b"123456789012345678", b"1234567890123456789"))
        if odd
        else b"%d" % chance.randrange(9)
    )
    times = _TIMES if odd else _TIMES[:2]
    return chance.choice(times) + b"\t %s " % thread + chance.choice(_WHAT) + b"\n"


def _log(seed: int) -> bytes:
    chance = random.Random(seed)
    odd = seed % 3
    pieces = [
        chance.choice(_ODD)
        if odd == 2 and chance.random() < 0.05
        else _record(chance, odd > 0 and chance.random() < 0.1)
        for _ in range(160)
    ]
    return b"".join(pieces)[: None if seed % 4 else -9]


def _said(batches: list[Batch]) -> tuple[pl.DataFrame, Any, Any, int]:
    events = pl.concat([b.events for b in batches if b.events.height], how="diagonal_relaxed")
    skips: dict[str, int] = {}
    for batch in batches:
        for skip in batch.skipped:
            skips[skip.reason] = skips.get(skip.reason, 0) + skip.size
    end = 0
    for batch in batches:
        assert batch.start == end
        end = batch.end
    return events.select(sorted(events.columns)), merge_gaps(g for b in batches for g in b.gaps), skips, end


def _same(data: bytes) -> None:
    file = File.of(data)
    quick, slow = (
        _said(list(mysql_general.batches(file))),
        _said(list(batches_of(mysql_general.parse(file), len(data)))),
    )
    for name in slow[0].columns:
        if slow[0].schema[name] != quick[0].schema[name]:  # a thread too long for a number, in one batch of several
            quick = (quick[0].with_columns(pl.col(name).cast(slow[0].schema[name])), *quick[1:])
    assert quick[0].to_dicts() == slow[0].to_dicts()
    assert quick[1:] == slow[1:]


@pytest.mark.parametrize("block", [700, 5_000, 1 << 20])
def test_a_statement_log_says_the_same_in_columns(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_text, "_BLOCK", block)
    _same(_LOG.read_bytes())
    for seed in range(12):
        _same(_log(seed))


def test_a_record_without_an_end_is_no_burden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_text, "_BLOCK", 1 << 18)
    head = b"2026-03-02T11:22:33.123456Z\t 7 Query\tselect 1\n"
    _same(head + b"more of it\n" * 150_000 + head)
