# SPDX-License-Identifier: Apache-2.0
"""BitLocker volumes of Windows open with each kind of key and read as dm-crypt reads them; refusals have a number.

The volumes are those of cryptsetup's own tests (tests/bitlk-images.tar.xz of its source package, GPL: not kept here).
lab/volumes/bitlocker.sh fetches and unpacks them; where HEADWATER_BITLOCKER_IMAGES does not name them, the tests that
need them are skipped by name.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import random
from pathlib import Path

import pytest
from disk_images import source

from headwater.formats.bitlocker import unlock
from headwater.formats.keys import Key
from headwater.formats.sources import MemorySource
from headwater.formats.volumes import volumes
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

NAMES = ("aes-cbc-128", "aes-cbc-elephant-256", "aes-xts-128", "aes-xts-256", "togo-aes-xts-128", "aes-xts-128-4k")


def image(name: str) -> tuple[Path, dict[str, str]]:
    folder = Path(os.environ.get("HEADWATER_BITLOCKER_IMAGES", "/nowhere"))
    path = folder / f"bitlk-{name}.img"
    if not path.exists():
        pytest.skip("cryptsetup's BitLocker volumes are not here: lab/volumes/bitlocker.sh, HEADWATER_BITLOCKER_IMAGES")
    said = configparser.ConfigParser()
    said.read(folder / "images.conf")
    return path, dict(said[path.stem])


@pytest.mark.parametrize("name", NAMES)
def test_volume_of_windows_reads_as_dm_crypt_reads_it(name: str) -> None:
    path, said = image(name)
    opened = unlock(source(path), [Key("wrong", b"donkey"), Key("the owner's", said["pw"].encode() + b"\n")])
    assert (opened.slot, opened.label) == ("password", "the owner's")
    digest = hashlib.sha256()
    for at in range(0, opened.source.size, 1 << 20):
        digest.update(opened.source.pread(at, 1 << 20))
    assert digest.hexdigest() == said["sha256sum"]
    again = unlock(source(path), [Key("paper", said["rp"].encode())])
    assert again.slot == "recovery password"
    whole = opened.source.pread(0, 4 << 20)
    chance = random.Random(2)
    for _ in range(30):
        at, length = chance.randrange(4 << 20), chance.choice((1, 512, 5000))
        assert again.source.pread(at, length)[: len(whole) - at] == whole[at : at + length]


def test_startup_key_opens_its_volume_and_another_does_not() -> None:
    path, said = image("aes-xts-128-startup-key")
    files = sorted(path.parent.glob("*.BEK"))
    right = [f for f in files if f.stem.lower() == said["sk_vmk_guid"]]
    opened = unlock(source(path), [Key(f.name, f.read_bytes()) for f in files])
    assert (opened.slot, opened.label) == ("startup key", right[0].name)
    with pytest.raises(AcquireError) as caught:
        unlock(source(path), [Key(f.name, f.read_bytes()) for f in files if f not in right])
    assert caught.value.code in {"HW2050", "HW2053"}


def test_disk_with_the_volume_lists_its_files_once_opened() -> None:
    path, said = image("aes-xts-128")
    assert [v.type for v in volumes(source(path)).volumes] == []
    table = volumes(source(path), [Key("k", said["pw"].encode())])
    assert [(v.name, v.type, dict(v.facts)["slot"]) for v in table.volumes] == [("bitlocker", "bitlocker", "password")]
    gap = volumes(source(path), [Key("k", b"donkey")]).warnings[0]
    assert gap.reason == GapReason.ENCRYPTED
    assert "HW2050" in gap.detail


def test_volume_that_is_only_a_signature_is_refused_by_number() -> None:
    head = bytearray(1 << 20)
    head[:11] = b"\xeb\x58\x90-FVE-FS-"
    head[510:512] = b"\x55\xaa"
    with pytest.raises(AcquireError) as caught:
        unlock(MemorySource(bytes(head)), [Key("k", b"secret")])
    assert caught.value.code == "HW2053"
    assert "secret" not in str(caught.value)


def test_key_of_no_kind_that_bitlocker_knows_is_refused_by_number() -> None:
    with pytest.raises(AcquireError) as caught:
        unlock(MemorySource(bytes(1 << 20)), [Key("k", b"\xff\xfe\xfd")])
    assert caught.value.code == "HW2050"
