# SPDX-License-Identifier: Apache-2.0
"""Runs the collector's script as a server would, for tests: an interpreter of its own, pipes, nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.acquire import collector
from headwater.formats.collection import CollectionTree
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry

MARKER = "0123456789abcdef"


def interpreters() -> list[str]:
    """This Python, and the oldest others that are at hand: a server's is older than ours."""
    found = [sys.executable]
    for name in ("python3.6", "python3.7", "python3.8"):
        paths = sorted(Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/python3"))
        path = shutil.which(name) or (str(paths[0]) if paths else None)
        # a shim of a version manager has the name and is no interpreter
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            found.append(path)
    return found


def stream_of(
    artifacts: Sequence[Mapping[str, Any]],
    python: str = sys.executable,
    *,
    most: int = 1 << 62,
    file_most: int = 1 << 62,
) -> bytes:
    """The stream of one run on this machine."""
    order = collector.order_of(MARKER, artifacts, tool="headwater test", facts={}, most=most, file_most=file_most)
    given = collector.said(collector.script()) + collector.said(order)
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", collector.BOOT], input=given, capture_output=True, timeout=100
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stdout.startswith(b"R\n")
    return done.stdout[2:]


def tree_of(stream: bytes) -> CollectionTree:
    """The tree of a stream."""
    return CollectionTree(MemorySource(stream))


def listed(tree: CollectionTree) -> dict[str, Entry]:
    """Its entries by path."""
    return {e.path: e for e in tree.entries()}


def content(tree: CollectionTree, entry: Entry) -> bytes:
    """The bytes of an entry."""
    source = tree.open(entry.key)
    return source.pread(0, source.size)
