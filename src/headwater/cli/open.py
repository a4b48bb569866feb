# SPDX-License-Identifier: Apache-2.0
"""headwater open: look into an image, archive or log: list, stat, digest, or hand out one thing's bytes."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.cli.options import image_files, key_files, keys_of

if TYPE_CHECKING:
    from headwater.model.voice import Voice

HELP = "查看镜像内容：列目、属性、校验值、原样取出 · look into an image: ls, stat, hash, cat"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="镜像、归档或日志 · image, archive or log")
    parser.add_argument("act", choices=("ls", "stat", "hash", "cat"), help="列目、属性、校验、取出")
    parser.add_argument("path", nargs="?", default="", metavar="PATH",
                        help="p2!/var/log/auth.log.2.gz!gz；缺省为各卷 · without it, the volumes")  # fmt: skip
    parser.add_argument("-r", "--recursive", action="store_true", help="列出其下全部 · everything below")
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 · one object per line")
    parser.add_argument("--hash", default="sha256,md5,sha1", metavar="LIST", help="sha256,md5,sha1,sm3")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="cat：自此字节 · from this byte")
    parser.add_argument("--length", type=int, metavar="N", help="cat：至多字节数 · at most so many bytes")
    parser.add_argument("--force", action="store_true", help="cat：允许输出到终端 · cat to a terminal")
    key_files(parser)
    image_files(parser)


def run(options: argparse.Namespace) -> int:
    """Look, print, and say on stderr what could not be read and whether anything was recorded."""
    from headwater.cli.main import EXIT_DONE, EXIT_NOT_CLEAN
    from headwater.cli.printing import tell, voice_of
    from headwater.formats.hashing import ALGORITHMS
    from headwater.model.errors import UsageError
    from headwater.model.nouns import Text
    from headwater.procedure.opening import Look, look
    from headwater.procedure.stated_words import told

    if options.act == "cat" and options.json:
        raise UsageError("HW0001", what="cat --json")
    if options.act == "cat" and sys.stdout.isatty() and not options.force:
        why = Text(
            "cat：终端会执行检材中的控制字符；> FILE、--force",
            "cat: a terminal obeys what evidence says; > FILE, --force",
        )
        raise UsageError("HW0001", what=why)
    algorithms = tuple(dict.fromkeys(options.hash.split(",")))
    if unknown := [name for name in algorithms if name not in ALGORITHMS]:
        raise UsageError("HW0001", what=f"--hash {','.join(unknown)}: {', '.join(ALGORITHMS)}")
    if options.offset < 0 or (options.length is not None and options.length < 0):
        raise UsageError("HW0001", what="--offset, --length: >= 0")
    voice = voice_of(options)
    wanted = Look(
        options.image, options.act, options.path, options.recursive, algorithms, options.offset, options.length,
        options.case, tuple(options.examiner), tuple(options.allow_path), options.allow_missing, options.snapshot,
        keys_of(options), options.command,
    )  # fmt: skip
    shown = _json_rows if options.json else functools.partial(_rows, voice)
    result = look(wanted, shown, _out)
    sys.stdout.buffer.flush()
    _print(options, result)
    for offset, length, reason, detail in [*result.get("bad", ()), *result.get("warnings", ())]:
        tell(
            f"{voice.label('未读全', 'not read')}{offset} +{length} {_reason(reason, voice)}: {voice.text(told(str(detail)))}"
        )
    if options.case is None:
        tell(voice.label("未记入任何台账", "nothing was recorded") + "--case")
    return EXIT_NOT_CLEAN if result.get("bad") else EXIT_DONE


def _reason(reason: str, voice: Voice) -> str:
    from headwater.model.kinds import GAP_TEXT, GapReason

    return voice.word(*GAP_TEXT[GapReason(reason)]) if reason in set(GapReason) else reason


def _out(data: bytes) -> None:
    sys.stdout.buffer.write(data)


def _json_rows(kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from headwater.cli.printing import line

    for row in rows:
        line(row)


def _rows(voice: Voice, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from headwater.cli.printing import say
    from headwater.model.times import rfc3339
    from headwater.procedure.stated_words import told

    for row in rows:
        if kind == "volumes":
            detail = voice.text(told(str(row["detail"]))) if row["detail"] else ""
            name = row["volume"] or ("-" if row["kind"] == "slack" else "/")
            say(f"{name:<16} {row['kind']:<10} {row['offset']:>16} {row['size']:>16}  {detail}".rstrip())
            continue
        gone = " " if row["allocated"] else "x"
        target = f" -> {row['target']}" if row["target"] else ""
        owner = f"{_said(row['uid'])}:{_said(row['gid'])}"
        when = rfc3339(row["modified"]) or "-"
        say(
            f"{row['kind'][0]}{gone}{row['mode'] & 0o7777:04o} {owner:>11} {row['size']:>14} {when:>30} {row['path']}{target}"
        )


def _said(value: object) -> str:
    return "-" if value is None else str(value)


def _print(options: argparse.Namespace, result: Mapping[str, Any]) -> None:
    from headwater.cli.printing import line, say
    from headwater.model.times import rfc3339

    if options.act == "ls" or options.act == "cat":
        return
    if options.json:
        line(result)
        return
    if options.act == "hash":
        for name, value in result["digests"].items():
            say(f"{name:<7} {value}  {result['path']}")
        return
    for name, value in result.items():
        if name in ("modified", "accessed", "changed", "created", "deleted") and value is not None:
            value = f"{value} ns  {rfc3339(value)}"
        elif name == "mode":
            value = f"{value & 0o7777:04o}"
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        say(f"{name:<16} {shown}")
