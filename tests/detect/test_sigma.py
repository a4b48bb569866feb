# SPDX-License-Identifier: Apache-2.0
"""A rule fires on what it says and on nothing else; one that cannot run is named, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memory_events import MemoryEvents

from headwater.detect import sigma, sigma_matched
from headwater.detect.sigma_rules import digest, unpacked
from headwater.model.errors import DetectError
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.ports import Settings

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "sigma"
RULE = """
title: Test rule
id: 00000000-0000-0000-0000-000000000001
author: A. Uthor
level: {level}
tags: [attack.persistence, attack.t1505.003]
logsource: {{product: linux, category: process_creation}}
detection:
{detection}
"""


def process(**own: Any) -> MemoryEvents:
    return MemoryEvents().say("linux.audit", "/var/log/audit/audit.log", (EventKind.PROCESS_CREATE, 1, {"fields": own}))


def write(folder: Path, text: str, name: str = "a.yml") -> Path:
    (folder / name).write_text(text)
    return folder


def fires(folder: Path, detection: str, events: MemoryEvents) -> bool:
    body = "\n".join("  " + line for line in detection.strip().splitlines())
    write(folder, RULE.format(level="high", detection=body))
    findings, report = sigma.run_rules(folder, events, Settings())
    assert not report.unsupported, report.unsupported
    return bool(findings)


CASES = [
    # (selection, matching event, event that does not match)
    ("s: {CommandLine: 'curl x'}", {"CommandLine": "CURL X"}, {"CommandLine": "curl xy"}),
    ("s: {commandline|contains: 'curl'}", {"CommandLine": "a Curl b"}, {"CommandLine": "wget"}),
    ("s: {Image|startswith: '/tmp/'}", {"Image": "/TMP/x"}, {"Image": "/usr/tmp/x"}),
    ("s: {Image|endswith: '/sh'}", {"Image": "/bin/sh"}, {"Image": "/bin/sha"}),
    ("s: {CommandLine: 'a*b?c'}", {"CommandLine": "aXXbYc"}, {"CommandLine": "aXXbc"}),
    ("s: {CommandLine: '/e/%s-v[1] (x)*'}", {"CommandLine": "/e/%s-v[1] (X) y"}, {"CommandLine": "/e/%s-v1 (x)"}),
    ("s: {CommandLine|contains|all: ['a b', 'c']}", {"CommandLine": "c a b"}, {"CommandLine": "a b"}),
    ("s: {CommandLine|contains: ['x', 'y']}", {"CommandLine": "why"}, {"CommandLine": "who"}),
    ("s: {CommandLine|contains|cased: 'Curl'}", {"CommandLine": "Curl"}, {"CommandLine": "curl"}),
    ("s: {CommandLine|re: 'c[ua]rl\\s+-[a-z]$'}", {"CommandLine": "x curl  -s"}, {"CommandLine": "CURL -s"}),
    ("s: {CommandLine|re|i: 'curl'}", {"CommandLine": "CURL"}, {"CommandLine": "wget"}),
    ("s: {CommandLine|re: '^(?!sudo).*id$'}", {"CommandLine": "x id"}, {"CommandLine": "sudo id"}),
    ("s: {addr|cidr: '10.0.0.0/8'}", {"addr": "10.9.8.7"}, {"addr": "11.0.0.1"}),
    ("s: {addr|cidr: 'fc00::/7'}", {"addr": "fd00::1"}, {"addr": "10.0.0.1"}),
    ("s: {CommandLine|base64|contains: 'secret'}", {"CommandLine": "x c2VjcmV0 y"}, {"CommandLine": "secret"}),
    ("s: {key|base64offset|contains: '/bin/sh'}", {"key": "eyAvYmluL3NoIH0="}, {"key": "/bin/sh"}),
    ("s: {CommandLine|windash|contains: ' -enc'}", {"CommandLine": "ps /enc"}, {"CommandLine": "ps enc"}),
    ("s: {key|exists: true}", {"key": "k"}, {"CommandLine": "x"}),
    ("s: {key|exists: false}", {"CommandLine": "x"}, {"key": "k"}),
    ("s: {Image|fieldref: exe}", {"Image": "/a", "exe": "/a"}, {"Image": "/a", "exe": "/b"}),
    ("s: {uid|gt: 999}", {"uid": 1000}, {"uid": 999}),
    ("s: {uid|gte: 10}", {"uid": 10}, {"uid": 9}),
    ("s: {uid|lt: 10}", {"uid": "9"}, {"uid": "10"}),
    ("s: {uid|lte: 10}", {"uid": 10}, {"uid": 11}),
    ("s: {uid|neq: 5}", {"uid": 6}, {"uid": 5}),
    ("s: {CommandLine|re|m: '^id$'}", {"CommandLine": "x\nid\ny"}, {"CommandLine": "x id"}),
    ("s: {CommandLine|re|s: 'a.b'}", {"CommandLine": "a\nb"}, {"CommandLine": "ab"}),
    ("s: {CommandLine|re: '(?:ab){300,}'}", {"CommandLine": "ab" * 300}, {"CommandLine": "ab" * 299}),
    ("s: {key|wide|base64offset|contains: 'abc'}", {"key": "eABhAGIAYwB4AA=="}, {"key": "eGFiY3g="}),
    ("s: {key|utf16be|base64: 'ab'}", {"key": "AGEAYg=="}, {"key": "YWI="}),
    ("s: {Image|fieldref|endswith: exe}", {"Image": "/b/A", "exe": "a"}, {"Image": "/b/a/c", "exe": "a"}),
    ("s: {when|hour: 3}", {"when": "2026-03-02T03:04:05Z"}, {"when": "2026-03-02T03:04:05+02:00"}),
    ("s: {when|year: 2026}", {"when": "2026-03-02 03:04:05"}, {"when": "2025"}),
    ("s: {CommandLine|contains: '😀'}", {"CommandLine": "a😀"}, {"CommandLine": "a"}),
    ("s: {CommandLine|contains: ''}", {"CommandLine": "a"}, {"Image": "a"}),
    ("s: {uid: 0}", {"uid": 0}, {"uid": 10}),
    ("s: {ok: true}", {"ok": True}, {"ok": False}),
    ("s: {key: null}", {"CommandLine": "x"}, {"key": "k"}),
    ("s: {key: ''}", {"key": ""}, {"key": "k"}),
    ("s: ['passwd', 'sha*ow']", {"CommandLine": "cat /etc/SHADow"}, {"CommandLine": "cat /etc/hosts"}),
    ("s: [{Image|endswith: '/a'}, {uid: 5}]", {"Image": "/b", "uid": 5}, {"Image": "/b", "uid": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("selection", "hit", "miss"), CASES)
def test_a_modifier_matches_what_it_says_and_nothing_else(
    tmp_path: Path, selection: str, hit: dict[str, Any], miss: dict[str, Any]
) -> None:
    detection = f"{selection}\ncondition: s"
    assert fires(tmp_path, detection, process(**hit))
    assert not fires(tmp_path, detection, process(**miss))


THREE = "a1: {CommandLine|contains: x}\na2: {CommandLine|contains: y}\nb: {CommandLine|contains: z}\ncondition: "


@pytest.mark.parametrize(
    ("condition", "hit", "miss"),
    [
        ("a1 and not b", "x", "xz"),
        ("a1 or a2", "y", "z"),
        ("1 of a*", "y", "z"),
        ("all of a*", "xy", "x"),
        ("1 of them", "z", "w"),
        ("all of them", "xyz", "xy"),
        ("not 1 of a*", "z", "x"),
        ("(a1 or a2) and b", "yz", "xy"),
        ("b and not all of a*", "zx", "xyz"),
    ],
)
def test_conditions(tmp_path: Path, condition: str, hit: str, miss: str) -> None:
    assert fires(tmp_path, THREE + condition, process(CommandLine=hit))
    assert not fires(tmp_path, THREE + condition, process(CommandLine=miss))


def test_an_absent_column_makes_its_leaf_false_and_its_not_true(tmp_path: Path) -> None:
    assert not fires(tmp_path, "s: {ParentImage|endswith: '/java'}\ncondition: s", process(CommandLine="x"))
    detection = "s: {CommandLine: x}\nf: {ParentImage|endswith: '/java'}\ncondition: s and not f"
    assert fires(tmp_path, detection, process(CommandLine="x"))


def test_a_rule_of_another_product_never_fires_and_is_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        RULE.format(level="high", detection="  s: {CommandLine: x}\n  condition: s").replace("linux", "windows"),
    )
    findings, report = sigma.run_rules(tmp_path, process(CommandLine="x"), Settings())
    assert findings == []
    ((name, reason),) = report.unsupported
    assert "Test rule" in name
    assert "windows" in reason


def test_what_cannot_run_is_named_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, RULE.format(level="low", detection="  s: {a: x}\n  condition: s | count() > 3"), "count.yml")
    write(tmp_path, RULE.format(level="low", detection="  s: {a|nonesuch: x}\n  condition: s"), "modifier.yml")
    write(tmp_path, "a: [unclosed", "broken.yml")
    write(tmp_path, "just text", "text.yml")
    write(tmp_path, "title: C\ncorrelation: {type: event_count}", "correlation.yml")
    findings, report = sigma.run_rules(tmp_path, process(a="x"), Settings())
    assert findings == []
    assert len(report.unsupported) == 5
    assert any(name == "C (sigma:correlation.yml)" for name, _ in report.unsupported)
    assert all(reason for _, reason in report.unsupported)
    with pytest.raises(DetectError, match="HW6001"):
        sigma.run_rules(tmp_path / "none", process(), Settings())


@pytest.mark.parametrize(
    ("level", "severity"), [("informational", Severity.INFO), ("low", Severity.LOW), ("critical", Severity.CRITICAL)]
)
def test_the_finding_names_author_level_stage_and_values(tmp_path: Path, level: str, severity: Severity) -> None:
    write(tmp_path, RULE.format(level=level, detection="  s: {CommandLine|contains: x}\n  condition: s"))
    (found,), report = sigma.run_rules(tmp_path, process(CommandLine="x1"), Settings())
    assert found.rule.author == "A. Uthor"
    assert "A. Uthor" in found.text.zh
    assert found.severity == severity
    assert found.rule.stage == Stage.PERSIST
    assert found.rule.techniques == ("T1505.003",)
    assert found.spans[0].claims == {"CommandLine": "x1"}
    assert report.matched == (found.rule.id,)
    joined = sigma.SigmaReport().joined(report).plain()
    assert joined["ran"][0]["author"] == "A. Uthor"


def test_a_refused_request_is_background(tmp_path: Path) -> None:
    rule = RULE.format(level="high", detection="  s: {cs-uri-query|contains: whoami}\n  condition: s")
    write(tmp_path, rule.replace("product: linux, category: process_creation", "category: webserver"))
    own = {"cs-uri-query": "c=whoami", "sc-status": 404}
    request = (EventKind.WEB_REQUEST, 1, {"src_ip": "203.0.113.7", "outcome": "failure", "fields": own})
    (found,), _ = sigma.run_rules(tmp_path, MemoryEvents().say("web.access", "/a", request), Settings())
    assert found.severity == Severity.LOW
    assert found.facts["reach"] == "requested"


def test_the_public_linux_rules_run() -> None:
    if not SHARED.is_dir():
        pytest.skip("the public rules are not here (../shared/data/sigma)")
    events = process(Image="/usr/bin/base64", CommandLine="base64 -d x")
    findings, report = sigma.run_rules(SHARED / "rules" / "linux", events, Settings())
    assert "Decode Base64 Encoded Text" in {f.rule.title.en for f in findings}
    assert len(report.ran) > 100


def test_a_match_says_which_leaf_matched_which_bytes(tmp_path: Path) -> None:
    detection = "  s: {CommandLine|contains: whoami}\n  f: {Image: /x}\n  condition: s and not f"
    write(tmp_path, RULE.format(level="high", detection=detection))
    (found,), _ = sigma.run_rules(tmp_path, process(CommandLine="é whoami"), Settings())
    assert found.facts["why"] == "CommandLine: CommandLine text '*whoami*' (bytes 3-8)"


def test_placeholders_take_their_values_from_the_file_beside_the_rules(tmp_path: Path) -> None:
    write(tmp_path, RULE.format(level="high", detection="  s: {user_name|expand: 'a-%who%'}\n  condition: s"))
    events = process(user_name="a-bob")
    _, report = sigma.run_rules(tmp_path, events, Settings())
    assert "placeholder %who% has no values" in report.unsupported[0][1]
    write(tmp_path, "who: [alice, bob]", "expand.yml")
    findings, report = sigma.run_rules(tmp_path, events, Settings())
    assert len(findings) == 1
    assert not report.unsupported
    write(tmp_path, "[not a mapping", "expand.yml")
    assert any(n == "expand.yml" for n, _ in sigma.run_rules(tmp_path, events, Settings())[1].unsupported)


def test_counts_are_exact_where_only_the_ends_are_cited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigma, "SLICE", 64)
    monkeypatch.setattr(sigma, "CITED", 10)
    monkeypatch.setattr(sigma_matched, "CITED", 10)
    write(tmp_path, RULE.format(level="high", detection="  s: {CommandLine|startswith: 'run '}\n  condition: s"))
    rows = [(EventKind.PROCESS_CREATE, i + 1, {"user": "u", "fields": {"CommandLine": f"run {i}"}}) for i in range(500)]
    (found,), _ = sigma.run_rules(tmp_path, MemoryEvents().say("linux.audit", "/a", *rows), Settings())
    assert found.facts["matches"] == 500
    assert (found.ts_first, found.ts_last, found.user) == (1, 500, "u")
    assert [c.claims["CommandLine"] for c in found.spans] == [f"run {i}" for i in [*range(5), *range(495, 500)]]


def test_a_kept_form_of_another_version_is_refused_and_the_digest_follows_its_sources() -> None:
    with pytest.raises(ValueError, match="not a compiled form"):
        unpacked(b'{"form": 0}')
    one = digest([("a.yml", b"x")])
    assert one == digest([("a.yml", b"x")])
    assert (
        len({one, digest([("b.yml", b"x")]), digest([("a.yml", b"y")]), digest([("a.yml", b"x")], {"n": ["v"]})}) == 4
    )


def test_channels_keep_windows_rules_apart(tmp_path: Path) -> None:
    text = RULE.format(level="high", detection="  s: {CommandLine|contains: whoami}\n  condition: s")
    write(tmp_path, text.replace("product: linux", "product: windows"))
    sysmon = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "CommandLine": "whoami"}
    for own, hits in (
        (sysmon, 1),
        (sysmon | {"EventID": 5}, 0),
        ({"Channel": "Security", "EventID": 4688, "CommandLine": "whoami"}, 1),
        ({"Channel": "Application", "EventID": 1, "CommandLine": "whoami"}, 0),
    ):
        events = MemoryEvents().say("windows.evtx", "/a.evtx", (EventKind.PROCESS_CREATE, 1, {"fields": own}))
        assert len(sigma.run_rules(tmp_path, events, Settings())[0]) == hits, own
        events = MemoryEvents().say("linux.audit", "/a", (EventKind.PROCESS_CREATE, 1, {"fields": own}))
        assert sigma.run_rules(tmp_path, events, Settings())[0] == []
