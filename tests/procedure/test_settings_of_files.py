# SPDX-License-Identifier: Apache-2.0
"""Owners and access lists stand in the report with the files that bear them; one volume's numbers are not another's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl

from headwater.procedure import settings_tables


def _store(feeds: tuple[str, ...] = ("windows.mft", "windows.sds")) -> Any:
    rows = [
        ("p2!/$MFT", 1, "/Shares/a.docx", 300),
        ("p2!/$MFT", 1, "/Shares/b.docx", 300),
        ("p2!/$MFT", 1, "/Shares/b.docx", 300),  # a row for each of its times
        ("p3!/$MFT", 1, "/other", 300),
        ("p2!/$MFT", 1, None, 300),
    ]
    files = pl.DataFrame(rows, schema=["path", "source", "file_path", "security_id"], orient="row")
    return SimpleNamespace(feeds=lambda: feeds, columns=lambda feed: ("security_id",), scan=lambda **_: files.lazy())


def _held() -> pl.DataFrame:
    rows = [
        (1, "p2!/$Secure:$SDS", 300, "S-1-5-32-544", "D:(A;OICI;0x1f01ff;;;S-1-1-0)"),
        (1, "p2!/$Secure:$SDS", 301, "S-1-5-18", "D:(A;;0x120089;;;S-1-1-0)"),
    ]
    return pl.DataFrame(rows, schema=["source", "path", "security_id", "owner", "dacl"], orient="row")


def test_a_descriptor_names_its_files_and_whom_it_lets_write() -> None:
    wide, narrow = settings_tables._bearers(_store(), _held()).to_dicts()
    assert (wide["files"], wide["such_as"], wide["writable_by"]) == (2, "/Shares/a.docx", "S-1-1-0")
    assert (narrow["files"], narrow["such_as"], narrow["writable_by"]) == (None, None, None)


def test_descriptors_of_a_volume_without_its_table_of_files_are_told_alone() -> None:
    found = settings_tables._bearers(_store(("windows.sds",)), _held())
    assert found["files"].to_list() == [None, None]
    assert found["owner"].to_list() == ["S-1-5-32-544", "S-1-5-18"]
