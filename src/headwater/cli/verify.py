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


def run(options: argparse.Namespace) -> int:
    """Print every check; 0 where all hold, 1 where one failed or could not be made."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import language_of, line, say
    from headwater.model.nouns import Text
    from headwater.procedure.corridor import open_case
    from headwater.procedure.exporting import is_export, verify_file
    from headwater.procedure.listing import in_language, languages
    from headwater.procedure.verification import check_of, verify

    language = options.lang or "both"
    if is_export(options.case):
        checks = [check_of(*row) for row in verify_file(options.case, options.against)]
    else:
        with Meter(options.lang or language_of(options.case)) as meter:
            corridor = open_case(options.case, options.command, meter)
            corridor.keys = keys_of(options)
            with corridor.ledger, locked(options.case):
                checks = verify(corridor, rebuild=options.rebuild, workers=options.workers, against=options.against)
        language = options.lang or corridor.settings.language
    words = {
        "ok": Text("相符", "ok"),
        "failed": Text("不符", "FAILED"),
        "not-claimable": Text("不可主张", "not claimable"),
    }
    for check in checks:
        if options.json:
            line({"what": check.what, "result": check.result, "detail": check.detail})
            continue
        say(f"{in_language(words[check.result], language):<12} {in_language(check.name, language)}")
        if check.why is not None:
            for why in dict.fromkeys(check.why.zh if each == "zh" else check.why.en for each in languages(language)):
                say(f"             {why}")
    return EXIT_DONE if all(c.result == "ok" for c in checks) else EXIT_NOT_CLEAN
