# SPDX-License-Identifier: Apache-2.0
"""headwater memory: the RAM of a running Linux as a LiME file, with symbols, types and version beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.errand import errand_arguments, errand_of
from headwater.cli.options import case_and_authority, claim_of, remote_fields

HELP = "提取运行中 Linux 的内存：经 /proc/kcore 存为 LiME · a running Linux's memory, by /proc/kcore as LiME"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    errand_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="NAME",
                        help="内存镜像名，不带扩展名 · name of the image, without extension")  # fmt: skip
    case_and_authority(parser)


def run(options: argparse.Namespace) -> int:
    """Take it; print digests and verdicts."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter, size
    from headwater.cli.printing import digest_lines, say, verdict_lines, voice_of
    from headwater.procedure.memory import MemoryOrder, take

    errand = errand_of(options, claim_of(options), remote_fields(options.remote))
    voice = voice_of(options)
    with Meter(voice.language) as meter:
        done = take(MemoryOrder(errand, options.out), meter)
    ranges = voice.word(f"{done.taken.ranges} 段", f"{done.taken.ranges} ranges")
    say(
        f"{voice.word('检材', 'evidence')} {done.evidence.number}: {done.evidence.name}  {size(done.taken.size)}, {ranges}"
    )
    digest_lines(done.evidence.digests)
    say(f"  {voice.label('附', 'beside')}{' '.join(done.beside)}")
    verdict_lines(done.evidence.verdicts, voice)
    for volume in done.encrypted or ():
        say(f"  {voice.label('已解锁的加密卷', 'open encrypted volume')}{volume}")
    return EXIT_DONE if done.whole else EXIT_NOT_CLEAN
