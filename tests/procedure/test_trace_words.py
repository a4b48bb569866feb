# SPDX-License-Identifier: Apache-2.0
"""A trace that a person cannot follow, or that shows the pointers of a journal entry and not what it says."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.formats.journal import Journal, open_journal
from headwater.formats.journal_walk import walk
from headwater.procedure.child_journal import _fields
from headwater.procedure.investigate import Outcome

Worked = tuple[Path, Path, Outcome]
JOURNAL = Path(__file__).parents[1] / "golden" / "linux_journal"


def _chain(case: Path, name: str, language: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["trace", str(case), name, "--lang", language]) == 0
    return capsys.readouterr().out


def test_chain_reads_from_the_sentence_to_the_authority(worked: Worked, capsys: pytest.CaptureFixture[str]) -> None:
    step = worked[2].judged.steps[0]
    said = _chain(worked[1], step.id, "zh", capsys)
    order = ["▸ 步骤", "▸ 发现", "▸ 字节", "▸ 检材与校验值", "▸ 保管链", "▸ 授权"]
    at = [said.index(word) for word in order]
    assert at == sorted(at)
    assert step.text.zh in said
    assert re.search("校验值对象：(介质内容|文件|规范清单)", said)
    assert "未取得授权：a test" in said
    assert re.search(r"^ +\d+  ([0-9a-f]{2} )+", said, re.MULTILINE)
    assert not re.search(r"[{}]", said)  # no raw values of the program
    en = _chain(worked[1], step.id, "en", capsys)
    assert step.text.en in en
    assert not re.search(r"[\u4e00-\u9fff]", en)


def test_every_kind_of_id_has_words(worked: Worked, capsys: pytest.CaptureFixture[str]) -> None:
    judged = worked[2].judged
    ids = [judged.findings[0].id, judged.steps[0].id, judged.searches[0].id, judged.hypotheses[0].id]
    for name in [*ids, "evidence-1", "ledger-2", "authority", "1:/var/log/auth.log:0:0"]:
        assert "▸ " in _chain(worked[1], name, "both", capsys)


def _journals() -> list[bytes]:
    return [gzip.decompress(p.read_bytes()) for p in sorted(JOURNAL.glob("*.journal.gz"))]


def _opened(data: bytes) -> Journal:
    journal = open_journal(lambda at, length: data[at : at + length], len(data))
    assert isinstance(journal, Journal)
    return journal


def _entries(journal: Journal) -> list[int]:
    return [at for block in walk(journal) for at in block.entries(journal, 0, len(block.at)).offset.tolist()]


def test_message_of_a_journal_entry_is_found_behind_its_pointers() -> None:
    checked = 0
    for data in _journals():
        journal = _opened(data)
        for entry in _entries(journal)[:50]:
            named = {name: (value, at, size) for name, value, at, size in _fields(journal, entry)}
            if "MESSAGE" in named:
                value, at, size = named["MESSAGE"]
                assert at + size <= len(data)
                assert data[at] == 1  # a data object
                checked += bool(value)
    assert checked > 3


def test_broken_journal_gives_fewer_fields_and_never_an_error() -> None:
    chance = random.Random(7)
    data = bytearray(_journals()[0])
    entries = _entries(_opened(bytes(data)))[:20]
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(20):
            broken[chance.randrange(300, len(broken))] = chance.randrange(256)
        journal = _opened(bytes(broken))
        for offset in [*entries, chance.randrange(len(broken)), len(broken) - 3, 2**62]:
            assert len(list(_fields(journal, offset))) <= 64
