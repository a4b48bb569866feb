# SPDX-License-Identifier: Apache-2.0
"""Evidence of partitions, an array, a group and a cipher: every citation leads to the bytes that it names.

SOURCE: tests/formats/fixtures/stack.tar.xz, made by lab/volumes/make.sh; Apache-2.0.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from volume_fixtures import files

from headwater.examine.macb import macb_batches, verify_inode
from headwater.examine.opening import Opened, View, open_evidence
from headwater.formats.keys import Key
from headwater.formats.opened import open_readonly
from headwater.model.paths import encode_name
from headwater.procedure.child_again import fetch
from headwater.procedure.child_targets import Targets

GROUP = "p1!md.lab:data!lv.web"
KEY = Key("case key", b"correct horse")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stack") / "disk.raw"
    path.write_bytes(files("stack")["disk"])
    return path


def view(opened: Opened, name: str) -> View:
    return next(v for v in opened.views if v.name == name)


def test_members_and_groups_give_no_gaps_of_their_own(disk: Path) -> None:
    opened = open_evidence([open_readonly(disk)])
    assert [v.name for v in opened.views if v.tree.kind.startswith("ext")] == [f"{GROUP}.root"]
    assert opened.unopened == ()
    assert opened.warnings == ()
    locked = view(opened, f"{GROUP}.secret")
    assert [gap.reason.value for gap in locked.tree.warnings] == ["encrypted"]


def test_key_opens_what_is_encrypted_and_is_named_by_its_label_alone(disk: Path) -> None:
    opened = open_evidence([open_readonly(disk)], keys=[KEY])
    secret = view(opened, f"{GROUP}.secret!luks")
    assert "/secret.txt" in {e.path for e in secret.tree.entries()}
    assert dict(secret.facts)["key"] == "case key"
    assert "horse" not in repr(opened.views)


@pytest.mark.parametrize("name", [f"{GROUP}.root", f"{GROUP}.secret!luks"])
def test_times_can_be_derived_from_the_cited_bytes_of_the_volume(disk: Path, name: str) -> None:
    held = view(open_evidence([open_readonly(disk)], keys=[KEY]), name)
    rows = [row for frame, _ in macb_batches(held.tree) for row in frame.iter_rows(named=True)]
    assert len(rows) > 8
    for row in rows:
        assert verify_inode("ext4", held.pread(row["offset"], row["length"]))[row["t_kind"]] == row["t_recorded"]


def test_child_gives_the_bytes_of_the_volume_and_the_places_of_a_file(disk: Path) -> None:
    file = open_readonly(disk)
    name = f"{GROUP}.root"
    held = view(open_evidence([file]), name)
    entry = next(e for e in held.tree.entries() if e.path == "/var/log/app.log")
    args = {"files": [[encode_name(os.fsencode(file.name)), file.size]], "own_fds": False}
    target = {"view": name, "path": name, "offset": 1024, "length": 1024}
    messages = list(fetch(args | {"targets": [target]}, [file.fd]))
    assert messages[0][1] == held.pread(1024, 1024)
    assert messages[0][1][56:58] == b"\x53\xef"
    content, places = Targets(args, [file.fd]).open({"view": name, "key": entry.key})
    raw = files("stack")["disk"]
    assert b"".join(raw[at : at + n] for at, n in places) == content.pread(0, content.size)
    assert places
