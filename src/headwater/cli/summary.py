# SPDX-License-Identifier: Apache-2.0
"""headwater summary: one screen on a case."""

from __future__ import annotations

import argparse

HELP = "一屏概览：事件、发现、主机、地址、规则、缺口 · one screen: events, findings, hosts, addresses, rules, gaps"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from headwater.cli.printing import listing_arguments

    listing_arguments(parser)
    parser.add_argument("--addresses", action="store_true", help="列出全部地址 · list every address")
    parser.add_argument(
        "--countries",
        metavar="FILE",
        help="地址段与国家的列表（CSV 或 MMDB） · a list of ranges by country: CSV or MMDB",
    )


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say
    from headwater.procedure.addresses import EVERY, countries_from
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.summary import TOP, summary
    from headwater.procedure.summary_words import address_lines, lines

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "summary")
        countries = countries_from(options.countries) if options.countries else None
        found = summary(corridor, EVERY if options.addresses else TOP, countries)
        if options.json:
            line(found.plain())
            return EXIT_DONE
        told = address_lines if options.addresses else lines
        for text in told(found, options.lang or corridor.settings.language):
            say(text)
    return EXIT_DONE
