# SPDX-License-Identifier: Apache-2.0
"""headwater set: several images as one disk set, for arrays over several disks."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "把多块磁盘的镜像组成磁盘组（阵列、跨盘卷组） · several images as one disk set"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("out", type=Path, metavar="OUT.hwset", help="磁盘组文件，与镜像同目录 · beside the images")
    parser.add_argument(
        "members", nargs="+", type=Path, metavar="IMAGE", help="各盘的镜像，依次 · the image of each disk, in order"
    )


def run(options: argparse.Namespace) -> int:
    """Write the description and say what is in it."""
    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say
    from headwater.procedure.disk_set import write_set

    for number, files in enumerate(write_set(options.out, options.members), 1):
        say(f"m{number}  {', '.join(file.name for file in files)}")
    say(f"{options.out}")
    return EXIT_DONE
