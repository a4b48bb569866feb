# SPDX-License-Identifier: Apache-2.0
"""headwater collect: what a running server, this machine or an image holds, by a profile, as one stream in evidence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.cli.errand import errand_arguments, errand_of
from headwater.cli.options import case_and_authority, claim_of, key_files, keys_of, remote_fields, size_of

if TYPE_CHECKING:
    from headwater.model.voice import Voice
    from headwater.procedure.collecting import Collected

_STATUS = {
    "success": "成功", "empty": "空文件", "missing": "不存在", "failed": "失败", "listed": "仅列出", "cut": "截断",
    "timeout": "超时",
}  # fmt: skip
HELP = "现场提取：易失数据、日志与文件，服务器上不写入 · collect from a running server, writing nothing on it"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    errand_arguments(parser, sudo=False)
    case_and_authority(parser)
    key_files(parser)
    what = parser.add_argument_group("采集 · the collection")
    what.add_argument("--profile", default="triage", metavar="NAME[,NAME…]",
                      help="方案或采集项：full|triage|ransomware|web · a profile, or artifacts")  # fmt: skip
    what.add_argument("--also", action="append", default=[], metavar="NAME", help="另加采集项 · a further artifact")
    what.add_argument("--without", action="append", default=[], metavar="NAME", help="不采此项 · leave this one out")
    what.add_argument("--artifact-definitions", type=Path, metavar="DIR",
                      help="ForensicArtifacts 定义目录，其名称可用于 --profile · its names may stand in --profile")  # fmt: skip
    what.add_argument("--secrets", metavar="REASON", help="无授权仍采集口令、密钥的理由 · why secrets are taken")
    what.add_argument("--no-secrets", action="store_true", help="不采口令与密钥 · leave secrets there")
    what.add_argument("--list", action=_List, nargs=0, help="列出此前 --profile 所含采集项 · list what it takes")
    what.add_argument("--sudo", action="store_true", help="以 sudo -n 取得 root · as root by sudo -n")
    what.add_argument("--resume", nargs="?", type=int, const=0, metavar="EVIDENCE",
                      help="接续中断的采集，只取所缺，可指明检材号 · go on with one that was cut: what is missing alone")  # fmt: skip
    form = parser.add_argument_group("结果 · the result")
    form.add_argument("--out", type=Path, metavar="NAME", help="文件名，缺省在案件目录内 · name, else in the case")
    form.add_argument("--max-bytes", type=size_of, metavar="SIZE", help="总字节上限 · limit of the stream")
    form.add_argument("--max-file", type=size_of, metavar="SIZE", help="单个文件上限，截断并列出 · limit of one file")
    form.add_argument(
        "--shell", action="store_true", help="即使有 Python 也用 sh 采集 · use sh although there is Python"
    )


def run(options: argparse.Namespace) -> int:
    """Collect, and print what came and what did not."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.meter import Meter
    from headwater.cli.printing import voice_of
    from headwater.procedure.collecting import CollectOrder, collect
    from headwater.procedure.collecting_image import IMAGE, collect_image

    errand = errand_of(options, claim_of(options), remote_fields(options.remote))
    order = CollectOrder(
        errand, options.profile, tuple(options.also), tuple(options.without), options.artifact_definitions, options.out,
        options.secrets, options.no_secrets, options.max_bytes, options.max_file, options.shell,
        options.sudo, options.resume,
    )  # fmt: skip
    voice = voice_of(options)
    with Meter(voice.language) as meter:
        if options.address.startswith(IMAGE):
            done = collect_image(order, meter, keys_of(options))
        else:
            done = collect(order, meter)
    _told(done, voice)
    return EXIT_DONE if done.clean else EXIT_NOT_CLEAN


def _told(done: Collected, voice: Voice) -> None:
    """What came and what did not."""
    from headwater.cli.meter import size
    from headwater.cli.printing import say
    from headwater.procedure.stated_words import told

    say(f"{voice.word('检材', 'evidence')} {done.evidence.number}: {done.evidence.name}  {size(done.size)}")
    if done.evidence.notes.get("continues"):
        say(f"  {voice.label('接续', 'continues')}{done.evidence.notes['continues']}")
    say(f"  sha256  {done.evidence.digests['sha256']}")
    say(f"  {voice.label('清单', 'manifest')}{done.manifest}")
    for status, count in sorted(done.counts.items(), key=lambda p: -p[1]):
        say(f"  {voice.word(_STATUS.get(status, status), f'{status:<8}')} {count}")
    for line in done.trouble[:20]:
        say(f"  {voice.label('未取得', 'not had')}{line}")
    more = sum(done.counts.get(s, 0) for s in ("failed", "cut", "timeout")) - len(done.trouble[:20])
    if more > 0:
        rest = voice.sentence(f"另有 {more:,} 项未取得，见清单", f"{more:,} more were not had: see the manifest")
        say(f"  {rest}")
    for path in done.unlike[:20]:
        say(f"  {voice.label('与服务器所称校验值不符', 'differs from what the server stated')}{path}")
    if done.withheld:
        say(f"  {voice.label('未采（口令与密钥）', 'withheld')}{', '.join(done.withheld)}")
    if done.ended:
        say(f"  {voice.label('提前结束', 'ended early')}{voice.text(told(done.ended))}")


class _List(argparse.Action):
    """``--list``: what the profile given before it takes, and an end."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, flag: str | None = None
    ) -> None:
        from headwater.acquire.catalogue import artifacts, choose, profiles
        from headwater.cli.printing import say
        from headwater.model.voice import Voice

        voice = Voice(getattr(namespace, "lang", None) or "both")
        for name, (title, members) in profiles().items():
            say(f"{name:<12} {len(members):>4}  {voice.text(title)}")
        chosen = choose(
            namespace.profile, ("linux", "windows"), also=namespace.also, without=namespace.without, secrets=True
        )
        for one in chosen.artifacts:
            marks = f"{one.volatility} {one.platform:<8}{'* ' if one.secrets else '  '}"
            say(f"{marks}{one.name:<24} {voice.text(one.title)}: {voice.text(one.why)}")
        say(f"{len(chosen.artifacts)} / {len(artifacts())}; * {voice.word('含口令或密钥', 'holds secrets')}")
        parser.exit()
