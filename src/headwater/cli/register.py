# SPDX-License-Identifier: Apache-2.0
"""headwater register: the register of evidence on screen, as PDF and XLSX, and a person's judgement of an item."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.signing import hand_of, signing_arguments

HELP = "证据登记表（PDF、XLSX）与三性审查 · the register, and the judgement of an item"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--pdf", type=Path, nargs="?", const=Path("."), metavar="DIR",
                        help="写出 register.pdf 与 register.xlsx，默认当前目录 · write them, by default here")  # fmt: skip
    parser.add_argument("--judge", metavar="NUMBER", help="审查一项检材 · judge an item")
    for name, words in (("lawful", "合法性"), ("objective", "客观性"), ("relevant", "关联性")):
        parser.add_argument(f"--{name}", metavar="REASON", help=f"{words}：理由；以 no: 开头为不成立 · no: if it fails")
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the register; write it or judge where asked."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure import registering
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    if options.judge:
        said = {}
        for name in ("lawful", "objective", "relevant"):
            reason = getattr(options, name) or ""
            said[name] = (not reason.startswith("no:"), reason.removeprefix("no:"))
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            registering.judge(desk, options.judge, said)
        return EXIT_DONE
    voice = voice_of(options)
    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        rows = list(registering.lines(corridor, voice))
        for row in rows:
            say("  ".join((row.number, *row.seven)).rstrip())
        if not rows:
            say(
                voice.sentence(
                    "尚未登记任何检材，见 headwater add、investigate",
                    "no item has been entered yet: headwater add, investigate",
                )
            )
        elif options.pdf:
            for path in registering.print_register(corridor, options.pdf, voice.language):
                say(f"{voice.label('登记表', 'register')}{path}")
    return EXIT_DONE
