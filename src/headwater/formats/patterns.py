# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that are compiled when they are first asked, not when their module is loaded.

A child loads every parser to know what each reads, and then runs few of them; compiling the expressions of all was a quarter
of its start. Which expressions are well formed is a test's to ask, for all of them at once.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_OF_A_PATTERN = (
    "match", "search", "fullmatch", "finditer", "findall", "split", "sub", "subn", "scanner", "pattern", "flags", "groups",
    "groupindex",
)  # fmt: skip


class _Later:
    """Stands for a compiled expression; the first question compiles it and gives this object all that the other has."""

    def __init__(self, text: Any, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_A_PATTERN:  # nothing else is asked of one; and copying asks before there is ``_given``
            raise AttributeError(name)
        compiled = re.compile(*self._given)
        for each in _OF_A_PATTERN:
            setattr(self, each, getattr(compiled, each))
        return getattr(compiled, name)

    def __repr__(self) -> str:
        return f"lazy_regex({self._given[0]!r})"


def lazy_regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The expression, compiled at its first use; a fault in it is raised then (``re.error``)."""
    return cast("re.Pattern[AnyStr]", _Later(text, int(flags)))
