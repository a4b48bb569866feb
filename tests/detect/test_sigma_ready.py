# SPDX-License-Identifier: Apache-2.0
"""Rules kept from an earlier run, planned without being made whole, must match what they matched when they were compiled."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from memory_events import MemoryEvents

from headwater.detect import sigma, sigma_coded, sigma_scan
from headwater.detect.sigma_ready import Brief
from headwater.detect.sigma_rules import Pack, compile_rules, packed, unpacked
from headwater.model.kinds import EventKind
from headwater.model.ports import Settings

_WORDS = ("cmd.exe", "whoami", "net user", "-enc", "\\temp\\", "a", ">", "xyz", "12")
_FIELDS = ("Image", "CommandLine", "Nowhere", "EventID", "Data")
_CONDITIONS = ("s", "s and t", "s or t", "s and not t", "not s", "not t and s", "1 of them")


def _item(pick: random.Random) -> dict[str, Any]:
    field, word = pick.choice(_FIELDS), pick.choice(_WORDS)
    which = pick.randrange(9)
    if which == 0:
        return {f"{field}|re": pick.choice((r"net\s+\w", "a.*c", r"(?i)WHO.{0,3}i", r"\d\d"))}
    if which == 1:
        return {field: None}
    if which == 2:
        return {f"{field}|exists": pick.random() < 0.5}
    if which == 3:
        return {f"{field}|fieldref|endswith": pick.choice(_FIELDS)}
    if which == 4:
        return {"EventID": pick.choice((1, 12))}
    modifier = pick.choice(("", "|contains", "|contains", "|startswith", "|endswith", "|contains|cased"))
    return {field + modifier: [word, pick.choice(_WORDS)] if pick.random() < 0.4 else word}


def _rule(pick: random.Random, number: int) -> tuple[str, bytes]:
    held: dict[str, Any] = {"s": _item(pick) | _item(pick), "t": _item(pick), "condition": pick.choice(_CONDITIONS)}
    if pick.random() < 0.15:
        held["s"] = [pick.choice(_WORDS[:4])]  # keywords
    if pick.random() < 0.05:
        held["t"] = {"Image|re": "(?<=x+)y"}  # compiles nowhere
    source = {"product": "windows"} | ({"service": "security"} if pick.random() < 0.5 else {})
    rule = {
        "title": f"T{number}",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "logsource": source,
        "detection": held,
    }
    return f"{number}.yml", yaml.safe_dump(rule).encode()


def _events(pick: random.Random, unnamed: bool) -> MemoryEvents:
    names = ("Data", "Data_1") if unnamed else ("Data",)

    def fields() -> dict[str, Any]:
        text = (f"{pick.choice(_WORDS)} {pick.choice(_WORDS)} {pick.random():.3f}" for _ in names)
        said = {
            "Image": f"C:\\temp\\{pick.choice(_WORDS)}",
            "CommandLine": f"{pick.choice(_WORDS)} a {pick.random():.4f}",
        }
        said |= dict(zip(names, text, strict=True))
        kept = {name: value for name, value in said.items() if pick.random() < 0.8}
        return kept | {"EventID": pick.choice((1, 12)), "Channel": pick.choice(("Security", "System"))}

    rows = [(EventKind.LOG_MESSAGE, at + 1, {"fields": fields()}) for at in range(300)]
    return MemoryEvents().say("windows.evtx", "/a.evtx", *rows)


@pytest.mark.parametrize("unnamed", [False, True])
def test_a_kept_rule_matches_what_it_matched_when_it_was_compiled(
    unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigma_coded, "SAMPLE", 40)  # so that texts are laid aside here too
    monkeypatch.setattr(sigma_scan, "SAMPLE", 40)
    monkeypatch.setattr(sigma_coded, "_FEWEST", 8)
    monkeypatch.setattr(sigma, "SLICE", 128)
    pick = random.Random(20261122)
    pack = compile_rules([_rule(pick, number) for number in range(120)])
    events = _events(pick, unnamed)
    first = sigma.run_pack(pack, events, Settings())
    again = sigma.run_pack(unpacked(packed(pack)), events, Settings())
    assert again == first
    assert len(first[0]) > 30
    assert first[1].unsupported


def _of(word: str) -> bytes:
    return f"title: {word}\nlogsource: {{product: windows}}\ndetection: {{s: {{Image|contains: {word}}}, condition: s}}\n".encode()


def test_a_kept_rule_that_no_event_wakes_is_never_made_whole() -> None:
    pack: Pack = unpacked(packed(compile_rules([(f"{word}.yml", _of(word)) for word in ("whoami", "mimikatz", "cmd")])))
    event = (EventKind.LOG_MESSAGE, 1, {"fields": {"Image": "C:\\WhoAmI.exe"}})
    findings, _ = sigma.run_pack(pack, MemoryEvents().say("windows.evtx", "/a.evtx", event), Settings())
    assert [f.rule.title.en for f in findings] == ["whoami"]
    briefs = [rule.held for rule in pack.rules if isinstance(rule.held, Brief)]
    assert [brief._tree is not None for brief in briefs] == [True, False, False]
