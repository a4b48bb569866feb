# SPDX-License-Identifier: Apache-2.0
"""A file that a parser reads must not be passed over because asking was made quick."""

from __future__ import annotations

import functools
import random
import re

import pytest

from headwater.examine import registry

_compiled = functools.cache(re.compile)  # more than re itself remembers


def _slowly(path: str) -> list[str]:
    """Every pattern of every parser asked, one by one."""
    folder, _, name = path.rpartition("/")
    return list(
        dict.fromkeys(
            parser
            for parser, _, where, pattern in registry._globs("reads").each
            if _compiled(where).fullmatch(folder) and _compiled(pattern).fullmatch(name)
        )
    )


@pytest.mark.parametrize("what", ["reads", "context"])
def test_every_glob_of_every_parser_is_found_by_a_name_made_after_it(what: str) -> None:
    for parser in registry.all_parsers().values():
        for glob in getattr(parser, what):
            for star in ("", "x", "日志 1"):
                path = "/a" * (not glob.startswith("/")) + "/" * (not glob.startswith("/")) + glob
                path = path.replace("**", "y/z").replace("*", star).replace("?", "0")
                if what == "reads":
                    assert parser.name in [p.name for p in registry.by_path(path)], (glob, path)
                else:
                    assert registry.is_context(path), (glob, path)


def test_quick_and_slow_answers_are_the_same_on_names_of_all_kinds() -> None:
    pick = random.Random(11)
    globs = [g for p in registry.all_parsers().values() for g in p.reads]
    pieces = [part for g in globs for part in g.replace("**", "*").replace("/", "*").split("*") if part]
    folders = ["", "/var/log", "/usr/share/x", "/Windows/System32/winevt/Logs", "/home/li", "/etc/cron.d"]
    found = 0
    for _ in range(4_000):
        name = "".join(pick.choice(pieces) for _ in range(pick.randint(1, 3))).replace("/", "")
        if pick.random() < 0.3:
            name = name.swapcase()
        path = f"{pick.choice(folders)}/{name}"
        slow = _slowly(path)
        assert [p.name for p in registry.by_path(path)] == slow, path
        assert registry.is_read(path) == bool(slow), path
        found += bool(slow)
        assert not slow or registry.hint("reads", path.rpartition("/")[0])(name), path
    assert 200 < found < 3_900
