# SPDX-License-Identifier: Apache-2.0
"""headwater witness: another host attests the head of a ledger and refuses to be led back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "异机见证：请求、签收、保存回执 · a witness on another host: ask, sign, keep the receipt"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    make = acts.add_parser("init", help="建立见证方 · make a witness's folder")
    make.add_argument("folder", type=Path, metavar="DIR")
    make.add_argument("--name", required=True, metavar="TEXT", help="见证方名称 · its name")
    ask = acts.add_parser("ask", help="案件方：生成请求 · the case asks")
    ask.add_argument("case", type=Path, metavar="CASE")
    ask.add_argument("--since", type=int, metavar="N", help="见证方上次签收的条数 · the size that it attested last")
    ask.add_argument("--out", type=Path, required=True, metavar="FILE")
    sign = acts.add_parser("sign", help="见证方：核对并签收 · the witness checks and signs")
    sign.add_argument("folder", type=Path, metavar="DIR")
    sign.add_argument("request", type=Path, metavar="REQUEST")
    sign.add_argument("--out", type=Path, required=True, metavar="FILE")
    keep = acts.add_parser("keep", help="案件方：保存回执 · the case keeps the receipt")
    keep.add_argument("case", type=Path, metavar="CASE")
    keep.add_argument("receipt", type=Path, metavar="RECEIPT")


def _read(path: Path) -> dict[str, Any]:
    import json

    from headwater.model.errors import VaultError

    try:
        if path.stat().st_size > 1 << 20:
            raise ValueError("larger than such a file may be")
        raw = json.loads(path.read_bytes())
        if not isinstance(raw, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise VaultError("HW3011", str(path), what=error) from error
    return raw


def run(options: argparse.Namespace) -> int:
    """Do one of the four acts."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.formats.atomic import write_atomic
    from headwater.formats.canonical import canonical
    from headwater.procedure import anchoring
    from headwater.procedure.corridor import open_case
    from headwater.vault.witness import Witness

    voice = voice_of(options)
    if options.act == "init":
        Witness.make(options.folder, options.name)
        say(f"{voice.label('见证方已建立', 'witness')}{options.folder}")
    elif options.act == "sign":
        receipt = Witness(options.folder).sign(_read(options.request))
        write_atomic(options.out, canonical(receipt) + b"\n")
        size = receipt["size"]
        words = voice.word(f"{size} 条，默克尔根", f"{size} entries, root")
        say(f"{voice.label('已签收', 'attested')}{words} {receipt['root']}")
    else:
        corridor = open_case(options.case, options.command)
        with corridor.ledger, locked(options.case):
            if options.act == "ask":
                write_atomic(options.out, canonical(anchoring.ask_witness(corridor, options.since)) + b"\n")
                say(f"{voice.label('请求', 'request')}{options.out}")
            else:
                anchor = anchoring.keep_receipt(corridor, _read(options.receipt), str(options.receipt))
                say(f"{voice.label('回执已保存', 'kept')}{anchor.name}, {anchor.who}")
    return EXIT_DONE
