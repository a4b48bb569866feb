# SPDX-License-Identifier: Apache-2.0
"""What does the way from the last stored event to the report cost, stage by stage? CPU seconds of one process.

1. A copy of a worked case is judged again and its report made: detectors (the ten dearest named), correlation and the rest of
   the judgement, the report's data, its page, its PDF.
2. What comes out is compared with what the case holds: the same version of the program gives the same bytes.
Usage: python benchmarks/judgement.py CASE   (a folder that ``headwater investigate`` has worked)
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import TypeVar

from measuring import arguments, say_machine, workplace

Made = TypeVar("Made")


class Stages:
    """CPU seconds by stage, in order."""

    def __init__(self) -> None:
        self.cost: dict[str, float] = {}

    def time(self, name: str, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, its CPU time added to the stage."""
        before = process_time()
        made = make()
        self.cost[name] = self.cost.get(name, 0.0) + process_time() - before
        return made


def once(case: Path) -> tuple[Stages, Stages, list[str]]:
    """One round over a copy of the case: the stages, the detectors alone, and the files that came out otherwise."""
    stages, alone = Stages(), Stages()
    from headwater.detect import registry
    from headwater.procedure import judgement, reporting
    from headwater.procedure.corridor import open_case

    run = registry.run
    registry.run = lambda detector, events, settings: alone.time(  # type: ignore[assignment]
        detector.RULE.id, lambda: list(run(detector, events, settings))
    )
    with workplace() as work:
        copy = work / "case"
        shutil.copytree(case, copy)
        corridor = open_case(copy)
        with corridor.ledger:
            rules = [Path(r) for r in corridor.settings.rules]
            stages.time("judgement", lambda: judgement.judge(corridor, rules))
            filled = stages.time("report: data", lambda: reporting.fill(corridor))
            language = corridor.settings.language
            made = {
                "report/report.html": stages.time("report: page", lambda: reporting.render_html(filled, language)),
                "report/report.pdf": stages.time("report: PDF", lambda: reporting.render_pdf(filled, language)),
            }
            made |= {name: (copy / name).read_bytes() for name in judgement.JUDGED}
    registry.run = run
    return stages, alone, [n for n, data in sorted(made.items()) if data != (case / n).read_bytes()]


def main() -> None:
    """Put the question."""
    parser: argparse.ArgumentParser = arguments("judgement and report, CPU seconds")
    parser.add_argument("case", type=Path)
    options = parser.parse_args()
    print("# judgement and report")
    say_machine()
    before = process_time()
    from headwater.procedure import judgement, reporting  # noqa: F401

    print(f"imports                {process_time() - before:6.2f} CPU s", flush=True)
    for number in range(options.times):
        stages, alone, other = once(options.case)
        whole = sum(stages.cost.values())
        told = ", ".join(f"{name} {cost:.2f}" for name, cost in stages.cost.items())
        print(
            f"round {number + 1:<16} {whole:6.2f} CPU s: {told}; detectors {sum(alone.cost.values()):.2f} (entries count twice)"
        )
        dearest = sorted(alone.cost.items(), key=lambda held: -held[1])[:10]
        print("  dearest: " + ", ".join(f"{name} {cost:.2f}" for name, cost in dearest))
        print(
            "  as in the case, byte for byte" if not other else f"  otherwise than in the case: {', '.join(other)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
