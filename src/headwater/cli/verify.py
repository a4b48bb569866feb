# SPDX-License-Identifier: Apache-2.0
"""headwater verify: derive again everything that a case claims."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "核验台账、检材、结果与每项发现 · check ledger, evidence, results and every finding"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument(
        "--rebuild", action="store_true", help="在空目录中全部重做并逐行比对 · do it all again and compare rows"
    )
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="解析子进程数 · parsing processes")


def run(options: argparse.Namespace) -> int:
    """Print every check; 0 where all hold, 1 where one failed or could not be made."""
    from dataclasses import asdict

    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import line, say
    from headwater.procedure.investigate import open_case
    from headwater.procedure.verification import verify

    meter = Meter()
    corridor = open_case(options.case, options.command, meter)
    with corridor.ledger, locked(options.case):
        try:
            checks = verify(corridor, rebuild=options.rebuild, workers=options.workers)
        finally:
            meter.end()
    words = {"ok": "相符 ok", "failed": "不符 FAILED", "not-claimable": "不可主张 not claimable"}
    for check in checks:
        if options.json:
            line(asdict(check))
        else:
            say(f"{words[check.result]:<12} {check.what}  {check.detail}")
    return EXIT_DONE if all(c.result == "ok" for c in checks) else EXIT_NOT_CLEAN
