# SPDX-License-Identifier: Apache-2.0
"""Seals of systemd journals (Forward Secure Sealing), checked with a verification key; without one, whether they agree.

A sealed journal ends each stretch in a TAG: an HMAC-SHA256 over all that may not change since the tag before, under a
key that journald forgets as soon as the next epoch begins. The verification key is a seed from which the key of any
epoch can be made: the key of epoch n is a hash of x^(2^n) mod pq, and who knows p and q can leap there. So a record that
was changed after its epoch, even by who has taken over the whole machine, is found. What stands behind the last tag is
not sealed.

Sources: G. A. Marson, B. Poettering, Practical Secure Logging: Seekable Sequential Key Generators (ESORICS 2013);
https://systemd.io/JOURNAL_FILE_FORMAT/ and journalctl(1) for the key's form; which fields the HMAC runs over as in
systemd's journal-authenticate.c.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from headwater.formats.journal_layout import DATA, ENTRY, ENTRY_ARRAY, TAG, Header, plausible
from headwater.formats.patterns import lazy_regex

SEALED, SEALED_CONTINUOUS = 1, 4  # compatible features of the header
_FIELD = 2
_BITS = 1536  # of pq
_PIECE = 1 << 18
_OBJECTS_MOST = 50_000_000
_EPOCH_SECONDS_MOST = 1 << 62
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
_SMALL = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
_KEY = lazy_regex(r"([0-9a-fA-F]{2}(?:-?[0-9a-fA-F]{2}){11})/([0-9a-fA-F]{1,16})-([0-9a-fA-F]{1,16})")


class SealKey(NamedTuple):
    """A verification key: ``seed`` (12 bytes), the first epoch's beginning and the length of each (microseconds)."""

    seed: bytes
    start: int
    interval: int


@dataclass(slots=True)
class Seals:
    """What the seals of one journal say. Times in microseconds since 1970, by the host's clock.

    ``fault``: the first contradiction, at ``fault_at``. ``until``: the end of the epoch of the last tag that holds;
    ``broken_until``: of the last one that does not. ``unsealed``: entries behind the last tag. ``checked``: with a key;
    else only that the tags agree.
    """

    sealed: bool = False
    checked: bool = False
    tags: int = 0
    good: int = 0
    entries: int = 0
    unsealed: int = 0
    late: int = 0  # tags that stand behind an entry later than their epoch: journald sealed it late
    first: int | None = None
    until: int | None = None
    broken_until: int | None = None
    fault: str = ""
    fault_at: int = 0
    miscounted: dict[str, tuple[int, int]] = field(default_factory=dict)  # header's word, and what there is


def seal_keys(text: str) -> list[SealKey]:
    """All verification keys in a text, as ``journalctl --setup-keys`` prints them; other text is passed over."""
    found = []
    for match in _KEY.finditer(text):
        seed = bytes.fromhex(match[1].replace("-", ""))
        start, interval = int(match[2], 16), int(match[3], 16)
        if interval and start * interval < _EPOCH_SECONDS_MOST:
            found.append(SealKey(seed, start * interval, interval))
    return found


def _stream(seed: bytes, index: int, length: int) -> bytes:
    """Bytes that follow from a seed and an index alone."""
    head = hashlib.sha256(seed + index.to_bytes(4, "big"))
    parts = []
    for counter in range(-(-length // 32)):
        piece = head.copy()
        piece.update(counter.to_bytes(4, "big"))
        parts.append(piece.digest())
    return b"".join(parts)[:length]


def _is_prime(number: int) -> bool:
    if any(number % small == 0 for small in _SMALL):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _WITNESSES:
        value = pow(witness, odd, number)
        if value in (1, number - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True


def _prime(seed: bytes, index: int) -> int:
    """The prime, 3 modulo 4, that follows from a seed."""
    raw = bytearray(_stream(seed, index, _BITS // 16))
    raw[0] |= 0xC0
    raw[-1] |= 0x03
    number = int.from_bytes(raw, "big")
    while not _is_prime(number):
        number += 4
    return number


@cache
def _secrets(seed: bytes) -> tuple[int, int, int]:
    """(p, q, the square of epoch 0) of a seed."""
    p, q = _prime(seed, 1), _prime(seed, 2)
    raw = bytearray(_stream(seed, 3, _BITS // 8))
    raw[0] &= 0x7F
    return p, q, pow(int.from_bytes(raw, "big"), 2, p * q)


def epoch_key(seed: bytes, epoch: int) -> bytes:
    """The HMAC key of an epoch, by leaping to it."""
    p, q, square = _secrets(seed)
    at_p = pow(square % p, pow(2, epoch, p - 1), p)
    at_q = pow(square % q, pow(2, epoch, q - 1), q)
    value = at_p + p * ((at_q - at_p) * pow(p, -1, q) % q)
    size = _BITS // 8
    state = (p * q).to_bytes(size, "big") + value.to_bytes(size, "big") + (epoch & (1 << 64) - 1).to_bytes(8, "big")
    return _stream(state, 0, 32)


class _Check:
    """One walk over a journal's objects, in the order in which they stand."""

    def __init__(self, pread: Callable[[int, int], bytes], size: int, header: Header, key: SealKey | None) -> None:
        self._pread, self._size, self._header, self._key = pread, size, header, key
        self.found = Seals(sealed=bool(header.compatible & SEALED), checked=key is not None)
        self._pending: list[tuple[int, int, int]] = []  # objects since the last tag
        self._epoch = -1
        self._newest = 0
        self._stopped = self._torn = False
        self.counts: dict[int, int] = {}

    def objects(self) -> Iterator[tuple[int, int, int]]:
        """(place, type, size) up to the object that the header names as the last; a break ends the walk with a fault."""
        at, last = self._header.header_size + 7 & ~7, self._header.tail_object_offset
        for _ in range(_OBJECTS_MOST):
            if at > last or at + 16 > self._size:
                return
            found = plausible(self._pread(at, 16).ljust(16, b"\0"), 0, self._size - at, self._header.compact)
            if found is None:
                self._torn = True
                self.fail(at, "no object stands where one must")
                return
            yield at, found[0], found[2]
            at += found[2] + 7 & ~7

    def fail(self, at: int, why: str) -> None:
        """Note the first fault."""
        if not self.found.fault:
            self.found.fault, self.found.fault_at = why, at

    def run(self) -> Seals:
        found = self.found
        for at, kind, size in self.objects():
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if self._stopped:
                continue
            self._pending.append((at, kind, size))
            if kind == ENTRY:
                found.entries += 1
                found.unsealed += 1
                realtime = struct.unpack("<Q", self._pread(at + 24, 8).ljust(8, b"\0"))[0]
                found.first = realtime if found.first is None else found.first
                self._newest = max(self._newest, realtime)
            elif kind == TAG:
                self._tag(at)
        self._count()
        return found

    def _count(self) -> None:
        header = self._header
        if self._torn:
            return
        stated = {"objects": (header.n_objects, sum(self.counts.values()))}
        stated["entries"] = (header.n_entries, self.counts.get(ENTRY, 0))
        raw = self._pread(208, min(32, max(0, header.header_size - 208)))
        for index, (name, kind) in enumerate(
            (("data", DATA), ("fields", _FIELD), ("tags", TAG), ("entry arrays", ENTRY_ARRAY))
        ):
            if len(raw) >= 8 * index + 8:
                stated[name] = (struct.unpack_from("<Q", raw, 8 * index)[0], self.counts.get(kind, 0))
        self.found.miscounted = {name: both for name, both in stated.items() if both[0] != both[1]}

    def _tag(self, at: int) -> None:
        found, key = self.found, self._key
        number, epoch = struct.unpack_from("<QQ", self._pread(at + 16, 16).ljust(16, b"\0"))
        if number != found.tags + 1:
            self._stopped = True
            return self.fail(at, f"tag {number} stands where tag {found.tags + 1} must")
        found.tags += 1
        steady = bool(self._header.compatible & SEALED_CONTINUOUS)
        if epoch < self._epoch or (steady and found.tags > 2 and epoch != self._epoch + 1):
            self._stopped = True
            return self.fail(at, f"a tag of epoch {epoch} follows one of epoch {self._epoch}")
        if key is None:
            self._hold(epoch)
            return None
        end = key.start + (epoch + 1) * key.interval
        if self._fits(at, epoch, key.seed):
            found.late += self._newest >= end
            found.until = end
            self._hold(epoch)
            return None
        self.fail(at, f"the seal of epoch {epoch} does not fit: what it seals is not what journald wrote")
        found.broken_until = end  # each tag stands for its own stretch: those behind may fit again
        self._hold(epoch, good=False)
        return None

    def _hold(self, epoch: int, *, good: bool = True) -> None:
        self._epoch = epoch
        self.found.good += good
        self.found.unsealed = 0
        self._pending.clear()

    def _fits(self, at: int, epoch: int, seed: bytes) -> bool:
        mac = hmac.new(epoch_key(seed, epoch), digestmod="sha256")
        if self.found.tags == 1:
            head = self._pread(0, 136).ljust(136, b"\0")
            for low, high in ((0, 16), (24, 56), (72, 96), (104, 136)):  # what of the header never changes
                mac.update(head[low:high])
        for place, kind, size in self._pending:
            mac.update(self._pread(place, 16))
            for low, high in _sealed_ranges(kind, size, self._header.compact):
                for start in range(place + low, place + high, _PIECE):
                    mac.update(self._pread(start, min(_PIECE, place + high - start)))
        return hmac.compare_digest(mac.digest(), self._pread(at + 32, 32))


def _sealed_ranges(kind: int, size: int, compact: bool) -> tuple[tuple[int, int], ...]:
    """What of an object is sealed beside its head: links between objects change as the journal grows, and are not."""
    if kind == DATA:
        return (16, 24), (72 if compact else 64, size)
    if kind == _FIELD:
        return (16, 24), (40, size)
    if kind == ENTRY:
        return ((16, size),)
    return ((16, 32),) if kind == TAG else ()


def check_seals(pread: Callable[[int, int], bytes], size: int, header: Header, key: SealKey | None = None) -> Seals:
    """Check the tags of a journal, with the verification key of its host or, without one, for agreement alone."""
    return _Check(pread, size, header, key).run()
