# SPDX-License-Identifier: Apache-2.0
"""What a run that was begun before has behind it, for the person who starts it again."""

from __future__ import annotations

from pathlib import Path

from headwater.case import folder as case_folder
from headwater.model.nouns import Text
from headwater.procedure.corridor import EXAMINED, OPENED, REPORTED, evidence_of
from headwater.vault.ledger import Ledger


def going_on(case: Path) -> Text | None:
    """One sentence where ``case`` holds an examination, finished or not; None for a new one, or one of other work alone.

    Raises:
        UsageError: HW0007, another process is at work on it.
    """
    if not case_folder.is_case(case):
        return None
    with case_folder.locked(case), Ledger(case) as ledger:
        opened = ledger.last(OPENED)
        examined, reported = ledger.last(EXAMINED), ledger.last(REPORTED)
        items = evidence_of(ledger) if opened is not None else []
    tasks = sum(1 for _ in (case / "tasks").glob("*.json"))
    if reported is not None:
        return Text(
            "续作：本案已出具过报告；检材、参数与程序未变的部分不再重做。",
            "Going on: this case has a report; nothing is done again where evidence, settings and program are unchanged.",
        )
    if not items and not tasks:
        return None
    stage = Text("已检验完毕，尚未出具报告", "examined, not yet reported") if examined is not None else Text(
        f"已做完 {tasks:,} 个检验任务", f"{tasks:,} tasks of the examination done")  # fmt: skip
    return Text(
        f"续作：上次没有做完——已登记检材 {len(items)} 项，{stage.zh}；从停下处继续，做完的不再重做。",
        f"Going on: the last run did not end. {_items(len(items))} registered, {stage.en}; what was done is not done again.",
    )


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"
