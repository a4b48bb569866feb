# SPDX-License-Identifier: Apache-2.0
"""Bounds of a walk over directories: how deep, how long a path, how much text, each directory once.

Depth hides files from tools that recurse; a hostile volume makes depth without end. Beyond these bounds a directory is
not listed, and that is said.
"""

from __future__ import annotations

MAX_DEPTH = 20_000
MAX_PATH = 1 << 18  # characters; Linux itself takes 4096 at a time, relative paths make deeper trees
MAX_PATH_TEXT = 1 << 34  # characters of all directory paths: depth times width must not grow without end
MAX_WARNINGS = 1000


class Bounds:
    """Counts the text of the paths of one walk."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = 0

    def refuse(self, path: str, depth: int) -> str:
        """Why a directory cannot be listed; '' where it can."""
        self._text += len(path)
        if depth > MAX_DEPTH or len(path) > MAX_PATH or self._text > MAX_PATH_TEXT:
            return f"a directory {depth} levels deep is not listed"
        return ""
