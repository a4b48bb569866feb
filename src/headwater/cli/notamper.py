# SPDX-License-Identifier: Apache-2.0
"""headwater notamper: whether an item was touched after control of it was taken, by six layers, with a verdict A to E."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.options import key_files, keys_of
from headwater.cli.signing import hand_of, numbered, signing_arguments

HELP = "无污损检验：基准时间之后检材是否被改动，结论 A–E · was an item touched after the baseline; verdict A to E"
_SHOWN = 12  # examples of a sign on the screen


def _seconds(text: str) -> int:
    return int(float(text) * 1e9)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("item", metavar="EVIDENCE", type=numbered, help="检材编号，如 E1 · its number")
    parser.add_argument("--case", type=Path, required=True, metavar="DIR", help="案件目录 · the case folder")
    base = parser.add_argument_group("基准时间 · the baseline")
    base.add_argument(
        "--baseline", default="", metavar="TIME", help="T0，RFC 3339；不给则用已登记的 · else as recorded"
    )
    base.add_argument("--source", default="", metavar="TEXT", help="该时间的来源 · where it comes from")
    base.add_argument("--ahead", type=_seconds, default=0, metavar="SECONDS", help="时钟偏差 δ · that clock's offset")
    base.add_argument("--uncertainty", type=_seconds, metavar="SECONDS", help="不确定度 ε · ±")
    after = parser.add_argument_group("基准时间之后 · after it")
    after.add_argument("--state", default="", choices=("", "running", "stopped"), metavar="STATE",
                       help="检验人陈述其后运行或停止；不给则看记录 · running|stopped by your word, else by its records")  # fmt: skip
    after.add_argument("--act", action="append", default=[], metavar="FROM/UNTIL=WORDS",
                       help="台账之外获准的行为 · what was permitted then, beside the ledger")  # fmt: skip
    after.add_argument("--service", action="append", default=[], metavar="PATH",
                       help="运行中的服务所写的目录 · a tree that a running service writes")  # fmt: skip
    known = parser.add_argument_group("内容比对 · contents compared")
    known.add_argument("--known", action="append", type=Path, default=[], metavar="FILE",
                       help="来自盘外的 sha256sum 清单 · digests from elsewhere, as sha256sum writes them")  # fmt: skip
    known.add_argument(
        "--against", type=numbered, metavar="EVIDENCE", help="与本案另一检材比对 · another item of the case"
    )
    known.add_argument("--known-at", default="", metavar="TIME", help="清单取得的时间 · when they were taken")
    known.add_argument("--known-from", default="", metavar="TEXT", help="清单的来历 · what they are")
    known.add_argument("--seal-key", action="append", type=Path, default=[], metavar="FILE",
                       help="journald 封缄的验证密钥（journalctl --setup-keys 所示）所在文件 · journald's verification key")  # fmt: skip
    key_files(parser)
    parser.add_argument("--no-reread", action="store_true", help="不再次计算检材校验值 · do not digest the item again")
    signing_arguments(parser)


def _number(word: str | None) -> int | None:
    from headwater.model.errors import VaultError

    if word is None:
        return None
    if not word.startswith("E") or not word[1:].isdigit():
        raise VaultError("HW3014", what=word)
    return int(word[1:])


def run(options: argparse.Namespace) -> int:
    """Run the examination; print the verdict, what carries it, and where the record lies."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.custody import at_desk
    from headwater.procedure.notamper import Ask, no_tamper, speaks_against
    from headwater.reconstruct.notamper_terms import STANDING_TEXT, VERDICTS

    number = _number(options.item)
    assert number is not None
    voice = voice_of(options)
    ask = Ask(
        number, options.baseline, options.source, options.ahead, options.uncertainty, options.state, tuple(options.act),
        tuple(options.service), tuple(options.known), options.known_at, options.known_from, _number(options.against),
        not options.no_reread, voice.language, keys_of(options), tuple(options.seal_key),
    )  # fmt: skip
    with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        outcome = no_tamper(desk, ask)
    found = outcome.examined

    say(f"E{number}  {voice.text(VERDICTS[found.verdict])}")
    say(voice.text(found.operation.text))
    for sign in found.signs:
        say(f"[{sign.layer}] {voice.text(STANDING_TEXT[sign.standing])}  {voice.text(sign.text)}")
        for example in sign.examples[: _SHOWN if speaks_against(sign) else 0]:
            say(f"      {example.path}  {example.what}")
    for limit in found.limits:
        say(f"{voice.label('局限', 'limit')}{voice.text(limit)}")
    for path in outcome.paths:
        say(f"{voice.label('记录', 'record')}{path}")
    return EXIT_DONE if found.verdict in {"A", "B"} else EXIT_NOT_CLEAN
