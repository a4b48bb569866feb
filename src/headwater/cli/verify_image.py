# SPDX-License-Identifier: Apache-2.0
"""headwater verify-image: an image against its own checksums, its digests and its sidecar."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "核验镜像：分块校验、校验值、附件签名 · verify an image: chunks, digests, sidecar"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="镜像的第一个文件 · the first file of the image")
    parser.add_argument("--sidecar", type=Path, metavar="FILE", help="附件，默认为同名 .json · its sidecar")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")


def run(options: argparse.Namespace) -> int:
    """Print every comparison; 0 where all hold, 1 where one fails or could not be made."""
    from dataclasses import asdict

    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import line, say, voice_of
    from headwater.procedure.image_check import check_image
    from headwater.procedure.stated_words import told

    voice = voice_of(options)
    with Meter(voice.language) as meter:
        found = check_image(options.image, options.sidecar, meter)
    words = {"ok": ("相符", "ok"), "failed": ("不符", "FAILED"), "not-claimable": ("不可主张", "not claimable")}
    for check in found.checks:
        if options.json:
            line(asdict(check))
        else:
            what, detail = told(check.what), told(check.detail) if check.detail else None
            named = voice.word(what.zh, what.en)
            say(f"{voice.word(*words[check.result]):<12} {named}  {voice.text(detail) if detail else ''}".rstrip())
    for name, value in found.digests.items():
        if not options.json:
            say(f"{name:<7} {value}")
    if options.json:
        line({"what": "medium", "size": found.size, "digests": dict(found.digests)})
    return EXIT_DONE if found.sound else EXIT_NOT_CLEAN
