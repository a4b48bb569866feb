# SPDX-License-Identifier: Apache-2.0
"""A page that tells people to type what the program refuses, or shows an output that it does not give."""

from __future__ import annotations

import argparse
import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.cli.main import build
from headwater.model.errors import UsageError

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("README*.md"), *(ROOT / "docs" / "tutorial").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")]
)
PAIRED = [p for p in PAGES if not p.name.endswith(".zh.md")]
TUTORIALS = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|\$\(|^\S*/bin/)headwater ([^\n|>)]*)")


def blocks(page: Path) -> list[tuple[str, str]]:
    """(kind, text) of the code blocks, lines that go on joined."""
    return [(kind, re.sub(r"\\\n\s*", " ", text)) for kind, text in _BLOCK.findall(page.read_text())]


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``headwater …`` line of the page's blocks, words that explain it left out."""
    for kind, text in blocks(page):
        for line in text.splitlines() if kind in ("", "sh", "bash") else ():
            for found in _COMMAND.findall(line.strip()):
                said = re.split(r"\s{3,}|\s#", found.split("||")[0])[0]
                yield shlex.split(re.sub(r"\[[^\]]*\]", "", said))


@functools.cache
def _parser() -> argparse.ArgumentParser:
    return build()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_on_a_page_is_one_that_the_program_takes(page: Path) -> None:
    for words in commands(page):
        try:
            _parser().parse_args(words)
        except UsageError as error:
            pytest.fail(f"{page.name}: headwater {shlex.join(words)}: {error}")
        except SystemExit as left:  # --help, --version
            if left.code:
                raise


@pytest.mark.parametrize("page", PAIRED, ids=lambda p: str(p.relative_to(ROOT)))
def test_both_languages_give_the_same_commands(page: Path) -> None:
    twin = page.with_name(page.name.removesuffix(".md") + ".zh.md")
    assert twin.is_file(), f"{page.name} has no Chinese twin"

    def shape(which: Path) -> list[tuple[str, list[str]]]:
        return [
            (words[0], [w.split("=")[0] for w in words if w.startswith("--")]) for words in commands(which) if words
        ]

    assert shape(page) == shape(twin)


@pytest.mark.parametrize("index", ["index.md", "index.zh.md"])
def test_no_page_is_to_be_found_by_its_file_name_alone(index: str) -> None:
    folder = ROOT / "docs" / "how-to"
    chinese = index.endswith(".zh.md")
    there = {p.name for p in folder.glob("*.md") if p.name.endswith(".zh.md") == chinese and p.name != index}
    linked = set(re.findall(r"\]\(([a-z0-9-]+(?:\.zh)?\.md)\)", (folder / index).read_text()))
    twin = {"index.md", "index.zh.md"}
    assert linked - twin == there


def test_the_reader_finds_something() -> None:
    assert sum(len(list(commands(page))) for page in TUTORIALS) >= 12


def _packed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.long
@pytest.mark.skipif("HEADWATER_LONG" not in os.environ, reason="half a minute for each language: make test-long")
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda p: p.name)
def test_tutorial_runs_as_it_is_written(page: Path, tmp_path: Path) -> None:
    (tmp_path / "sample").symlink_to(ROOT / "sample")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = ""
    for kind, text in blocks(page):
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            said = _packed(done.stdout)
        elif kind == "text":
            for line in text.splitlines():
                for part in filter(None, (_packed(p).strip() for p in line.split("…"))):
                    assert part in said, line
