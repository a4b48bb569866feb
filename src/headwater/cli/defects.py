# SPDX-License-Identifier: Apache-2.0
"""headwater defects: what can still be mended before evidence is handed on (Art. 113)."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "导出前的瑕疵检查（刑诉法解释第113条）· curable defects, before export"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")


def run(options: argparse.Namespace) -> int:
    """Print the defects; 1 where there is one."""
    from dataclasses import asdict

    from headwater.case.defects import defects
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure.casework import whole
    from headwater.procedure.corridor import open_case

    corridor = open_case(options.case, options.command)
    voice = voice_of(options)
    with corridor.ledger:
        found = defects(whole(corridor))
    for defect in found:
        if options.json:
            line(asdict(defect))
            continue
        say(f"{defect.item or voice.word('案件', 'case'):<10} {voice.text(defect.what)}")
        say(f"           {voice.text(defect.law.name)}；→ {voice.text(defect.cure)}")
    if not found and not options.json:
        say(voice.word("未发现瑕疵", "no defect found"))
    return EXIT_NOT_CLEAN if found else EXIT_DONE
