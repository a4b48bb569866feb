# SPDX-License-Identifier: Apache-2.0
"""headwater return: bring items back."""

from __future__ import annotations

import argparse

from headwater.cli.signing import entered, event_arguments, signing_arguments

HELP = "归还检材 · bring items back"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the event."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say

    for words in entered("checkin", options):
        say(words)
    return EXIT_DONE
