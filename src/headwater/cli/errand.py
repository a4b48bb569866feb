# SPDX-License-Identifier: Apache-2.0
"""The options of every verb that visits a running server: case, authority, order, mandate, and how it is reached."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.cli.signing import countersigning_arguments, hand_of

if TYPE_CHECKING:
    from headwater.case.authority import Claim
    from headwater.procedure.scene_errand import Errand


def errand_arguments(parser: argparse.ArgumentParser, *, local: bool = True, sudo: bool = True) -> None:
    """The server and what every visit asks for, without the case and its authority.

    ``sudo``: whether everything there may be run under it; a verb that does so in its own way has its own option.
    """
    words = (
        "ssh://用户@主机[:端口] 或 local: · ssh://user@host or local:"
        if local
        else "ssh://用户@主机[:端口] · ssh://user@host"
    )
    parser.add_argument("address", metavar="SERVER", help=words)
    scene = parser.add_argument_group("现场 · the scene")
    scene.add_argument("--because", metavar="REASON", help="取证顺序颠倒的理由 · why out of order")
    scene.add_argument("--override", metavar="REASON", help="超出授权的理由 · why although outside the authority")
    scene.add_argument("--remote", action="append", default=[], metavar="NAME=VALUE",
                       help="远程取证：server_location、remote_method、screen_recording · of remote work, above the mandate's")  # fmt: skip
    scene.add_argument("--witness", default="", metavar="NAME", help="见证人 · witness")
    scene.add_argument("--no-witness", default="", metavar="REASON", help="无见证人的理由 · why there is none")
    scene.add_argument("--one-person", default="", metavar="REASON", help="不足两人的理由 · why fewer than two")
    countersigning_arguments(parser)
    ssh = parser.add_argument_group("经 SSH · over SSH")
    ssh.add_argument("--ssh-key", type=Path, metavar="FILE", help="私钥文件 · the one key to offer")
    ssh.add_argument("--known-hosts", type=Path, metavar="FILE", help="已知主机文件 · instead of your own")
    ssh.add_argument("--host-key", metavar="FINGERPRINT", help="服务器公钥指纹 SHA256:… · the server's key")
    ssh.add_argument("--jump", metavar="ssh://USER@HOST[:PORT]", help="跳板机 · reach the server through this one")
    if sudo:
        ssh.add_argument("--sudo", dest="all_by_sudo", action="store_true",
                         help="一切命令以 sudo -n 运行（无须口令者） · run everything through sudo -n")  # fmt: skip


def errand_of(options: argparse.Namespace, claim: Claim, remote: dict[str, str]) -> Errand:
    """The errand as the person stated it."""
    from getpass import getpass

    from headwater.procedure.reaching import Reach
    from headwater.procedure.scene_errand import Errand

    examiners: Sequence[str] = options.examiner
    return Errand(
        options.address, options.case, claim, tuple(examiners), options.because, options.override, remote,
        options.witness, options.no_witness, options.one_person,
        Reach(known_hosts=options.known_hosts, host_key=options.host_key, key_file=options.ssh_key,
              ask=getpass if sys.stdin.isatty() else None, jump=options.jump,
              sudo=getattr(options, "all_by_sudo", False)),
        options.command, hand_of(options.who, options), hand_of(options.second, options),
    )  # fmt: skip
