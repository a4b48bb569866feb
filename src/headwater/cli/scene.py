# SPDX-License-Identifier: Apache-2.0
"""headwater scene: the order of acts at a scene as a guarded checklist, and the record of what people did there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.cli.errand import errand_arguments, errand_of
from headwater.cli.options import case_and_authority, claim_of, pairs, remote_fields
from headwater.cli.signing import entered_line, hand_of, signing_arguments

if TYPE_CHECKING:
    from headwater.procedure.scene_acts import HandAct

HELP = "现场保护：按序核对、登记人工操作、照片录像、首次快速提取 · the scene: order, acts by hand, photographs, first capture"
_TEXTS = (
    ("asset", "ASSET", "对象：服务器或实例 · the server or instance"), ("at", "TIME", "时间，RFC 3339；缺省为现在 · when"),
    ("place", "TEXT", "地点 · place"), ("said", "TEXT", "说明 · what is to be said of it"),
    ("because", "REASON", "顺序颠倒或免做的理由 · why out of order"), ("witness", "NAME", "见证人 · witness"),
    ("no-witness", "REASON", "无见证人的理由 · why there is none"),
    ("one-person", "REASON", "不足两人的理由 · why fewer than two"),
)  # fmt: skip
_MORE = (
    ("unattested", "REASON", "无截图或导出的理由 · why nothing is attached"),
    ("consistency", "KIND", "快照一致性 stopped|application|crash · the snapshot's"),
    ("to", "WHOM", "上报对象 counsel|response-team|police|regulator · escalated to"),
    ("duty", "ID", "由此履行的期限义务 · the duty that it meets, see case duties"),
)


def _common(parser: argparse.ArgumentParser) -> None:
    for name, value, words in _TEXTS:
        parser.add_argument(f"--{name}", default="", metavar=value, help=words)
    parser.add_argument("--by", action="append", default=[], metavar="NAME", help="操作人，可重复 · who did it")
    parser.add_argument(
        "--happened", action="store_true", help="已经发生，如实登记 · it has happened: record it as such"
    )
    parser.add_argument(
        "--field", action="append", default=[], metavar="NAME=VALUE", help="材料栏目 · fields of the items"
    )
    signing_arguments(parser)


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", default="", metavar="KIND", help="response|judicial|audit 响应、司法、审计")
    for name, words in (("goal", "目标 · goal"), ("scope", "范围 · scope"), ("method", "方法 · method")):
        parser.add_argument(f"--{name}", default="", metavar="TEXT", help=words)
    parser.add_argument("--person", action="append", default=[], metavar="NAME=PART", help="人员与分工 · people")
    parser.add_argument("--tool", action="append", default=[], metavar="TEXT", help="工具及版本 · tools, with versions")
    parser.add_argument("--asset", action="append", default=[], metavar="NAME[=OTHER,…]",
                        help="对象及其别名（地址、实例号） · assets and their other names")  # fmt: skip
    parser.add_argument("--due", action="append", default=[], metavar="ACT=TIME", help="进度安排 · the schedule")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")
    signing_arguments(parser)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")

    def act(name: str, words: str) -> argparse.ArgumentParser:
        made = acts.add_parser(name, help=words, description=words)
        made.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
        return made

    _plan(act("plan", "制定或查看取证计划与核对表 · set or show the plan and its checklist"))
    record = act("record", "登记一项操作，附截图或导出 · record an act, with a screenshot or export")
    record.add_argument("what", metavar="WHAT", help="操作名，见 scene acts · the act, see scene acts")
    for name, value, words in _MORE:
        record.add_argument(f"--{name}", default="", metavar=value, help=words)
    record.add_argument("--attach", action="append", default=[], type=Path, metavar="FILE", help="截图、导出 · files")
    record.add_argument("--of", action="append", default=[], metavar="CHILD=PARENT",
                        help="来源关系：快照=卷、镜像=快照 · snapshot=volume, image=snapshot")  # fmt: skip
    record.add_argument("--allow", action="append", default=[], metavar="ADDRESS", help="隔离白名单 · allow-list")
    _common(record)
    waive = act("waive", "决定不做某项，须有理由 · decide to leave something out, with a reason")
    waive.add_argument("what", metavar="WHAT", help="first isolate memory keys snapshot …")
    _common(waive)
    attach = act("attach", "登记照片、录像等现场材料 · take in photographs, video and the like")
    attach.add_argument("files", nargs="+", type=Path, metavar="FILE", help="文件 · files")
    _common(attach)
    show = act("show", "现场操作一览与来源关系 · what was done, and the lineage")
    show.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")
    acts.add_parser("acts", help="操作名一览 · the names of the acts")
    first = acts.add_parser("first", help="数秒内提取连接、进程与登录者 · sockets, processes and users within seconds")
    errand_arguments(first)
    case_and_authority(first)


def _hand(options: argparse.Namespace, what: str) -> HandAct:
    from headwater.procedure.scene_acts import HandAct, when_of

    recorded = options.act == "record"
    return HandAct(
        "waive" if options.act == "waive" else what, options.asset, when_of(options.at), tuple(options.by), options.place,
        options.said, tuple(options.attach) if recorded else tuple(getattr(options, "files", ())), options.because,
        options.happened, options.witness, options.no_witness, options.one_person,
        options.unattested if recorded else "", tuple(pairs(options.of).items()) if recorded else (),
        options.consistency if recorded else "", tuple(options.allow) if recorded else (),
        options.to if recorded else "", options.duty if recorded else "", what if options.act == "waive" else "",
        pairs(options.field),
    )  # fmt: skip


def _acts(options: argparse.Namespace) -> int:
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.scene.acts import ACTS, STAGES

    for act in ACTS.values():
        voice, at = voice_of(options), act.stage
        stage = "—" if at is None else f"{at.value} {STAGES[at].en if voice.language == 'en' else STAGES[at].zh}"
        say(f"{act.name:<12} {stage}  {voice.text(act.text)}")
    return EXIT_DONE


def _planned(options: argparse.Namespace) -> int:
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure import scene, scene_lists
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    given = {
        "kind": options.type, "goal": options.goal, "scope": options.scope, "method": options.method,
        "people": pairs(options.person), "tools": tuple(options.tool), "due": pairs(options.due),
        "assets": scene_lists.assets(options.asset),
    }  # fmt: skip
    if any(given.values()):
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            scene.set_plan(desk, given)
    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        rows = scene.standing(corridor)
        words = [] if options.json else list(scene_lists.plan_words(corridor, rows, voice_of(options)))
    for row in rows if options.json else ():
        line(scene_lists.row_json(row))
    for each in words:
        say(each)
    return EXIT_NOT_CLEAN if any(r.state == "late" for r in rows) else EXIT_DONE


def _shown(options: argparse.Namespace) -> int:
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure import scene_lists
    from headwater.procedure.corridor import open_case

    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        if options.json:
            for row in scene_lists.acts_json(corridor):
                line(row)
        else:
            for words in scene_lists.acts_words(corridor, voice_of(options)):
                say(words)
    return EXIT_DONE


def _first(options: argparse.Namespace) -> int:
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.scene_first import first

    taken = first(errand_of(options, claim_of(options), remote_fields(options.remote)))
    item = taken.evidence
    say(f"{voice_of(options).word('检材', 'evidence')} {item.number}: {item.name}  sha256 {item.digests['sha256']}")
    say(f"  {taken.seconds:.2f} s  " + " ".join(f"{name}:{status}" for name, status in taken.answers))
    return EXIT_DONE if taken.whole else EXIT_NOT_CLEAN


def run(options: argparse.Namespace) -> int:
    """Do one of the acts."""
    if options.act == "acts":
        return _acts(options)
    if options.act == "plan":
        return _planned(options)
    if options.act == "show":
        return _shown(options)
    if options.act == "first":
        return _first(options)
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.custody import at_desk
    from headwater.procedure.scene_acts import record_act

    what = "photograph" if options.act == "attach" else options.what
    with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        sealed, items = record_act(desk, _hand(options, what))
    for item in items:
        say(f"{item.number}  {item.value('name')}  sha256 {item.sha256}  {item.size} B")
    voice = voice_of(options)
    say(entered_line(sealed, voice))
    for each in sealed.entry.note["inversions"] + sealed.entry.note["guards_broken"]:
        say(f"  {voice.label('须说明的例外', 'exception')}{voice.sentence(each['zh'], each['en'])}")
    return EXIT_DONE
