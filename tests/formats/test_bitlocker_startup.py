# SPDX-License-Identifier: Apache-2.0
"""A startup key opens its volume in a confined child too; another's changes nothing, and no hostile metadata raises.

The protector is written here by the published format; genuine ones are cryptsetup's (see test_bitlocker.py).
"""

from __future__ import annotations

import os
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from headwater.cli.main import main
from headwater.formats.bitlocker import CLEAR, unlock
from headwater.formats.bitlocker_startup import entries, external_key, is_suspended, with_startup_key
from headwater.formats.keys import Key
from headwater.formats.sources import MemorySource

KEY = bytes(range(32))
AT = 4096


def entry(kind: int, value: int, data: bytes) -> bytes:
    return struct.pack("<HHHH", 8 + len(data), kind, value, 1) + data


def key_file(key: bytes) -> bytes:
    inner = entry(0, 2, "ExternalKey\0".encode("utf-16-le")) + entry(0, 1, struct.pack("<I", 0x2002) + key)
    body = entry(6, 9, bytes(24) + inner)
    return struct.pack("<IIII", 48 + len(body), 1, 48, 48 + len(body)).ljust(48, b"\1") + body


def volume(key: bytes) -> bytearray:
    nonce = bytes(12)
    sealed = AESCCM(key, tag_length=16).encrypt(nonce, bytes(44), None)
    wrapped = entry(0, 5, nonce + sealed[-16:] + sealed[:-16])
    master = bytes(26) + struct.pack("<H", 0x0200) + entry(0, 2, b"D\0\0\0") + entry(0, 4, bytes(84)) + wrapped
    body = entry(7, 2, b"x\0\0\0") + entry(2, 8, master) + entry(3, 5, bytes(72))
    data = bytearray(1 << 16)
    data[:11] = b"\xeb\x58\x90-FVE-FS-"
    struct.pack_into("<3Q", data, 176, AT, 2 * AT, 1 << 60)
    for at in (AT, 2 * AT):
        data[at : at + 8] = b"-FVE-FS-"
        struct.pack_into("<III", data, at + 64, 48 + len(body), 1, 48)
        data[at + 112 : at + 112 + len(body)] = body
    return data


def test_every_copy_of_the_protector_is_seen_clear_and_nothing_else_is_changed() -> None:
    held = volume(KEY)
    seen = with_startup_key(MemorySource(bytes(held)), external_key(key_file(KEY)) or b"")
    assert seen is not None
    now = seen.pread(0, seen.size)
    assert len(now) == len(held)
    for at in (AT, 2 * AT):
        found = list(entries(now[at + 112 : at + 4096]))
        assert [e.kind for e in found[:3]] == [7, 2, 3]
        assert found[1].data[26:28] == b"\0\0"
        inside = list(entries(found[1].data[28:]))
        assert [e.value for e in inside] == [2, 1, 0x15, 5]
        assert inside[1].data == struct.pack("<I", 0x2002) + KEY
    same = sum(a == b for a, b in zip(now, held))
    assert same > len(held) - 2 * 110
    for offset, length in ((AT + 150, 3), (AT + 100, 200), (0, 5), (65_000, 9999)):
        assert seen.pread(offset, length) == now[offset : offset + length]


def test_volume_opened_by_its_own_clear_key_is_not_said_to_be_opened_by_the_one_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = volume(KEY)
    assert not is_suspended(MemorySource(bytes(held)))
    suspended = with_startup_key(MemorySource(bytes(held)), KEY)  # as Windows leaves the protector
    assert suspended is not None
    assert is_suspended(suspended)
    assert not is_suspended(MemorySource(b"-FVE-FS-"))
    monkeypatch.setitem(sys.modules, "pybde", _Open)
    given = Key("vault key 7", b"wrong")
    found = unlock(suspended, [given])
    assert (found.label, found.slot) == ("", CLEAR)
    assert unlock(MemorySource(bytes(held)), [given]).label == "vault key 7"


class _Open:
    """A libbde to which every key fits."""

    class volume:
        set_password = open_file_object = lambda self, given: None

        def __getattr__(self, name: str) -> Callable[[], object]:
            return lambda: {"is_locked": False, "get_encryption_method": 0x8004, "get_size": 512}.get(name)


def test_another_volumes_key_changes_nothing() -> None:
    assert with_startup_key(MemorySource(bytes(volume(KEY))), KEY[::-1]) is None
    assert external_key(b"correct horse") is None
    assert external_key(b"\0" * 200) is None
    assert external_key(key_file(KEY)[:-1]) is None


def test_hostile_metadata_and_key_files_never_raise() -> None:
    chance = random.Random(5)
    whole, file = bytes(volume(KEY)), key_file(KEY)
    for _ in range(300):
        held, key = bytearray(whole[: chance.choice((100, 600, AT + 130, len(whole)))]), bytearray(file)
        for _ in range(6):
            held[chance.choice((chance.randrange(len(held)), min(len(held) - 1, AT + chance.randrange(400))))] ^= 0xFF
            key[chance.randrange(len(key))] ^= chance.randrange(256)
        with_startup_key(MemorySource(bytes(held)), KEY)
        external_key(bytes(key))


def test_startup_key_opens_a_genuine_volume_in_a_confined_child(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("HEADWATER_BITLOCKER_IMAGES", "/nowhere"))
    image = folder / "bitlk-aes-xts-128-startup-key-win11.img"
    if not image.exists():
        pytest.skip("cryptsetup's BitLocker volumes are not here: lab/volumes/bitlocker.sh, HEADWATER_BITLOCKER_IMAGES")
    right, wrong = (
        folder / "AA80A52B-9B66-47AE-B097-33F536FFBB07.BEK",
        folder / "4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK",
    )
    assert main(["open", str(image), "ls", "bitlocker!/", "--key-file", str(right)]) == 0
    assert "/$MFT" in capsys.readouterr().out
    assert main(["open", str(image), "ls", "bitlocker!/", "--key-file", str(wrong)]) != 0
