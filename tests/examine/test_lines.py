# SPDX-License-Identifier: Apache-2.0
"""The line engine: no byte lost, no line misread, whatever the blocks, the bytes, the length or the year."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from test_lines_golden import FIXTURES, GRAMMARS, Lined
from tiling import GOLDEN, run, shared

from headwater.examine import line_blocks as line_blocks_of
from headwater.examine import line_templates, messages
from headwater.examine.batch import merge_gaps
from headwater.examine.line_blocks import MOST_LINES, Lines, line_blocks
from headwater.examine.line_views import PADDING, column, find, find_back
from headwater.examine.lines import line_batches, one_record
from headwater.examine.message_rules import RULES
from headwater.examine.parsers import linux_auth, web_access
from headwater.model.kinds import GapReason
from headwater.model.records import Facts, File, Gap
from headwater.model.times import SECOND, from_rfc3339

LINE = b"Mar  2 11:22:33 web01 sshd[42]: Failed password for root from 203.0.113.7 port 40122 ssh2\n"
LINED_FIXTURES = [pair for pair in FIXTURES if pair[0] in GRAMMARS]


def _all(grammar: Any, data: bytes, block: int, **more: Any) -> tuple[pl.DataFrame, list[Gap], dict[str, int]]:
    done = list(line_batches(grammar, File.of(data, **more), block))
    at = 0
    skipped: dict[str, int] = {}
    for batch in done:
        assert batch.start == at
        at = batch.end
        for s in batch.skipped:
            skipped[s.reason] = skipped.get(s.reason, 0) + s.size
    assert at == len(data)
    frames = [b.events for b in done if b.events.height]
    events = pl.concat(frames, how="diagonal") if frames else pl.DataFrame()
    gaps = [gap for batch in done for gap in batch.gaps]
    assert merge_gaps(gaps) == tuple(gaps)
    return events.select(sorted(events.columns)), gaps, skipped


@pytest.mark.parametrize(("folder", "name"), LINED_FIXTURES)
def test_result_does_not_depend_on_the_blocks(folder: str, name: str) -> None:
    data = (GOLDEN / folder / name).read_bytes()[:2500]
    grammar = GRAMMARS[folder].GRAMMAR
    more = {"facts": Facts(year=2026)}
    whole = _all(grammar, data, 1 << 20, **more)
    for block in (97, 1000):
        parts = _all(grammar, data, block, **more)
        assert_frame_equal(parts[0], whole[0])
        assert parts[1:] == whole[1:]


def _random_lines(chance: random.Random) -> bytes:
    pieces = [
        b"\0" * 7,
        b"\0" * 8,
        b"\0" * 300,
        b"\n",
        b" \t\n",
        b"\r\n",
        b"\xff\xfe",
        "日志".encode(),
        b"x" * 200,
        LINE,
    ]
    return b"".join(chance.choice([*pieces, LINE, LINE[:-1]]) for _ in range(chance.randrange(14)))


@pytest.mark.parametrize("limit", [64, 150])
def test_cutting_does_not_depend_on_the_blocks(limit: int) -> None:
    chance = random.Random(limit)
    for _ in range(15):
        data = _random_lines(chance)
        seen = set()
        for block in (1, 5, 64, 1 << 20):
            records, gaps = [], []
            for part in line_blocks(File.of(data), block, limit):
                records += list(zip(part.offset.tolist(), part.length.tolist(), part.lines.text().to_list()))
                gaps += part.gaps
            merged = merge_gaps(gaps)
            pieces = sorted([(at, size) for at, size, _ in records] + [(g.offset, g.length) for g in merged])
            assert [at for at, _ in pieces] == [0, *np.cumsum([size for _, size in pieces])[:-1]][: len(pieces)]
            assert sum(size for _, size in pieces) == len(data)
            seen.add((tuple(records), merged))
        assert len(seen) == 1


@pytest.mark.parametrize("together", [1, 16, 300, 64 << 10])
def test_a_byte_that_is_no_text_changes_its_own_line_alone(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """A block with one such byte was copied line by line; now lines are asked together, and must read the same."""
    monkeypatch.setattr(line_blocks_of, "_TOGETHER", together)
    chance = random.Random(together)
    for _ in range(20):
        data = _random_lines(chance) + b"\xe4\xb8\n" + _random_lines(chance) + "中\n".encode() * chance.randrange(20)
        for part in line_blocks(File.of(data), 1 << 20):
            for at, size, text in zip(part.offset.tolist(), part.length.tolist(), part.lines.text().to_list()):
                raw = data[at : at + size].rstrip(b"\n")
                assert text in {
                    line_blocks_of._escaped(raw).decode(),
                    line_blocks_of._escaped(raw.rstrip(b"\r")).decode(),
                }


def test_line_of_ten_megabytes_is_cut_and_said() -> None:
    data = LINE[:-1] + b"A" * 10_000_000 + b"\n" + LINE
    rows, gaps, _ = run(Lined(linux_auth), data)
    assert [(g.reason, g.offset, g.length) for g in gaps] == [
        (GapReason.TOO_LONG, 1 << 20, len(data) - len(LINE) - (1 << 20))
    ]
    assert [(r["offset"], r["length"]) for r in rows] == [(0, 1 << 20), (len(data) - len(LINE), len(LINE))]


def test_a_block_of_empty_lines_is_taken_in_parts() -> None:
    data = b"\n" * (3 * MOST_LINES + 7)
    parts = [len(part.lines) for part in line_blocks(File.of(data), len(data))]
    assert max(parts) <= MOST_LINES
    assert sum(parts) == len(data)


def test_zero_bytes_where_lines_stood_are_overwritten_not_1970() -> None:
    data = LINE + bytes(5000) + LINE + b"\n"
    rows, gaps, _ = run(Lined(linux_auth), data)
    assert [(g.offset, g.length, g.reason) for g in gaps] == [(len(LINE), 5000, GapReason.OVERWRITTEN)]
    assert [r["offset"] for r in rows] == [0, len(LINE) + 5000]


def test_unreadable_page_is_a_gap_and_the_rest_is_read() -> None:
    data = (LINE * 200)[: 4096 * 4]

    def pread(at: int, n: int) -> bytes:
        if at < 8192 and at + n > 4096:
            raise OSError(5, "Input/output error")
        return data[at : at + n]

    done = list(line_batches(linux_auth.GRAMMAR, File("/x", len(data), pread, facts=Facts(year=2026)), 8192))
    gaps = [g for b in done for g in b.gaps if g.reason is GapReason.UNREADABLE]
    assert [(g.offset, g.length) for g in gaps] == [(4096, 4096)]
    assert done[-1].end == len(data)


@pytest.mark.parametrize(("folder", "name"), LINED_FIXTURES)
def test_a_record_alone_says_the_same(folder: str, name: str) -> None:
    data = (GOLDEN / folder / name).read_bytes()
    grammar = GRAMMARS[folder].GRAMMAR
    events, _, _ = _all(grammar, data, 1 << 20, facts=Facts(year=2026))
    for row in events.to_dicts()[::3]:
        raw = data[row["offset"] : row["offset"] + row["length"]]
        year = int(str(np.datetime64(row["t_recorded"] or 0, "ns"))[:4])
        alone = one_record(grammar, raw, Facts(year=year)).to_dicts()
        kept = {k: v for k, v in row.items() if v is not None} | {"offset": 0}
        assert [{k: v for k, v in r.items() if v is not None} for r in alone] == [kept]


# --- years -----------------------------------------------------------------------------------------------------------


def _times(*heads: str, mtime: str | None = None, year: int | None = None) -> list[str | None]:
    data = "".join(f"{head} h p: x\n" for head in heads).encode()
    file = File.of(data, mtime_ns=None if mtime is None else from_rfc3339(mtime), facts=Facts(year=year))
    found: list[str | None] = []
    for batch in line_batches(linux_auth.GRAMMAR, file, 64):
        for row in batch.events.iter_rows(named=True):
            ns = row["t_recorded"]
            found.append(None if ns is None else str(np.datetime64(ns, "ns"))[:10])
            assert row["t_basis"] == ("none" if ns is None else "year-assumed")
            assert (row.get("time_text") is None) == (ns is not None)
    return found


def test_year_turns_between_lines() -> None:
    heads = ("Dec 30 10:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01", "Mar  2 10:00:00")
    expected = ["2025-12-30", "2025-12-31", "2026-01-01", "2026-03-02"]
    assert _times(*heads, mtime="2026-03-02T12:00:00Z") == expected
    assert _times(*heads, year=2026) == expected


def test_last_line_may_be_a_day_ahead_of_the_file_time_for_its_zone() -> None:
    assert _times("Jan  1 07:00:00", mtime="2025-12-31T23:00:00Z") == ["2026-01-01"]
    assert _times("Jan  3 07:00:00", mtime="2025-12-31T23:00:00Z") == ["2025-01-03"]


def test_lines_out_of_order_do_not_turn_the_year() -> None:
    heads = ("Mar  1 00:00:01", "Feb 28 23:59:59", "Mar  1 00:00:02")
    assert _times(*heads, year=2026) == ["2026-03-01", "2026-02-28", "2026-03-01"]
    heads = ("Dec 31 23:59:59", "Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  1 00:00:02")
    assert _times(*heads, year=2026) == ["2025-12-31", "2026-01-01", "2025-12-31", "2026-01-01"]


def test_29_february_chooses_a_leap_year() -> None:
    heads = ("Feb 29 10:00:00", "Mar  2 10:00:00")
    assert _times(*heads, mtime="2026-03-02T12:00:00Z") == ["2024-02-29", "2024-03-02"]
    assert _times(*heads, year=2026) == [None, "2026-03-02"]


def test_without_any_word_of_the_year_no_year_is_made_up() -> None:
    assert _times("Mar  2 10:00:00") == [None]


# --- the parts -------------------------------------------------------------------------------------------------------


def test_columns_over_a_block_are_its_slices() -> None:
    chance = random.Random(3)
    text = "".join(chance.choice("ab 汉é\n\t") for _ in range(4000)).encode()
    starts = [i for i in range(len(text) + 1) if i == len(text) or text[i] & 0xC0 != 0x80]
    pairs = [sorted(chance.choices(starts, k=2)) for _ in range(500)]
    low, high = (np.array(x, dtype=np.int64) for x in zip(*pairs))
    data = np.frombuffer(text + bytes(PADDING), dtype=np.uint8)
    valid = np.array([chance.random() < 0.8 for _ in pairs])
    expected = [text[a:b].decode() if v else None for (a, b), v in zip(pairs, valid)]
    series = column(data, low, high, valid)
    del data
    assert series.to_list() == expected
    assert (series + "x").to_list() == [None if e is None else e + "x" for e in expected]


def test_searches_find_what_a_plain_search_finds() -> None:
    chance = random.Random(4)
    text = bytes(chance.choices(b'a\x9f\x20"', [90, 9, 1, 1], k=6000))
    data = np.frombuffer(text + bytes(PADDING), dtype=np.uint8)
    pairs = [sorted(chance.choices(range(8, len(text)), k=2)) for _ in range(400)]
    low, high = (np.array(x, dtype=np.int64) for x in zip(*pairs))
    ahead = [text.find(b'"', a, b) for a, b in pairs]
    back = [text.rfind(b" ", a, b) for a, b in pairs]
    assert find(data, low, ord('"'), high).tolist() == [b if f < 0 else f for f, (_, b) in zip(ahead, pairs)]
    assert find_back(data, high, 32, low).tolist() == [a if f < 0 else f + 1 for f, (a, _) in zip(back, pairs)]


def _messages() -> list[tuple[str, str]]:
    found = []
    for folder in ("linux_auth", "linux_syslog", "linux_cron", "linux_kern"):
        for place in sorted((GOLDEN / folder).glob("*.golden.json")):
            rows = json.loads(place.read_text(encoding="utf-8"))["rows"]
            found += [(r.get("process", ""), r["message"]) for r in rows]
    return found


def _classified(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    texts = [m.encode() for _, m in pairs]
    ends = np.cumsum([len(t) for t in texts]) + line_templates.REACH
    starts = ends - np.array([len(t) for t in texts])
    data = np.frombuffer(bytes(line_templates.REACH) + b"".join(texts) + bytes(PADDING), dtype=np.uint8)
    process = pl.Series("process", [p or None for p, _ in pairs], dtype=pl.String)
    columns = messages.classified(process, Lines(data, starts, ends))
    return [{k: v for k, v in row.items() if v is not None} for row in pl.DataFrame(columns).to_dicts()]


def _one_by_one(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    found = []
    for process, message in pairs:
        kind, outcome, header, own = messages.classify(process or None, message)
        row = {"kind": str(kind), "outcome": None if outcome is None else str(outcome), **header, **own}
        found.append({k: v for k, v in row.items() if v is not None})
    return found


def _same(pairs: list[tuple[str, str]]) -> None:
    for (process, message), many, one in zip(pairs, _classified(pairs), _one_by_one(pairs)):
        many.pop("process", None)
        one.pop("process", None)
        assert many == one, (process, message)


def test_a_column_of_messages_is_read_as_each_alone() -> None:
    _same(_messages())


def test_a_column_of_real_messages_is_read_as_each_alone() -> None:
    for name in ("OpenSSH/OpenSSH_2k.log", "Linux/Linux_2k.log"):
        rows, _, _ = run(Lined(linux_auth, 2015), shared(f"loghub/{name}").read_bytes())
        _same([(r.get("process", ""), r["message"]) for r in rows])


def test_bent_messages_are_read_as_each_alone() -> None:
    chance = random.Random(9)
    pairs = _messages()
    bent = []
    for _ in range(1500):
        process, message = chance.choice(pairs)
        at, other = chance.randrange(len(message) + 1), chance.choice(pairs)[1]
        change = chance.choice((" ", "  ", ":", " from ", " port 22", "[preauth]", other[: chance.randrange(20)], "é"))
        cut = message[: at - chance.randrange(4)] if at else message
        bent.append((process, chance.choice((cut + change + message[at:], message[:at] + " " * 3, message + change))))
    _same(bent)


def test_every_template_means_what_its_regex_means() -> None:
    for rule in RULES:
        if rule.template:
            example = "".join(
                p.text.decode() if isinstance(p, line_templates.Literal) else {"#": "22", "": "w"}.get(p.sort, "a b")
                for p in line_templates.parts(rule.template)
            )
            (process,) = rule.processes[:1] or ("x",)
            _same([(process, example), (process, example + " "), (process, example + "x"), (process, example[:-1])])


def test_a_name_cannot_pass_for_an_address() -> None:
    text = "Disconnecting authenticating user a 9.9.9.9 port 1: b 203.0.113.7 port 22: Too many [preauth]"
    _, _, header, own = messages.classify("sshd", text)
    assert (header["src_ip"], own["port"]) == ("203.0.113.7", 22)


def test_access_escaped_and_unescaped_quotes() -> None:
    head = b'1.2.3.4 - - [02/Mar/2026:11:22:33 +0800] "'
    data = b"".join(
        head + rest + b"\n" for rest in (rb'a\\" 200 1 "-" "x"', rb'a\" 200 1" 404 2', rb'a" b" 200 3', rb'" 200 4')
    )
    rows, gaps, _ = run(Lined(web_access), data)
    assert gaps == []
    assert [(r.get("request"), r["sc-bytes"]) for r in rows] == [("a\\\\", 1), ('a\\" 200 1', 2), ('a" b', 3), ("", 4)]


def test_facts_do_not_leak_between_files() -> None:
    file = File.of(LINE, facts=Facts(year=2020))
    again = replace(file, facts=Facts(year=2021))
    first, second = (next(iter(line_batches(linux_auth.GRAMMAR, f))).events["t_recorded"][0] for f in (file, again))
    assert second - first == 365 * 86_400 * SECOND
