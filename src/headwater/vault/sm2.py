# SPDX-License-Identifier: Apache-2.0
"""SM2 signatures checked in plain Python (GB/T 32918.2 and .5), with the digest SM3 (GB/T 32905).

Signing needs the private key and constant time, and is left to OpenSSL (:mod:`headwater.vault.sm2_openssl`). Checking
needs neither: whoever is given a case can check it without OpenSSL's SM2. A public key is an uncompressed point, 65 bytes
beginning with 04; a signature is the DER sequence (r, s) that OpenSSL writes. The signer's identity is the standard's default.
"""

from __future__ import annotations

import struct

_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A = _P - 3
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
IDENTITY = b"1234567812345678"
_MASK = 0xFFFFFFFF
_START = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)

Point = tuple[int, int, int]  # Jacobian; z = 0 is the point at infinity


def _turned(value: int, by: int) -> int:
    by &= 31
    return (value << by | value >> 32 - by) & _MASK


def sm3(data: bytes) -> bytes:
    """The SM3 digest of a short text, 32 bytes."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack(">Q", len(data) * 8)
    state: tuple[int, ...] = _START
    for at in range(0, len(padded), 64):
        state = _compressed(state, padded[at : at + 64])
    return struct.pack(">8I", *state)


def _compressed(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    words = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = words[j - 16] ^ words[j - 9] ^ _turned(words[j - 3], 15)
        words.append(x ^ _turned(x, 15) ^ _turned(x, 23) ^ _turned(words[j - 13], 7) ^ words[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        constant = 0x79CC4519 if j < 16 else 0x7A879D8A
        one = _turned((_turned(a, 12) + e + _turned(constant, j)) & _MASK, 7)
        two = one ^ _turned(a, 12)
        ff = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
        gg = e ^ f ^ g if j < 16 else (e & f) | (~e & g)
        left = (ff + d + two + (words[j] ^ words[j + 4])) & _MASK
        right = (gg + h + one + words[j]) & _MASK
        a, b, c, d = left, a, _turned(b, 9), c
        e, f, g, h = right ^ _turned(right, 9) ^ _turned(right, 17), e, _turned(f, 19), g
    return tuple(x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h)))


def _doubled(point: Point) -> Point:
    x, y, z = point
    if not z or not y:
        return 1, 1, 0
    square = y * y % _P
    four = 4 * x * square % _P
    slope = 3 * (x - z * z) * (x + z * z) % _P  # a = -3
    x3 = (slope * slope - 2 * four) % _P
    return x3, (slope * (four - x3) - 8 * square * square) % _P, 2 * y * z % _P


def _added(one: Point, two: Point) -> Point:
    if not one[2]:
        return two
    if not two[2]:
        return one
    x1, y1, z1 = one
    x2, y2, z2 = two
    zz1, zz2 = z1 * z1 % _P, z2 * z2 % _P
    u1, u2, s1, s2 = x1 * zz2 % _P, x2 * zz1 % _P, y1 * z2 * zz2 % _P, y2 * z1 * zz1 % _P
    if u1 == u2:
        return _doubled(one) if s1 == s2 else (1, 1, 0)
    step, rise = (u2 - u1) % _P, (s2 - s1) % _P
    square = step * step % _P
    cube, base = square * step % _P, u1 * square % _P
    x3 = (rise * rise - cube - 2 * base) % _P
    return x3, (rise * (base - x3) - s1 * cube) % _P, z1 * z2 * step % _P


def _sum(s: int, t: int, key: tuple[int, int]) -> int | None:
    """The x of s·G + t·P; None at infinity."""
    generator, public = (*_G, 1), (*key, 1)
    both = _added(generator, public)
    found: Point = (1, 1, 0)
    for bit in range(255, -1, -1):
        found = _doubled(found)
        which = (s >> bit & 1) | (t >> bit & 1) << 1
        if which:
            found = _added(found, (generator, public, both)[which - 1])
    if not found[2]:
        return None
    return found[0] * pow(found[2], -2, _P) % _P


def _integers(der: bytes) -> tuple[int, int] | None:
    """(r, s) of a DER sequence of two positive integers in their one form; None for anything else."""
    if len(der) < 8 or der[0] != 0x30 or der[1] != len(der) - 2 or der[1] > 0x7F:
        return None
    found, at = [], 2
    for _ in range(2):
        if at + 2 > len(der) or der[at] != 2:
            return None
        length = der[at + 1]
        body = der[at + 2 : at + 2 + length]
        loose = len(body) > 1 and body[0] == 0 and not body[1] & 0x80
        if not body or len(body) != length or body[0] & 0x80 or loose:
            return None
        found.append(int.from_bytes(body, "big"))
        at += 2 + length
    return (found[0], found[1]) if at == len(der) else None


def verifies(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether an SM2 signature with SM3 is by this key; a point that is none verifies nothing."""
    both = _integers(signature)
    if len(public) != 65 or public[0] != 4 or both is None:
        return False
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if x >= _P or y >= _P or (y * y - x * x * x - _A * x - _B) % _P:
        return False
    r, s = both
    total = (r + s) % _N
    if not (0 < r < _N and 0 < s < _N and total):
        return False
    known = (_A, _B, *_G, x, y)
    who = struct.pack(">H", len(IDENTITY) * 8) + IDENTITY + b"".join(v.to_bytes(32, "big") for v in known)
    said = int.from_bytes(sm3(sm3(who) + data), "big")
    there = _sum(s, total, (x, y))
    return there is not None and (said + there) % _N == r
