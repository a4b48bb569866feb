# SPDX-License-Identifier: Apache-2.0
"""headwater findings: the findings of a case."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "列出发现 · the findings of a case"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")
    parser.add_argument("--lang", choices=("zh", "en"), default="zh", help="文字语言 · language of the words")


def run(options: argparse.Namespace) -> int:
    """Print them in the order of time."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say
    from headwater.procedure.contracts import finding_json
    from headwater.procedure.investigate import open_case
    from headwater.procedure.judgement import load

    corridor = open_case(options.case)
    with corridor.ledger:
        for finding in load(options.case).findings:
            row = finding_json(finding)
            if options.json:
                line(row)
            else:
                when = (row["ts_first"] or "-")[:19]
                say(f"{row['id']}  {row['severity']:<8} {when:<19}  {row['rule']}: {row['text'][options.lang]}")
    return EXIT_DONE
