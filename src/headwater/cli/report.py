# SPDX-License-Identifier: Apache-2.0
"""headwater report: write the report of a case again."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "重新出具报告 · write the report again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--lang", choices=("zh", "en", "both"), help="报告语言 · language")


def run(options: argparse.Namespace) -> int:
    """Write it and print where it lies."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say
    from headwater.procedure.investigate import open_case
    from headwater.procedure.reporting import write_report

    corridor = open_case(options.case, options.command)
    with corridor.ledger, locked(options.case):
        for path in write_report(corridor, options.lang):
            say(f"报告 report: {path}")
    return EXIT_DONE
