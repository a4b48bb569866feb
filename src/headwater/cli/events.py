# SPDX-License-Identifier: Apache-2.0
"""headwater events: the events of a case that meet a condition."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "按条件查询事件 · the events that meet a condition"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument(
        "--where",
        default="true",
        metavar="SQL",
        help="SQL 布尔表达式 · a boolean expression, e.g. \"src_ip = '203.0.113.7'\"",
    )
    parser.add_argument("--feed", metavar="NAME", help="只查一类日志 · one feed alone")
    parser.add_argument("--limit", type=int, metavar="N", help="最多条数 · at most so many")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")


def run(options: argparse.Namespace) -> int:
    """Print them in the order of time, then of place."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say
    from headwater.procedure.contracts import event_json
    from headwater.procedure.corridor import clocks_of, open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.story import summary
    from headwater.store.sql import contract, select_events

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "events", options.where or "")
        rows = select_events(options.case, clocks_of(corridor), options.where, options.limit, options.feed)
        for row in rows:
            event = event_json(contract(row))
            if options.json:
                line(event)
            else:
                say(f"{(event['ts'] or '-')[:23]:<23}  {event['kind']:<18} {event['id']}  {summary(row)}")
    return EXIT_DONE
