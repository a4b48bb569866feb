# SPDX-License-Identifier: Apache-2.0
"""The ledger (台账): an append-only chain of signed custody entries in one SQLite file.

1. An entry is canonical JSON (RFC 8785) that names the hash of the entry before it.
2. Its SHA-256 is signed: by the person whose act it is, where they have a key, else by the case's key. The first entry
   holds the case's public key; an entry by a person names theirs as ``note.signer``.
3. SQLite in WAL mode with ``synchronous=FULL``: an entry is on the disk before the act it permits goes on. Within
   ``group`` many entries are made durable together.
4. After each commit the tail file names the last entry, so that a lost write-ahead log is noticed.
5. When the ledger is closed, the case's key signs a checkpoint over size, head and Merkle root.

What neither chain nor checkpoints can show: a folder replaced whole by an older copy, a fork, or a re-signing by
somebody who holds the case's key. Those need an anchor outside: a timestamp, a witness, the head printed on paper.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwater.formats.canonical import canonical
from headwater.model.custody import CustodyEntry, Sealed
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault import trail
from headwater.vault.keys import (
    CHECKPOINT_DOMAIN,
    ENTRY_DOMAIN,
    KeyHolder,
    Signer,
    make_case_key,
    open_case_key,
    verifies,
)
from headwater.vault.merkle import Frontier
from headwater.vault.trail import BODY_MOST, CHECKPOINT_FORMAT, GENESIS, Checkpoint, Trail

NAME = "ledger.db"
TAIL = "ledger.tail"
_TABLES = (
    """CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hash TEXT NOT NULL, signature BLOB NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS checkpoints (
    size INTEGER PRIMARY KEY, body BLOB NOT NULL, signature BLOB NOT NULL, frontier BLOB NOT NULL) STRICT""",
)


def entry_of(body: bytes) -> CustodyEntry:
    """The entry behind its canonical bytes."""
    raw = json.loads(body)
    return CustodyEntry(
        seq=raw["seq"],
        previous=raw["previous"],
        time=raw["time"],
        actors=tuple(raw["actors"]),
        action=raw["action"],
        tool=raw["tool"],
        command=tuple(raw["command"]),
        evidence=tuple(raw["evidence"]),
        materials=raw["materials"],
        products=raw["products"],
        environment=raw["environment"],
        note=raw["note"],
    )


class Ledger:
    """One case's ledger; use as a context manager, it closes its file."""

    def __init__(self, case: Path, *, create: bool = False) -> None:
        self.path = case / NAME
        self._key_path = case / "keys" / "case.key"
        self._key: KeyHolder | None = None
        self._grouped: tuple[int, str] | None = None  # last number and hash within a group
        self._appended = False
        self._until: int | None = None
        if not create and not self.path.exists():
            raise VaultError("HW3001", str(self.path), what="missing")
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            for table in _TABLES:
                self._db.execute(table)
            empty = self._db.execute("SELECT count(*) FROM entries").fetchone()[0] == 0
            if create and empty and not self._key_path.exists():
                make_case_key(self._key_path)  # never beside entries that another key has signed
        except (sqlite3.Error, OSError) as error:
            raise VaultError("HW3001", str(self.path), what=error) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._appended:
                self.checkpoint()
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # leaves no log that could be lost
        except (VaultError, sqlite3.Error) as error:
            if kind is None:  # else the error on its way says more; the entries themselves are durable
                raise VaultError("HW3001", str(self.path), what=error) from error
        finally:
            self._db.close()

    def append(
        self,
        action: str,
        *,
        time: str,
        actors: Sequence[str],
        tool: str,
        command: Sequence[str] = (),
        evidence: Sequence[int] = (),
        materials: Mapping[str, str] | None = None,
        products: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        note: Mapping[str, Any] | None = None,
        signer: Signer | None = None,
    ) -> Sealed:
        """Add one entry, signed by ``signer`` or else by the case's key; durable when this returns or the group ends.

        Raises:
            VaultError: HW3001 where it cannot be written; then nothing was added.
        """
        said = dict(note or {})
        if {"signer", "public_key"} & said.keys():
            raise VaultError("HW3001", str(self.path), what="an entry's keys are named by the ledger alone")
        grouped = self._grouped is not None
        key: Signer = signer or self._case_key()
        try:
            if not grouped:
                self._db.execute("BEGIN IMMEDIATE")
            seq, previous = self._next()
            if seq == 1:
                said["public_key"] = self._case_key().public
            if signer is not None:
                said["signer"] = signer.public
            entry = CustodyEntry(
                seq, previous, time, tuple(actors), action, tool, tuple(command), tuple(evidence),
                dict(materials or {}), dict(products or {}), dict(environment or {}), said,
            )  # fmt: skip
            body = canonical(entry)
            if len(body) > BODY_MOST:
                raise VaultError("HW3001", str(self.path), what=f"an entry of {len(body)} bytes")
            digest = hashlib.sha256(body).hexdigest()
            signature = key.sign(ENTRY_DOMAIN + bytes.fromhex(digest))
            self._db.execute("INSERT INTO entries VALUES (?,?,?,?)", (seq, body, digest, signature))
            if grouped:
                self._grouped = (seq, digest)
            else:
                self._db.execute("COMMIT")
                self._mark(seq, digest, signature)
        except BaseException as error:
            if not grouped and self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise VaultError("HW3001", str(self.path), what=error) from error
            raise
        self._appended = True
        return Sealed(entry, body, digest, signature)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Entries made within are committed together at its end; an exception leaves none of them.

        Raises:
            VaultError: HW3001.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._grouped = self._last()
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            row = self._db.execute("SELECT seq, hash, signature FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise VaultError("HW3001", str(self.path), what=error) from error
        finally:
            self._grouped = None
        if row:
            self._mark(*row)

    def checkpoint(self) -> Checkpoint | None:
        """Sign size, head and Merkle root as they are now; None where there is no entry. Safe to repeat.

        Raises:
            VaultError: HW3001; IntegrityError: HW3002 where an earlier checkpoint is not its own.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            made = self._attest()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise VaultError("HW3001", str(self.path), what=error) from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        return made

    def _attest(self) -> Checkpoint | None:
        size, head = self._last()
        if not size:
            return None
        tree = Frontier()
        row = self._db.execute("SELECT size, body, signature, frontier FROM checkpoints ORDER BY size DESC").fetchone()
        if row:
            old = self._own(row)
            if old.size == size:
                return old
            tree = Frontier(row[0], [row[3][at : at + 32] for at in range(0, len(row[3]), 32)])
            if tree.root() != old.root:
                raise trail.broken(row[0], "the subtrees of its checkpoint were altered")
        for (body,) in self._db.execute("SELECT body FROM entries WHERE seq > ? ORDER BY seq", (tree.size,)):
            tree.add(body)
        origin = self._db.execute("SELECT hash FROM entries WHERE seq = 1").fetchone()
        if tree.size != size or origin is None:
            raise trail.broken(tree.size + 1, "missing")
        said = {"format": CHECKPOINT_FORMAT, "origin": origin[0], "size": size, "head": head, "root": tree.root()}
        body = canonical(said | _clocks())
        signature = self._case_key().sign(CHECKPOINT_DOMAIN + body)
        self._db.execute("INSERT INTO checkpoints VALUES (?,?,?,?)", (size, body, signature, b"".join(tree.hashes)))
        return trail.checkpoint(body, signature)

    def _own(self, row: tuple[int, bytes, bytes, bytes]) -> Checkpoint:
        try:
            old = trail.checkpoint(row[1], row[2])
        except ValueError as error:
            raise trail.broken(row[0], error) from error
        if old.size != row[0] or not verifies(self._case_key().public, old.signature, CHECKPOINT_DOMAIN + old.body):
            raise trail.broken(row[0], "the signature of its checkpoint does not verify")
        return old

    def checkpoints(self) -> list[tuple[bytes, bytes]]:
        """(canonical bytes, signature) of every checkpoint, in order of size."""
        return list(self._db.execute("SELECT body, signature FROM checkpoints ORDER BY size"))

    def rows(self) -> Iterator[trail.Row]:
        """(body, hash, signature) of all entries in order, unchecked."""
        try:
            cursor = self._db.execute("SELECT body, hash, signature FROM entries ORDER BY seq")
            while rows := cursor.fetchmany(1000):
                yield from rows
        except sqlite3.Error as error:
            raise IntegrityError("HW3002", str(self.path), seq="?", what=f"unreadable: {error}") from error

    @contextmanager
    def until(self, seq: int) -> Iterator[None]:
        """Within, :meth:`entries` and :meth:`last` know only what was entered before this entry: what it could rest on."""
        self._until = seq
        try:
            yield
        finally:
            self._until = None

    def entries(self) -> Iterator[Sealed]:
        """All entries in order, unchecked."""
        try:
            for number, (body, digest, signature) in enumerate(self.rows(), 1):
                if self._until is not None and number >= self._until:
                    return
                yield Sealed(entry_of(body), body, digest, signature)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError("HW3002", str(self.path), seq="?", what=f"unreadable: {error}") from error

    def last(self, action: str) -> Sealed | None:
        """The newest entry of one action."""
        found = None
        for sealed in self.entries():
            if sealed.entry.action == action:
                found = sealed
        return found

    def check(self) -> tuple[int, str, str]:
        """Verify everything; returns (number of entries, head hash, Merkle root).

        Raises:
            IntegrityError: HW3002 names the first entry that does not verify and why.
        """
        found = self.examined()
        return found.entries, found.head, found.root

    def examined(self, *, signatures: bool = True) -> Trail:
        """Verify the ledger; without ``signatures``, those before the last checkpoint are taken on its word.

        Raises:
            IntegrityError: HW3002 names the first entry or checkpoint that does not verify and why.
        """
        try:
            attested = self.checkpoints()
        except sqlite3.Error as error:
            raise IntegrityError("HW3002", str(self.path), seq="?", what=f"unreadable: {error}") from error
        return trail.check(self.rows(), attested, self._tail(), signatures=signatures)

    def _last(self) -> tuple[int, str]:
        row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)

    def _next(self) -> tuple[int, str]:
        if self._grouped is not None:
            return self._grouped[0] + 1, self._grouped[1]
        seq, digest = self._last()
        return seq + 1, digest

    def _case_key(self) -> KeyHolder:
        """The case's key; refuses another one than the first entry names."""
        if self._key is None:
            key = open_case_key(self._key_path)
            row = self._db.execute("SELECT body FROM entries WHERE seq = 1").fetchone()
            if row and entry_of(row[0]).note.get("public_key") != key.public:
                raise VaultError("HW3001", str(self._key_path), what="not the key of this ledger")
            self._key = key
        return self._key

    def _mark(self, seq: int, digest: str, signature: bytes) -> None:
        """Name the last committed entry; not synced: it need only outlive the process, the entry itself is synced."""
        line = json.dumps({"seq": seq, "hash": digest, "signature": signature.hex()}).encode().ljust(300) + b"\n"
        with suppress(OSError):  # the entry is durable; a tail that lags behind misses nothing that it must not
            handle = os.open(self.path.with_name(TAIL), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(handle, line, 0)
            finally:
                os.close(handle)

    def _tail(self) -> tuple[int, str, bytes] | None:
        try:
            raw = json.loads(self.path.with_name(TAIL).read_bytes()[:4096])
            said = int(raw["seq"]), str(raw["hash"]), bytes.fromhex(raw["signature"])
            bytes.fromhex(said[1])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a case of format 1 has none, and one torn by a power cut says nothing
        return said


def _clocks() -> dict[str, str]:
    """Wall clock, and time since this boot: where they part between two checkpoints, somebody set the clock."""
    now = datetime.now(UTC)
    said = {"time": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}000Z"}
    with suppress(OSError, AttributeError):
        said["boottime_ns"] = str(clock.clock_gettime_ns(clock.CLOCK_BOOTTIME))
        said["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return said
