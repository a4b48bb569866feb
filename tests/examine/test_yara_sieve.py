# SPDX-License-Identifier: Apache-2.0
"""YARA's sieve: a content that a rule matches is never kept from the engine, whatever the rule asks of it."""

from __future__ import annotations

import base64
import os
import random
import time
from collections.abc import Iterator

import pytest
import yara_x

from headwater.examine import yara_held, yara_plan, yara_sieve
from headwater.examine.yara_matches import scan
from headwater.examine.yara_own import OWN_RULES
from headwater.examine.yara_rules import Compiled, RuleFile, compile_rules
from headwater.examine.yara_sieve import ALL, NOTHING, OPEN, Sieve, Worth
from headwater.formats.sources import MemorySource

LONG = bool(os.environ.get("HEADWATER_LONG"))
WORD = b"needle-of-the-sieve"


@pytest.fixture(autouse=True)
def _any_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rules as few as they like and contents as small, blocks that end often, a sieve that is always asked."""
    monkeypatch.setattr(yara_plan, "PATTERNS_LEAST", 0)
    monkeypatch.setattr(yara_sieve, "LEAST", 0)
    monkeypatch.setattr(yara_sieve, "BLOCK", 64)
    monkeypatch.setattr(yara_sieve, "_LEARNT", 0)
    monkeypatch.setattr(yara_sieve, "_JUDGED", 1 << 60)
    yield
    held = yara_held._Held
    held.whole = held.quick = held.open = held.sieve = held.worth = None


def _hold(compiled: Compiled) -> Sieve | None:
    fds = []
    for _, data in compiled.parts:
        fds.append(os.memfd_create("rules"))
        os.write(fds[-1], data)
    yara_held.hold({"by_name": compiled.by_name, "parts": [n for n, _ in compiled.parts]}, fds)
    for fd in fds:
        os.close(fd)
    return yara_held._Held.sieve


def _compiled(*rules: str) -> Sieve | None:
    compiled = compile_rules([RuleFile("f", "\n".join(rules))])
    assert not compiled.faults
    return _hold(compiled)


def _rule(strings: str, condition: str, name: str = "r", flags: str = "") -> str:
    return f"{flags}rule {name} {{ strings: {strings} condition: {condition} }}"


TEXT = f'$a = "{WORD.decode()}"'
CLOSED = [
    "$a", "$a at 0", "$a in (0..10)", "any of them", "all of them", "1 of them", "1 of ($a, $a)", "50% of them", "#a > 0",
    "#a == 2 or #a == 1", "@a < 100", "@a[1] != 3", "!a == 19", "filesize < 10KB and $a", "uint16(0) == 0x7878 and #a >= 1",
    "for any of them : ( $ )", "for all of ($a*) : ( # > 0 )", "for any i in (1..#a) : ( @a[i] > 0 )", "not not $a and $a",
    "$a and not false", "($a or false) and true", "with x = @a : ( x >= 0 and $a )", "$a and not $a at 1000000",
]  # fmt: skip
OPENED = [
    "not $a", "none of them", "0 of them", "#a < 3", "#a == 0", "$a or filesize > 3", "for all i in (1..#a) : ( @a[i] > 0 )",
    "for none of them : ( $ )", "not defined @a", "for any of them : ( not $ )", "for any of them : ( # == 0 )", "not (@a > 3)",
    "filesize > 1 and not $a", "true or $a", "for 50% i in (1..#a) : ( true )", "not for any of them : ( $ )",
    "for any i in (0..2) : ( uint8(i) == 0x78 ) or $a", "uint8(0) != 0x79 or $a", "not uint8(filesize) == 0 or $a",
]  # fmt: skip


@pytest.mark.parametrize("condition", CLOSED)
def test_closed_condition_spares_the_engine_and_its_match_is_let_through(condition: str) -> None:
    sieve = _compiled(_rule(TEXT, condition))
    assert sieve is not None
    assert sieve.ask(b"x" * 500) == NOTHING
    hits = 0
    for at in (0, 1, 2, 3, 45, 61, 64, 481):
        data = bytearray(b"x" * 500)
        data[at : at + len(WORD)] = WORD
        assert yara_held._Held.whole is not None
        if yara_held._Held.whole.scan(bytes(data)).matching_rules:
            hits += 1
            assert sieve.ask(bytes(data)) == ALL
    assert hits


@pytest.mark.parametrize("condition", OPENED)
def test_condition_that_holds_without_its_patterns_is_left_to_the_engine(condition: str) -> None:
    needed = ", ".join(f"$n{n}" for n in range(4))
    more = _rule(" ".join(f'$n{n} = "another-needle-{n}"' for n in range(4)), f"any of ({needed})", "s")
    sieve = _compiled(_rule(TEXT, condition), more)
    assert sieve is not None
    for data in (b"x" * 500, b"", b"xx", WORD, b"x" * 77 + WORD + b"y"):
        assert yara_held._Held.whole is not None
        found = yara_held._Held.whole.scan(data).matching_rules
        assert not (found and yara_held._nothing(data, "/f")), data
    assert sieve.ask(b"x" * 500) in (OPEN, NOTHING)


FORMS = [
    (f'"{WORD.decode()}" nocase', WORD.upper()), (f'"{WORD.decode()}" wide', b"".join(bytes([c, 0]) for c in WORD)),
    (f'"{WORD.decode()}" wide ascii fullword', WORD), (f'"{WORD.decode()}" xor', bytes(c ^ 9 for c in WORD)),
    (f'"{WORD.decode()}" base64', base64.b64encode(b"ab" + WORD + b"c")), (f'"{WORD.decode()}" private', WORD),
    (r'"\x00\x01\"\\\n\t\r\xfftail"', b'\x00\x01"\\\n\t\r\xfftail'), ('"比特币比特币"', "比特币比特币".encode()),
    ("{ 6e 65 65 64 6c 65 2d [2-4] 41 }", b"needle-..A"), ("{ 41 [-] 6e 65 65 64 6c 65 2d }", b"A" + b"." * 90 + b"needle-"),
    ("{ 41 ( 42 | 43 44 ) 6e 65 ?5 64 6c 65 2d 6f 66 2d 74 // c }\n }", b"ACDneedle-of-t"),
    ("{ 6e 65 65 64 6c 65 2d ~00 /* } */ 41 }", b"needle-BA"), (r"/needle.*sieve/", WORD), (r"/a{0,3}needle-of+/s", b"needle-offf"),
    (r"/(a|b)?NEEDLE-\x6ff\b/i", b"needle-of "), (r"/needle-x?of-the?/", b"needle-of-th"), (r"/needle-of|other/", b"..other"),
    (r"/needle-(?:of)?-the{2}/", b"needle--thee"), (r"/[n-o]eedle-o[^]]-the/ wide", b"".join(bytes([c, 0]) for c in b"needle-of-the")),
    (r"/needle-of\/the\.x/", b"needle-of/the.x"), (r"/(?i)needle-of-the/", b"NEEDLE-of-the"), (r"/^needle-of-the{,2}$/", b"needle-of-th"),
    ('"short"', b"short"), (r"/ab+/", b"abb"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "planted"), FORMS)
def test_every_form_of_pattern_is_let_through_wherever_it_stands(pattern: str, planted: bytes) -> None:
    """At every remainder of four, over the ends of blocks, at both ends of the content."""
    needed = _rule(" ".join(f'$n{n} = "another-needle-{n}"' for n in range(3)), "any of them", "s")
    sieve = _compiled(_rule(f"$a = {pattern}", "$a"), needed)
    assert sieve is not None
    found = 0
    for before in (0, 1, 2, 3, 57, 58, 59, 60, 130):
        for after in (0, 1, 70):
            data = b"\x01" * before + planted + b"\x01" * after
            assert yara_held._Held.whole is not None
            if yara_held._Held.whole.scan(data).matching_rules:
                found += 1
                assert not yara_held._nothing(data, "/f"), (before, after)
    assert found


def test_rules_that_lean_on_others_are_judged_with_them() -> None:
    sieve = _compiled(
        _rule(TEXT, "$a", "base", "private "), "rule leans { condition: base and filesize > 10 }",
        "rule against { condition: not base and filesize == 7 }",
        _rule('$b = "second-needle" $c = "third-needle"', "($b or $c) and any of (leans, base)", "both", ""),
    )  # fmt: skip
    assert sieve is not None
    assert sieve.ask(b"x" * 100) == NOTHING
    assert sieve.ask(b"x" * 100 + WORD) == ALL
    assert sieve.ask(b"x" * 7) == OPEN
    assert not yara_held._nothing(b"x" * 7, "/f")
    assert sieve.ask(b"second-needle") == NOTHING
    assert sieve.ask(b"second-needle" + WORD) == ALL


def test_file_that_is_not_understood_goes_the_whole_way() -> None:
    odd = 'include "none.yar"\n' + _rule('$z = "zzzzzzzzzz"', "$z or filesize == 3", "odd")
    plain = _rule(" ".join(f'$n{n} = "another-needle-{n}"' for n in range(3)), "any of them", "s")
    compiled = compile_rules([RuleFile("odd", odd), RuleFile("plain", plain)])
    assert _hold(compiled) is not None
    assert not yara_held._nothing(b"123", "/f")
    assert not yara_held._nothing(b"..zzzzzzzzzz", "/f")
    assert yara_held._nothing(b"1234", "/f")


def test_rules_that_may_all_hold_without_patterns_have_no_sieve() -> None:
    assert not compile_rules([RuleFile("x", _rule(TEXT, "not $a"))]).sieve
    assert not compile_rules([RuleFile("x", "rule r { condition: true }")]).sieve


def _random_rules(dice: random.Random) -> tuple[str, list[bytes]]:
    words = ["invoke-it", "evil.example", "AAAAAAAA", "select * from", "short", "kernel32.dll", "quux corge"]
    rules, planted = [], []
    for n in range(dice.randint(2, 5)):
        names = [f"${dice.choice('ab')}{i}" for i in range(dice.randint(1, 3))]
        strings = []
        for name in names:
            word = dice.choice(words)
            strings.append(f'{name} = "{word}" {dice.choice(["", "nocase", "wide", "fullword", "wide ascii"])}')
            planted += [word.encode(), word.swapcase().encode(), b"".join(bytes([c, 0]) for c in word.encode())]

        def part(depth: int, names: list[str] = names, n: int = n) -> str:
            one = dice.choice(names)
            if depth and dice.random() < 0.6:
                return f"({part(depth - 1)} {dice.choice(['and', 'or'])} {dice.choice(['', 'not '])}{part(depth - 1)})"
            count = dice.choice(["any", "all", "none", "0", "1", "2", "50%"])
            choice = [
                one, f"#{one[1:]} {dice.choice('<>')} {dice.randint(0, 2)}", f"{count} of them", f"{one} at {dice.randint(0, 3)}",
                f"for {count} of ($*) : ( {dice.choice(['$', 'not $', '# > 1', '@ < 9'])} )", f"filesize {dice.choice('<>')} 300",
                f"@{one[1:]} {dice.choice(['==', '!=', '<'])} 0", f"uint8({dice.randint(0, 400)}) == 0x2e", f"r{n - 1}" if n else "true",
            ]  # fmt: skip
            return dice.choice(choice)

        rules.append(_rule(" ".join(strings), f"{part(2)} and (none of them or any of them)", f"r{n}"))
    return "\n".join(rules), planted


@pytest.mark.parametrize("seed", range(400 if LONG else 16))
def test_random_rules_and_contents_are_told_as_the_engine_alone_tells_them(seed: int) -> None:
    dice = random.Random(seed)
    text, planted = _random_rules(dice)
    compiled = compile_rules([RuleFile("f", text)])
    sieve = _hold(compiled)
    for _ in range(30):
        size = dice.choice([0, 9, 100, 290, 700])
        data = bytearray(dice.choice([b".", b"\0", b"a "]) * size)[:size]
        for _ in range(dice.randint(0, 3)):
            word = dice.choice(planted)
            at = dice.randint(0, size)
            data[at : at + len(word)] = word
        with_sieve = scan(MemorySource(bytes(data)), "/f", 0, len(data))
        yara_held._Held.sieve = None
        alone = scan(MemorySource(bytes(data)), "/f", 0, len(data))
        yara_held._Held.sieve = sieve
        assert with_sieve == alone


def test_time_limit_in_the_open_rules_goes_the_whole_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _rule(" ".join(f'$n{n} = "another-needle-{n}"' for n in range(3)), "any of them", "s")
    _compiled(_rule(TEXT, "not $a and filesize == 5"), plain)

    class Late:
        def set_timeout(self, seconds: int) -> None: ...
        def scan(self, data: bytes) -> None:
            raise yara_x.TimeoutError

    monkeypatch.setattr(yara_held._Held, "open", Late())
    assert [r["rule"] for r in scan(MemorySource(b"12345"), "/f", 0, 5).rows] == ["r"]


def test_content_full_of_beginnings_is_given_to_the_engine_and_bounded() -> None:
    sieve = _compiled(_rule(TEXT, "$a"))
    assert sieve is not None
    began = time.process_time()
    assert sieve.ask((WORD[:-1] + b"!") * 40_000) == ALL
    assert time.process_time() - began < 5


def test_sieve_that_does_not_pay_is_seldom_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    worth, size = Worth(), 1 << 20
    assert not worth(size)  # the engine's own rate is not known yet
    for _ in range(2):
        worth.looked(size, 0.004)
    assert worth(size)
    assert not worth(100)
    for _ in range(8):
        worth.asked(size, False, 0.001)
    assert sum(worth(size) for _ in range(80)) == 10
    for _ in range(80):
        worth.asked(size, True, 0.001)
    assert all(worth(size) for _ in range(80))


def test_own_rules_are_read_to_the_last() -> None:
    from headwater.formats import yara_conditions, yara_text

    found = yara_text.read(OWN_RULES).rules
    assert len(found) == compile_rules([RuleFile("headwater", OWN_RULES)]).count["headwater"]
    for rule in found:
        assert yara_conditions.parse(rule.condition, [p.name for p in rule.patterns], [])[0] == "and"
