# SPDX-License-Identifier: Apache-2.0
"""headwater summary: one screen on a case."""

from __future__ import annotations

import argparse

HELP = "一屏概览：事件、发现、主机、地址、规则、缺口 · one screen: events, findings, hosts, addresses, rules, gaps"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from headwater.cli.printing import listing_arguments

    listing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.summary import summary
    from headwater.procedure.summary_words import lines

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "summary")
        found = summary(corridor)
        if options.json:
            line(found.plain())
            return EXIT_DONE
        for text in lines(found, options.lang or corridor.settings.language):
            say(text)
    return EXIT_DONE
