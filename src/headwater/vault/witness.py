# SPDX-License-Identifier: Apache-2.0
"""A witness: another host (or folder) with its own key and memory, which attests heads and refuses to be led back.

The exchange is by files, so that it works over a wire, a mail or a USB stick:

1. The case asks: its checkpoint, and the proof (RFC 6962, 2.1.2) that the head witnessed last is its beginning.
2. The witness refuses fewer entries than it has seen (a rollback), another root at the same size or no proof (a fork).
3. It writes the receipt into its own append-only log, chained and signed, syncs it, and only then gives it out.

Its log is one file of canonical JSON lines; a log that does not verify signs nothing any more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwater.formats.canonical import canonical
from headwater.model.errors import VaultError
from headwater.vault import merkle, trail
from headwater.vault.keys import CHECKPOINT_DOMAIN, make_case_key, open_case_key, verifies

REQUEST, RECEIPT = "headwater witness request v1", "headwater witness receipt v1"
DOMAIN = b"headwater witness receipt v1\x00"
_LOG, _KEY, _NAME = "witness.log", "witness.key", "name"
_PROOF_MOST = 128
_FIELDS = ("format", "name", "origin", "previous", "public_key", "root", "case_key", "size", "time")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a witness signed: it saw this root at this size, after all that it had seen before."""

    name: str
    public: str
    origin: str
    size: int
    root: str
    time: str


def receipt_of(raw: Mapping[str, Any]) -> Receipt:
    """A receipt, its signature verified.

    Raises:
        ValueError: it is none or does not verify.
    """
    said = {name: raw[name] for name in _FIELDS}
    if said["format"] != RECEIPT:
        raise ValueError("not a witness's receipt")
    if not verifies(str(said["public_key"]), bytes.fromhex(raw["signature"]), DOMAIN + canonical(said)):
        raise ValueError("the witness's signature does not verify")
    return Receipt(
        str(said["name"]), str(said["public_key"]), str(said["origin"]), int(said["size"]), str(said["root"]),
        str(said["time"]),
    )  # fmt: skip


def request(checkpoint: trail.Checkpoint, public: str, leaves: Sequence[bytes], since: int) -> dict[str, Any]:
    """What a case asks: ``leaves`` are the leaf hashes of its entries, ``since`` the size this witness saw last or 0."""
    proof = merkle.consistency(leaves[: checkpoint.size], since) if since else []
    return {
        "format": REQUEST,
        "checkpoint": base64.b64encode(checkpoint.body).decode(),
        "signature": checkpoint.signature.hex(),
        "public_key": public,
        "since": since,
        "proof": proof,
    }


class Witness:
    """A witness's folder: its key, and the log of what it has attested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / _LOG
        try:
            self.name = (folder / _NAME).read_text().strip()
        except OSError as error:
            raise VaultError("HW3012", str(folder), what="no witness lives here") from error
        self._key = open_case_key(folder / _KEY)

    @classmethod
    def make(cls, folder: Path, name: str) -> Witness:
        """A new witness in a new or empty folder.

        Raises:
            VaultError: HW3012 where something is there already.
        """
        if folder.exists() and any(folder.iterdir()):
            raise VaultError("HW3012", str(folder), what="the folder is not empty")
        make_case_key(folder / _KEY)
        (folder / _NAME).write_text(name + "\n")
        (folder / _LOG).touch()
        return cls(folder)

    def sign(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The receipt for a request, entered in the log before it is given out.

        Raises:
            VaultError: HW3012 says why it refuses: a rollback, a fork, a request that does not verify, a broken log.
        """
        import fcntl  # not on Windows, where the stand-alone verifier must still read receipts

        stated, public, since, proof = self._asked(asked)
        handle = os.open(self._log, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            previous, seen = self._seen(os.pread(handle, os.fstat(handle).st_size, 0))
            last = seen.get(stated.origin)
            if last is not None:
                self._judge(last, stated, public, since, proof)
            said = {
                "format": RECEIPT,
                "name": self.name,
                "public_key": self._key.public,
                "origin": stated.origin,
                "case_key": public,
                "size": stated.size,
                "root": stated.root,
                "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000000000Z",
                "previous": previous,
            }
            receipt = said | {"signature": self._key.sign(DOMAIN + canonical(said)).hex()}
            _append(handle, canonical(receipt) + b"\n")
        except OSError as error:
            raise VaultError("HW3012", str(self._log), what=error) from error
        finally:
            os.close(handle)
        return receipt

    def _asked(self, asked: Mapping[str, Any]) -> tuple[trail.Checkpoint, str, int, list[str]]:
        try:
            if asked["format"] != REQUEST:
                raise ValueError("not a request to a witness")
            body = base64.b64decode(asked["checkpoint"], validate=True)
            stated = trail.checkpoint(body, bytes.fromhex(asked["signature"]))
            public, since = str(asked["public_key"]), int(asked["since"])
            proof = [str(p) for p in asked["proof"][:_PROOF_MOST]]
            if not verifies(public, stated.signature, CHECKPOINT_DOMAIN + body):
                raise ValueError("its checkpoint is not signed by its key")
        except (KeyError, ValueError, TypeError) as error:
            raise VaultError("HW3012", str(self.folder), what=error) from error
        return stated, public, since, proof

    def _judge(
        self, last: Mapping[str, Any], stated: trail.Checkpoint, public: str, since: int, proof: list[str]
    ) -> None:
        size = int(last["size"])
        if public != last["case_key"]:
            what = "fork: the ledger was signed by another key before"
        elif stated.size < size:
            what = f"rollback: {size} entries were attested before, {stated.size} are shown now"
        elif since != size:
            what = f"a proof is needed from the {size} entries attested last, not from {since}"
        elif not merkle.consistent(size, str(last["root"]), stated.size, stated.root, _hexes(proof)):
            what = f"fork: the first {size} entries are not those attested before"
        else:
            return
        raise VaultError("HW3012", str(self.folder), what=what)

    def _seen(self, data: bytes) -> tuple[str, dict[str, Mapping[str, Any]]]:
        """Hash of the last line, and the newest receipt per ledger; the whole log is verified."""
        previous, seen = trail.GENESIS, {}
        for number, line in enumerate(data.splitlines(), 1):
            try:
                raw = json.loads(line)
                receipt = receipt_of(raw)
                if raw["previous"] != previous or receipt.public != self._key.public:
                    raise ValueError("not in the chain")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise VaultError("HW3012", str(self._log), what=f"its own log is broken at line {number}") from error
            previous = hashlib.sha256(line).hexdigest()
            seen[receipt.origin] = raw
        return previous, seen


def _append(handle: int, line: bytes) -> None:
    """A whole line at the log's end, on the disk; or nothing of it: a part of a line would keep the witness from ever signing.

    Raises:
        OSError: no room, or the disk does not take it.
    """
    before = os.fstat(handle).st_size
    try:
        left = memoryview(line)
        while left:  # a disk that is nearly full takes a part
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, before)
        raise


def _hexes(proof: list[str]) -> list[str]:
    """The proof, or an impossible one where it is not made of hashes."""
    try:
        return proof if all(len(bytes.fromhex(p)) == 32 for p in proof) else ["00" * 32]
    except ValueError:
        return ["00" * 32]
