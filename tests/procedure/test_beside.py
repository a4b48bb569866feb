# SPDX-License-Identifier: Apache-2.0
"""A log is parsed with its hive at hand, on the first reading and on the second; without it, it says so."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import hive_samples as samples
from hive_writing import changed, dirty, new_log

from headwater.formats.folders import FolderTree, open_root
from headwater.procedure import child, child_again
from headwater.procedure.companions import Companions
from headwater.procedure.folder_members import opened_targets

OLD, NEW = samples.system(False), samples.system(True)
FOLDER = "Windows/System32/config"


@pytest.fixture
def collected(tmp_path: Path) -> tuple[Any, list[dict[str, Any]]]:
    """A collected folder with a dirty hive and its log, and its candidates."""
    (tmp_path / FOLDER).mkdir(parents=True)
    files = {"SYSTEM": dirty(OLD, 7), "SYSTEM.LOG1": new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))])}
    for name, data in files.items():
        (tmp_path / FOLDER / name).write_bytes(data)
    root = open_root(tmp_path)
    tree = FolderTree(root)
    candidates = [
        {"view": "", "key": e.key, "path": e.path, "size": e.size, "mtime": e.modified, "sniff": True}
        for e in tree.entries()
        if e.kind == "file"
    ]
    tree.close()
    os.close(root)
    companions = Companions(candidates)
    return SimpleNamespace(kind="folder", source_path=str(tmp_path)), [c | companions.of(c) for c in candidates]


def _run(call: Any, item: Any, targets: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr("headwater.procedure.folder_members.source_of", lambda item: Path(item.source_path))
    with opened_targets(item, targets, ()) as (fds, ready, own):
        args = {"files": [], "number": 1, "own_fds": own, "targets": ready, "years": {}, "context": {}}
        return list(call(args, fds))


def test_a_log_brings_its_changes_and_they_are_derived_again(
    collected: tuple[Any, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    item, targets = collected
    parts = [(h, blob) for h, blob in _run(child.parse, item, targets, monkeypatch) if h.get("family") == "events"]
    (services,) = [pl.read_parquet(io.BytesIO(blob)) for h, blob in parts if h["feed"] == "windows.service"]
    row = services.filter(pl.col("unit") == "WinUpdateSvc").to_dicts()[0]
    assert row["path"].endswith("SYSTEM.LOG1")
    log = next(t for t in targets if t["path"].endswith("LOG1"))
    wanted = [log | {"wanted": [[row["offset"], row["ordinal"]]]}]
    again = [r for h, _ in _run(child_again.rederive, item, wanted, monkeypatch) for r in h.get("rows", ())]
    assert [(r["unit"], r["command_line"]) for r in again] == [("WinUpdateSvc", row["command_line"])]


def test_a_log_whose_hive_was_taken_away_says_so(
    collected: tuple[Any, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    item, targets = collected
    (Path(item.source_path) / FOLDER / "SYSTEM").unlink()
    log = [t for t in targets if t["path"].endswith("LOG1")]
    parts = [(h, blob) for h, blob in _run(child.parse, item, log, monkeypatch) if h.get("family") == "events"]
    assert {h["feed"] for h, _ in parts} == {"windows.registry_log"}
    (frame,) = [pl.read_parquet(io.BytesIO(blob)) for _, blob in parts]
    assert frame["applied"].to_list() == ["no hive beside it"]
