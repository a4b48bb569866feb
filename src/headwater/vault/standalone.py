# SPDX-License-Identifier: Apache-2.0
"""The stand-alone verifier's door: ``python headwater-verify.pyz [--json] [--against ANCHOR]… FILE.hwcase…``

It needs Python 3.11 and the package ``cryptography``, no installation and no network. Exit code: 0 everything holds,
1 something cannot be claimed, 5 something failed, 2 wrong usage. It says everything in Chinese and in English, or with
``--lang`` in one of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headwater.model.errors import HeadwaterError
from headwater.model.voice import LANGUAGES, Voice
from headwater.vault import anchors, hwcase

_EXITS = {"ok": 0, "not-claimable": 1, "failed": 5}
_WORDS = {"ok": ("相符", "ok"), "not-claimable": ("不可主张", "not claimable"), "failed": ("不符", "FAILED")}
_USAGE = (
    """用法：python headwater-verify.pyz [选项] 文件.hwcase…

核验案件包：签名、清单、台账、检查点、锚定、内容。需要 Python 3.11 与 cryptography 包，不须安装，不联网。

  --against 锚定   与案外留存的锚定比对：锚定文件，或打印的一行“HW1 …”；可重复
  --json           每个文件一行 JSON
  --lang 语言      zh、en 或 both（默认）

退出码：0 全部相符；1 有不可主张之处；5 有不符；2 用法错误。
""",
    """usage: python headwater-verify.pyz [options] FILE.hwcase…

Verifies a case package: signatures, manifest, ledger, checkpoints, anchors, contents. It needs Python 3.11 and the package
cryptography, no installation and no network.

  --against ANCHOR  compare with an anchor kept outside: its file, or the printed line "HW1 …"; may be repeated
  --json            one line of JSON a file
  --lang LANGUAGE   zh, en or both (the default)

Exit code: 0 everything holds; 1 something cannot be claimed; 5 something failed; 2 wrong usage.
""",
)


@dataclass(slots=True)
class _Asked:
    """What the command line asks."""

    files: list[Path] = field(default_factory=list)
    held: list[anchors.Anchor] = field(default_factory=list)
    as_json: bool = False
    help: bool = False
    voice: Voice = field(default_factory=Voice)


def _plain(text: str) -> str:
    """The text with nothing in it that a terminal could obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _asked(given: list[str], asked: _Asked) -> None:
    """Read the command line.

    Raises:
        IndexError: it is none.
    """
    while given:
        word = given.pop(0)
        if word == "--json":
            asked.as_json = True
        elif word in {"-h", "--help"}:
            asked.help = True
        elif word == "--lang":
            if (language := given.pop(0)) not in LANGUAGES:
                raise IndexError
            asked.voice = Voice(language)
        elif word == "--against":
            text = given.pop(0)
            asked.held.append(anchors.from_paper(text) if text.startswith("HW1 ") else anchors.load(Path(text)))
        elif word.startswith("-"):
            raise IndexError
        else:
            asked.files.append(Path(word))
    if not asked.files and not asked.help:
        raise IndexError


def _told(path: Path, rows: Sequence[hwcase.Finding], asked: _Asked) -> str:
    """What was found of one file, for a person or as a line of JSON."""
    verdict, voice = hwcase.verdict(rows), asked.voice
    if asked.as_json:
        said = {"file": str(path), "verdict": verdict, "rows": [[r.what, r.result, r.detail] for r in rows]}
        return json.dumps(said) + "\n"
    lines = [_plain(str(path))]
    for row in rows:
        lines.append(f"  {voice.word(*_WORDS[row.result])}  {_plain(voice.word(row.name, row.what))}")
        lines += [f"      {_plain(words)}" for words in voice.each(row.zh or row.detail, row.detail) if words]
    lines.append(f"  = {voice.word(*_WORDS[verdict])}")
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Check the files named and print every comparison; returns the exit code, the worst of all files."""
    asked = _Asked()
    try:
        _asked(list(sys.argv[1:] if words is None else words), asked)
    except IndexError:
        sys.stderr.write("\n".join(asked.voice.each(*_USAGE)))
        return 2
    except HeadwaterError as error:
        for text in asked.voice.each(error.text("zh"), error.text("en")):
            sys.stderr.write(f"{error.code} {_plain(text)}\n")
        return 2
    if asked.help:
        sys.stdout.write("\n".join(asked.voice.each(*_USAGE)))
        return 0
    worst = 0
    for path in asked.files:
        try:
            with open(path, "rb") as source:
                rows = hwcase.check(source, asked.held)
        except OSError as error:
            why = error.strerror or str(error)
            rows = [hwcase.Finding("export", "failed", why, f"无法打开：{why}")]
        worst = max(worst, _EXITS[hwcase.verdict(rows)])
        sys.stdout.write(_told(path, rows, asked))
    return worst
