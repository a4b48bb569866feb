# SPDX-License-Identifier: Apache-2.0
"""The stand-alone verifier's door: ``python headwater-verify.pyz [--json] [--against ANCHOR]… FILE.hwcase…``

It needs Python 3.11 and the package ``cryptography``, no installation and no network. Exit code: 0 everything holds,
1 something cannot be claimed, 5 something failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from headwater.model.errors import HeadwaterError
from headwater.vault import anchors, hwcase

_EXITS = {"ok": 0, "not-claimable": 1, "failed": 5}
_WORDS = {"ok": "相符 ok", "not-claimable": "不可主张 not claimable", "failed": "不符 FAILED"}


def _plain(text: str) -> str:
    """The text with nothing in it that a terminal could obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def main(words: Sequence[str] | None = None) -> int:
    """Check the files named and print every comparison; returns the exit code, the worst of all files."""
    given = list(sys.argv[1:] if words is None else words)
    held, files, as_json = [], [], False
    try:
        while given:
            word = given.pop(0)
            if word == "--json":
                as_json = True
            elif word == "--against":
                text = given.pop(0)
                held.append(anchors.from_paper(text) if text.startswith("HW1 ") else anchors.load(Path(text)))
            elif word.startswith("-"):
                raise IndexError
            else:
                files.append(Path(word))
        if not files:
            raise IndexError
    except IndexError:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    except HeadwaterError as error:
        sys.stderr.write(f"{error.code} {_plain(error.text('zh'))}\n{error.code} {_plain(error.text('en'))}\n")
        return 2
    worst = 0
    for path in files:
        try:
            with open(path, "rb") as source:
                rows = hwcase.check(source, held)
        except OSError as error:
            rows = [hwcase.Finding("export", "failed", error.strerror or str(error))]
        verdict = hwcase.verdict(rows)
        worst = max(worst, _EXITS[verdict])
        if as_json:
            said = {"file": str(path), "verdict": verdict, "rows": [[r.what, r.result, r.detail] for r in rows]}
            sys.stdout.write(json.dumps(said) + "\n")
            continue
        sys.stdout.write(f"{_plain(str(path))}\n")
        for row in rows:
            sys.stdout.write(f"  {_WORDS[row.result]}  {_plain(row.name)} {_plain(row.what)}\n")
            for words in dict.fromkeys(w for w in (row.zh, row.detail) if w):
                sys.stdout.write(f"      {_plain(words)}\n")
        sys.stdout.write(f"  = {_WORDS[verdict]}\n")
    return worst
