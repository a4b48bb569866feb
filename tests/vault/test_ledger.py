# SPDX-License-Identifier: Apache-2.0
"""One test per attack on the ledger that the chain itself must show."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headwater.formats import twin_digests
from headwater.formats.canonical import canonical
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault.ledger import Ledger
from headwater.vault.merkle import root

Attack = Callable[[sqlite3.Connection], None]


def _filled(case: Path, entries: int = 5) -> Path:
    with Ledger(case, create=True) as ledger:
        for at in range(entries):
            ledger.append("act", time=f"2026-03-02T00:00:0{at}.000000000Z", actors=["张三"], tool="t 1", note={"n": at})
    return case / "ledger.db"


def _row(db: sqlite3.Connection, seq: int) -> tuple[bytes, str, bytes]:
    found: tuple[bytes, str, bytes] = db.execute(
        "SELECT body, hash, signature FROM entries WHERE seq=?", (seq,)
    ).fetchone()
    return found


def _edit(db: sqlite3.Connection) -> None:
    body, _, _ = _row(db, 3)
    db.execute("UPDATE entries SET body=? WHERE seq=3", (body.replace("张三".encode(), "李四".encode()),))


def _edit_and_rehash(db: sqlite3.Connection) -> None:
    body = _row(db, 3)[0].replace("张三".encode(), "李四".encode())
    db.execute("UPDATE entries SET body=?, hash=? WHERE seq=3", (body, hashlib.sha256(body).hexdigest()))


def _delete(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM entries WHERE seq=3")


def _delete_and_renumber(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM entries WHERE seq=3")
    db.execute("UPDATE entries SET seq=seq-1 WHERE seq>3")


def _swap(db: sqlite3.Connection) -> None:
    third, fourth = _row(db, 3), _row(db, 4)
    db.execute("UPDATE entries SET body=?, hash=?, signature=? WHERE seq=3", fourth)
    db.execute("UPDATE entries SET body=?, hash=?, signature=? WHERE seq=4", third)


def _insert(db: sqlite3.Connection) -> None:
    db.execute("UPDATE entries SET seq=6 WHERE seq=5")
    db.execute("INSERT INTO entries SELECT 5, body, hash, signature FROM entries WHERE seq=4")


def _wrong_key(db: sqlite3.Connection) -> None:
    _, digest, _ = _row(db, 3)
    forged = Ed25519PrivateKey.generate().sign(b"headwater ledger entry v1\x00" + bytes.fromhex(digest))
    db.execute("UPDATE entries SET signature=? WHERE seq=3", (forged,))


def _first_gone(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM entries WHERE seq=1")


def _not_canonical(db: sqlite3.Connection) -> None:
    body = json.dumps(json.loads(_row(db, 2)[0]), indent=1).encode()
    db.execute("UPDATE entries SET body=?, hash=? WHERE seq=2", (body, hashlib.sha256(body).hexdigest()))


@pytest.mark.parametrize(
    "attack",
    [_edit, _edit_and_rehash, _delete, _delete_and_renumber, _swap, _insert, _wrong_key, _first_gone, _not_canonical],
)
def test_attack_on_the_ledger_shows(tmp_path: Path, attack: Attack) -> None:
    path = _filled(tmp_path)
    with sqlite3.connect(path) as db:
        attack(db)
    db.close()
    with Ledger(tmp_path) as ledger, pytest.raises(IntegrityError) as caught:
        ledger.check()
    assert caught.value.code == "HW3002"


@pytest.mark.parametrize("way", ["compiled", "hashlib"])
@pytest.mark.parametrize(
    "attack", [_edit, _edit_and_rehash, _delete, _delete_and_renumber, _swap, _insert, _first_gone, _not_canonical]
)
def test_attack_shows_to_the_quick_check_too(
    tmp_path: Path, attack: Attack, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "hashlib":
        monkeypatch.setattr(twin_digests, "_library", lambda: (None, False))
    path = _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        assert ledger.examined(signatures=False) == ledger.examined()
    with sqlite3.connect(path) as db:
        attack(db)
    db.close()
    with Ledger(tmp_path) as ledger, pytest.raises(IntegrityError) as caught:
        ledger.examined(signatures=False)
    assert caught.value.code == "HW3002"


def test_untouched_ledger_verifies_and_states_its_head(tmp_path: Path) -> None:
    _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        count, head, tree = ledger.check()
        bodies = [s.body for s in ledger.entries()]
    assert count == 5
    assert head == hashlib.sha256(bodies[-1]).hexdigest()
    assert tree == root(bodies)
    assert all(canonical(json.loads(b)) == b for b in bodies)


def test_full_disk_refuses_and_adds_nothing(tmp_path: Path) -> None:
    _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(VaultError) as caught:
            ledger.append("act", time="t", actors=[], tool="t", note={"big": "x" * 100_000})
        assert caught.value.code == "HW3001"
        assert ledger.check()[0] == 5


def test_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    _filled(tmp_path)
    assert (tmp_path / "keys" / "case.key").stat().st_mode & 0o077 == 0


def test_merkle_root_matches_rfc_6962() -> None:
    """Figures of RFC 6962's reference (certificate-transparency's merkletree tests): the empty and one-leaf trees."""
    assert root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root([b""]) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    leaves = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
    leaves = [bytes.fromhex(h) for h in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
    assert root(leaves) == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert root(leaves[:7]) == "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
