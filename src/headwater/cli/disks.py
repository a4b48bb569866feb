# SPDX-License-Identifier: Apache-2.0
"""headwater disks: the block devices of this machine, and which of them are in use."""

from __future__ import annotations

import argparse

HELP = "列出本机存储设备及其使用情况，只读 · list block devices and what uses them, read-only"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--json", action="store_true", help="每台设备一行 JSON · one JSON object per device")


def run(options: argparse.Namespace) -> int:
    """Print the table, or one record per line."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure.disks import disks, table

    records = list(disks())
    if options.json:
        for record in records:
            line(record.plain())
        return EXIT_DONE
    for row in table(records, voice_of(options)):
        say(row)
    return EXIT_DONE
