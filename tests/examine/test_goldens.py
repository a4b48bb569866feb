# SPDX-License-Identifier: Apache-2.0
"""Every parser whose fixtures name their paths (``paths.json``) says today what was reviewed when its golden was made.

A new parser needs a folder ``tests/golden/<name with underscores>/`` with its fixtures, SOURCES.md, and ``paths.json``:
the path at which each fixture lay on its system. HEADWATER_GOLDEN=write makes the goldens, to be reviewed in the diff.
"""

from __future__ import annotations

import json

import pytest
from tiling import GOLDEN, golden

from headwater.examine import registry

CASES = [
    (folder.parent.name, name, path)
    for folder in sorted(GOLDEN.glob("*/paths.json"))
    for name, path in sorted(json.loads(folder.read_text(encoding="utf-8")).items())
]


@pytest.mark.parametrize(("folder", "name", "path"), CASES, ids=[f"{f}/{n}" for f, n, _ in CASES])
def test_golden(folder: str, name: str, path: str) -> None:
    (parser,) = (p for p in registry.all_parsers().values() if p.name.replace(".", "_") == folder)
    golden(parser, folder, name, path)
    assert any(p.name == parser.name for p in registry.by_path(path)) or parser.recognise is not None


@pytest.mark.parametrize("folder", sorted({f for f, _, _ in CASES}))
def test_a_fixture_has_a_source_and_a_path(folder: str) -> None:
    place = GOLDEN / folder
    stated = (place / "SOURCES.md").read_text(encoding="utf-8")
    paths = json.loads((place / "paths.json").read_text(encoding="utf-8"))
    there = {p.name for p in place.iterdir() if p.name not in {"SOURCES.md", "paths.json"} and ".golden." not in p.name}
    assert there == set(paths)
    assert all(name in stated for name in there)
