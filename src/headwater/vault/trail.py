# SPDX-License-Identifier: Apache-2.0
"""The check of a ledger, apart from where its rows are kept: the case folder and an exported case are checked alike.

1. Entries are numbered from 1 without a hole; each names the hash of the one before; the hash is that of the body.
2. The body is canonical JSON (RFC 8785), so that one statement has one form.
3. The signature is by the case's key, which the first entry names, or by a person who was enrolled before and not
   dismissed; a person is enrolled with a proof that they hold the key, and by an administrator once there is one.
4. Each checkpoint is signed by the case's key and states size, head and Merkle root of the entries up to there.
5. The tail file names the last entry that was committed: an entry that is no longer there is missed.

Without ``signatures`` the third step is left to the checkpoints: they attest the entries before them, and only the
entries behind the last one are checked in full. That is enough to go on with a case; ``verify`` checks everything.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.canonical import canonical
from headwater.formats.patterns import lazy_regex
from headwater.formats.twin_digests import digests
from headwater.model.errors import IntegrityError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339
from headwater.vault.keys import CHECKPOINT_DOMAIN, ENROL_DOMAIN, ENTRY_DOMAIN, verifies
from headwater.vault.merkle import Frontier

GENESIS = "0" * 64
ENROL, DISMISS = "enrol", "dismiss"
CHECKPOINT_FORMAT = "headwater checkpoint v1"
BODY_MOST = 16 << 20
_REMARKS_MOST = 100
_BATCH = 2048
_TIME = lazy_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_OF_PEOPLE = (b'{"action":"enrol"', b'{"action":"dismiss"')  # canonical form puts the action first
_FIELDS = (
    "action", "actors", "command", "environment", "evidence", "materials", "note", "previous", "products", "seq",
    "time", "tool",
)  # fmt: skip

Row = tuple[bytes, str, bytes]


@dataclass(frozen=True, slots=True)
class Redacted:
    """An entry whose body was kept back: its leaf holds its place in the tree, its hash in the chain."""

    leaf: bytes
    hash: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled in a case: name, organisation, roles, public key, and from which entry on."""

    name: str
    organisation: str
    roles: tuple[str, ...]
    public: str
    since: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the case's key attested: the first ``size`` entries have this head and this Merkle root."""

    origin: str
    size: int
    head: str
    root: str
    time: str
    body: bytes
    signature: bytes
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trail:
    """What a checked ledger amounts to. ``remarks``: what is odd but breaks nothing, such as a clock set back."""

    entries: int
    head: str
    root: str
    origin: str
    public: str
    checkpoints: int
    people: Mapping[str, Person]
    remarks: tuple[Text, ...] = ()


def checkpoint(body: bytes, signature: bytes) -> Checkpoint:
    """A checkpoint behind its bytes; the signature is not yet checked.

    Raises:
        ValueError: it is none.
    """
    try:
        raw = json.loads(body)
        if raw["format"] != CHECKPOINT_FORMAT or canonical(raw) != body:
            raise ValueError("not a checkpoint in canonical form")
        size = int(raw["size"])
        words = [str(raw[name]) for name in ("origin", "head", "root", "time")]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a checkpoint: {error}") from error
    return Checkpoint(words[0], size, words[1], words[2], words[3], body, signature, raw)


def _batch(rows: Iterator[Row | Redacted], most: int) -> list[Row | Redacted]:
    """The next rows, so many or of so many bytes that they may all be held."""
    found: list[Row | Redacted] = []
    room = BODY_MOST
    for row in itertools.islice(rows, most):
        found.append(row)
        room -= 0 if isinstance(row, Redacted) else len(row[0])
        if room < 0:
            break
    return found


def _linked(seq: int, body: bytes, previous: str) -> int:
    """Where an entry names the one before it; refuses one that does not, or has another number.

    In canonical form "previous", "products", "seq" and "time" stand in this order, and a quote within a string is escaped.
    """
    at = body.rfind(b'"previous":"%b","products":{' % previous.encode())
    if at < 1 or body.find(b'},"seq":%d,"time":"' % seq, at) < 0:
        raise broken(seq, "previous hash or number differs")
    return at


def broken(seq: object, what: object) -> IntegrityError:
    """The error that names the first entry which does not verify."""
    return IntegrityError("HW3002", seq=seq, what=what)


class Walk:
    """Walks the entries once, in order, in bounded memory."""

    def __init__(self, *, signatures: bool = True, attested: int = 0) -> None:
        self._full = signatures
        self._attested = attested  # without signatures: entries up to here are vouched for by a checkpoint
        self._previous = GENESIS
        self._time = ""
        self.tree = Frontier()
        self.origin = ""
        self.public = ""
        self.people: dict[str, Person] = {}
        self.remarks: list[Text] = []

    def take(self, row: Row) -> None:
        """Check the next entry.

        Raises:
            IntegrityError: HW3002.
        """
        body, digest, signature = row
        seq = self.tree.size + 1
        if hashlib.sha256(body).hexdigest() != digest:
            raise broken(seq, "body does not match its hash")
        self._read(seq, body, digest, signature)
        self._previous = digest
        self.tree.add(body)

    def run(self, rows: Iterator[Row | Redacted], until: int) -> None:
        """Check the next entries up to number ``until`` or to the end; those a checkpoint vouches for in batches.

        Raises:
            IntegrityError: HW3002.
        """
        quick = not self._full and until <= self._attested
        while until < 0 or self.tree.size < until:
            left = _BATCH if until < 0 else min(_BATCH, until - self.tree.size)
            batch = _batch(rows, left)
            if not batch:
                return
            at = 0
            while at < len(batch):
                if quick and self.tree.size:
                    at += self._quickly(batch[at:] if at else batch)
                if at < len(batch):
                    row = batch[at]
                    if isinstance(row, Redacted):
                        self.take_redacted(row)
                    else:
                        self.take(row)
                    at += 1

    def _quickly(self, batch: Sequence[Row | Redacted]) -> int:
        """Check the first rows of a batch as ``take`` and ``Frontier.add`` would, without their calls; how many it took.

        It stops before a row that is kept back or changes who may sign.
        """
        first, previous, behind = self.tree.size + 1, self._previous, 0
        plain: list[Row] = []
        for row in batch:
            if isinstance(row, Redacted) or row[0].startswith(_OF_PEOPLE):
                break
            plain.append(row)
        found, leaves = digests([row[0] for row in plain])
        said = found.hex()
        other = len(plain)
        if said != "".join([row[1] for row in plain]):
            other = next(n for n, row in enumerate(plain) if row[1] != said[64 * n : 64 * n + 64])
        for seq, (body, digest, _) in enumerate(plain[:other], first):
            wanted = f'"previous":"{previous}","products":{{}},"seq":{seq},"time":"'
            if not body.startswith(wanted.encode(), len(body) - behind):  # mostly as far from the end as before
                behind = len(body) - _linked(seq, body, previous)
            previous = digest
        if other < len(plain):
            raise broken(first + other, "body does not match its hash")
        self._previous = previous
        self.tree.extend(leaves)
        return len(plain)

    def take_redacted(self, row: Redacted) -> None:
        """Check the place of the next entry, whose body was kept back.

        Raises:
            IntegrityError: HW3002.
        """
        seq = self.tree.size + 1
        if seq == 1:
            raise broken(seq, "the first entry names the key and is never kept back")
        data = ENTRY_DOMAIN + bytes.fromhex(row.hash)
        if not any(verifies(public, row.signature, data) for public in (self.public, *self.people)):
            raise broken(seq, "signature does not verify")
        self._previous = row.hash
        self.tree.add_leaf(row.leaf)

    @property
    def head(self) -> str:
        return self._previous

    def _read(self, seq: int, body: bytes, digest: str, signature: bytes) -> None:
        if len(body) > BODY_MOST:
            raise broken(seq, "larger than an entry may be")
        try:
            raw = json.loads(body)
            if tuple(sorted(raw)) != _FIELDS or not isinstance(raw["note"], dict):
                raise broken(seq, "not the members of an entry")
            same = canonical(raw) == body
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise broken(seq, f"unreadable: {error}") from error
        if raw["seq"] != seq:
            raise broken(seq, f"numbered {raw['seq']}")
        if raw["previous"] != self._previous:
            raise broken(seq, "previous hash differs")
        if not same:
            raise broken(seq, "body is not in canonical form")
        if seq == 1:
            self.public, self.origin = str(raw["note"].get("public_key", "")), digest
            if len(self.public) != 64:
                raise broken(seq, "no public key")
        signer = str(raw["note"].get("signer", self.public))
        if signer != self.public and signer not in self.people:
            raise broken(seq, "signed by nobody who is enrolled")
        if not verifies(signer, signature, ENTRY_DOMAIN + bytes.fromhex(digest)):
            raise broken(seq, "signature does not verify")
        self._people(seq, raw, signer)
        self._clock(seq, str(raw["time"]))

    def _people(self, seq: int, raw: Mapping[str, Any], signer: str) -> None:
        if raw["action"] not in {ENROL, DISMISS}:
            return
        admins = {p.public for p in self.people.values() if "admin" in p.roles}
        if admins and signer not in admins:
            raise broken(seq, "people are enrolled and dismissed by an administrator alone")
        try:
            said = raw["note"]["person"]
            public = str(said["public_key"])
            if raw["action"] == DISMISS:
                self.people.pop(public, None)
                return
            proof = bytes.fromhex(raw["note"]["proof"])
            person = Person(str(said["name"]), str(said["organisation"]), tuple(map(str, said["roles"])), public, seq)
        except (KeyError, TypeError, ValueError) as error:
            raise broken(seq, f"not an enrolment: {error}") from error
        if not verifies(public, proof, ENROL_DOMAIN + self.origin.encode() + person.name.encode()):
            raise broken(seq, "the person enrolled did not prove that they hold the key")
        self.people[public] = person

    def _clock(self, seq: int, time: str) -> None:
        if not _TIME.fullmatch(time):
            return
        if time < self._time and len(self.remarks) < _REMARKS_MOST:
            self.remarks.append(
                Text(
                    f"第 {seq} 条记于 {time}，早于第 {seq - 1} 条的 {self._time}：时钟曾被回拨",
                    f"entry {seq} is of {time}, before entry {seq - 1} of {self._time}: the clock went back",
                )
            )
        self._time = time


def check(
    rows: Iterable[Row | Redacted],
    checkpoints: Sequence[tuple[bytes, bytes]] = (),
    tail: tuple[int, str, bytes] | None = None,
    *,
    signatures: bool = True,
) -> Trail:
    """Check a whole ledger in the order of the module's docstring.

    Raises:
        IntegrityError: HW3002 names the first entry or checkpoint that does not verify, and why.
    """
    stated = _stated(checkpoints)
    walk = Walk(signatures=signatures, attested=stated[-1].size if stated else 0)
    waiting = iter(rows)
    for each in stated:
        if each.size > walk.tree.size:
            walk.run(waiting, each.size)
        if each.size > walk.tree.size > 0:
            raise broken(walk.tree.size + 1, f"missing: a checkpoint attests {each.size} entries")
        if walk.tree.size:
            _compare(each, walk)
    walk.run(waiting, -1)
    size = walk.tree.size
    if not size:
        raise broken(1, "the ledger is empty")
    if tail is not None and tail[0] > size and _committed(tail, walk):
        raise broken(size + 1, f"missing: entry {tail[0]} had been committed and signed")
    remarks = walk.remarks + _steps(stated)
    return Trail(
        size, walk.head, walk.tree.root(), walk.origin, walk.public, len(stated), dict(walk.people), tuple(remarks)
    )


def _stated(checkpoints: Sequence[tuple[bytes, bytes]]) -> list[Checkpoint]:
    found = []
    for body, signature in checkpoints:
        try:
            found.append(checkpoint(body, signature))
        except ValueError as error:
            raise broken("?", f"checkpoint: {error}") from error
        if found[-1].size < 1:
            raise broken("?", "checkpoint of no entries")
    return sorted(found, key=lambda c: c.size)


def _compare(stated: Checkpoint, walk: Walk) -> None:
    if not verifies(walk.public, stated.signature, CHECKPOINT_DOMAIN + stated.body):
        raise broken(stated.size, "the signature of its checkpoint does not verify")
    if (stated.origin, stated.head, stated.root) != (walk.origin, walk.head, walk.tree.root()):
        raise broken(stated.size, "its checkpoint attests another history")


def _committed(tail: tuple[int, str, bytes], walk: Walk) -> bool:
    """Whether the tail file says the truth: one of the ledger's keys signed the hash that it names."""
    data = ENTRY_DOMAIN + bytes.fromhex(tail[1])
    return any(verifies(public, tail[2], data) for public in (walk.public, *walk.people))


def _steps(stated: Sequence[Checkpoint]) -> list[Text]:
    """Where wall clock and time since boot part between two checkpoints of one boot: somebody set the clock."""
    found: list[Text] = []
    for old, new in itertools.pairwise(stated):
        if old.said.get("boot") != new.said.get("boot") or not new.said.get("boot"):
            continue
        try:
            ran = int(new.said["boottime_ns"]) - int(old.said["boottime_ns"])
            wall = from_rfc3339(new.time) - from_rfc3339(old.time)
        except (KeyError, ValueError, TypeError):
            continue
        if abs(wall - ran) > 2_000_000_000 + abs(ran) // 1000 and len(found) < _REMARKS_MOST:
            by = f"{(wall - ran) / 1e9:+.1f} s"
            found.append(
                Text(
                    f"第 {old.size} 条与第 {new.size} 条的检查点之间，时钟被调整 {by}",
                    f"between the checkpoints at {old.size} and {new.size} the clock was set by {by}",
                )
            )
    return found
