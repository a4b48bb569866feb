# SPDX-License-Identifier: Apache-2.0
"""A report that does not say which server was examined could be laid beside any server."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.procedure.systems import MOST, systems

# what the walk of a disk laid out as CentOS 8 leaves it (lab/systems/centos8.sh) found
CENTOS = {
    "p1": {"file_system": "fat32", "view": ""},
    "p2": {"file_system": "xfs", "view": "clean"},
    "p3": {"file_system": "held by p3!lv.cl.root", "view": ""},
    "p3!lv.cl.root": {
        "file_system": "xfs", "hostname": "db02.example.cn", "localtime": "Asia/Shanghai",
        "machine_id": "4f0c3f2b8d5e4c0f9b1a2d3c4e5f6071", "os_release": "CentOS Linux 8", "view": "clean",
    },
}  # fmt: skip


def test_the_register_names_the_system_and_its_volume() -> None:
    fields = list(systems(CENTOS))
    assert [f.value for f in fields] == [
        "p3!lv.cl.root: CentOS Linux 8 · db02.example.cn · 4f0c3f2b8d5e4c0f9b1a2d3c4e5f6071 · Asia/Shanghai"
    ]


def test_one_system_seen_through_two_views_is_not_told_as_two() -> None:
    said = CENTOS["p3!lv.cl.root"]
    assert len(list(systems({"p2": said, "p2!recorded": {**said, "view": "recorded"}}))) == 1


def test_a_volume_that_names_nothing_is_no_system() -> None:
    assert list(systems({"p1": {"file_system": "ext4", "timezone": "UTC"}, "": {}})) == []


def test_a_host_of_very_many_containers_does_not_fill_the_register() -> None:
    fields = list(systems({f"c{n}": {"hostname": f"h{n}"} for n in range(500)}))
    assert len(fields) == MOST + 1
    assert isinstance(fields[-1].value, Text)
    assert "480" in fields[-1].value.en
