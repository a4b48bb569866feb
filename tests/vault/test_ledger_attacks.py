# SPDX-License-Identifier: Apache-2.0
"""Attacks by somebody with the folder in hand: what checkpoints, the tail file and personal keys show, and what not.

What only an anchor outside shows (an old copy put back, a fork, a re-signing) is said here and caught in
``test_anchors.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headwater.formats.canonical import canonical
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault import ledger as ledger_module
from headwater.vault.keys import ENROL_DOMAIN, ENTRY_DOMAIN, KeyHolder, make_personal, open_personal
from headwater.vault.ledger import Ledger
from headwater.vault.merkle import Frontier, consistency, consistent, included, inclusion, leaf, root


def _filled(case: Path, entries: int = 5) -> Path:
    case.mkdir(exist_ok=True)
    with Ledger(case, create=True) as ledger:
        for at in range(entries):
            ledger.append("act", time=f"2026-03-02T00:00:0{at}.000000000Z", actors=["张三"], tool="t 1", note={"n": at})
    return case / "ledger.db"


def _enrol(ledger: Ledger, holder: KeyHolder, roles: list[str], signer: KeyHolder | None = None) -> None:
    origin = next(ledger.entries()).hash
    proof = holder.sign(ENROL_DOMAIN + origin.encode() + holder.name.encode()).hex()
    person = {"name": holder.name, "organisation": "某局", "roles": roles, "public_key": holder.public}
    ledger.append("enrol", time="t", actors=[], tool="t", note={"person": person, "proof": proof}, signer=signer)


def _holder(name: str) -> KeyHolder:
    return KeyHolder(name, Ed25519PrivateKey.generate())


def _fails(case: Path, words: str) -> None:
    with Ledger(case) as ledger, pytest.raises(IntegrityError, match=words):
        ledger.check()
    with Ledger(case) as ledger, pytest.raises(IntegrityError):
        ledger.examined(signatures=False)


def test_tail_cut_off_beneath_a_checkpoint_shows(tmp_path: Path) -> None:
    with sqlite3.connect(_filled(tmp_path)) as db:
        db.execute("DELETE FROM entries WHERE seq=5")
    db.close()
    _fails(tmp_path, "a checkpoint attests 5 entries")


def test_tail_cut_off_with_its_checkpoint_shows_by_the_tail_file(tmp_path: Path) -> None:
    with sqlite3.connect(_filled(tmp_path)) as db:
        db.execute("DELETE FROM entries WHERE seq=5")
        db.execute("DELETE FROM checkpoints")
    db.close()
    _fails(tmp_path, "entry 5 had been committed")


def test_tail_cut_off_in_all_three_places_needs_an_anchor(tmp_path: Path) -> None:
    """A stated limit: nothing within the folder can show it."""
    with sqlite3.connect(_filled(tmp_path)) as db:
        db.execute("DELETE FROM entries WHERE seq=5")
        db.execute("DELETE FROM checkpoints")
    db.close()
    (tmp_path / "ledger.tail").unlink()
    with Ledger(tmp_path) as ledger:
        assert ledger.check()[0] == 4


def test_deleted_write_ahead_log_shows(tmp_path: Path) -> None:
    """A run killed with entries in the log alone; then somebody deletes the log."""
    _filled(tmp_path)
    pid = os.fork()
    if pid == 0:  # the child is killed before it can fold its log in
        ledger = Ledger(tmp_path)
        ledger.append("act", time="t", actors=[], tool="t")
        os._exit(0)
    os.waitpid(pid, 0)
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("ledger.db", "ledger.tail"):
        shutil.copy(tmp_path / name, kept / name)
    with Ledger(tmp_path) as ledger:  # with its log the entry is there
        assert ledger.check()[0] == 6
    _fails(kept, "entry 6 had been committed")


def test_crash_between_entry_and_commit_leaves_nothing(tmp_path: Path) -> None:
    _filled(tmp_path)
    pid = os.fork()
    if pid == 0:
        ledger = Ledger(tmp_path)
        with ledger.group():
            ledger.append("act", time="t", actors=[], tool="t")
            os._exit(0)
    os.waitpid(pid, 0)
    with Ledger(tmp_path) as ledger:
        assert ledger.check()[0] == 5
        ledger.append("act", time="t", actors=[], tool="t")
        assert ledger.check()[0] == 6


def test_group_that_fails_leaves_none_of_its_entries(tmp_path: Path) -> None:
    _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        with pytest.raises(RuntimeError), ledger.group():  # noqa: PT012
            ledger.append("act", time="t", actors=[], tool="t")
            raise RuntimeError
        assert ledger.check()[0] == 5
        with ledger.group():
            for _ in range(100):
                ledger.append("act", time="t", actors=[], tool="t")
        assert ledger.check()[0] == 105


def test_edited_checkpoint_shows(tmp_path: Path) -> None:
    with sqlite3.connect(_filled(tmp_path)) as db:
        body = json.loads(db.execute("SELECT body FROM checkpoints").fetchone()[0])
        db.execute("UPDATE checkpoints SET body=?", (canonical(body | {"time": "2020-01-01T00:00:00.000000000Z"}),))
    db.close()
    _fails(tmp_path, "signature of its checkpoint")


def test_altered_subtrees_are_not_signed_over(tmp_path: Path) -> None:
    with sqlite3.connect(_filled(tmp_path)) as db:
        db.execute("UPDATE checkpoints SET frontier=zeroblob(64)")
    db.close()
    ledger = Ledger(tmp_path)
    ledger.append("act", time="t", actors=[], tool="t")
    with pytest.raises(IntegrityError, match="subtrees"):
        ledger.checkpoint()
    ledger._db.close()


@pytest.mark.parametrize("seq", [2, 5])
def test_edit_with_its_hash_mended_shows_without_signatures_too(tmp_path: Path, seq: int) -> None:
    with sqlite3.connect(_filled(tmp_path)) as db:
        body = db.execute("SELECT body FROM entries WHERE seq=?", (seq,)).fetchone()[0].replace(b"t 1", b"t 2")
        db.execute("UPDATE entries SET body=?, hash=? WHERE seq=?", (body, hashlib.sha256(body).hexdigest(), seq))
    db.close()
    _fails(tmp_path, "HW3002")


def _resign(case: Path, key: Ed25519PrivateKey, change: tuple[bytes, bytes]) -> None:
    """Rewrite history as the holder of the case's key can: every hash, number, signature and checkpoint anew."""
    with sqlite3.connect(case / "ledger.db") as db:
        previous, tree = "0" * 64, Frontier()
        for seq, body in db.execute("SELECT seq, body FROM entries ORDER BY seq").fetchall():
            raw = json.loads(body.replace(*change)) | {"previous": previous}
            new = canonical(raw)
            previous = hashlib.sha256(new).hexdigest()
            signature = key.sign(ENTRY_DOMAIN + bytes.fromhex(previous))
            db.execute("UPDATE entries SET body=?, hash=?, signature=? WHERE seq=?", (new, previous, signature, seq))
            tree.add(new)
        db.execute("DELETE FROM checkpoints")
    db.close()
    (case / "ledger.tail").unlink()


def _case_key(case: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key((case / "keys" / "case.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def test_resigning_with_the_case_key_needs_an_anchor(tmp_path: Path) -> None:
    """A stated limit: whoever holds the case's key can rewrite entries that nobody signed in person."""
    _filled(tmp_path)
    _resign(tmp_path, _case_key(tmp_path), (b"t 1", b"t 2"))
    with Ledger(tmp_path) as ledger:
        assert ledger.check()[0] == 5


def test_resigning_with_the_case_key_does_not_reach_what_a_person_signed(tmp_path: Path) -> None:
    _filled(tmp_path)
    examiner = _holder("李四")
    with Ledger(tmp_path) as ledger:
        _enrol(ledger, examiner, ["examiner"])
        ledger.append("seal", time="t", actors=["李四"], tool="t 1", signer=examiner)
        assert ledger.check()[0] == 7
    _resign(tmp_path, _case_key(tmp_path), (b"t 1", b"t 2"))
    with Ledger(tmp_path) as ledger, pytest.raises(IntegrityError):
        ledger.check()


def test_signature_by_somebody_not_enrolled_or_dismissed_is_refused(tmp_path: Path) -> None:
    stranger, admin, examiner = _holder("无名"), _holder("管理员"), _holder("李四")
    _filled(tmp_path / "a")
    with Ledger(tmp_path / "a") as ledger:
        ledger.append("seal", time="t", actors=[], tool="t", signer=stranger)
        with pytest.raises(IntegrityError, match="nobody who is enrolled"):
            ledger.check()
    _filled(tmp_path / "b")
    with Ledger(tmp_path / "b") as ledger:
        _enrol(ledger, admin, ["admin"])
        _enrol(ledger, examiner, ["examiner"], admin)
        person = {"public_key": examiner.public}
        ledger.append("dismiss", time="t", actors=[], tool="t", note={"person": person}, signer=admin)
        assert set(ledger.examined().people) == {admin.public}
        ledger.append("seal", time="t", actors=[], tool="t", signer=examiner)
        with pytest.raises(IntegrityError, match="nobody who is enrolled"):
            ledger.check()


def test_once_there_is_an_administrator_nobody_else_enrols(tmp_path: Path) -> None:
    _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        _enrol(ledger, _holder("管理员"), ["admin"])
        _enrol(ledger, _holder("冒名"), ["custodian"])  # by the case's key
        with pytest.raises(IntegrityError, match="administrator alone"):
            ledger.check()


def test_enrolling_a_key_that_one_does_not_hold_is_refused(tmp_path: Path) -> None:
    _filled(tmp_path)
    victim, forger = _holder("李四"), _holder("李四")
    with Ledger(tmp_path) as ledger:
        origin = next(ledger.entries()).hash
        proof = forger.sign(ENROL_DOMAIN + origin.encode() + "李四".encode()).hex()
        person = {"name": "李四", "organisation": "", "roles": ["examiner"], "public_key": victim.public}
        ledger.append("enrol", time="t", actors=[], tool="t", note={"person": person, "proof": proof})
        with pytest.raises(IntegrityError, match="did not prove"):
            ledger.check()


def test_clock_set_back_is_remarked(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        for second in ("05", "09", "07"):
            ledger.append("act", time=f"2026-03-02T00:00:{second}.000000000Z", actors=[], tool="t")
        assert "the clock went back" in ledger.examined().remarks[0].en


def test_clock_set_forward_between_commands_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one boot the time since boot goes on evenly. Across boots only a timestamp from outside shows it."""
    hour = 3_600_000_000_000
    for wall, boot in (("2026-03-02T00:00:00", 5 * hour), ("2026-03-02T09:00:00", 6 * hour)):
        said = {"time": f"{wall}.000000000Z", "boottime_ns": str(boot), "boot": "b"}
        monkeypatch.setattr(ledger_module, "_clocks", lambda said=said: said)
        with Ledger(tmp_path, create=True) as ledger:
            ledger.append("act", time="t", actors=[], tool="t")
    with Ledger(tmp_path) as ledger:
        said = [r.en for r in ledger.examined().remarks]
    assert said == ["between the checkpoints at 1 and 2 the clock was set by +28800.0 s"]


def test_full_disk_within_a_group_adds_nothing(tmp_path: Path) -> None:
    _filled(tmp_path)
    with Ledger(tmp_path) as ledger:
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(VaultError) as caught, ledger.group():  # noqa: PT012
            for _ in range(50):
                ledger.append("act", time="t", actors=[], tool="t", note={"big": "x" * 10_000})
        assert caught.value.code == "HW3001"
        assert ledger.check()[0] == 5


def test_case_of_format_1_still_opens_verifies_and_grows(tmp_path: Path) -> None:
    """Rows exactly as the first version wrote them: one key, no checkpoint, no tail."""
    (tmp_path / "keys").mkdir()
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "keys" / "case.key").write_bytes(pem)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hash TEXT NOT NULL, "
            "signature BLOB NOT NULL) STRICT"
        )
        previous = "0" * 64
        for seq in (1, 2):
            raw = {
                "seq": seq, "previous": previous, "time": "2026-03-02T00:00:00.000000000Z", "actors": ["张三"],
                "action": "act", "tool": "headwater 0.1.0", "command": [], "evidence": [], "materials": {},
                "products": {}, "environment": {}, "note": {"public_key": KeyHolder("", key).public} if seq == 1 else {},
            }  # fmt: skip
            body = canonical(raw)
            previous = hashlib.sha256(body).hexdigest()
            db.execute(
                "INSERT INTO entries VALUES (?,?,?,?)",
                (seq, body, previous, key.sign(b"headwater ledger entry v1\x00" + bytes.fromhex(previous))),
            )
    db.close()
    with Ledger(tmp_path) as ledger:
        assert ledger.check()[0] == 2
        ledger.append("act", time="2026-03-03T00:00:00.000000000Z", actors=[], tool="t")
    with Ledger(tmp_path) as ledger:
        found = ledger.examined()
    assert (found.entries, found.checkpoints) == (3, 1)


def test_personal_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "li.key"
    made = make_personal(path, "李四", "correct horse", memory_kib=64)
    assert path.stat().st_mode & 0o077 == 0
    assert open_personal(path, "correct horse").public == made.public
    with pytest.raises(VaultError, match="wrong passphrase"):
        open_personal(path, "Correct horse")
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"name": "王五"}))
    with pytest.raises(VaultError, match="altered"):
        open_personal(path, "correct horse")
    with pytest.raises(VaultError, match="stands there already"):
        make_personal(path, "李四", "again", memory_kib=64)
    path.write_text(json.dumps(raw | {"kdf": raw["kdf"] | {"memory_kib": 1 << 40}}))
    with pytest.raises(VaultError, match="refused"):
        open_personal(path, "correct horse")


def test_proofs_hold_for_every_size_and_fail_for_another_history() -> None:
    bodies = [bytes([n]) for n in range(33)]
    leaves = [leaf(b) for b in bodies]
    for new in range(1, 34):
        head = root(bodies[:new])
        for at in range(new):
            path = inclusion(leaves[:new], at)
            assert included(leaves[at], at, new, path, head)
            assert not included(leaf(b"x"), at, new, path, head)
        for old in range(1, new + 1):
            proof = consistency(leaves[:new], old)
            assert consistent(old, root(bodies[:old]), new, head, proof)
            other = root([b"x", *bodies[1:old]])
            assert not consistent(old, other, new, head, proof)
