# SPDX-License-Identifier: Apache-2.0
"""headwater seal: seal items."""

from __future__ import annotations

import argparse

from headwater.procedure.signing import entered, event_arguments, signing_arguments

HELP = "封存检材 · seal items"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the event."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say

    for words in entered("seal", options):
        say(words)
    return EXIT_DONE
