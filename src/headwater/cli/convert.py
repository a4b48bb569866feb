# SPDX-License-Identifier: Apache-2.0
"""headwater convert: a virtual disk or image into another form, with verdicts that the content is the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.options import image_files, size_of

HELP = "转换镜像格式并核验内容一致 · convert a virtual disk or image, and verify that the content is the same"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "image", type=Path, metavar="IMAGE", help="源：qcow2、VMDK、VHD(X)、VDI、E01 或原始镜像 · what is read; or raw"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="NAME",
                        help="新镜像名，不带扩展名 · name of the new image, without extension")  # fmt: skip
    parser.add_argument("--format", default="e01", metavar="FORM",
                        help="e01|raw|split|sparse；虚拟磁盘格式只读入，不写出 · virtual forms are read, not written")  # fmt: skip
    parser.add_argument("--hash", default="sha256,md5,sha1", metavar="LIST",
                        help="校验算法，总含 sha256 · sha256,md5,sha1,sm3; sha256 always")  # fmt: skip
    parser.add_argument("--level", default="fast", metavar="LEVEL", help="压缩 fast|best|none · compression")
    parser.add_argument("--segment", type=size_of, default=2 << 30, metavar="SIZE", help="分段大小 · segment size, 2G")
    parser.add_argument("--no-read-back", action="store_true", help="不回读新镜像 · do not read the new image back")
    parser.add_argument("--no-reread", action="store_true", help="不再次读取源镜像 · do not read the source again")
    parser.add_argument("--resume", action="store_true", help="续作中断的转换 · go on with an interrupted conversion")
    image_files(parser)


def run(options: argparse.Namespace) -> int:
    """Run the procedure and print digests and verdicts."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import image_lines, say, tell, verdict_lines, voice_of
    from headwater.procedure.converting import ConvertOrder, convert
    from headwater.procedure.stated_words import told

    plan = {
        "format": options.format, "algorithms": tuple(options.hash.split(",")), "level": options.level,
        "segment": options.segment, "read_back": not options.no_read_back, "read_again": not options.no_reread,
    }  # fmt: skip
    order = ConvertOrder(
        options.image, options.out, plan, options.case, tuple(options.examiner), tuple(options.allow_path),
        options.allow_missing, options.snapshot, options.resume, options.command,
    )  # fmt: skip
    voice = voice_of(options)
    with Meter(voice.language) as meter:
        outcome = convert(order, meter)
    done = outcome.imaged
    say(f"{outcome.described['kind']} → {options.format}: {done.folder / done.segments[0][0]}")
    image_lines(done, voice)
    for _, _, _, detail in outcome.described["warnings"]:
        say(f"  {voice.label('注意', 'note')}{voice.text(told(str(detail)))}")
    if done.bad:
        lost = sum(b[1] for b in done.bad)
        say(f"  {voice.label('未能读出，以零代之', 'not read, zeros')}{len(done.bad)}, {lost} B")
    verdict_lines(outcome.verdicts, voice)
    if options.case is None:
        tell(voice.label("未记入任何台账，附件未签名", "nothing was recorded, the sidecar is not signed") + "--case")
    return EXIT_NOT_CLEAN if any(v.result == "mismatch" for v in outcome.verdicts) else EXIT_DONE
