# SPDX-License-Identifier: Apache-2.0
"""Competing explanations of the entry, each weighed: what supports it, what refutes it, what was not looked for.

The explanations are guessing of a password, exploitation of the web application, a stolen key or password, and use by
someone entitled. None is preferred; a verdict is given only where findings decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headwater.formats.canonical import identify
from headwater.model.kinds import SEVERITY_ORDER, Severity, Stage
from headwater.model.nouns import Finding, Hypothesis, Search, Step, Text

SUPPORTED, REFUTED, OPEN = "supported", "refuted", "open"
# How long after the first confirmed entry another one is a consequence rather than a rival explanation.
_LATER = 3600 * 1_000_000_000


def _serious(findings: Iterable[Finding]) -> list[Finding]:
    return [f for f in findings if SEVERITY_ORDER[f.severity] >= SEVERITY_ORDER[Severity.MEDIUM]]


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(f.id for f in findings)


def _search(searches: Sequence[Search], words: str) -> list[Search]:
    return [s for s in searches if words in s.query]


def _unseen(searches: Sequence[Search]) -> list[str]:
    """Searches that were made over something and found nothing."""
    return [s.id for s in searches if s.hits == 0 and s.covered_records > 0]


def _made(
    text: Text, supports: Sequence[str], refutes: Sequence[str], open_: Sequence[Text], decidable: bool = True
) -> Hypothesis:
    verdict = SUPPORTED if supports and not refutes else REFUTED if refutes and not supports else OPEN
    verdict = verdict if decidable else OPEN
    hypothesis: Hypothesis = identify("H", Hypothesis(text, tuple(supports), tuple(refutes), tuple(open_), verdict))
    return hypothesis


def _entry(steps: Sequence[Step]) -> int | None:
    """When the first login or exploitation step began."""
    times = [s.ts_first for s in steps if s.stage in (Stage.LOGIN, Stage.EXPLOIT) and s.ts_first is not None]
    return min(times) if times else None


def _guessing(findings: Sequence[Finding], searches: Sequence[Search], entry: int | None) -> Hypothesis:
    won = [f for f in findings if f.rule.id in ("ssh-guessing-success", "password-spraying-success")]
    first = [f for f in won if f.ts_last is None or entry is None or f.ts_last <= entry + _LATER]
    tried = [f for f in findings if f.rule.id == "ssh-guessing"]
    open_ = []
    if tried and not won:
        open_.append(Text("见有口令猜解，但未见猜解来源随后登录成功；日志是否完整需结合间隙核对。",
                          "Guessing is recorded, but no login from those addresses after it; check the logs' gaps."))  # fmt: skip
    no_password = _unseen(_search(searches, "method = 'password'"))
    return _made(
        Text("入侵者通过猜解口令登录进入。", "The intruder entered by guessing a password."),
        _ids(first or won),
        () if won else no_password,
        open_,
    )


def _web(findings: Sequence[Finding], searches: Sequence[Search]) -> Hypothesis:
    ran = [f for f in findings if f.facts.get("reach") == "confirmed"]
    shells = [f for f in _serious(findings) if f.rule.id == "web-shell"]
    answered = [f for f in _serious(findings) if f.facts.get("reach") == "answered"]
    scripts = _search(searches, "exec-of-request")
    open_ = []
    if answered and not ran:
        open_.append(Text("有含系统命令的请求得到应答，主机上未见执行痕迹；须查应用源码与 POST 内容。",
                          "Requests with commands were answered, the host shows no trace; read the code and POST bodies."))  # fmt: skip
    if not any(s.covered_records for s in _search(searches, "sc-status")):
        open_.append(
            Text("检材中没有可读的网站访问日志，未能查证。", "No web access log could be read; not looked for.")
        )
    absent = _unseen(scripts) if not answered else []
    return _made(
        Text("入侵者利用网站应用的漏洞进入。", "The intruder entered by exploiting the web application."),
        _ids([*ran, *shells]),
        () if ran or shells else absent,
        open_,
    )


def _stolen(findings: Sequence[Finding], searches: Sequence[Search]) -> Hypothesis:
    guessed = {(f.src_ip, f.user) for f in findings if f.rule.id == "ssh-guessing-success"}
    strange = [f for f in _serious(findings) if f.rule.id == "new-address-login" and (f.src_ip, f.user) not in guessed]
    open_ = [
        Text("登录所用公钥的持有人、私钥保管情况须向单位查证。",
             "Who holds the keys that logged in, and how they are kept, must be asked of the organisation."),
        Text("该账户口令是否曾在别处泄露，检材不能回答。",
             "Whether the account's password leaked elsewhere cannot be answered from this evidence."),
    ]  # fmt: skip
    no_keys = _unseen(_search(searches, "method = 'publickey'"))
    no_password = _unseen(_search(searches, "method = 'password'"))
    return _made(
        Text("入侵者使用窃得的密钥或口令登录进入。", "The intruder logged in with a stolen key or password."),
        _ids(strange),
        [*no_keys, *no_password] if no_keys and no_password else (),
        open_,
    )


def _insider(findings: Sequence[Finding], steps: Sequence[Step]) -> Hypothesis:
    outside = [f for f in findings if f.rule.id == "ssh-guessing-success" or f.facts.get("reach") == "confirmed"]
    hostile = [f for f in _serious(findings) if f.rule.stage == Stage.COVER]
    open_ = [
        Text("相关账户使用人当时的去向、授权与工作安排须向单位查证。",
             "Where the users of the accounts were, and what they were permitted to do, must be asked.")
    ]  # fmt: skip
    if hostile:
        open_.append(Text("清除痕迹的行为与正常运维不符，但不能排除内部人员所为。",
                          "Covering tracks does not fit ordinary work, yet does not exclude an insider."))  # fmt: skip
    return _made(
        Text(
            "由有权使用系统的人员所为（内部人员或正常运维）。",
            "Someone entitled to the system did it (an insider, or ordinary work).",
        ),
        (),
        _ids(outside) if steps else (),
        open_,
        decidable=False,
    )


def weigh(findings: Sequence[Finding], steps: Sequence[Step], searches: Sequence[Search]) -> list[Hypothesis]:
    """The explanations of the entry; none where no step calls for one."""
    if not steps:
        return []
    entry = _entry(steps)
    return [
        _guessing(findings, searches, entry),
        _web(findings, searches),
        _stolen(findings, searches),
        _insider(findings, steps),
    ]
