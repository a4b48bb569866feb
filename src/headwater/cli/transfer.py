# SPDX-License-Identifier: Apache-2.0
"""headwater transfer: hand items over; the one who takes them signs too, now or later."""

from __future__ import annotations

import argparse

from headwater.cli.options import lacking
from headwater.cli.signing import entered, entered_line, event_arguments, event_of, hand_of, signing_arguments

HELP = "移交检材，双方签名 · hand items over; both sign"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    parser.add_argument("--receiver", metavar="NAME", help="接收人在场并签名 · the receiver is here and signs")
    parser.add_argument("--receive", action="store_true", help="接收先前的移交 · sign for what was handed over before")
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the transfer, the receipt, or both."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure import custody

    if options.receive:
        for words in entered("receive", options):
            say(words)
        return EXIT_DONE
    if not options.to:
        options.to = options.receiver or ""
    if not options.to:
        raise lacking("--to NAME")
    with custody.at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        for sealed in custody.transfer(desk, event_of("transfer", options), hand_of(options.receiver, options)):
            say(entered_line(sealed, voice_of(options)))
    return EXIT_DONE
