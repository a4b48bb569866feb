# SPDX-License-Identifier: Apache-2.0
"""Contents in object storage that nobody can find again, and a flag that root was said not to get past."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from headwater.cli.main import EXIT_AUTHORITY, EXIT_USAGE, EXIT_VAULT, main
from headwater.vault.ledger import Ledger
from headwater.vault.s3 import Bucket, LockedStore, Place
from headwater.vault.storage import Folder, hold_fast
from people import added, cheap, do, photograph, staffed


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    cheap(monkeypatch, tmp_path)
    staffed(tmp_path)
    return tmp_path


def _words(case: Path, place: Place, keys: Path) -> list[str]:
    return [str(case), "--endpoint", place.url, "--bucket", place.bucket, "--credentials", str(keys)]


def test_item_is_stored_by_version_and_read_back_from_what_the_ledger_names(
    home: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    case, keys = home / "case", home / "keys"
    keys.write_text(f"{place.access_key}\n{place.secret_key}\n")
    content = f"a photograph of {home}".encode()
    assert added(home, case, photograph(home, content=content)) == 0
    words = _words(case, place, keys)
    assert do(home, "store", *words, who="赵六") == EXIT_AUTHORITY, "an auditor does not copy"
    assert do(home, "store", *words, "--days", "1", who="张三") == 0
    with Ledger(case) as ledger:
        entered = ledger.last("store")
        assert entered is not None
        kept = entered.entry.note["objects"][0]
        assert entered.entry.note["mode"] == "COMPLIANCE"
    assert main(["store", *words, "--check"]) == 0
    key = f"{kept['sha256'][:2]}/{kept['sha256']}"
    Bucket(place).short("PUT", key, body=b"something else over it")
    assert main(["store", *words, "--check"]) == 0, "the version that was written is still there"
    status, _, _ = Bucket(place).short("DELETE", key, query={"versionId": kept["version"]})
    assert status in {400, 403, 405}
    assert b"".join(LockedStore(place, 1).version(kept["sha256"], kept["version"])) == content
    capsys.readouterr()


def test_no_keys_no_such_item_no_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    words = [str(home / "case"), "--endpoint", "http://127.0.0.1:9", "--bucket", "b"]
    assert do(home, "store", *words, who="张三") == EXIT_USAGE
    (home / "keys").write_text("a b")
    assert do(home, "store", *words, "--credentials", str(home / "keys"), who="张三") == EXIT_VAULT


def test_immutable_content_withstands_even_the_administrator(tmp_path: Path) -> None:
    store = Folder(tmp_path / "objects", immutable=True)
    put = store.put(io.BytesIO(b"evidence"))
    path = store.path(put.sha256)
    if not hold_fast(path):
        pytest.skip("no chattr +i here: it needs root and a file system that has the flag")
    try:
        for act in (lambda: path.unlink(), lambda: path.chmod(0o600), lambda: os.rename(path, tmp_path / "away")):
            with pytest.raises(PermissionError):
                act()
        with pytest.raises(PermissionError):
            path.open("r+b")
        assert b"".join(store.blocks(put.sha256)) == b"evidence"
        assert store.put(io.BytesIO(b"evidence")) == put, "the same content again is no fault"
    finally:
        assert hold_fast(path, on=False)
    path.unlink()
