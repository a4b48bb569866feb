# SPDX-License-Identifier: Apache-2.0
"""headwater hold: place items under legal hold, or release it."""

from __future__ import annotations

import argparse

from headwater.cli.signing import entered, event_arguments, signing_arguments

HELP = "诉讼保全与解除 · legal hold, and its release"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    parser.add_argument("--release", action="store_true", help="解除 · release it")
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the event."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say

    for words in entered("release-hold" if options.release else "hold", options):
        say(words)
    return EXIT_DONE
