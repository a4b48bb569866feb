# SPDX-License-Identifier: Apache-2.0
"""Options that verbs of custody share: who acts, with which key file and passphrase, who approves, and the event itself."""

from __future__ import annotations

import argparse
import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.cli.printing import voice_of
from headwater.model.errors import VaultError
from headwater.procedure.signing import Hand, key_file

if TYPE_CHECKING:
    from headwater.model.custody import Sealed
    from headwater.model.voice import Voice
    from headwater.vault.custody import Event


def signing_arguments(parser: argparse.ArgumentParser, *, two: bool = False) -> argparse._ArgumentGroup:
    """Who acts, and, where ``two``, who approves; the group, for what a verb asks besides."""
    group = parser.add_argument_group("签名 · signing")
    group.add_argument("--as", dest="who", metavar="NAME", help="经办人 · who acts")
    if two:
        group.add_argument("--approver", metavar="NAME", help="批准人 · who approves")
    group.add_argument(
        "--key", action="append", default=[], metavar="[NAME=]FILE",
        help="个人密钥文件（默认 ~/.config/headwater/keys/姓名.key）或 pkcs11: URI · a personal key file or PKCS#11 URI",
    )  # fmt: skip
    group.add_argument(
        "--passphrase-file", action="append", default=[], metavar="[NAME=]FILE",
        help="口令文件；否则在终端询问 · the passphrase's file, else the terminal asks",
    )  # fmt: skip
    return group


def countersigning_arguments(parser: argparse.ArgumentParser) -> None:
    """Who acts, and who was there too and signs the act."""
    signing_arguments(parser).add_argument(
        "--with", dest="second", metavar="NAME", help="同在现场并会签的另一人 · who was there too, and signs the act"
    )


def _for(name: str, given: list[str]) -> Path | None:
    """The file given for this person, or the one given without a name."""
    named = [g.partition("=")[2] for g in given if g.startswith(f"{name}=")]
    plain = [g for g in given if "=" not in g or g.startswith("pkcs11:")]
    chosen = named or plain
    return Path(chosen[-1]) if chosen else None


def passphrase_of(name: str, options: argparse.Namespace) -> str:
    """A person's passphrase, from its file or the terminal.

    Raises:
        VaultError: HW3010, the file cannot be read.
    """
    path = _for(name, options.passphrase_file)
    if path is None:
        try:
            return getpass.getpass(voice_of(options).label(f"{name} 的口令", f"passphrase of {name}"))
        except EOFError as error:  # no terminal, and nothing on standard input
            raise VaultError("HW3010", name, what="no passphrase was given: --passphrase-file") from error
    try:
        return path.read_text().rstrip("\n")
    except (OSError, ValueError) as error:
        raise VaultError("HW3010", str(path), what=error) from error


def hand_of(name: str | None, options: argparse.Namespace, *, new: bool = False) -> Hand | None:
    """Who acts, with their key file; None where no name is given.

    No passphrase is asked for a key that is not there, unless it is a ``new`` one's.
    """
    from headwater.procedure.hands import there  # cryptography behind it is heavy; --help must not wait for it

    if name is None:
        return None
    key = _for(name, options.key) or key_file(name)
    return Hand(name, key, passphrase_of(name, options) if new or there(key) else "")


def numbered(word: str) -> str:
    """The number of an item as a person may write it: ``1`` and ``evidence-1`` are E1."""
    bare = word.removeprefix("evidence-")
    return f"E{int(bare)}" if bare.isdigit() else word.upper() if word[1:].isdigit() else word


def event_arguments(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """What a custody event says."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")
    parser.add_argument(
        "items", nargs="+" if needed else "*", metavar="EVIDENCE", type=numbered, help="检材编号 E1、I1 · numbers"
    )
    parser.add_argument("--purpose", required=needed, default="", metavar="TEXT", help="目的 · purpose")
    for name, words in (
        ("to", "交给、接收人 · to whom"), ("to-organisation", "接收单位 · their organisation"),
        ("from", "移交人 · from whom"), ("place", "地点 · place"), ("seal-before", "原封条 · seal found"),
        ("seal-after", "新封条 · seal put on"), ("condition", "状况 · condition"), ("witness", "见证人 · witness"),
        ("override", "仍须登记的理由 · why it is entered although it opens a gap"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", default="", metavar="TEXT", help=words)
    parser.add_argument("--attach", action="append", type=Path, default=[], metavar="FILE",
                        help="附件，登记其校验值 · a file whose digest is entered")  # fmt: skip


def event_of(act: str, options: argparse.Namespace) -> Event:
    """The custody event that the options describe.

    Raises:
        VaultError: HW3015, an attachment cannot be read.
    """
    from headwater.vault.custody import Event  # cryptography behind it is heavy; --help must not wait for it

    attached = {}
    for path in options.attach:
        try:
            attached[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise VaultError("HW3015", str(path), what=error.strerror or error) from error
    given = getattr(options, "from")
    return Event(
        act, tuple(options.items), options.purpose, "", "", (given, ""), (options.to, options.to_organisation),
        options.place, options.seal_before, options.seal_after, {}, {}, options.condition, options.witness, attached,
        override=options.override,
    )  # fmt: skip


def entered(act: str, options: argparse.Namespace) -> Iterator[str]:
    """Enter a custody event of the command line; gives back what to tell."""
    from headwater.procedure import custody

    hands = (hand_of(options.who, options), hand_of(getattr(options, "approver", None), options))
    with custody.at_desk(options.case, options.command, *hands) as desk:
        event = event_of(act, options)
        if act == "receive":
            name = event.taken_by[0] or desk.actor.name
            answers = custody.waiting(desk.corridor, event.items[0])
            event = replace(event, answers=answers, taken_by=(name, event.taken_by[1]))
        sealed = custody.enter(desk, event)
        yield entered_line(sealed, voice_of(options))


def entered_line(sealed: Sealed, voice: Voice) -> str:
    """That an entry stands in the ledger: its number and hash."""
    return f"{voice.label('已登记', 'entered')}{sealed.entry.seq} {sealed.hash}"
