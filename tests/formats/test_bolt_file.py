# SPDX-License-Identifier: Apache-2.0
"""Bolt files written by containerd itself: every key is read, a torn or cut file says so, and damage never raises."""

from __future__ import annotations

import lzma
import random
import struct
from pathlib import Path

import pytest

from headwater.examine import containerd_facts
from headwater.formats.bolt_file import Bolt, fnv1a, open_bolt

FIXTURES = Path(__file__).parent / "fixtures" / "containerd"


def _data(name: str) -> bytes:
    return lzma.decompress((FIXTURES / f"{name}.db.xz").read_bytes())


def _open(data: bytes) -> Bolt:
    return open_bolt(lambda at, n: data[at : at + n] if n > 0 else b"", len(data))


def _signed(data: bytearray, page: int, **numbers: int) -> bytearray:
    """The file with numbers of a meta page changed and its sum made right again."""
    at = page * 4096 + 16
    for name, value in numbers.items():
        struct.pack_into("<Q", data, at + {"root": 16, "pages": 40, "transaction": 48}[name], value)
    struct.pack_into("<Q", data, at + 56, fnv1a(bytes(data[at : at + 56])))
    return data


def test_every_container_that_the_daemon_lists_is_read_from_branches_and_overflow() -> None:
    bolt = _open(_data("meta"))
    rows = containerd_facts.recorded(bolt)
    pods = [r for r in rows if r.namespace == "k8s.io"]
    assert sorted(r.facts.id for r in pods) == sorted(f"c{n}" for n in range(1, 61))  # as `ctr containers ls -q` had it
    assert {r.facts.zone for r in pods} == {"Asia/Shanghai"}
    job = next(r.facts for r in rows if r.namespace == "default")
    assert (job.name, job.hostname, job.id) == ("job", "job1", "8".zfill(64))
    assert job.volumes == {"/data": "/var/lib/nerdctl/1935db59/volumes/default/data"}  # the host's /etc is the host's
    assert {r.facts.image for r in pods} == {"docker.io/library/shop:1"}
    assert next(r for r in rows if r.key == "c7").facts.name == "pod-7/web"
    assert bolt.faults == []
    assert bolt.transaction > 400
    item = bolt.at(b"v1", b"k8s.io", b"containers", b"c7", b"image")
    assert item is not None
    assert _data("meta")[item.offset : item.offset + item.length] == b"docker.io/library/shop:1"


def test_snapshots_lead_down_to_the_image() -> None:
    found = containerd_facts.snapshots(_open(_data("snap")))
    placed = {(namespace, key): name for namespace, key, name in containerd_facts.placed(found)}
    assert len(placed) == 62
    stopped = "7".zfill(64)  # Docker's: a snapshot and no record
    facts = containerd_facts.nameless("moby", stopped)
    assert facts is not None
    assert facts.engine == "docker"
    assert len(containerd_facts.chain(found, placed[("moby", stopped)], 500)) == 3
    assert containerd_facts.nameless("moby", "extract-123-abc") is None
    round_ = {"a": containerd_facts.Snapshot(1, "b", True), "b": containerd_facts.Snapshot(2, "a", False)}
    assert containerd_facts.chain(round_, "a", 500) == ["1", "2"]


def test_a_torn_meta_page_gives_the_state_before_and_says_so() -> None:
    data = bytearray(_data("meta"))
    newer = max((0, 1), key=lambda page: struct.unpack_from("<Q", data, page * 4096 + 64)[0])
    data[newer * 4096 + 40] ^= 1
    bolt = _open(bytes(data))
    assert bolt.transaction == _open(_data("meta")).transaction - 1
    assert "torn" in bolt.faults[0].reason
    assert len(containerd_facts.recorded(bolt)) >= 59
    data[(1 - newer) * 4096 + 40] ^= 1
    with pytest.raises(ValueError, match="neither"):
        _open(bytes(data))


def test_a_cut_file_gives_what_is_left_and_says_what_is_not() -> None:
    data = _data("meta")
    bolt = _open(data[: 4096 * 120])
    rows = containerd_facts.recorded(bolt)
    assert len(rows) < 60
    assert any("cut" in fault.reason for fault in bolt.faults)
    for size in (0, 1, 79, 80, 4096, 8192, 9000):
        try:
            containerd_facts.recorded(_open(data[:size]))
        except ValueError:
            assert size < 80


def test_a_root_that_leads_to_itself_or_out_of_the_file_ends() -> None:
    for root in (0, 1, 2, 1 << 40, 345):
        bolt = _open(bytes(_signed(_signed(bytearray(_data("meta")), 0, root=root), 1, root=root)))
        containerd_facts.recorded(bolt)
    data = bytearray(_data("meta"))
    for page in range(2, len(data) // 4096):  # every branch leads to itself
        number, flags, count, _ = struct.unpack_from("<QHHI", data, page * 4096)
        for n in range(count if number == page and flags == 1 else 0):
            struct.pack_into("<Q", data, page * 4096 + 16 + 16 * n + 8, page)
    bolt = _open(bytes(data))
    containerd_facts.recorded(bolt)
    assert any("above itself" in fault.reason for fault in bolt.faults)


def test_changed_bytes_never_raise() -> None:
    chance = random.Random(20261122)
    for name in ("meta-two", "snap-two"):
        whole = _data(name)
        written = [n for n in range(len(whole)) if whole[n]]
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(chance.choice((1, 4, 32))):
                data[chance.choice(written)] = chance.randrange(256)
            try:
                bolt = _open(bytes(_signed(_signed(data, 0), 1)))
            except ValueError:
                continue
            containerd_facts.recorded(bolt)
            found = containerd_facts.snapshots(bolt)
            for _, _, full in containerd_facts.placed(found):
                containerd_facts.chain(found, full, 500)
