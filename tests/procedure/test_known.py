# SPDX-License-Identifier: Apache-2.0
"""Known contents are said and counted; they hide nothing, and take the edge off silence alone."""

from __future__ import annotations

from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Span, Text
from headwater.procedure.known import Known, weighed, words

KNOWN = {(1, "/bin/a"): Known("nsrl.csv", "line 7", True), (1, "/bin/m"): Known("nsrl.csv", "line 8", False)}


def _finding(rule: str, reason: str, *paths: str) -> Finding:
    card = Rule(rule, "1", "", Text("一", "one"), next(iter(Stage)), (), Severity.HIGH)
    spans = tuple(Citation(Span(1, path, 0, 1), None, {}, 1 << 30) for path in paths)
    record = Citation(Span(1, "/var/lib/dpkg/status", 0, 1), None, {}, 0)
    return Finding(
        card, Text("一。", "One."), (*spans, record), Confidence.HIGH, Severity.HIGH, facts={"reason": reason}, id="F-0"
    )


def _weighed(rule: str, reason: str, *paths: str) -> Finding:
    return next(weighed([_finding(rule, reason, *paths)], KNOWN))


def test_an_unowned_program_that_a_set_knows_is_graded_low_and_says_so() -> None:
    found = _weighed("unowned-program", "unowned", "/bin/a")
    assert (found.severity, found.rule.severity, found.facts["lowered"]) == (Severity.LOW, Severity.LOW, True)
    assert "nsrl.csv (line 7, by SHA-256)" in found.text.en
    assert "降为低危" in found.text.zh
    assert found.id != "F-0"


def test_a_copy_a_setuid_file_a_weak_digest_or_a_strange_neighbour_keeps_its_grade() -> None:
    assert _weighed("unowned-program", "setuid", "/bin/a").severity == Severity.HIGH
    assert _weighed("web-shell", "", "/bin/a").severity == Severity.HIGH
    weak = _weighed("unowned-program", "unowned", "/bin/m")
    assert (weak.severity, "by MD5" in weak.text.en) == (Severity.HIGH, True)
    assert _weighed("unowned-program", "unowned", "/bin/a", "/bin/other").severity == Severity.HIGH
    assert _weighed("unowned-program", "unowned", "/bin/other") == _finding("unowned-program", "unowned", "/bin/other")


def test_the_report_counts_what_the_sets_did() -> None:
    said = {
        "sets": [{"name": "n", "sha256": "0", "rows": 5, "unused": {"x": 2}, "matched": 1}],
        "files": 3, "by_md5_alone": 1, "lowered": 1,
    }  # fmt: skip
    assert next(t.en.split(":")[0] for t in words(said)) == "Set of known files n (SHA-256 0)"
    assert "3 contents" in [t.en for t in words(said)][1]
    assert list(words({})) == []
