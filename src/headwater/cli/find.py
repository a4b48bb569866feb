# SPDX-License-Identifier: Apache-2.0
"""headwater find: a text or an expression in all events, in the bytes of all files, or on the medium."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from headwater.cli.options import count_of, key_files, keys_of
from headwater.cli.printing import case_argument, json_argument, language_argument
from headwater.cli.timeline import question_arguments

if TYPE_CHECKING:
    from headwater.procedure.corridor import Corridor
    from headwater.procedure.searching import Wanted

PAGE = 1000  # events of one page, where no limit is given
HELP = "在全部事件、全部文件的字节或介质中查找文字 · find text in events, file bytes or the medium"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument("text", metavar="TEXT", help="要找的文字 · the text to look for, exactly")
    parser.add_argument("--regex", action="store_true", help="TEXT 为正则表达式（RE2） · TEXT is an RE2 expression")
    parser.add_argument("--ignore-case", action="store_true", help="不分大小写 · upper and lower case alike")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--bytes", action="store_true",
        help="在每个文件的字节中找（UTF-8、UTF-16、GB18030） · in the bytes of every file",
    )  # fmt: skip
    where.add_argument(
        "--medium", action="store_true", help="在介质的字节中找，含未分配空间 · on the medium, unallocated space too"
    )
    parser.add_argument(
        "--most",
        type=count_of,
        default=1000,
        metavar="N",
        help="每个文件最多几处，缺省 1000 · at most so many of one file",
    )
    question_arguments(parser)
    json_argument(parser)
    key_files(parser)
    language_argument(parser)


def children(options: argparse.Namespace) -> int:
    """How many children will be wanted: none where only events are asked."""
    return 2 if options.bytes or options.medium else 0


def run(options: argparse.Namespace) -> int:
    """Print the matches; the exit code says whether all that was to be searched was read."""
    from dataclasses import replace

    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import event_line
    from headwater.cli.timeline import after_page, question_of
    from headwater.model.errors import UsageError
    from headwater.model.nouns import Text
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.searching import Wanted, in_events
    from headwater.procedure.timeline import checked_zone

    if not options.text:
        raise UsageError("HW0001", what=Text("TEXT 为空，无从检索", "TEXT is empty: there is nothing to look for"))
    corridor = open_case(options.case)
    corridor.keys = keys_of(options)
    wanted = Wanted(options.text, options.regex, options.ignore_case)
    with corridor.ledger:
        looked(corridor, "find", " ".join(options.command[1:]))
        language = options.lang or corridor.settings.language
        if options.bytes or options.medium:
            _of_events(options)
            return _bytes(corridor, wanted, options, language)
        zone, asked = checked_zone(options.show_zone), question_of(options)
        if asked.limit is None:
            asked = replace(asked, limit=PAGE)
        last, count = "", 0
        for event, found in in_events(corridor, wanted, asked):
            event_line(event, options.json, zone, language, ",".join(found))
            last, count = str(event["id"]), count + 1
        if not options.json:
            after_page(count, asked.limit, last, language)
    return EXIT_DONE


def _of_events(options: argparse.Namespace) -> None:
    """Refuse what is asked of events alone: bytes have no time and no columns.

    Raises:
        UsageError: HW0001.
    """
    from headwater.model.errors import UsageError
    from headwater.model.nouns import Text

    given = {f"--{n}": getattr(options, n) for n in ("feed", "since", "until", "around", "after")}
    given["--where"] = None if options.where == "true" else options.where
    if words := ", ".join(name for name, value in given.items() if value is not None):
        zh, en = f"{words} 只用于查找事件", f"{words}: of events alone"
        raise UsageError(
            "HW0001", what=Text(f"{zh}，不能与 --bytes、--medium 同用", f"{en}, not with --bytes or --medium")
        )


def _bytes(corridor: Corridor, wanted: Wanted, options: argparse.Namespace, language: str) -> int:
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import line, say
    from headwater.model.nouns import Text
    from headwater.procedure.corridor import evidence_of
    from headwater.procedure.listing import in_language
    from headwater.procedure.searching import in_bytes

    with Meter(language) as meter:
        corridor.progress = meter
        hits, account = in_bytes(corridor, wanted, medium=options.medium, most=options.most)
    named = {item.number: item for item in evidence_of(corridor.ledger)}

    def where(number: int, path: str) -> str:
        """A file by its path; the medium itself, which has none, by what it is the medium of."""
        if path:
            return f"{number}:{path}"
        item = named[number]
        return in_language(Text(f"{number}:检材 {item.name}（{item.kind}）的介质",
                                f"{number}:the medium of {item.name} ({item.kind})"), language)  # fmt: skip

    for hit in hits[: options.limit]:
        if options.json:
            line({"evidence": hit.evidence, "path": hit.path, "offset": hit.offset, "length": hit.length,
                  "encoding": hit.encoding, "context": hit.context.hex(), "before": hit.before})  # fmt: skip
            continue
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in hit.context)
        if hit.encoding:
            words = hit.context[hit.before : hit.before + hit.length].decode(hit.encoding, "replace")
            shown = f"{words} | {shown}"
        say(f"{where(hit.evidence, hit.path)} @{hit.offset}+{hit.length}  {hit.encoding or 're'}  {shown}")
    if not options.json:
        fewer = options.limit is not None and options.limit < len(hits)
        zh_shown, en_shown = (f"，列出 {options.limit:,} 处", f", {options.limit:,} shown,") if fewer else ("", "")
        said = Text(
            f"共 {len(hits):,} 处{zh_shown}；已查 {account.looked_through:,} 字节。",
            f"{len(hits):,} matches{en_shown} in {account.looked_through:,} bytes.",
        )
        say(in_language(said, language))
        for number, path, size in account.unread:
            say(in_language(Text(f"未能读取：{where(number, path)} {size:,} 字节",
                                 f"not read: {where(number, path)} {size:,} bytes"), language))  # fmt: skip
        for number, path in account.cut:
            say(in_language(Text(f"到达上限，其后未列：{where(number, path)}",
                                 f"more stand there than are listed: {where(number, path)}"), language))  # fmt: skip
        for number, why in account.failed:
            say(in_language(Text(f"未查：检材 {number}：{why}", f"not searched: evidence {number}: {why}"), language))
    return EXIT_NOT_CLEAN if account.unread or account.cut or account.failed else EXIT_DONE
