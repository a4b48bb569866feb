# SPDX-License-Identifier: Apache-2.0
"""headwater seal: seal items, and on request their files into containers for two or more recipients."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.cli.signing import entered_line, event_arguments, event_of, hand_of, signing_arguments

HELP = "封存检材，可加密为密封容器 · seal items, on request into sealed containers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser)
    parser.add_argument(
        "--container", type=Path, metavar="DIR", help="同时加密到此目录 · seal the files into this folder"
    )
    parser.add_argument("--recipient", action="append", default=[], metavar="age1…",
                        help="接收人公钥，两个以上 · who can open it; two or more")  # fmt: skip
    signing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enter the event."""
    from dataclasses import replace

    from headwater.cli.main import EXIT_DONE
    from headwater.cli.printing import say, voice_of
    from headwater.procedure import custody
    from headwater.procedure.containers import seal_into

    voice = voice_of(options)
    with custody.at_desk(options.case, options.command, hand_of(options.who, options)) as desk:
        event = event_of("seal", options)
        if options.container:
            desk.permit("seal")
            made = seal_into(desk.corridor, options.items, options.container, options.recipient)
            event = replace(event, attachments={**event.attachments, **made})
            for name, digest in made.items():
                say(f"{voice.label('密封容器', 'container')}{options.container / name}  sha256 {digest}")
        sealed = custody.enter(desk, event)
    say(entered_line(sealed, voice))
    return EXIT_DONE
