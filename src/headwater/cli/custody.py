# SPDX-License-Identifier: Apache-2.0
"""headwater custody: the chain of custody of an item, its gaps, and events that have no verb of their own."""

from __future__ import annotations

import argparse

from headwater.cli.signing import event_arguments, event_of, hand_of, signing_arguments

HELP = "保管链：事件、缺口、现状 · the chain of custody: events, gaps, state"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    event_arguments(parser, needed=False)
    parser.add_argument(
        "--enter", metavar="ACT", help="登记一个事件，如 copy、mount、analyse、destroy · enter an event"
    )
    signing_arguments(parser, two=True)


def run(options: argparse.Namespace) -> int:
    """Print the chain; 1 where it has a gap or an open end."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import say, voice_of
    from headwater.model.errors import UsageError, VaultError
    from headwater.procedure import custody
    from headwater.procedure.corridor import open_case
    from headwater.vault.custody import open_ends
    from headwater.vault.roles import ACTS

    if options.enter:
        if options.enter not in ACTS:
            raise UsageError("HW1018", what=options.enter, known=", ".join(ACTS))
        hands = (hand_of(options.who, options), hand_of(options.approver, options))
        with custody.at_desk(options.case, options.command, *hands) as desk:
            custody.enter(desk, event_of(options.enter, options))
    corridor = open_case(options.case, options.command)
    with corridor.ledger:
        states = custody.chains(corridor)
    voice, clean = voice_of(options), True
    for number in options.items or sorted(states):
        if number not in states:
            raise VaultError("HW3014", what=number)
        state = states[number]
        sealed = f"{voice.word('封条', 'seal')} {state.seal}" if state.seal else voice.word("未封存", "not sealed")
        hold = f"{voice.label('保全', 'hold')}{state.hold}" if state.hold else ""
        say(f"{number}  {voice.word('保管人', 'held by')} {state.holder or '—'}  {sealed}  {hold}".rstrip())
        for event in state.events:
            word = ACTS[event.act]
            say(f"  {event.seq:>5}  {event.time}  {voice.word(word.zh, word.en)}  {event.person}  {event.purpose}")
        for gap in [*state.gaps, *open_ends(state)]:
            clean = False
            say(f"  {voice.word('缺口', 'gap')} {gap.seq or ''}  {voice.text(gap.what)}")
    return EXIT_DONE if clean else EXIT_NOT_CLEAN
