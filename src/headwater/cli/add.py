# SPDX-License-Identifier: Apache-2.0
"""headwater add: take a file in as an item of evidence: photograph, video, statement, document, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.cli.options import lacking, pairs
from headwater.cli.signing import hand_of, signing_arguments

if TYPE_CHECKING:
    from headwater.model.voice import Voice

HELP = "登记检材：照片、录像、笔录、调取材料等任何文件 · take any file in as an item of evidence"
_COMMON = (
    ("name", "名称"), ("category", "类别"), ("source", "来源"), ("method", "采集方式 acquisition_method"),
    ("custodian", "保管人"), ("purpose", "用途"), ("place", "地点"), ("holder", "持有人"), ("witness", "见证人"),
    ("operators", "提取人，两人以上"), ("start-time", "开始"), ("end-time", "结束"),
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, nargs="?", metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("item", type=Path, nargs="?", metavar="ITEM", help="文件 · the file")
    parser.add_argument("--fields", action="store_true", help="列出全部栏目 · list all fields")
    parser.add_argument("--field", action="append", default=[], metavar="NAME=VALUE", help="栏目内容 · a field")
    parser.add_argument("--absent", action="append", default=[], metavar="NAME=REASON", help="空缺理由 · why absent")
    parser.add_argument("--absent-rest", default="", metavar="REASON",
                        help="其余必填栏目的空缺理由 · why the other required fields are absent")  # fmt: skip
    parser.add_argument("--like", default="", metavar="NUMBER", help="未给的栏目同某项 · the rest as in that item")
    parser.add_argument("--parent", default="", metavar="NUMBER", help="上级检材 · what it is part of")
    parser.add_argument("--version-of", default="", metavar="NUMBER", help="替代的旧版本 · the item it follows")
    parser.add_argument("--says", action="append", default=[], metavar="KIND=VALUE",
                        help="检材自载的标识，与授权比对 · what it says of itself")  # fmt: skip
    parser.add_argument(
        "--override", metavar="REASON", help="超出授权仍登记的理由 · why although outside the authority"
    )
    parser.add_argument(
        "--attack-source", action="store_true", help="来自攻击来源主机 · of a host that attacks came from"
    )
    parser.add_argument("--immutable", action="store_true", help="置不可变标志 · chattr +i where allowed")
    for name, words in _COMMON:
        parser.add_argument(f"--{name}", metavar="TEXT", help=words)
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the new item's number and digest."""
    from headwater.case.mandate import target
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.custody import at_desk
    from headwater.procedure.registering import Addition, add
    from headwater.vault.items import CATEGORIES, FIELDS, not_recorded

    voice = voice_of(options)
    if options.fields:
        for field in FIELDS:
            say(f"{field.name:<20} {'*' if field.required else ' '} {voice.text(field.label)}")
        say("category: " + " ".join(CATEGORIES))
        return EXIT_DONE
    if options.case is None or options.item is None:
        raise lacking("CASE, ITEM")
    given = pairs(options.field)
    for name, _ in _COMMON:
        value = getattr(options, name.replace("-", "_"))
        if value is not None:
            given["acquisition_method" if name == "method" else name.replace("-", "_")] = value
    wanted = Addition(
        options.item, given, pairs(options.absent), options.parent, options.version_of, options.like,
        tuple(target(t) for t in options.says), options.override, options.immutable,
        options.attack_source, options.absent_rest,
    )  # fmt: skip
    with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        item = add(desk, wanted)
    say(f"{item.number}  {item.value('name')}  sha256 {item.sha256}  {item.size} B")
    for reason in dict.fromkeys(item.absent.values()):
        names = ", ".join(_label(n, voice) for n, why in item.absent.items() if why == reason)
        say(f"  {voice.label('空缺', 'absent')}{names}（{reason}）")
    if missing := not_recorded(item):
        say(f"  {voice.label('未记载', 'not recorded')}{', '.join(_label(f.name, voice) for f in missing)}")
    return EXIT_DONE


def _label(name: str, voice: Voice) -> str:
    """What a field is called."""
    from headwater.vault.items import FIELDS

    named = {field.name: field.label for field in FIELDS}
    return voice.word(named[name].zh, named[name].en) if name in named else name
