# SPDX-License-Identifier: Apache-2.0
"""headwater unseal: unseal items; takes two persons."""

from __future__ import annotations

import argparse

from headwater.procedure.signing import entered, event_arguments, signing_arguments

HELP = "启封检材，须两人 · unseal items; takes two persons"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    signing_arguments(parser, two=True)


def run(options: argparse.Namespace) -> int:
    """Enter the event."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say

    for words in entered("unseal", options):
        say(words)
    return EXIT_DONE
