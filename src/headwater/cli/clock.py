# SPDX-License-Identifier: Apache-2.0
"""headwater clock: what is assumed of the clocks, what matched events say of them, and changing it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from headwater.cli.printing import case_argument, json_argument, language_argument

HELP = "时钟假定：查看、估计偏差、更改 · clock assumptions: show, estimate skew, change"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument(
        "--zone", action="append", default=[], metavar="N=ZONE",
        help="检材 N（或其上容器，如 1.c2）的时区，如 1=Asia/Shanghai；留空则取自述 · zone of item N or of a container on it; "
        "empty: what it says itself",
    )  # fmt: skip
    parser.add_argument(
        "--skew", action="append", default=[], metavar="N=SECONDS",
        help="检材 N 的时钟快几秒，慢为负 · how many seconds item N's clock was ahead; negative: behind",
    )  # fmt: skip
    json_argument(parser)
    language_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Change what is to be changed, then show how things stand."""
    from dataclasses import asdict

    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.meter import Meter
    from headwater.cli.options import pairs
    from headwater.cli.printing import line, say
    from headwater.procedure.clock_words import item_lines, skew_lines
    from headwater.procedure.clocks import change, clocks, skews
    from headwater.procedure.corridor import open_case

    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        language = options.lang or corridor.settings.language
        if options.zone or options.skew:
            zones = _zones(options.zone)
            seconds = _nanoseconds(pairs(options.skew))
            with Meter(language) as meter, locked(options.case):
                corridor.progress = meter
                change(corridor, zones, seconds)
        for held in clocks(corridor):
            if options.json:
                line(asdict(held))
                continue
            for words in item_lines(held, language):
                say(words)
        for skew in skews(corridor):
            if options.json:
                line(asdict(skew))
                continue
            for words in skew_lines(skew, language):
                say(words)
    return EXIT_DONE


def _zones(given: Sequence[str]) -> dict[str, str]:
    from headwater.model.errors import UsageError

    found = {}
    for word in given:
        number, equals, zone = word.partition("=")
        item, within, container = number.partition(".c")
        if not equals or not item.isdigit() or (within and not container.isdigit()):
            raise UsageError("HW0001", what=f"--zone {word}: 1=Asia/Shanghai")
        found[number] = zone
    return found


def _nanoseconds(given: dict[str, str]) -> dict[str, int]:
    from decimal import Decimal, InvalidOperation

    from headwater.model.errors import UsageError

    found = {}
    for number, text in given.items():
        try:
            seconds = Decimal(text)
        except InvalidOperation as error:
            raise UsageError("HW0001", what=f"--skew {number}={text}") from error
        if not seconds.is_finite() or abs(seconds) > 10**10:
            raise UsageError("HW0001", what=f"--skew {number}={text}")
        found[number] = int(seconds * 10**9)
    return found
