# SPDX-License-Identifier: Apache-2.0
"""Sector ciphers of dm-crypt over whole stretches of sectors: AES, SM4 and Camellia in XTS, CBC and ECB.

Modes and initial vectors: the kernel's Documentation/admin-guide/device-mapper/dm-crypt.rst; XTS: IEEE 1619. The block
cipher runs once over a stretch as ECB, and what the modes add is done by column, because a context for each sector of
512 bytes would cost more than its decryption. Serpent, Twofish and the initial vectors of loop-AES are not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_SECTOR = 512
_BLOCK = 16
_CIPHERS = ("aes", "sm4", "camellia")
_VECTORS = ("plain", "plain64", "plain64be", "null", "essiv")
Decrypt = Callable[[bytes, int], bytes]


class UnknownCipher(ValueError):
    """A cipher, mode or initial vector that is not read here."""


def sector_cipher(name: str, key: bytes, unit: int) -> Decrypt:
    """Decrypts (bytes, number of the first 512-byte sector) of whole units of ``unit`` bytes.

    ``name``: as in a LUKS header, ``aes-xts-plain64`` or ``aes-cbc-essiv:sha256``. Initial vectors count sectors of 512
    bytes whatever the unit, as dm-crypt does.

    Raises:
        UnknownCipher: see there; also for a key of a length that the cipher does not have.
    """
    cipher, mode, vector, digest = _words(name)
    half = len(key) // 2 if mode == "xts" else len(key)
    blocks = _blocks(cipher, key[:half])
    if mode == "ecb":
        return lambda data, first: blocks(data, False)
    if mode == "xts":
        second = _blocks(cipher, key[half:])
        return lambda data, first: _xts(data, _vectors(vector, first, len(data) // unit, unit), unit, blocks, second)
    salt = _blocks(cipher, hashlib.new(digest, key).digest()) if vector == "essiv" else None

    def cbc(data: bytes, first: int) -> bytes:
        vectors = _vectors(vector, first, len(data) // unit, unit)
        return _cbc(data, salt(vectors.tobytes(), True) if salt else vectors.tobytes(), unit, blocks)

    return cbc


def _words(name: str) -> tuple[str, str, str, str]:
    parts = name.lower().split("-", 2)
    cipher, mode, vector = (*parts, "", "")[:3]
    vector, _, digest = vector.partition(":")
    if cipher not in _CIPHERS:
        raise UnknownCipher(f"the cipher {name} is not read")
    if mode == "ecb" or (mode in ("xts", "cbc") and vector in _VECTORS):
        if vector == "essiv" and (digest not in hashlib.algorithms_available or mode == "xts"):
            raise UnknownCipher(f"the initial vector of {name} is not read")
        return cipher, mode, vector, digest
    raise UnknownCipher(f"the mode of {name} is not read")


def _blocks(cipher: str, key: bytes) -> Callable[[bytes, bool], bytes]:
    """The block cipher over many blocks at once; True encrypts, False decrypts."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
    from cryptography.hazmat.primitives.ciphers.modes import ECB

    kinds: dict[str, Callable[[bytes], AES | SM4 | Camellia]] = {"aes": AES, "sm4": SM4, "camellia": Camellia}
    try:
        made = Cipher(kinds[cipher](key), ECB())  # noqa: S305  the modes are done by column, and this only decrypts
    except ValueError as error:
        raise UnknownCipher(f"{cipher} with a key of {len(key) * 8} bits") from error

    def run(data: bytes, encrypt: bool) -> bytes:
        context = made.encryptor() if encrypt else made.decryptor()
        return context.update(data) + context.finalize()

    return run


def _vectors(kind: str, first: int, count: int, unit: int) -> NDArray[np.uint64]:
    """One initial vector of 16 bytes, as two words, for each unit."""
    numbers = np.arange(count, dtype=np.uint64) * np.uint64(unit // _SECTOR) + np.uint64(first)
    found = np.zeros((count, 2), np.dtype("<u8"))
    if kind == "plain":
        found[:, 0] = numbers & np.uint64(0xFFFFFFFF)
    elif kind == "plain64be":
        found[:, 1] = numbers.byteswap()
    elif kind != "null":
        found[:, 0] = numbers
    return found


def _xts(
    data: bytes,
    vectors: NDArray[np.uint64],
    unit: int,
    blocks: Callable[[bytes, bool], bytes],
    second: Callable[[bytes, bool], bytes],
) -> bytes:
    per = unit // _BLOCK
    tweak = np.frombuffer(second(vectors.tobytes(), True), "<u8").reshape(-1, 2).copy()
    tweaks = np.empty((len(tweak), per, 2), "<u8")
    one, top, polynomial = np.uint64(1), np.uint64(63), np.uint64(0x87)
    low, high = tweak[:, 0].copy(), tweak[:, 1].copy()
    for index in range(per):  # each block's tweak is the one before, times x
        tweaks[:, index, 0], tweaks[:, index, 1] = low, high
        carry, over = low >> top, high >> top
        low, high = (low << one) ^ (over * polynomial), (high << one) | carry
    mask = tweaks.reshape(-1, 2)
    inner = np.frombuffer(data, "<u8").reshape(-1, 2) ^ mask
    plain = np.frombuffer(blocks(inner.tobytes(), False), "<u8").reshape(-1, 2) ^ mask
    return plain.tobytes()


def _cbc(data: bytes, vectors: bytes, unit: int, blocks: Callable[[bytes, bool], bytes]) -> bytes:
    cipher = np.frombuffer(data, "<u8").reshape(-1, unit // _BLOCK, 2)
    before = np.empty_like(cipher)
    before[:, 1:] = cipher[:, :-1]
    before[:, 0] = np.frombuffer(vectors, "<u8").reshape(-1, 2)
    plain = np.frombuffer(blocks(data, False), "<u8").reshape(cipher.shape) ^ before
    return plain.tobytes()
