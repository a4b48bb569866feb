# SPDX-License-Identifier: Apache-2.0
"""A kept form that is taken for what it is not would run other rules than the person named."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater.detect import sigma_kept
from headwater.detect.sigma_rules import Pack, compile_rules, packed
from headwater.detect.sigma_tree import Values

_RULE = "title: T{0}\nlogsource: {{product: linux}}\ndetection: {{k: [w{0}], condition: k}}\n"


class _Maker:
    """Counts how often rules are compiled."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, sources: Sequence[tuple[str, bytes]], values: Values) -> Pack:
        self.times += 1
        return compile_rules(sources, values)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sigma_kept, "FEW", 2)
    return tmp_path / "cache" / "headwater" / "sigma"


def _sources(count: int = 3) -> list[tuple[str, bytes]]:
    return [(f"{n}.yml", _RULE.format(n).encode()) for n in range(count)]


def test_the_same_files_are_compiled_once(place: Path) -> None:
    make = _Maker()
    first, again = sigma_kept.kept(_sources(), {}, make), sigma_kept.kept(_sources(), {}, make)
    assert make.times == 1
    assert first == again
    assert len(first.rules) == 3
    (kept,) = place.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o700


def test_another_rule_value_or_compiler_is_another_form(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = _Maker()
    sigma_kept.kept(_sources(), {}, make)
    changed = [*_sources()[:-1], ("2.yml", _sources()[2][1] + b"# ")]
    sigma_kept.kept(changed, {}, make)
    sigma_kept.kept([*_sources()[:-1], ("3.yml", _sources()[2][1])], {}, make)
    sigma_kept.kept(_sources(), {"names": ["a"]}, make)
    monkeypatch.setattr(sigma_kept, "_engine", lambda: "another")
    sigma_kept.kept(_sources(), {}, make)
    assert make.times == 5


def _other(path: Path) -> bytes:
    body = packed(Pack())
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return body


@pytest.mark.parametrize("harm", ["cut", "changed", "writable", "link", "empty", "json", "folder"])
def test_a_kept_form_that_is_not_as_written_is_compiled_anew(place: Path, harm: str, tmp_path: Path) -> None:
    make = _Maker()
    first = sigma_kept.kept(_sources(), {}, make)
    (path,) = place.iterdir()
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[:-9])
    elif harm == "changed":
        path.write_bytes(data.replace(b"w1", b"w2"))
    elif harm == "writable":
        _other(path)
        path.chmod(0o666)
    elif harm == "link":
        path.unlink()
        _other(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").chmod(0o600)
        path.symlink_to(tmp_path / "elsewhere")
    elif harm == "json":
        path.write_bytes(hashlib.sha256(b"[]").hexdigest().encode() + b"\n[]")
    elif harm == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"")
    assert sigma_kept.kept(_sources(), {}, make) == first
    assert make.times == 2


def test_without_a_folder_to_write_in_the_rules_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(sigma_kept, "FEW", 2)
    assert len(sigma_kept.kept(_sources(), {}, _Maker()).rules) == 3


def test_the_folder_does_not_fill_up_and_few_rules_are_not_kept(place: Path) -> None:
    for count in range(2, 14):
        sigma_kept.kept(_sources(count), {}, _Maker())
    assert len(list(place.iterdir())) == sigma_kept.MOST_KEPT
    before = set(place.iterdir())
    sigma_kept.kept(_sources(1), {}, _Maker())
    assert set(place.iterdir()) == before
