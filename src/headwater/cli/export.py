# SPDX-License-Identifier: Apache-2.0
"""headwater export: a case, or what of it may leave, as one file that a stranger can verify."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.signing import hand_of, signing_arguments

HELP = "导出可由第三方核验的案件包，须两人 · export a case as one verifiable file; takes two persons"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="写出的 .hwcase · the file to write")
    parser.add_argument("--to", default="", metavar="TEXT", help="接收机关 · to whom")
    parser.add_argument("--basis", default="", metavar="TEXT", help="依据 · on what basis")
    parser.add_argument("--jurisdiction", default="CN", metavar="CODE", help="接收地法域 · where it goes")
    parser.add_argument(
        "--approval", default="", metavar="TEXT", help="主管机关批准文号，出境必填 · approval, if abroad"
    )
    parser.add_argument("--no-items", action="store_true", help="不含登记检材的内容 · without the contents of items")
    parser.add_argument("--no-results", action="store_true", help="不含报告与发现 · without report and findings")
    parser.add_argument("--keep-back", action="append", type=int, default=[], metavar="SEQ",
                        help="只留哈希的台账条目 · a ledger entry whose body stays here")  # fmt: skip
    parser.add_argument("--case-jsonld", action="store_true", help="附 CASE/UCO JSON-LD · enclose it")
    parser.add_argument("--dsse", action="store_true", help="附 in-toto 提取陈述 · enclose acquisition statements")
    parser.add_argument("--verifier", action="store_true",
                        help="同目录写出独立核验程序 headwater-verify.pyz · write the verifier beside it")  # fmt: skip
    signing_arguments(parser, two=True)


def run(options: argparse.Namespace) -> int:
    """Print where it lies and its digest."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.custody import at_desk
    from headwater.procedure.exporting import Wanted, export, gate

    voice = voice_of(options)
    wanted = Wanted(
        options.to, options.basis, options.out, options.jurisdiction, options.approval, not options.no_items,
        not options.no_results, tuple(options.keep_back), options.case_jsonld, options.dsse, voice.language,
    )  # fmt: skip
    gate(wanted)  # before anybody is asked for a passphrase
    hands = (hand_of(options.who, options), hand_of(options.approver, options))
    with at_desk(options.case, options.command, *hands) as desk:
        done = export(desk, wanted)
    if done.defects:
        say(f"{voice.label('瑕疵', 'defects')}{done.defects}（headwater defects；defects.json）")
    say(f"{voice.label('案件包', 'export')}{done.path}")
    say(f"sha256 {done.sha256}")
    if options.verifier:
        from headwater.procedure.verifier import laid_beside

        path, digest = laid_beside(done.path)
        say(f"{voice.label('核验程序', 'verifier')}{path}  sha256 {digest}")
    return EXIT_DONE
