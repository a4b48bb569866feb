# SPDX-License-Identifier: Apache-2.0
"""headwater steps: the steps of a case."""

from __future__ import annotations

import argparse

HELP = "列出入侵步骤，附引证 · the steps of the intruder, with citations"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from headwater.cli.printing import listing_arguments

    listing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print them in the order of time."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import print_rows
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.listing import NO_STEPS, steps

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "steps")
        print_rows(steps(corridor), options, corridor.settings.language, NO_STEPS)
    return EXIT_DONE
