# SPDX-License-Identifier: Apache-2.0
"""headwater report: write the report of a case again."""

from __future__ import annotations

import argparse

from headwater.cli.printing import case_argument, language_argument

HELP = "重新出具报告 · write the report again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    language_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write it and print where it lies."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.meter import Meter
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.corridor import open_case
    from headwater.procedure.reporting import write_report

    voice = voice_of(options)
    with Meter(voice.language) as meter:
        corridor = open_case(options.case, options.command, meter)
        with corridor.ledger, locked(options.case):
            written = write_report(corridor, options.lang)
    for path in written:
        say(f"{voice.label('报告', 'report')}{path}")
    return EXIT_DONE
