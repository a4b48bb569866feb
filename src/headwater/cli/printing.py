# SPDX-License-Identifier: Apache-2.0
"""Words for a terminal: nothing from evidence may command it, and a pipe gets one JSON object per line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.formats.patterns import lazy_regex
from headwater.model.voice import LANGUAGES, Voice

if TYPE_CHECKING:
    from headwater.acquire.imaged import Imaged
    from headwater.model.custody import Verdict
    from headwater.model.nouns import Text
    from headwater.procedure.listing import Row

_LANGUAGE_HELP = "文字语言，缺省为案件的语言 · language of the words; else that of the case"
# control characters, and those that reorder what is shown (Unicode bidi, UAX #9)
_COMMANDS = lazy_regex("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def inert(text: str) -> str:
    """The text with every character that a terminal could obey shown as an escape."""
    return _COMMANDS.sub(
        lambda m: f"\\u{ord(m.group()):04x}" if ord(m.group()) > 0xFF else f"\\x{ord(m.group()):02x}", text
    )


def line(row: Mapping[str, Any]) -> None:
    """One JSON object on its own line of stdout; what a terminal could obey stands in it as an escape of JSON."""
    ascii_alone = (
        not (sys.stdout.encoding or "").lower().startswith("utf")
    )  # JSON has an escape for all that this lacks
    text = json.dumps(row, ensure_ascii=ascii_alone, separators=(",", ":"), default=str)
    sys.stdout.write(_COMMANDS.sub(lambda m: f"\\u{ord(m.group()):04x}", text) + "\n")


def say(text: str) -> None:
    """One line of words on stdout, inert."""
    sys.stdout.write(inert(text) + "\n")


def tell(text: str) -> None:
    """One line of words on stderr, inert."""
    print(inert(text), file=sys.stderr)


def digest_lines(digests: Mapping[str, str]) -> None:
    """Digests, a line each."""
    for name, value in digests.items():
        say(f"  {name:<7} {value}")


def image_lines(done: Imaged, voice: Voice) -> None:
    """How large an image is, of how many files, its sidecar, its digests."""
    from headwater.cli.meter import size

    files = voice.word(
        f"{len(done.segments)} 个文件", f"{len(done.segments)} file{'s' if len(done.segments) != 1 else ''}"
    )
    say(f"  {size(done.size)}, {files}, {voice.word('附件', 'sidecar')} {done.sidecar.name}")
    digest_lines(done.digests)


def verdict_lines(verdicts: Iterable[Verdict], voice: Voice) -> None:
    """What was compared of an item, a line for each comparison and language."""
    from headwater.procedure.imaging import verdict_words

    for verdict in verdicts:
        for words in voice.each(*verdict_words(verdict)):
            say(f"  {words}")


def event_line(event: Mapping[str, Any], as_json: bool, zone: str, language: str, found: str = "") -> None:
    """One event (a row of the contract with its id, times in ns): as JSON, or time, kind, who, words and id for the eye."""
    from headwater.procedure.contracts import event_json
    from headwater.procedure.listing import in_language
    from headwater.procedure.story import shortened
    from headwater.procedure.timeline import shown_in
    from headwater.report.words import kind
    from headwater.store.forms import message

    if as_json:
        line(event_json(event))
        return
    who = " ".join(str(event[n]) for n in ("host", "user", "src_ip") if event[n])
    said = (in_language(kind(event["kind"]), language), who, found, shortened(message(event)))
    words = " · ".join(filter(None, said))
    say(f"{shown_in(event['ts'], zone):<25}  {words}  [{event['id']}]")


def hexdump(data: bytes, offset: int, most: int = 512) -> list[str]:
    """Offset, sixteen bytes in hex, and their printable characters, per line."""
    rows = []
    for at in range(0, min(len(data), most), 16):
        piece = data[at : at + 16]
        words = "".join(chr(b) if 32 <= b < 127 else "." for b in piece)
        rows.append(f"{offset + at:>12}  {piece.hex(' '):<47}  {words}")
    if len(data) > most:
        rows.append(f"… +{len(data) - most} B")
    return rows


def language_of(case: Path | None) -> str:
    """The language of a case that there is; of none, of a new one, or where its settings cannot be read, both."""
    from headwater.case import settings
    from headwater.model.errors import UsageError

    try:
        return settings.load(case).language if case is not None else settings.CaseSettings().language
    except UsageError:  # what is wrong with an old one the procedure says itself
        return settings.CaseSettings().language


def language_argument(parser: argparse.ArgumentParser) -> None:
    """``--lang``; without it the language of the case holds."""
    parser.add_argument("--lang", choices=LANGUAGES, help=_LANGUAGE_HELP)


def language_everywhere(parser: argparse.ArgumentParser) -> None:
    """``--lang`` for a verb, or for each act of one that has acts, where it has none of its own."""
    acts = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for act in acts:
        for each in act.choices.values():
            language_everywhere(each)
    if not acts and "--lang" not in parser._option_string_actions:
        language_argument(parser)


def voice_of(options: argparse.Namespace) -> Voice:
    """The language of ``--lang``; without it that of the case; of no case both."""
    return Voice(options.lang or language_of(getattr(options, "case", None)))


def case_argument(parser: argparse.ArgumentParser) -> None:
    """The case folder."""
    parser.add_argument("case", type=Path, metavar="CASE", help="案件目录 · the case folder")


def json_argument(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")


def listing_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a verb that lists findings or steps."""
    case_argument(parser)
    json_argument(parser)
    language_argument(parser)


def print_rows(rows: Iterable[Row], options: argparse.Namespace, language: str, none: Text) -> None:
    """Rows as JSON lines or, for people, a head line, the sentence and the citation of each; ``none``: what is said of none."""
    from headwater.procedure.listing import FIRST, in_language, languages

    language = options.lang or language
    empty = True
    for row in rows:
        empty = False
        if options.json:
            line(row.json)
            continue
        words = " · ".join(in_language(text, language) for text in row.words)
        say(f"{row.id}  {in_language(row.when, language)}  {words}")
        for each in languages(language):
            say("    " + (row.text.zh if each == "zh" else row.text.en))
        if row.aside is not None:
            say(f"    ⊘ {in_language(row.aside, language)}")
        say(f"    → {in_language(row.cited, language)} · {in_language(FIRST, language)} {row.first}")
    if empty and not options.json:  # an empty screen would not tell "none" from "not examined"
        say(in_language(none, language))
