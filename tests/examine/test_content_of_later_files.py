# SPDX-License-Identifier: Apache-2.0
"""What stands in blocks of a later file is not told as the content of a deleted one."""

from __future__ import annotations

from headwater.examine import content
from headwater.formats.sources import MemorySource


def test_blocks_of_a_later_file_are_no_content_of_a_deleted_one() -> None:
    row = content.describe(MemorySource(b"<?php " + b"\0" * 5000), "/w/x.jpg")
    assert content.its_own(row, []) == row
    assert content.its_own(row, [(0, row["length"])]) is None
    assert content.its_own(row, [(0, 1), (1, int(row["length"]) - 1)]) is None
    late = content.its_own(row, [(4096, 100)])
    assert late is not None
    assert (late["hash"], late["md5"], late["entropy"]) == (None, None, None)
    assert late["type"] == row["type"]
    early = content.its_own(row, [(0, 4096)])
    assert early is not None
    assert (early["type"], early["disguised"]) == (None, None)
    assert content.renamed(early, "/w/y.png")["disguised"] is None
    assert content.frame([row, early], ["/a", "/b"])["hash"].to_list() == [row["hash"], None]
