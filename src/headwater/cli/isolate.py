# SPDX-License-Identifier: Apache-2.0
"""headwater isolate: a running server cut off from all but the allowed addresses, and let go again."""

from __future__ import annotations

import argparse

from headwater.cli.errand import errand_arguments, errand_of
from headwater.cli.options import case_and_authority, claim_of, remote_fields

HELP = "隔离服务器：仅放行白名单，先设自动回退再生效 · isolate a server, with a rollback armed first"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    errand_arguments(parser, local=False)
    parser.add_argument("--allow", action="append", default=[], metavar="ADDRESS",
                        help="白名单地址或网段，可重复，须含本机 · may be repeated; this machine among them")  # fmt: skip
    parser.add_argument("--port", action="append", default=[], type=int, metavar="N",
                        help="另放行的管理端口 · further management ports")  # fmt: skip
    parser.add_argument(
        "--for", dest="minutes", type=int, metavar="MINUTES", help="到时自动解除 · lifted by itself after"
    )
    parser.add_argument(
        "--without-me", action="store_true", help="不放行本机，仅保留当前会话 · only the present session"
    )
    parser.add_argument(
        "--trial", type=int, default=60, metavar="SECONDS", help="试行期，未经证实即回退 · until confirmed"
    )
    parser.add_argument("--rollback", action="store_true", help="解除隔离并核对规则 · lift it and compare the rules")
    case_and_authority(parser)


def run(options: argparse.Namespace) -> int:
    """Isolate, or let go; print what was tested."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import say, voice_of
    from headwater.model.errors import UsageError
    from headwater.procedure.isolating import IsolateOrder, isolate, release
    from headwater.procedure.stated_words import told

    errand = errand_of(options, claim_of(options), remote_fields(options.remote))
    if options.rollback:
        done = release(errand)
    else:
        if not options.allow and not options.without_me:
            raise UsageError("HW0001", what="--allow ADDRESS")
        if not 10 <= options.trial <= 3600:
            raise UsageError("HW0001", what="--trial 10–3600")
        done = isolate(
            IsolateOrder(
                errand, tuple(options.allow), tuple(options.port), options.minutes, options.without_me, options.trial
            )
        )
    voice = voice_of(options)
    say(f"{voice.word('检材', 'evidence')} {done.evidence.number}: {done.evidence.name}  {done.method}")
    for name, result in done.tested.items():
        what, came = told(name), told(result)
        say(f"  {voice.label(what.zh, what.en)}{voice.word(came.zh, came.en)}")
    if done.restored:
        say(f"  {voice.label('规则', 'rules')}{voice.text(told(done.restored))}")
    return EXIT_DONE if done.clean else EXIT_NOT_CLEAN
