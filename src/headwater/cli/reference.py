# SPDX-License-Identifier: Apache-2.0
"""headwater reference: write the reference pages from the code."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "由程序自身生成参考手册 · write the reference pages from the code"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--out", type=Path, default=Path("build/reference"), metavar="DIR", help="输出目录 · where to")


def verbs_page() -> str:
    """Every verb with its options."""
    from headwater.cli.main import build

    parts = ["# Verbs 命令\n"]
    for action in build()._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts.extend(
                f"## {name}\n\n```text\n{sub.format_help().strip()}\n```\n" for name, sub in action.choices.items()
            )
    return "\n".join(parts)


def run(options: argparse.Namespace) -> int:
    """Write the pages and print where they lie."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say
    from headwater.formats.atomic import write_atomic
    from headwater.procedure.reference import pages

    for name, text in {"verbs.md": verbs_page(), **pages()}.items():
        write_atomic(options.out / name, text.encode())
        say(str(options.out / name))
    return EXIT_DONE
