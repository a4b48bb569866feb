# SPDX-License-Identifier: Apache-2.0
"""Files of a volume that lies on an array, in a group, behind a lock are counted on the medium that holds their bytes.

SOURCE: fixtures/stack.tar.xz (two ext4 on LVM, one behind LUKS, on RAID 5 of three partitions), made by
lab/volumes/make.sh with Debian's programs and kernel in a QEMU guest; Apache-2.0; sha256 in fixtures/SHA256SUMS.
"""

from __future__ import annotations

from pathlib import Path

from volume_fixtures import files

from headwater.examine.coverage import tile, totals
from headwater.examine.opening import Opened, open_evidence
from headwater.formats.keys import Key
from headwater.formats.opened import open_readonly
from headwater.procedure.child import _claims


def stack(tmp_path: Path, *keys: Key) -> Opened:
    path = tmp_path / "disk.raw"
    path.write_bytes(files("stack")["disk"])
    return open_evidence([open_readonly(path)], keys=keys)


def covered(opened: Opened) -> dict[str, int]:
    return totals(tile(opened.source.size, [(int(o), int(n), str(s)) for o, n, s in _claims(opened, [])]))


def test_what_lies_on_an_array_is_no_longer_unknown(tmp_path: Path) -> None:
    closed, opened = (covered(stack(tmp_path, *keys)) for keys in ((), (Key("k", b"correct horse"),)))
    assert closed["no-parser"] > 0
    assert opened["no-parser"] > closed["no-parser"], "what the key opened counts as well"
    assert sum(opened.values()) == len(files("stack")["disk"])


def test_the_ranges_hold_the_bytes_of_the_volume(tmp_path: Path) -> None:
    opened = stack(tmp_path)
    view = next(v for v in opened.views if v.name.endswith("lv.web.root"))
    assert not view.on_medium
    for offset, length, _ in view.tree.coverage():
        there = list(view.spread(opened.source, offset, length))
        assert sum(n for _, n in there) == length
        held = sorted(opened.source.pread(at, n)[i : i + 512] for at, n in there for i in range(0, n, 512))
        data = view.pread(offset, length)
        assert held == sorted(data[i : i + 512] for i in range(0, length, 512))
