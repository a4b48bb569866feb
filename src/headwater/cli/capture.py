# SPDX-License-Identifier: Apache-2.0
"""headwater capture: the packets of one interface of a server as pcapng, with the count of those that were dropped."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.errand import errand_arguments, errand_of
from headwater.cli.options import case_and_authority, claim_of, remote_fields, size_of

HELP = "抓取服务器网络数据包，存为 pcapng，限时限量 · capture packets of a server, bounded in time and bytes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    errand_arguments(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="NAME", help="文件名，不带扩展名 · name, without extension"
    )
    parser.add_argument("--interface", required=True, metavar="NAME", help="网络接口 · the interface")
    parser.add_argument("--seconds", type=int, required=True, metavar="N", help="至多多少秒 · at most so long")
    parser.add_argument(
        "--bytes", type=size_of, default=1 << 30, metavar="SIZE", help="至多多少字节，缺省 1G · at most"
    )
    parser.add_argument(
        "--filter", default="", metavar="WORDS",
        help="host、net、port、tcp、udp、icmp、arp、ip、ip6 与 and、or、not、括号 · in the words of pcap-filter",
    )  # fmt: skip
    case_and_authority(parser)


def run(options: argparse.Namespace) -> int:
    """Capture; print counts and digests."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter, size
    from headwater.cli.printing import say, voice_of
    from headwater.procedure.capturing import CaptureOrder, capture
    from headwater.procedure.stated_words import told

    errand = errand_of(options, claim_of(options), remote_fields(options.remote))
    order = CaptureOrder(errand, options.out, options.interface, options.seconds, options.bytes, options.filter)
    voice = voice_of(options)
    meter = Meter(voice.language)
    try:
        done = capture(order, meter)
    finally:
        meter.end()
    if done.evidence is not None:
        say(f"{voice.word('检材', 'evidence')} {done.evidence.number}: {done.evidence.name}  {size(done.size)}")
    for name, value in done.digests.items():
        say(f"  {name:<7} {value}")
    lost = voice.word("未告知", "not told") if done.dropped is None else str(done.dropped)
    say(
        f"  {voice.label('数据包', 'packets')}{done.packets}  {voice.label('丢弃', 'dropped')}{lost}"
        f"  {voice.label('结束于', 'ended by')}{voice.text(told(done.ended))}"
    )
    return EXIT_DONE if done.whole else EXIT_NOT_CLEAN
