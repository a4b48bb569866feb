# SPDX-License-Identifier: Apache-2.0
"""A reader must not take "no deleted file was found" for "none was deleted" where the storage itself forgets."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from headwater.examine.identity import identify
from headwater.formats.ext import open_ext
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry
from headwater.procedure.deletion_limits import deletion_limits

FIXTURES = Path(__file__).parents[1] / "formats" / "fixtures"


class _Tree:
    """A tree of one small file."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def open(self, key: str) -> MemorySource:
        return MemorySource(self.text)


def _entry(path: str, kind: str, size: int = 0) -> Entry:
    return Entry(path, kind, size, 0o644, 0, 0, 1, True, None, None, None, None, None, None, path)


def _said(text: bytes = b"", path: str = "/etc/fstab", kind: str = "file") -> dict[str, str]:
    said: dict[str, str] = {}
    identify(_Tree(text), [_entry(path, kind, len(text))], said)  # type: ignore[arg-type]
    return said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"UUID=1 / ext4 defaults,discard 0 1\n", {"trim": "discard"}),
        (b"UUID=1 / ext4 defaults 0 1\n# UUID=2 /x ext4 discard 0 1\n", {}),
        (b"UUID=1 /discard ext4 nodiscard 0 1\nshort\n\xff\xfe\n", {}),
    ],
)
def test_mount_option_that_hands_blocks_back_is_read_from_fstab_alone(text: bytes, found: dict[str, str]) -> None:
    assert _said(text) == found


def test_timer_of_fstrim_counts_only_where_it_is_switched_on() -> None:
    wants = "/etc/systemd/system/timers.target.wants/fstrim.timer"
    assert _said(path=wants, kind="link") == {"trim": "fstrim.timer"}
    assert _said(path="/usr/lib/systemd/system/fstrim.timer", kind="file") == {}


def test_journal_that_wrapped_says_how_far_back_it_reaches() -> None:
    # SOURCE: tests/formats/fixtures/generations-ext4.raw.xz, made by the kernel (lab/deleted/generations.sh); Apache-2.0
    tree = open_ext(MemorySource(lzma.decompress((FIXTURES / "generations-ext4.raw.xz").read_bytes())))
    assert tree.deleted is not None
    list(tree.deleted.entries())
    back = tree.deleted.reaches_back
    assert back is not None
    born = min(e.created for e in tree.entries() if e.created)
    assert 0 <= back - born // 10**9 * 10**9 < 86_400 * 10**9
    (sentence,) = deletion_limits(1, {"p1!deleted": {"view": "deleted", "reaches_back": str(back)}})
    assert sentence.text.zh.startswith("检材 1 的卷 p1 的文件系统日志循环覆写")
    assert sentence.cites == ("evidence-1",)


def test_each_limit_is_a_sentence_and_a_volume_without_any_has_none() -> None:
    facts = {"": {"view": "clean"}, "p1": {"trim": "discard", "volume thin": "yes"}, "p2": {"trim": "unknown"}}
    said = [s.text.en for s in deletion_limits(2, facts)]
    assert len(said) == 2
    assert "discard" in said[0]
    assert "thin pool" in said[1]
