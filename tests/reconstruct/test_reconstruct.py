# SPDX-License-Identifier: Apache-2.0
"""What was not found says over how much it was sought; an explanation is weighed, never assumed."""

from __future__ import annotations

from typing import Any

from memory_events import MemoryEvents

from headwater.formats.canonical import identify
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Search, Span, Step, Text
from headwater.model.ports import Settings
from headwater.reconstruct.hypotheses import weigh
from headwater.reconstruct.searches import QUESTIONS, standing_searches

LOG = "/var/log/auth.log"


def by_query(searches: list[Search], words: str) -> Search:
    (found,) = [s for s in searches if words in s.query]
    return found


def account(feed: str, **tally: int) -> dict[str, Any]:
    return {
        "path": LOG,
        "feed": feed,
        "parser": feed,
        "tally": {"records": 0, "parsed": 0, "gap": 0, "skipped": 0} | tally,
    }


def test_a_search_states_hits_and_coverage() -> None:
    events = MemoryEvents().say(
        "linux.auth",
        LOG,
        (EventKind.AUTH_SUCCESS, 1, {"user": "root", "src_ip": "203.0.113.7", "method": "password"}),
        (EventKind.AUTH_SUCCESS, 2, {"user": "ops", "src_ip": "203.0.113.8", "method": "publickey"}),
    )
    events.gap("/var/log/wtmp", "linux.wtmp", 384, 384, "overwritten")
    accounts = [account("linux.auth", records=2, parsed=200, gap=17), account("web.access", records=9)]
    searches = standing_searches(events, Settings(), accounts)
    assert len(searches) == len(QUESTIONS)
    password = by_query(searches, "method = 'password'")
    assert (password.hits, password.covered_files, password.covered_bytes, password.gap_bytes) == (1, 1, 200, 17)
    assert by_query(searches, "user = 'root'").hits == 1
    assert by_query(searches, "overwritten").hits == 1
    shells = by_query(searches, "exec-of-request")
    assert (shells.hits, shells.covered_records, shells.feeds) == (0, 0, ())
    assert len({s.id for s in searches}) == len(searches)


def test_nothing_is_sought_in_an_empty_case_and_says_so() -> None:
    for search in standing_searches(MemoryEvents(), Settings(), []):
        assert (search.hits, search.covered_records, search.feeds) == (0, 0, ())


def finding(rule: str, stage: Stage, severity: Severity = Severity.HIGH, **more: Any) -> Finding:
    card = Rule(rule, "1", "x", Text("题", "title"), stage, (), severity)
    cite = Citation(Span(1, LOG, 0, 10), 1, {})
    return identify("F", Finding(card, Text("文。", "Text."), (cite,), Confidence.HIGH, severity, 1, 1, **more))


def step(of: Finding) -> Step:
    return identify("S", Step(of.rule.stage, "", None, None, 1, 1, Confidence.HIGH, of.text, (of.id,)))


def test_guessing_that_succeeded_supports_itself_and_refutes_the_insider() -> None:
    won = finding("ssh-guessing-success", Stage.LOGIN)
    guessing, web, _stolen, insider = weigh([won], [step(won)], [])
    assert (guessing.verdict, guessing.supports) == ("supported", (won.id,))
    assert insider.refutes == (won.id,)
    assert web.verdict == "open"
    assert web.open


def test_a_question_answered_no_over_real_coverage_refutes() -> None:
    shell = finding("web-command", Stage.EXPLOIT, facts={"reach": "confirmed"})
    none = identify(
        "Q", Search(Text("问", "Q"), "kind = 'auth.success' AND method = 'password'", 1, 9, 9, 0, 0, ("a",))
    )
    guessing, web, *_ = weigh([shell], [step(shell)], [none])
    assert (guessing.verdict, guessing.refutes) == ("refuted", (none.id,))
    assert web.verdict == "supported"
    unread = identify("Q", Search(none.question, none.query, 0, 0, 0, 0, 0, ()))
    assert weigh([shell], [step(shell)], [unread])[0].verdict == "open"


def test_without_a_step_there_is_nothing_to_explain() -> None:
    assert weigh([finding("ssh-guessing", Stage.LOGIN, Severity.LOW)], [], []) == []
