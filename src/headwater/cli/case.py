# SPDX-License-Identifier: Apache-2.0
"""headwater case: open a case and keep what stands beside its evidence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.cli.options import lacking, pairs
from headwater.cli.printing import json_argument, language_argument
from headwater.cli.signing import signing_arguments
from headwater.model.voice import LANGUAGES

if TYPE_CHECKING:
    from headwater.model.nouns import Text
    from headwater.model.voice import Voice

_OBJECTION = {"outside": ("超出", "outside"), "unknown": ("不明", "unknown")}
HELP = "立案、授权、人员、基准时间、期限 · open a case; its scope, people, baseline and duties"
_HEAD = (
    ("case-no", "案件编号 · number"), ("case-name", "案件名称 · name"), ("cause", "案由 · cause"),
    ("client", "委托单位 · client"), ("requirement", "检验要求 · what is asked"), ("place", "地点 · place"),
    ("purpose", "用途 · purpose"),
)  # fmt: skip


def _mandate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("授权 · authority")
    group.add_argument("--authority", type=Path, metavar="FILE", help="授权文书 · the document")
    for name, words in (("no", "文号 · number"), ("by", "签发机关 · issuer"), ("basis", "法律依据 · legal basis"),
                        ("from", "起 · from"), ("until", "止 · until")):  # fmt: skip
        group.add_argument(f"--authority-{name}", default="", metavar="TEXT", help=words)
    group.add_argument(
        "--target", action="append", default=[], metavar="KIND=VALUE",
        help="对象：host、machine-id、serial、instance-id、address · what it covers; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--remote", action="append", default=[], metavar="NAME=VALUE",
        help="远程取证：server_location、remote_method、screen_recording · fields of remote work",
    )  # fmt: skip
    group.add_argument("--attack-source", default="", metavar="TEXT", help="攻击源主机检材由何机关取得 · obtained by")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")

    def act(name: str, words: str) -> argparse.ArgumentParser:
        made = acts.add_parser(name, help=words, description=words)
        made.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
        return made

    new = act("new", "立案 · open a case")
    _mandate(new)
    new.add_argument("--no-authority", metavar="REASON", help="确无授权的理由 · why there is none")
    new.add_argument("--examiner", action="append", default=[], metavar="NAME", help="检验人 · may be repeated")
    new.add_argument("--authority-scope", metavar="TEXT", help="授权范围 · what it covers, in its own words")
    new.add_argument("--zone", metavar="ZONE", help="时区 · time zone")
    new.add_argument("--lang", choices=LANGUAGES, help="报告语言 · language of the report")
    for name, words in _HEAD:
        new.add_argument(f"--{name}", metavar="TEXT", help=words)
    show = act("show", "案件概况 · what the case is")
    json_argument(show)
    language_argument(show)
    people = act("people", "人员 · people")
    people.add_argument("do", choices=("list", "add", "dismiss"), help="查看、登记、停用 · list, enrol, dismiss")
    people.add_argument("name", nargs="?", metavar="NAME", help="姓名 · name")
    people.add_argument("--role", action="append", default=[], metavar="ROLE",
                        help="admin custodian examiner analyst reviewer approver auditor")  # fmt: skip
    people.add_argument("--organisation", default="", metavar="TEXT", help="单位 · organisation")
    people.add_argument("--algorithm", choices=("ed25519", "sm2"), default="ed25519",
                        help="新密钥的算法；sm2 须有 openssl · of a new key; sm2 needs openssl")  # fmt: skip
    people.add_argument("--reason", default="", metavar="TEXT", help="停用理由 · why dismissed")
    signing_arguments(people)
    scope = act("scope", "授权范围，并与检材比对 · the mandate, compared with the evidence")
    _mandate(scope)
    signing_arguments(scope)
    baseline = act("baseline", "基准时间 T0 · the baseline time")
    baseline.add_argument("time", metavar="TIME", help="RFC 3339")
    baseline.add_argument("--source", required=True, metavar="TEXT", help="该时间的来源 · where it comes from")
    baseline.add_argument("--ahead", type=float, default=0.0, metavar="SECONDS", help="时钟偏差 δ · offset")
    baseline.add_argument("--uncertainty", type=float, required=True, metavar="SECONDS", help="不确定度 ε · ±")
    signing_arguments(baseline)
    duty = act("duties", "法定期限与提示 · deadlines and prompts")
    duty.add_argument("--known", default="", metavar="TIME", help="何时发现事件，RFC 3339 · when it became known")
    duty.add_argument("--operator", default="", metavar="KIND", help="cii|state|other")
    duty.add_argument(
        "--matter", action="append", default=[], metavar="KIND",
        help="cross-border 跨境、third-party 第三方、criminal 刑事 · may be repeated",
    )  # fmt: skip
    duty.add_argument(
        "--done", action="append", default=[], metavar="ID=WORDS", help="已办与文号、答复 · what was done or answered"
    )
    duty.add_argument("--laws", action="store_true", help="法律依据一览及核对日期 · the law map")
    signing_arguments(duty)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    from headwater.case.mandate import document_of, target

    document, digest = document_of(options.authority) if options.authority else ("", "")
    return {
        "number": options.authority_no, "issuer": options.authority_by, "legal_basis": options.authority_basis,
        "valid_from": options.authority_from, "valid_until": options.authority_until,
        "targets": tuple(target(t) for t in options.target), "remote": pairs(options.remote),
        "attack_source": options.attack_source, "document": document, "document_sha256": digest,
    }  # fmt: skip


def _new(options: argparse.Namespace) -> None:
    from headwater.case.authority import Claim
    from headwater.case.mandate import Mandate
    from headwater.procedure.casework import new_case

    given = _given(options)
    scope = "; ".join(f"{k}={v}" for k, v in given["targets"])
    claim = Claim(
        options.authority, options.authority_no or None, options.authority_by or None,
        options.authority_scope or scope or None,
        options.authority_from or None, options.authority_until or None, options.no_authority,
    )  # fmt: skip
    names = ("zone", *(n.replace("-", "_") for n, _ in _HEAD))
    changes = {n: getattr(options, n) for n in names} | {"language": options.lang}
    new_case(options.case, claim, Mandate(**given), changes, options.examiner, options.command)


def _people(options: argparse.Namespace) -> None:
    from headwater.cli.printing import say, voice_of
    from headwater.cli.signing import hand_of
    from headwater.procedure import casework
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk
    from headwater.vault.roles import role

    voice = voice_of(options)
    if options.do == "list":
        corridor = open_case(options.case, options.command)
        with corridor.ledger:
            people = casework.summary(corridor)["people"]
            if not people:
                say(voice.sentence("尚未登记人员：headwater case people CASE add",
                                   "nobody is enrolled yet: headwater case people CASE add"))  # fmt: skip
            for person in people:
                say(f"{person['name']}  {person['organisation']}  {' '.join(person['roles'])}  {person['public_key']}")
        return
    if not options.name:
        raise lacking("NAME")
    for word in options.role:  # before anybody is asked for a passphrase
        role(word)
    with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        if options.do == "dismiss":
            casework.dismiss(desk, options.name, options.reason)
            return
        hand = hand_of(options.name, options, new=True)
        assert hand is not None
        public = casework.enrol(desk, hand, options.organisation, options.role, options.algorithm)
        say(f"{voice.label('已登记', 'enrolled')}{options.name} {public}")
        say(f"{voice.label('密钥', 'key')}{hand.key}")


def _scope(options: argparse.Namespace) -> int:
    from headwater.case.mandate import PARTS
    from headwater.cli.main import EXIT_AUTHORITY, EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.cli.signing import hand_of
    from headwater.procedure import casework, within_mandate
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    given = _given(options)
    if any(given.values()):
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            casework.set_mandate(desk, given)
    outside, voice = False, voice_of(options)
    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        for name in within_mandate.mandate_of(corridor).missing():
            say(f"{voice.label('未记载', 'not recorded')}{voice.word(PARTS[name].zh, PARTS[name].en)}")
        for found in within_mandate.compared(corridor):
            for each in found.objections:
                outside = outside or each.result == "outside"
                said = voice.word(*_OBJECTION.get(each.result, (each.result, each.result)))
                say(f"E{found.number}  {said}  {voice.text(each.what)}")
            if not found.objections:
                say(f"E{found.number}  {voice.word('在授权范围之内', 'within the mandate')}")
    return EXIT_AUTHORITY if outside else EXIT_DONE


def _duties(options: argparse.Namespace) -> int:
    from headwater.case import duties
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import say, voice_of
    from headwater.cli.signing import hand_of
    from headwater.procedure import casework
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    given = {"known_at": options.known, "operator": options.operator, "matters": options.matter,
             "done": pairs(options.done)}  # fmt: skip
    if any(given.values()):
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            casework.record_duty(desk, given)
    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        clocks, prompts = casework.duties_of(corridor)
    voice = voice_of(options)
    say(voice.word(duties.notice().zh, duties.notice().en))
    if not clocks and not prompts:
        say(
            voice.sentence(
                "尚无期限起算：用 --known 时刻、--operator、--matter 说明",
                "no clock runs yet: give --known, --operator and --matter",
            )
        )
    overdue = False
    for clock in clocks:
        overdue = overdue or (clock.left_ns < 0 and not clock.done)
        left = f"{abs(clock.left_ns) / 3.6e12:,.1f} h"
        late = ("已逾期", "OVERDUE") if clock.left_ns < 0 else ("剩余", "left")
        state = f"{voice.label('已办', 'done')}{clock.done}" if clock.done else f"{voice.word(*late)} {left}"
        say(f"{clock.id:<12} {clock.due}  {state}  {voice.text(clock.text)}（{_law(clock.law.name, voice)}）")
    for prompt in prompts:
        state = prompt.answer or voice.word("未答复", "open")
        say(f"{prompt.id:<22} {state}  {voice.text(prompt.text)}（{_law(prompt.law.name, voice)}）")
    if options.laws:
        for law in duties.laws().values():
            say(f"[{law.mark}] {law.checked_on}  {voice.text(law.name)}：{_law(law.needs, voice)}")
    return EXIT_NOT_CLEAN if overdue else EXIT_DONE


def _law(text: Text, voice: Voice) -> str:
    """Of a law its own language, which is Chinese; the translation for who asked for English alone."""
    return text.en if voice.language == "en" else text.zh


def run(options: argparse.Namespace) -> int:
    """Do one of the acts."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say, voice_of
    from headwater.cli.signing import hand_of
    from headwater.procedure import casework
    from headwater.procedure.case_words import case_lines
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    if options.act == "new":
        _new(options)
        say(f"{voice_of(options).label('已立案', 'case')}{options.case}")
    elif options.act == "people":
        _people(options)
    elif options.act == "scope":
        return _scope(options)
    elif options.act == "duties":
        return _duties(options)
    elif options.act == "baseline":
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            ahead, within = int(options.ahead * 1e9), int(options.uncertainty * 1e9)
            casework.set_baseline(desk, options.time, options.source, ahead, within)
    else:
        corridor = open_case(options.case, options.command)
        with corridor.ledger:
            found = casework.summary(corridor)
        if options.json:
            line(found)
        else:
            for words in case_lines(found, voice_of(options)):
                say(words)
    return EXIT_DONE
