# SPDX-License-Identifier: Apache-2.0
"""headwater unseal: unseal items, and on request open a sealed container; takes two persons."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.options import lacking
from headwater.cli.signing import entered, event_arguments, signing_arguments

HELP = "启封检材、打开密封容器，须两人 · unseal items, open a container; takes two persons"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    parser.add_argument("--container", type=Path, metavar="FILE", help="密封容器 · the sealed container")
    parser.add_argument("--identity", type=Path, metavar="FILE", help="age 身份文件 · an age identity file")
    parser.add_argument("--out", type=Path, metavar="FILE", help="解密到新文件 · the new file to write")
    signing_arguments(parser, two=True)


def run(options: argparse.Namespace) -> int:
    """Enter the event, then open the container."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.containers import open_into

    wanted = (options.container, options.identity, options.out)
    if any(wanted) and not all(wanted):
        raise lacking("--container FILE, --identity FILE, --out FILE")
    for words in entered("unseal", options):
        say(words)
    if options.container:
        held = open_into(*wanted)
        say(f"{voice_of(options).label('已解密', 'opened')}{options.out}  sha256 {held.sha256}  {held.size} B")
    return EXIT_DONE
