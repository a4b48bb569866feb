# SPDX-License-Identifier: Apache-2.0
"""convert: the new image holds the source's bytes, what was not read is listed, and the ledger knows what became what."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from virtual_images import disk, made, opened, qemu, whole

from headwater.model.errors import AcquireError
from headwater.procedure.converting import ConvertOrder, convert
from headwater.vault.ledger import Ledger


def results(verdicts: object) -> dict[str, str]:
    return {v.what: v.result for v in verdicts}  # type: ignore[attr-defined]


def test_qcow2_becomes_an_e01_with_the_same_content(copied: Path, tmp_path: Path) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2", "-c")
    order = ConvertOrder(image, tmp_path / "new", {"format": "e01"}, copied, ("甲",), command=("headwater", "convert"))
    outcome = convert(order)
    assert outcome.imaged.digests["sha256"] == hashlib.sha256(disk()).hexdigest()
    assert results(outcome.verdicts) == {
        "stream-equals-image": "match", "source-read-again": "match", "read-completely": "match",
    }  # fmt: skip
    medium = opened(tmp_path / "new.E01")
    assert whole(medium)[: len(disk())] == disk()
    with Ledger(copied) as ledger:
        ledger.check()
        entry = list(ledger.entries())[-1].entry
    assert entry.action == "convert"
    assert list(entry.materials.values()) == [hashlib.sha256(image.read_bytes()).hexdigest()]
    assert entry.products["new.E01"] == hashlib.sha256((tmp_path / "new.E01").read_bytes()).hexdigest()


def test_what_the_source_cannot_give_is_listed_not_filled_in(tmp_path: Path) -> None:
    """An overlay without its base: exact ranges, zeros, and a verdict that says that it is not complete."""
    (tmp_path / "base.raw").write_bytes(disk())
    top = tmp_path / "top.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", top)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 6 1M 2M", top)
    (tmp_path / "base.raw").unlink()
    with pytest.raises(AcquireError) as caught:
        convert(ConvertOrder(top, tmp_path / "new", {"format": "raw"}))
    assert caught.value.code == "HW2040"
    outcome = convert(ConvertOrder(top, tmp_path / "new", {"format": "raw"}, allow_missing=True))
    expected = bytes(1 << 20) + b"\6" * (2 << 20) + bytes(len(disk()) - (3 << 20))
    assert (tmp_path / "new.dd").read_bytes() == expected
    assert [(at, n) for at, n, _, _ in outcome.imaged.bad] == [(0, 1 << 20), (3 << 20, len(disk()) - (3 << 20))]
    assert results(outcome.verdicts)["read-completely"] == "mismatch"
    assert json.loads((tmp_path / "new.json").read_bytes())["signature"]["algorithm"] == "none"
