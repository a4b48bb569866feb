# SPDX-License-Identifier: Apache-2.0
"""headwater anchor: have the ledger's head stamped by a timestamp authority, and check it against anchors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.model.voice import Voice
    from headwater.vault.anchors import Anchor

HELP = "可信时间戳与锚定核对 · timestamp the ledger's head, and check it against anchors"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument("--tsa", metavar="URL", help="时间戳服务地址（RFC 3161）· the authority's address")
    parser.add_argument(
        "--chain", type=Path, metavar="PEM", help="时间戳服务的完整证书链，首次必给 · its certificates up to the root"
    )
    parser.add_argument(
        "--request", action="store_true", help="离线：只生成 .tsq 请求文件 · offline: make a request file"
    )
    parser.add_argument(
        "--response", action="append", type=Path, default=[], metavar="TSR", help="离线：收回 .tsr · take responses in"
    )
    parser.add_argument(
        "--check", action="append", default=[], metavar="ANCHOR",
        help="与案件外保存的凭证文件或纸面链首核对 · hold the ledger against a file or printed head kept outside",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print what was stamped or found; 1 where an anchor does not match."""
    from headwater.case.folder import locked
    from headwater.cli.main import EXIT_DONE, EXIT_VAULT
    from headwater.cli.printing import say, voice_of
    from headwater.model.errors import VaultError
    from headwater.procedure import anchoring
    from headwater.procedure.corridor import open_case

    voice = voice_of(options)
    corridor = open_case(options.case, options.command)
    with corridor.ledger, locked(options.case):
        if options.request:
            say(f"{voice.label('请求', 'request')}{anchoring.ask(corridor).request}")
        if options.tsa or options.response:
            chain = anchoring.chain_of(options.case, options.chain)
            for path in options.response:
                try:
                    data = path.read_bytes()
                except OSError as error:
                    raise VaultError("HW3011", str(path), what=error.strerror or error) from error
                anchor = anchoring.take(corridor, data, chain, str(path))
                say(_anchored(anchor, voice))
            if options.tsa:
                for anchor in anchoring.stamp(corridor, options.tsa, chain):
                    say(_anchored(anchor, voice))
        verdicts = anchoring.against(corridor, options.check)
    if not verdicts and not (options.request or options.tsa or options.response):
        say(
            voice.sentence(
                "本案尚无锚定：用 --tsa，或离线用 --request 与 --response",
                "not anchored yet: --tsa, or offline --request and --response",
            )
        )
    words = {"match": ("相符", "ok"), "mismatch": ("不符", "FAILED"), "not-claimable": ("不可主张", "not claimable")}
    for verdict in verdicts:
        name = verdict.anchor.name if verdict.anchor else ""
        say(f"{voice.word(*words[verdict.result]):<12} {name}  {voice.text(verdict.words)}")
    return EXIT_VAULT if any(v.result == "mismatch" for v in verdicts) else EXIT_DONE


def _anchored(anchor: Anchor, voice: Voice) -> str:
    size = voice.word(f"{anchor.size} 条", f"{anchor.size} entries")
    return f"{voice.label('已锚定', 'anchored')}{anchor.name}, {size}, {anchor.who}"
