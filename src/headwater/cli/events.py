# SPDX-License-Identifier: Apache-2.0
"""headwater events: the events of a case that meet a condition."""

from __future__ import annotations

import argparse

from headwater.cli.options import count_of
from headwater.cli.printing import case_argument, json_argument, language_argument

HELP = "按条件查询事件 · the events that meet a condition"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument(
        "--where",
        default="true",
        metavar="SQL",
        help="SQL 布尔表达式 · a boolean expression, e.g. \"src_ip = '203.0.113.7'\"",
    )
    parser.add_argument("--feed", metavar="NAME", help="只查一类日志 · one feed alone")
    parser.add_argument("--limit", type=count_of, metavar="N", help="最多条数 · at most so many")
    json_argument(parser)
    language_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print them in the order of time, then of place."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import event_line, say
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.listing import NO_EVENTS, in_language
    from headwater.procedure.timeline import Question, page

    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "events", options.where or "")
        language = options.lang or corridor.settings.language
        empty = True
        for event in page(corridor, Question(options.where, options.feed, limit=options.limit)):
            event_line(event, options.json, "UTC", language)
            empty = False
        if empty and not options.json:  # an empty screen would not tell "none" from "not looked for"
            say(in_language(NO_EVENTS, language))
    return EXIT_DONE
