# SPDX-License-Identifier: Apache-2.0
"""headwater findings: the findings of a case."""

from __future__ import annotations

import argparse
import sys

HELP = "列出发现，附引证 · the findings of a case, with citations"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from headwater.cli.printing import listing_arguments

    listing_arguments(parser)
    parser.add_argument(
        "--by",
        choices=("severity", "time"),
        default="severity",
        help="排列：严重程度或时间 · the order of the findings",
    )


def run(options: argparse.Namespace) -> int:
    """Print them; of a case still being examined, what a first look saw, and that it is no more."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import inert, print_rows
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.judgement import failed_first, seen_first
    from headwater.procedure.listing import NO_FINDINGS, SO_FAR, failed_lines, findings, in_language

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "findings")
        language = corridor.settings.language
        if seen_first(corridor.case) is not None:
            print(in_language(SO_FAR, options.lang or language), file=sys.stderr)
            for words in failed_lines(failed_first(corridor.case), options.lang or language):
                print(inert(words), file=sys.stderr)
        print_rows(findings(corridor, by_time=options.by == "time"), options, language, NO_FINDINGS)
    return EXIT_DONE
