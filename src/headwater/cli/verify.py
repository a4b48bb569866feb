# SPDX-License-Identifier: Apache-2.0
"""headwater verify: derive again everything that a case claims."""

from __future__ import annotations

import argparse

from headwater.cli.options import key_files, keys_of
from headwater.cli.printing import case_argument, json_argument, language_argument

HELP = "核验台账、检材、结果与每项发现 · check ledger, evidence, results and every finding"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument(
        "--rebuild", action="store_true", help="在空目录中全部重做并逐行比对 · do it all again and compare rows"
    )
    parser.add_argument(
        "--against", action="append", default=[], metavar="ANCHOR",
        help="案件外保存的时间戳、见证回执或纸面链首 · an anchor kept outside: a file or a printed head",
    )  # fmt: skip
    json_argument(parser)
    language_argument(parser)
    key_files(parser)
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="解析子进程数 · parsing processes")


def children(options: argparse.Namespace) -> int:
    """How many children will be wanted: none where nothing is read again."""
    return int(options.workers) if options.rebuild else 0


def run(options: argparse.Namespace) -> int:
    """Print every check; 0 where all hold, 1 where one failed or could not be made."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure.corridor import open_case
    from headwater.procedure.exporting import is_export, verify_file
    from headwater.procedure.verification import check_of, verify

    voice = voice_of(options)
    if is_export(options.case):
        checks = [check_of(*row) for row in verify_file(options.case, options.against)]
    else:
        with Meter(voice.language) as meter:
            corridor = open_case(options.case, options.command, meter)
            corridor.keys = keys_of(options)
            with corridor.ledger, locked(options.case):
                checks = verify(corridor, rebuild=options.rebuild, workers=options.workers, against=options.against)
    words = {
        "ok": ("相符", "ok"),
        "failed": ("不符", "FAILED"),
        "not-claimable": ("不可主张", "not claimable"),
    }
    for check in checks:
        if options.json:
            line({"what": check.what, "result": check.result, "detail": check.detail})
            continue
        say(f"{voice.word(*words[check.result]):<12} {voice.word(check.name.zh, check.name.en)}")
        if check.why is not None:
            for why in voice.each(check.why.zh, check.why.en):
                say(f"             {why}")
    return EXIT_DONE if all(c.result == "ok" for c in checks) else EXIT_NOT_CLEAN
