# SPDX-License-Identifier: Apache-2.0
"""headwater trace: from anything down to its bytes and up to the authority."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "由任一编号追到字节、校验值、保管链与授权 · from any id to bytes, hash, custody, authority"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument(
        "id", metavar="ID", help="编号 · any id: F-… S-… Q-… H-… evidence-1 ledger-3 authority 1:/path:offset:ordinal"
    )
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")


def run(options: argparse.Namespace) -> int:
    """Print the chain, one link after the other."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import hexdump, line, say
    from headwater.procedure.investigate import open_case
    from headwater.procedure.tracing import trace

    corridor = open_case(options.case)
    with corridor.ledger:
        for link in trace(corridor, options.id):
            if options.json:
                data = None if link.data is None else link.data.hex()
                line({"kind": link.kind, "id": link.id, "facts": link.facts, "bytes": data})
                continue
            say(f"[{link.kind}] {link.id}")
            for name, value in link.facts.items():
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                say(f"    {name}: {shown}")
            if link.data is not None:
                for row in hexdump(link.data, int(link.facts.get("offset", 0))):
                    say(f"    {row}")
    return EXIT_DONE
