# SPDX-License-Identifier: Apache-2.0
"""headwater trace: from anything down to its bytes and up to the authority."""

from __future__ import annotations

import argparse

from headwater.cli.options import key_files, keys_of
from headwater.cli.printing import case_argument, json_argument, language_argument

HELP = "由任一编号追到字节、校验值、保管链与授权 · from any id to bytes, hash, custody, authority"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    case_argument(parser)
    parser.add_argument(
        "id", metavar="ID", help="编号 · any id: F-… S-… Q-… H-… evidence-1 ledger-3 authority 1:/path:offset:ordinal"
    )
    json_argument(parser)
    key_files(parser)
    language_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print the chain, one link after the other."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import hexdump, line, say
    from headwater.procedure.chain_words import told
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import looked
    from headwater.procedure.tracing import trace

    corridor = open_case(options.case)
    corridor.keys = keys_of(options)
    with corridor.ledger:
        looked(corridor, "trace", options.id)
        links = trace(corridor, options.id)
        if options.json:
            for link in links:
                data = None if link.data is None else link.data.hex()
                line({"kind": link.kind, "id": link.id, "facts": link.facts, "bytes": data})
            return EXIT_DONE
        for each in told(links, options.lang or corridor.settings.language):
            margin = "    " * each.depth
            if each.data is None:
                say(margin + each.text)
            else:
                for row in hexdump(each.data, each.offset):
                    say(margin + row)
    return EXIT_DONE
