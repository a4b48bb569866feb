# SPDX-License-Identifier: Apache-2.0
"""People with cheap keys, and a case in which they are enrolled, for tests of custody and export."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import pytest

from headwater.cli.main import main

ROLES = {
    "管理员": ["admin"],
    "张三": ["custodian", "examiner"],
    "李四": ["custodian", "examiner", "reviewer"],
    "王五": ["approver"],
    "赵六": ["auditor"],
}
ABSENT = (
    "no_seizure_reason", "storage_place", "clock_offset", "holder", "witness", "recording", "approval_doc",
    "system_state", "start_time", "end_time",
)  # fmt: skip


def cheap(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Keys under ``home`` with an Argon2id that costs nothing; the tests are not about its price."""
    from headwater.vault import keys

    monkeypatch.setattr(keys, "_KIB", 64)
    monkeypatch.setattr(keys.make_personal, "__kwdefaults__", {"memory_kib": 64})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    (home / "pass").write_text("correct horse\n")


def do(home: Path, verb: str, *words: str, who: str = "") -> int:
    """Run a verb as somebody."""
    signing = ["--as", who, "--passphrase-file", str(home / "pass")] if who else []
    return main([verb, *words, *signing])


_MADE: list[Path] = []  # the first home with a case as made; others are copies of it


def staffed(home: Path) -> Path:
    """A case with five people enrolled; returns its folder."""
    if not _MADE:
        kept = Path(tempfile.mkdtemp(prefix="headwater-people-"))
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
        _make(home)
        for name in ("case", "config"):
            shutil.copytree(home / name, kept / name)
        _MADE.append(kept)
        return home / "case"
    for name in ("case", "config"):
        shutil.copytree(_MADE[0] / name, home / name)
    return home / "case"


def _make(home: Path) -> None:
    case = home / "case"
    words = ["case", "new", str(case), "--authority-no", "公网安〔2026〕1号", "--authority-by", "某市公安局",
             "--authority-from", "2020-01-01", "--authority-until", "2099-01-01", "--target", "host=web01",
             "--case-no", "042", "--cause", "非法控制计算机信息系统", "--place", "某机房", "--purpose", "证明入侵经过",
             "--examiner", "张三", "--examiner", "李四"]  # fmt: skip
    assert main(words) == 0
    for name, roles in ROLES.items():
        chosen = [w for r in roles for w in ("--role", r)]
        admin = [] if name == "管理员" else ["--as", "管理员"]
        args = ["case", "people", str(case), "add", name, *chosen, "--organisation", "某局", *admin]
        assert main([*args, "--passphrase-file", str(home / "pass")]) == 0


def photograph(home: Path, name: str = "seal-01.jpg", content: bytes = b"\xff\xd8\xff\xe0 a photograph") -> Path:
    """A file to add. SOURCE: written here."""
    path = home / name
    path.write_bytes(content)
    return path


def added(home: Path, case: Path, path: Path, *more: str, who: str = "张三") -> int:
    """Add a file with every required field given or excused."""
    words = [str(case), str(path), "--category", "photograph", "--source", "某机房 3 号机柜", "--method", "onsite",
             "--custodian", "张三", "--operators", "张三、李四", "--field", "original_or_copy=原件"]  # fmt: skip
    for name in ABSENT:
        words += ["--absent", f"{name}=现场未形成"]
    return do(home, "add", *words, *more, who=who)
