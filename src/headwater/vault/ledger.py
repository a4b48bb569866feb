# SPDX-License-Identifier: Apache-2.0
"""The ledger (台账): an append-only chain of signed custody entries in one SQLite file.

1. An entry is canonical JSON (RFC 8785) that names the hash of the entry before it.
2. Its SHA-256 is signed with the case's Ed25519 key; the public key stands in the first entry.
3. SQLite in WAL mode with ``synchronous=FULL``: an entry is on the disk before the act it permits goes on.
4. ``check`` walks the chain from the first entry: numbers, previous hashes, hashes, signatures.

What the chain alone cannot show: a ledger replaced whole by an older copy, a fork, or a re-signing by somebody who
holds the key. Those need an anchor outside (a timestamp, a witness, the head printed on paper).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.custody import CustodyEntry, Sealed
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault.merkle import root

NAME = "ledger.db"
_GENESIS = "0" * 64
_DOMAIN = b"headwater ledger entry v1\x00"
_TABLE = """CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hash TEXT NOT NULL, signature BLOB NOT NULL) STRICT"""


def _entry(body: bytes) -> CustodyEntry:
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
        if not create and not self.path.exists():
            raise VaultError("HW3001", str(self.path), what="missing")
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_TABLE)
            empty = self._db.execute("SELECT count(*) FROM entries").fetchone()[0] == 0
            if create and empty and not self._key_path.exists():
                _make_key(self._key_path)  # never beside entries that another key has signed
        except (sqlite3.Error, OSError) as error:
            raise VaultError("HW3001", str(self.path), what=error) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
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
    ) -> Sealed:
        """Add one entry; it is durable when this returns.

        Raises:
            VaultError: HW3001 where it cannot be written; then nothing was added.
        """
        key = self._private_key()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (row[0] + 1, row[1]) if row else (1, _GENESIS)
            self._same_key(key)
            body = canonical(
                CustodyEntry(
                    seq, previous, time, tuple(actors), action, tool, tuple(command), tuple(evidence),
                    dict(materials or {}), dict(products or {}), dict(environment or {}),
                    dict(note or {}) | ({"public_key": _public_hex(key)} if seq == 1 else {}),
                )
            )  # fmt: skip
            digest = hashlib.sha256(body).hexdigest()
            signature = key.sign(_DOMAIN + bytes.fromhex(digest))
            self._db.execute("INSERT INTO entries VALUES (?,?,?,?)", (seq, body, digest, signature))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise VaultError("HW3001", str(self.path), what=error) from error
        return Sealed(_entry(body), body, digest, signature)

    def entries(self) -> Iterator[Sealed]:
        """All entries in order, unchecked."""
        try:
            for body, digest, signature in self._db.execute("SELECT body, hash, signature FROM entries ORDER BY seq"):
                yield Sealed(_entry(body), body, digest, signature)
        except (sqlite3.Error, ValueError, KeyError) as error:
            raise IntegrityError("HW3002", str(self.path), seq="?", what=f"unreadable: {error}") from error

    def last(self, action: str) -> Sealed | None:
        """The newest entry of one action."""
        found = None
        for sealed in self.entries():
            if sealed.entry.action == action:
                found = sealed
        return found

    def check(self) -> tuple[int, str, str]:
        """Verify the whole chain; returns (number of entries, head hash, Merkle root).

        Raises:
            IntegrityError: HW3002 names the first entry that does not verify and why.
        """
        previous, public, bodies = _GENESIS, None, []
        expected = 0
        for sealed in self.entries():
            expected += 1
            entry = sealed.entry
            if entry.seq != expected:
                raise IntegrityError("HW3002", seq=expected, what=f"numbered {entry.seq}")
            if entry.previous != previous:
                raise IntegrityError("HW3002", seq=expected, what="previous hash differs")
            if hashlib.sha256(sealed.body).hexdigest() != sealed.hash:
                raise IntegrityError("HW3002", seq=expected, what="body does not match its hash")
            if canonical(entry) != sealed.body:
                raise IntegrityError("HW3002", seq=expected, what="body is not in canonical form")
            if public is None:
                try:
                    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(entry.note.get("public_key", ""))))
                except ValueError as error:
                    raise IntegrityError("HW3002", seq=1, what="no public key") from error
            try:
                public.verify(sealed.signature, _DOMAIN + bytes.fromhex(sealed.hash))
            except InvalidSignature as error:
                raise IntegrityError("HW3002", seq=expected, what="signature does not verify") from error
            previous = sealed.hash
            bodies.append(sealed.body)
        if not expected:
            raise IntegrityError("HW3002", seq=1, what="the ledger is empty")
        return expected, previous, root(bodies)

    def _same_key(self, key: Ed25519PrivateKey) -> None:
        """Refuse to sign with another key than the one that the first entry names."""
        row = self._db.execute("SELECT body FROM entries WHERE seq = 1").fetchone()
        if row and _entry(row[0]).note.get("public_key") != _public_hex(key):
            self._db.execute("ROLLBACK")
            raise VaultError("HW3001", str(self._key_path), what="not the key of this ledger")

    def _private_key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise VaultError("HW3001", str(self._key_path), what=error) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise VaultError("HW3001", str(self._key_path), what="not an Ed25519 key")
        return key


def _make_key(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    write_atomic(path, pem)
    os.chmod(path, 0o600)


def _public_hex(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()
