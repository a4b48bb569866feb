# SPDX-License-Identifier: Apache-2.0
"""headwater timeline: events in the order of time, a page at a time, counted, or in another program's form."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.cli.options import count_of, lacking
from headwater.cli.printing import case_argument, json_argument, language_argument

if TYPE_CHECKING:
    from headwater.procedure.corridor import Corridor
    from headwater.procedure.timeline import Question

HELP = "按时间查看、计数或导出事件 · events by time: pages, counts, export"
_FORMS = ("jsonl", "csv", "parquet", "timesketch", "body", "ecs", "ocsf")
_WIDTHS = ("minute", "hour", "day", "week")


def question_arguments(parser: argparse.ArgumentParser) -> None:
    """Which events: the options that ``timeline`` and ``find`` share."""
    parser.add_argument("--where", default="true", metavar="SQL", help="SQL 布尔表达式 · a boolean expression")
    parser.add_argument("--feed", metavar="NAME", help="只查一类日志 · one feed alone")
    parser.add_argument("--since", metavar="TIME", help="起（含），RFC 3339 · from, inclusive")
    parser.add_argument("--until", metavar="TIME", help="止（含） · until, inclusive")
    parser.add_argument("--around", metavar="ID|TIME", help="某事件或时刻前后 · around an event or a time")
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="N", help="前后各几分钟，缺省 10 · on either side"
    )
    parser.add_argument("--after", metavar="ID", help="接上一页末条之后 · the page behind this event")
    parser.add_argument("--limit", type=count_of, metavar="N", help="最多条数 · at most so many")
    parser.add_argument("--show-zone", default="UTC", metavar="ZONE", help="显示所用时区 · the zone of the times shown")


def question_of(options: argparse.Namespace) -> Question:
    """The question that the options put."""
    from headwater.procedure.timeline import Question

    return Question(
        options.where, options.feed, options.since, options.until, options.around, options.minutes,
        options.after, options.limit,
    )  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    question_arguments(parser)
    parser.add_argument("--facet", metavar="COLUMN", help="该列各值的条数 · how often each value of a column stands")
    parser.add_argument("--histogram", choices=_WIDTHS, help="各时段的条数 · events in each stretch of time")
    parser.add_argument("--format", choices=_FORMS, help="写成文件的格式 · the form of --out")
    parser.add_argument("--out", type=Path, metavar="FILE", help="写入新文件 · write to a new file")
    json_argument(parser)
    language_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print or write what was asked for."""
    from headwater.cli.main import EXIT_DONE
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked

    if (options.out is None) != (options.format is None):
        raise lacking("--format FORM, --out FILE")
    corridor = open_case(options.case)
    with corridor.ledger:
        looked(corridor, "timeline", " ".join(options.command[1:]))
        asked = question_of(options)
        language = options.lang or corridor.settings.language
        if options.out is not None:
            _save(corridor, asked, options, language)
        elif options.facet is not None:
            _facet(corridor, asked, options)
        elif options.histogram is not None:
            _histogram(corridor, asked, options, language)
        else:
            _page(corridor, asked, options, language)
    return EXIT_DONE


def _save(corridor: Corridor, asked: Question, options: argparse.Namespace, language: str) -> None:
    from headwater.cli.printing import say
    from headwater.model.nouns import Text
    from headwater.procedure.listing import in_language
    from headwater.procedure.timeline import save

    done = save(corridor, asked, options.format, options.out)
    say(in_language(Text(f"已写入 {done.path}：{done.rows:,} 条", f"{done.path}: {done.rows:,} rows"), language))
    if options.format == "body" and not done.rows:
        empty = Text(
            "body 只容文件的时间（fs.macb、windows.mft）；本案检材没有这类列目（如目录、单个日志），或所问条件中没有。",
            "the body file holds times of files alone (fs.macb, windows.mft); this case lists none, as of a folder or of "
            "single logs, or the question leaves them out.",
        )
        say(in_language(empty, language))
    if done.without_time:
        missing = Text(
            f"{done.without_time:,} 条事件未载时间，此格式无法容纳，未写入；可用 --format jsonl 导出。",
            f"{done.without_time:,} events state no time; this form cannot hold them and they were not written: "
            "--format jsonl holds all.",
        )
        say(in_language(missing, language))


def _facet(corridor: Corridor, asked: Question, options: argparse.Namespace) -> None:
    from headwater.cli.printing import line, say
    from headwater.procedure.timeline import values

    for value, count in values(corridor, asked, options.facet, options.limit or 20):
        if options.json:
            line({options.facet: value, "count": count})
        else:
            say(f"{count:>12,}  {'-' if value is None else value}")


def _histogram(corridor: Corridor, asked: Question, options: argparse.Namespace, language: str) -> None:
    from headwater.cli.printing import line, say
    from headwater.model.times import rfc3339
    from headwater.procedure.listing import in_language, languages
    from headwater.procedure.timeline import counts
    from headwater.procedure.timeline_words import folded

    rows = counts(corridor, asked, options.histogram)
    if options.json:
        for start, count in rows:
            line({"start": rfc3339(start), "count": count})
        return
    most = max((count for _, count in rows), default=1)
    for row in folded(rows, options.histogram, whole=asked.since is not None or asked.around is not None):
        if row.words is not None:
            for each in languages(language):
                say(in_language(row.words, each))
        else:
            bar = "█" * max(1, round(40 * row.count / most)) if row.count else ""
            say(f"{(rfc3339(row.start) or '')[:16].replace('T', ' ')}  {row.count:>12,}  {bar}".rstrip())


def _page(corridor: Corridor, asked: Question, options: argparse.Namespace, language: str) -> None:
    from headwater.cli.printing import event_line
    from headwater.procedure.timeline import checked_zone, page

    zone = checked_zone(options.show_zone)
    last, count = "", 0
    for event in page(corridor, asked):
        event_line(event, options.json, zone, language)
        last, count = str(event["id"]), count + 1
    if not options.json:
        after_page(count, asked.limit, last, language)


def after_page(count: int, limit: int | None, last: str, language: str) -> None:
    """That nothing was found, or how the next page is asked for; ``last``: the id of the page's last event."""
    from headwater.cli.printing import say
    from headwater.model.nouns import Text
    from headwater.procedure.listing import NO_EVENTS, in_language

    if not count:
        say(in_language(NO_EVENTS, language))
    elif limit is not None and count == limit:
        say(in_language(Text(f"下一页：--after '{last}'", f"next page: --after '{last}'"), language))
