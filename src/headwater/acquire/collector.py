# SPDX-License-Identifier: Apache-2.0
"""The collector that runs on a server: one script joined from its parts, and the words that start it there.

1. ``sh`` looks for a Python of 3.6 or newer and becomes it (exec), with nothing of the login's environment read.
2. That Python says ``R``, reads the script and the order from its standard input and does it: no file is written.
3. Where there is none, ``sh`` says ``N`` and goes on reading: the collector in its own words follows
   (:mod:`headwater.acquire.collector_shell`).
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

PARTS = ("patterns", "wire", "walk", "host", "raw", "main")
# the distribution's own first: a search path of the login may lead anywhere
INTERPRETERS = (
    "/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3", "python3", "python3.6", "python3.8",
    "python3.9", "python3.11", "python3.12", "/www/server/panel/pyenv/bin/python3", "/opt/python3/bin/python3",
)  # fmt: skip
# -I: no environment, no user site; -S: no site; -B: no __pycache__ is written
BOOT = (
    "import os,sys\n"
    "os.write(1,b'R\\n')\n"
    "i=sys.stdin.buffer\n"
    "exec(compile(i.read(int(i.readline())),'<headwater>','exec'))\n"
    "main(i,1)\n"
)
FIND = (
    "LC_ALL=C; export LC_ALL\n"
    "for p in " + " ".join(INTERPRETERS) + "; do\n"
    "  if command -v \"$p\" >/dev/null 2>&1 && \"$p\" -I -S -B -c 'import sys;sys.exit(sys.version_info<(3,6))' "
    "</dev/null >/dev/null 2>&1; then\n"
    "    exec \"$p\" -I -S -B -c \"" + BOOT.replace("\\", "\\\\") + "\"\n"
    "  fi\n"
    "done\n"
    "printf 'N\\n'\n"
)  # fmt: skip
NO_PYTHON = "LC_ALL=C; export LC_ALL\nprintf 'N\\n'\n"


def start(*, shell_only: bool = False, sudo: bool = False) -> bytes:
    """What is said to the server's ``sh`` first. ``sudo``: as root by ``sudo -n``, which asks nothing and logs a line."""
    words = NO_PYTHON if shell_only else FIND
    if sudo:
        # a shell of root's own goes on with the standard input where there is no Python
        words = "exec sudo -n -- sh -c '" + (words + "exec sh\n").replace("'", "'\\''") + "'\n"
    return words.encode()


@cache
def script() -> bytes:
    """The script: the parts one after the other, without the lines by which they import each other."""
    joined = []
    for part in PARTS:
        text = resources.files("headwater.acquire").joinpath(f"collector_{part}.py").read_text("utf-8")
        lines = text.split("\n")
        for node in reversed(ast.parse(text).body):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headwater."):
                del lines[node.lineno - 1 : node.end_lineno]
        joined += lines
    return "\n".join(joined).encode("utf-8")


def digest() -> str:
    """SHA-256 of the script: which collector it was."""
    return hashlib.sha256(script()).hexdigest()


def order_of(
    marker: str,
    artifacts: Sequence[Mapping[str, Any]],
    *,
    tool: str,
    facts: Mapping[str, str],
    most: int = 1 << 62,
    file_most: int = 1 << 62,
    held: int = 0,
) -> bytes:
    """What the script is told: the artifacts in order, the marker of its records, limits in bytes, facts for the head.

    ``held``: how many bytes of marks of what is held already follow it.
    """
    order = {
        "marker": marker, "artifacts": [dict(a) for a in artifacts], "tool": tool, "facts": dict(facts), "sha256": digest(),
        "most": most, "file_most": file_most, "held": held,
    }  # fmt: skip
    return json.dumps(order, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def said(part: bytes) -> bytes:
    """A text behind its length, as the bootstrap and the script read it."""
    return b"%d\n" % len(part) + part
