# SPDX-License-Identifier: Apache-2.0
"""headwater image: a disk, partition or file into an image that is digested, read back and registered."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from headwater.cli.options import case_and_authority, claim_of, remote_fields, size_of
from headwater.cli.signing import countersigning_arguments, hand_of

HELP = "制作镜像：只读读取、校验、回读、登记 · image a disk: read, digest, read back, register"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="设备、文件或 ssh://用户@主机/设备 · device, file or ssh://…")
    parser.add_argument("--out", type=Path, required=True, metavar="NAME",
                        help="镜像名，不带扩展名 · name of the image, without extension")  # fmt: skip
    case_and_authority(parser)
    form = parser.add_argument_group("镜像 · the image")
    form.add_argument("--format", default="e01", metavar="FORM", help="e01|raw|split|sparse")
    form.add_argument("--hash", default="sha256,md5,sha1", metavar="LIST",
                      help="校验算法，总含 sha256 · sha256,md5,sha1,sm3; sha256 always")  # fmt: skip
    form.add_argument("--level", default="fast", metavar="LEVEL", help="压缩 fast|best|none · compression")
    form.add_argument("--segment", type=size_of, default=2 << 30, metavar="SIZE", help="分段大小 · segment size, 2G")
    form.add_argument("--block-size", type=size_of, metavar="SIZE", help="读取块，缺省 4M，经 SSH 为 1M · read size")
    form.add_argument("--retries", type=int, default=2, metavar="N", help="坏扇区重试次数 · tries per bad sector")
    form.add_argument("--second-out", type=Path, metavar="DIR", help="同时写第二份 · write the same bytes here too")
    form.add_argument("--partition", type=int, metavar="N", help="仅镜像第 N 分区 · only partition N")
    form.add_argument("--resume", action="store_true", help="续作中断的镜像 · go on with an interrupted image")
    form.add_argument("--no-read-back", action="store_true", help="不回读镜像 · do not read the image back")
    form.add_argument("--no-reread", action="store_true", help="不再次读取检材 · do not read the source again")
    scene = parser.add_argument_group("现场 · the scene")
    scene.add_argument("--live", action="store_true", help="检材正在被写入，仍然镜像 · image it while it is in use")
    scene.add_argument("--state", default="", metavar="STATE", help="电源与静态判断 static|live · the decision")
    scene.add_argument("--state-by", default="", metavar="NAME", help="由谁决定 · who decided")
    scene.add_argument("--write-blocker", metavar="TEXT", help="写保护设备型号与编号 · make and serial number")
    scene.add_argument("--set-readonly", action="store_true", help="置内核只读标志 · set the kernel's flag")
    scene.add_argument("--confirm-unprotected", metavar="REASON", help="无写保护的理由 · why there is none")
    scene.add_argument(
        "--override", metavar="REASON", help="超出授权范围仍镜像的理由 · why although outside the authority"
    )
    scene.add_argument("--because", metavar="REASON", help="取证顺序颠倒的理由 · why out of the order of the scene")
    scene.add_argument("--attack-source", action="store_true", help="攻击来源主机 · a host that attacks came from")
    scene.add_argument("--remote", action="append", default=[], metavar="NAME=VALUE",
                       help="远程取证：server_location、remote_method、screen_recording · of remote work, above the mandate's")  # fmt: skip
    scene.add_argument("--reference-clock", metavar="TEXT",
                       help="标准时间@本机时间 名称 · REFERENCE-TIME@OWN-TIME NAME, ISO 8601 with offset")  # fmt: skip
    scene.add_argument("--ntp", metavar="HOST", help="向其核对一次时间 · ask this server for the time, once")
    countersigning_arguments(parser)
    ssh = parser.add_argument_group("经 SSH · over SSH")
    ssh.add_argument("--ssh-key", type=Path, metavar="FILE", help="私钥文件 · the one key to offer")
    ssh.add_argument("--known-hosts", type=Path, metavar="FILE", help="已知主机文件 · instead of your own")
    ssh.add_argument("--host-key", metavar="FINGERPRINT", help="服务器公钥指纹 SHA256:… · the server's key")
    ssh.add_argument("--jump", metavar="ssh://USER@HOST[:PORT]", help="跳板机 · reach the server through this one")
    ssh.add_argument("--sudo", action="store_true", help="以 sudo -n 读取（无须口令者） · read through sudo -n")
    ssh.add_argument("--source-size", type=size_of, metavar="SIZE", help="服务器说不出大小时 · where it cannot tell")
    fields = parser.add_argument_group("写入 E01 的信息 · case fields of an E01")
    for flag, words in (
        ("case-number", "案件编号 · case number"),
        ("evidence-number", "检材编号 · evidence number"),
        ("description", "说明 · description"),
        ("notes", "备注 · notes"),
    ):
        fields.add_argument(f"--{flag}", default="", metavar="TEXT", help=words)


def run(options: argparse.Namespace) -> int:
    """Run the procedure and print digests and verdicts."""
    from getpass import getpass

    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import image_lines, say, verdict_lines, voice_of
    from headwater.procedure.imaging import ImageOrder, image
    from headwater.procedure.reaching import Reach

    plan = {
        "format": options.format, "algorithms": tuple(options.hash.split(",")), "level": options.level,
        "segment": options.segment, "block": options.block_size, "retries": max(0, options.retries),
        "second": options.second_out.absolute() if options.second_out else None,
        "read_back": not options.no_read_back, "read_again": not options.no_reread,
        "fields": {n: getattr(options, n) for n in ("case_number", "evidence_number", "description", "notes")},
    }  # fmt: skip
    reach = Reach(
        known_hosts=options.known_hosts, host_key=options.host_key, key_file=options.ssh_key,
        ask=getpass if sys.stdin.isatty() else None, size=options.source_size,
        jump=options.jump, sudo=options.sudo, reference_clock=options.reference_clock, ntp=options.ntp,
    )  # fmt: skip
    order = ImageOrder(
        options.source, options.case, options.out, claim_of(options), tuple(options.examiner), plan,
        options.partition, options.live, options.state, options.state_by, options.write_blocker,
        options.set_readonly, options.confirm_unprotected, options.override, reach, options.resume, options.command,
        remote_fields(options.remote), options.attack_source, options.because,
        hand_of(options.who, options), hand_of(options.second, options),
    )  # fmt: skip
    voice = voice_of(options)
    with Meter(voice.language) as meter:
        outcome = image(order, meter)
    done = outcome.imaged
    say(f"{voice.word('检材', 'evidence')} {outcome.evidence.number}: {done.folder / done.segments[0][0]}")
    image_lines(done, voice)
    if done.bad:
        say(f"  {voice.label('坏区', 'bad ranges')}{len(done.bad)}, {sum(b[1] for b in done.bad)} B")
    verdict_lines(outcome.verdicts, voice)
    for folder, why in done.failures.items():
        say(f"  {voice.label('目标失败', 'destination failed')}{folder} ({why})")
    clean = not done.failures and all(v.result != "mismatch" for v in outcome.verdicts)
    return EXIT_DONE if clean else EXIT_NOT_CLEAN
