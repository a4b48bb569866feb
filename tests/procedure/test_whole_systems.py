# SPDX-License-Identifier: Apache-2.0
"""Quiet servers laid out as CentOS 8 and Ubuntu 22.04: named rightly, their own files trusted, nothing found above low.

SOURCE: systems/SOURCES.md; lab/systems/ makes them. A real Debian 12 root is made and tried by hand (docs/systems.md).
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from headwater.examine.identity import identify
from headwater.examine.opening import open_evidence
from headwater.formats import rpm_header
from headwater.formats.opened import open_readonly
from headwater.formats.rpm_database import blobs
from headwater.formats.trees import Entry
from headwater.model.kinds import SEVERITY_ORDER, Severity
from headwater.procedure.investigate import investigate
from headwater.procedure.systems import systems
from small_case import order

HERE = Path(__file__).with_name("systems")
SAID = {
    "centos8": "CentOS Linux 8 · db02.example.cn · 4f0c3f2b8d5e4c0f9b1a2d3c4e5f6071 · Asia/Shanghai",
    "ubuntu2204": "Ubuntu 22.04.3 LTS · web03 · 7c1e5b0a9d8f4e3b8a7c6d5e4f302112 · i-0a1b2c3d4e5f60718 · Asia/Shanghai",
}
ROOT = {"centos8": "p3!lv.cl.root", "ubuntu2204": "p1"}


def image(name: str, folder: Path) -> Path:
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        (member,) = archive.getmembers()
        archive.extract(member, folder, filter="data")
    return folder / member.name


@pytest.mark.parametrize("name", sorted(SAID))
def test_the_system_is_found_in_its_volume_and_names_itself(name: str, tmp_path: Path) -> None:
    file = open_readonly(image(name, tmp_path))
    opened = open_evidence([file])
    said: dict[str, dict[str, str]] = {}
    held: dict[str, Entry] = {}
    for view in opened.views:
        if view.name == ROOT[name]:
            entries = list(view.tree.entries())
            said[view.name] = {}
            identify(view.tree, entries, said[view.name])
            held = {e.path: e for e in entries}
            tree = view.tree
    assert [f.value for f in systems(said)] == [f"{ROOT[name]}: {SAID[name]}"]
    if name == "centos8":  # the database is a Berkeley DB, as rpm 4.14 writes it
        found = tree.open(held["/var/lib/rpm/Packages"].key)
        packages = {rpm_header.text(rpm_header.tags(b.data), rpm_header.NAME) for b in blobs(found)}
        assert len(packages) == 19
        assert {"bash", "platform-python", "centos-linux-release"} <= packages
    else:
        assert {"/etc/netplan/50-cloud-init.yaml", "/var/lib/snapd/snaps/core20_1974.snap"} <= held.keys()


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SAID))
def test_a_quiet_server_has_no_finding_above_low_and_its_files_are_trusted(name: str, tmp_path: Path) -> None:
    done = investigate(order(image(name, tmp_path), tmp_path / "case", workers=1))
    found = {f.rule.id: f for f in done.judged.findings}
    assert all(SEVERITY_ORDER[f.severity] <= SEVERITY_ORDER[Severity.LOW] for f in found.values())
    assert not {"package-file-changed", "unowned-program"} & found.keys()
    assert not done.judged.steps
    assert not done.incomplete
