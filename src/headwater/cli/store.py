# SPDX-License-Identifier: Apache-2.0
"""headwater store: contents of a case into S3-compatible storage with Object Lock, and read back from there."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.signing import hand_of, numbered, signing_arguments

HELP = "存入带 Object Lock 的对象存储，或从中核验 · into write-once object storage, or checked there"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument(
        "items", nargs="*", metavar="EVIDENCE", type=numbered, help="编号，默认全部 · numbers, else all"
    )
    parser.add_argument("--endpoint", required=True, metavar="URL", help="http(s)://主机[:端口] · the server")
    parser.add_argument(
        "--bucket", required=True, metavar="NAME", help="建立时已启用 Object Lock 的桶 · made with Object Lock"
    )
    parser.add_argument(
        "--days", type=int, default=3650, metavar="N", help="锁定天数，合规模式 · locked for, compliance mode"
    )
    parser.add_argument("--region", default="us-east-1", metavar="NAME", help="区域 · region")
    parser.add_argument("--credentials", type=Path, metavar="FILE",
                        help="两行：访问密钥、私有密钥；否则取环境变量 · two lines, else from the environment")  # fmt: skip
    parser.add_argument(
        "--check", action="store_true", help="按台账所记版本逐一读回核验 · read back what the ledger names"
    )
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print every content with its version and verdict."""
    from headwater.cli.main import EXIT_DONE, EXIT_VAULT
    from headwater.cli.printing import say, voice_of
    from headwater.model.errors import UsageError
    from headwater.procedure import storing
    from headwater.procedure.corridor import open_case
    from headwater.procedure.custody import at_desk

    if options.days < 1:
        raise UsageError("HW0001", what=f"--days {options.days}")
    place = storing.place_of(options.endpoint, options.bucket, options.region, options.credentials)
    if options.check:
        corridor = open_case(options.case, options.command)
        with corridor.ledger:
            kept = storing.check(corridor, place)
    else:
        with at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
            kept = storing.store(desk, place, options.days, options.items)
    for each in kept:
        said = ("相符", "match") if each.result == "match" else (f"不符 {each.result}", f"FAILED {each.result}")
        verdict = voice_of(options).word(*said)
        say(f"{each.item}  {each.sha256}  {each.size} B  {each.version}  {verdict}")
    return EXIT_DONE if all(k.result == "match" for k in kept) else EXIT_VAULT
