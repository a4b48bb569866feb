# SPDX-License-Identifier: Apache-2.0
"""headwater suppress: set a finding aside with a signed reason, or take that back."""

from __future__ import annotations

import argparse

from headwater.cli.printing import case_argument
from headwater.cli.signing import entered_line, hand_of, signing_arguments

HELP = "排除一项发现并签署理由，或撤销；发现不删除 · set a finding aside with a signed reason, or undo"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument("finding", metavar="FINDING", help="发现编号 F-… · the finding's id")
    parser.add_argument("--because", required=True, metavar="TEXT", help="理由 · the reason")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--out-of-steps", action="store_true",
        help="也不计入步骤与假设；否则只作标注 · leave it out of steps and hypotheses too; else it is marked alone",
    )  # fmt: skip
    group.add_argument("--undo", action="store_true", help="撤销排除 · take it back")
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the act, write the report anew."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.meter import Meter
    from headwater.cli.printing import say, voice_of
    from headwater.procedure import suppressing
    from headwater.procedure.custody import at_desk

    hand, voice = hand_of(options.who, options), voice_of(options)
    with at_desk(options.case, options.command, hand) as desk, Meter(voice.language) as meter:
        desk.corridor.progress = meter
        if options.undo:
            sealed = suppressing.restore(desk, options.finding, options.because)
        else:
            sealed = suppressing.suppress(desk, options.finding, options.because, steps=options.out_of_steps)
    say(entered_line(sealed, voice))
    return EXIT_DONE
