# SPDX-License-Identifier: Apache-2.0
"""headwater investigate: from sources to a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from headwater.cli.options import case_and_authority, claim_of, key_files, keys_of
from headwater.model.voice import LANGUAGES

HELP = "从检材到报告：登记、检验、检测、还原、出具报告 · from sources to a report"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="镜像、归档、目录或日志 · image, archive, folder or log"
    )
    case_and_authority(parser)
    key_files(parser)
    parser.add_argument("--zone", metavar="ZONE", help="日志的时区，如 Asia/Shanghai · zone of wall clocks")
    parser.add_argument("--year", action="append", default=[], metavar="PATH=YEAR",
                        help="某日志末行的年份 · the year of a log's last line")  # fmt: skip
    parser.add_argument(
        "--rules", action="append", type=Path, default=[], metavar="DIR", help="Sigma 规则目录 · Sigma rules"
    )
    parser.add_argument(
        "--yara", action="append", type=Path, default=[], metavar="PATH", help="YARA 规则文件或目录 · YARA rules"
    )
    parser.add_argument(
        "--yara-unallocated", action="store_true", help="未分配空间也用 YARA 检索 · look in unallocated space too"
    )
    parser.add_argument(
        "--no-carve", action="store_true", help="不从未分配空间按结构恢复文件 · carve no files out of unallocated space"
    )
    parser.add_argument(
        "--indicators", action="append", type=Path, default=[], metavar="FILE",
        help="指标清单：文本、CSV、STIX 2.1、MISP · a list of indicators: text, CSV, STIX 2.1, MISP",
    )  # fmt: skip
    parser.add_argument(
        "--known", action="append", type=Path, default=[], metavar="FILE",
        help="已知文件集：校验值清单、NSRL 的 CSV 等 · a set of known files: digests, NSRL's CSV …",
    )  # fmt: skip
    parser.add_argument(
        "--places", action="append", type=Path, default=[], metavar="FILE",
        help="地址归属表：带经纬度或国家的 CSV、MMDB · a table of places: CSV or MMDB with coordinates or countries",
    )  # fmt: skip
    parser.add_argument(
        "--trusted-proxy", action="append", default=[], metavar="CIDR", help="可信代理 · trusted proxies"
    )
    parser.add_argument("--lang", choices=LANGUAGES, help="报告语言 · language of the report")
    parser.add_argument("--purpose", metavar="TEXT", help="检材用途 · purpose, for the register")
    head = parser.add_argument_group("报告首页 · head of the report")
    head.add_argument("--case-no", metavar="TEXT", help="案件编号 · number of the case")
    head.add_argument("--case-name", metavar="TEXT", help="案件名称 · its name")
    head.add_argument("--cause", metavar="TEXT", help="案由 · cause")
    head.add_argument("--client", metavar="TEXT", help="委托单位 · client")
    head.add_argument("--requirement", metavar="TEXT", help="检验要求 · what is asked")
    head.add_argument("--standard", metavar="TEXT", help="方法标准，如 GA/T 756 · the method standard followed")
    head.add_argument(
        "--baseline", metavar="TIME", help="基准时间，如 2026-11-09T09:30:00+08:00 · moment of seizure or first control"
    )
    head.add_argument("--baseline-source", metavar="TEXT", help="基准时间的出处 · how that moment is known")
    head.add_argument("--place", metavar="TEXT", help="检验地点 · place of the examination")
    parser.add_argument("--override", metavar="REASON",
                        help="超出授权仍予检验的理由 · why it is examined although outside the authority")  # fmt: skip
    parser.add_argument("--attack-source", action="store_true",
                        help="检材来自攻击来源主机 · the sources are of hosts that attacks came from")  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="解析子进程数 · parsing processes")
    parser.add_argument("--no-reread", action="store_true", help="不再次读取检材比对 · do not read the sources again")


def children(options: argparse.Namespace) -> int:
    """How many children will be wanted."""
    return int(options.workers)


def _years(pairs: list[str]) -> dict[str, int] | None:
    from headwater.model.errors import UsageError

    years = {}
    for pair in pairs:
        path, _, year = pair.rpartition("=")
        if not path or not year.isdigit() or not 1970 <= int(year) <= 2261:
            raise UsageError("HW0001", what=f"--year {pair}: PATH=YEAR")
        years[path] = int(year)
    return years or None


def run(options: argparse.Namespace) -> int:
    """Run the procedure and print where the report lies and the story."""
    from headwater.case.settings import check_instant
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.chronicle import story_lines
    from headwater.procedure.doubts import not_claimable
    from headwater.procedure.going_on import going_on
    from headwater.procedure.intake import Gate
    from headwater.procedure.investigate import Order, investigate
    from headwater.procedure.judgement import failed_first
    from headwater.procedure.listing import failed_lines, in_language, languages, seen_lines
    from headwater.procedure.story import gap_line

    voice = voice_of(options)
    language = voice.language
    changes: dict[str, Any] = {
        "zone": options.zone,
        "years": _years(options.year),
        "trusted_proxies": tuple(options.trusted_proxy) or None,
        "language": options.lang,
        "yara_unallocated": options.yara_unallocated or None,
        "no_carving": options.no_carve or None,
        "purpose": options.purpose,
        **{n: getattr(options, n) for n in ("case_no", "case_name", "cause", "client", "requirement", "place")},
    }
    changes |= {"method_standard": options.standard, "baseline_source": options.baseline_source}
    changes["baseline_time"] = check_instant(options.baseline) if options.baseline else None
    order = Order(
        tuple(options.sources), options.case, claim_of(options), tuple(options.examiner), changes, tuple(options.rules),
        options.command, not options.no_reread, options.workers, keys_of(options),
        Gate(options.override, options.attack_source), tuple(options.yara), tuple(options.indicators), tuple(options.known),
        tuple(options.places),
    )  # fmt: skip
    before = going_on(options.case)
    with Meter(language) as meter:
        meter.tell([in_language(before, each) for each in languages(language)] if before is not None else ())
        outcome = investigate(
            order, meter, lambda found: meter.tell(seen_lines(found, language, failed_first(options.case)))
        )
    for each in voice.languages:
        for words in story_lines(outcome.judged, outcome.items, each, outcome.warnings):
            say(words)
        gaps = gap_line(outcome.gaps, each)
        if gaps:
            say(gaps)
    for path in outcome.reports:
        say(f"{voice.label('报告', 'report')}{path}")
    for name in outcome.incomplete:
        say(f"{voice.label('未处理完', 'incomplete')}{name}")
    doubtful = [item for item in outcome.items if not_claimable(item)]
    for item in doubtful:  # said once more at the end: the exit code is for this
        named = voice.word(f"检材 {item.number}（{item.name}）", f"item {item.number} ({item.name})")
        say(f"{voice.label('不可主张', 'NOT CLAIMABLE')}{named}")
    failed = outcome.judged.rules.get("failed", [])
    for words in failed_lines(failed, language):
        say(words)
    return EXIT_NOT_CLEAN if outcome.incomplete or failed or doubtful else EXIT_DONE
