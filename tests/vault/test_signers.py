# SPDX-License-Identifier: Apache-2.0
"""Signatures from tokens and by SM2 that the ledger takes for something else, and keys that leave where they belong."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.cli.main import EXIT_VAULT, main
from headwater.model.errors import VaultError
from headwater.vault import sm2
from headwater.vault.keys import verifies
from headwater.vault.ledger import Ledger
from headwater.vault.pkcs11 import open_token, uri
from headwater.vault.signers import make_signer, open_signer
from people import added, cheap, do, photograph, staffed

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
# GB/T 32905, example 1; the point and signature were made by OpenSSL 3.0.22 over b"headwater", default identity
SM3_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    cheap(monkeypatch, tmp_path)
    staffed(tmp_path)
    return tmp_path


def _openssl() -> None:
    done = subprocess.run(["openssl", "list", "-public-key-algorithms"], capture_output=True, check=False) if (
        shutil.which("openssl")) else None  # fmt: skip
    if done is None or b"sm2" not in done.stdout.lower():
        pytest.skip("no openssl with SM2 here")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a key in a software token; its PIN is 1234. A module is initialised once in a process."""
    tmp_path = tmp_path_factory.mktemp("token")
    monkeypatch = pytest.MonkeyPatch()
    module = next((m for m in MODULES if Path(m).exists()), None)
    if module is None or shutil.which("softhsm2-util") is None or shutil.which("openssl") is None:
        pytest.skip("no softhsm2 here")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    label = "people"
    pem = tmp_path / "once.pem"
    for words in (
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678"],
        ["openssl", "genpkey", "-algorithm", "ED25519", "-out", str(pem)],
        ["softhsm2-util", "--import", str(pem), "--token", label, "--label", "zhao", "--id", "07", "--pin", "1234"],
    ):
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"softhsm2 cannot do it here: {done.stderr.decode(errors='replace')[:100]}")
    pem.unlink()
    yield f"pkcs11:token={label};object=zhao?module-path={module}"
    monkeypatch.undo()


def test_sm3_and_sm2_are_those_of_the_standard() -> None:
    assert sm2.sm3(b"abc").hex() == SM3_ABC
    generator = random.Random(3)
    for size in (0, 55, 56, 63, 64, 119, 500) if "sm3" in hashlib.algorithms_available else ():
        data = generator.randbytes(size)
        assert sm2.sm3(data) == hashlib.new("sm3", data).digest()


def test_sm2_person_signs_and_anybody_can_check_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _openssl()
    case = home / "case"
    words = ["case", "people", str(case), "add", "钱七", "--role", "custodian", "--algorithm", "sm2", "--as", "管理员"]
    assert main([*words, "--passphrase-file", str(home / "pass")]) == 0
    assert added(home, case, photograph(home), who="钱七") == 0
    with Ledger(case) as ledger:
        entered = ledger.last("add-item")
        assert entered is not None
        public = str(entered.entry.note["signer"])
        assert len(public) == 130
        assert ledger.examined().entries > 5
        body, signature = entered.hash, entered.signature
    assert not verifies(public, signature, body.encode())
    key = home / "config" / "headwater" / "keys" / "钱七.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    (home / "wrong").write_text("something else\n")
    assert main(["add", str(case), str(photograph(home)), "--like", "I1", "--as", "钱七",
                 "--passphrase-file", str(home / "wrong")]) == EXIT_VAULT  # fmt: skip
    capsys.readouterr()


def test_altered_sm2_signature_verifies_nothing(tmp_path: Path) -> None:
    _openssl()
    key = make_signer(tmp_path / "k.key", "k", "correct horse", "sm2")
    data = b"headwater"
    signature = key.sign(data)
    assert verifies(key.public, signature, data)
    generator = random.Random(7)
    for _ in range(40):
        at = generator.randrange(len(signature))
        other = bytearray(signature)
        other[at] ^= 1 << generator.randrange(8)
        assert not verifies(key.public, bytes(other), data)
    for broken in (
        b"",
        signature[:-1],
        signature + b"\0",
        b"\x30\x06\x02\x01\x00\x02\x01\x00",
        signature[:2] + b"\x02\x00",
    ):
        assert not verifies(key.public, broken, data)
    assert not verifies("04" + "00" * 64, signature, data), "no point of the curve"
    assert not verifies(key.public, signature, data + b"!")


def test_token_signs_and_keeps_its_key(home: Path, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = home / "case"
    (home / "pin").write_text("1234\n")
    enrol = [
        "case",
        "people",
        str(case),
        "add",
        "孙八",
        "--role",
        "custodian",
        "--as",
        "管理员",
        "--key",
        f"孙八={token}",
    ]
    secrets = ["--passphrase-file", f"孙八={home / 'pin'}", "--passphrase-file", f"管理员={home / 'pass'}"]
    assert main([*enrol, *secrets]) == 0
    assert added(home, case, photograph(home)) == 0
    words = [
        "seal",
        str(case),
        "I1",
        "--seal-after",
        "S-1",
        "--purpose",
        "运输",
        "--as",
        "孙八",
        "--key",
        f"孙八={token}",
    ]
    assert main([*words, *secrets]) == 0
    with Ledger(case) as ledger:
        ledger.examined()
        last = list(ledger.entries())[-1]
    assert last.entry.actors == ("孙八",)
    assert len(str(last.entry.note["signer"])) == 64
    assert "1234" not in json.dumps([list(last.entry.command), dict(last.entry.note)], ensure_ascii=False)
    (home / "pin").write_text("9999\n")
    assert main([*words, *secrets]) == EXIT_VAULT
    capsys.readouterr()


def test_token_uri_names_one_key_and_holds_no_pin(token: str) -> None:
    assert open_signer(Path(token), "1234").public == open_token(token, "1234").public
    assert "1234" not in repr(open_token(token, "1234"))
    for wrong in (token.replace("zhao", "li"), token.replace("token=people", "token=x"), token + "&pin-value=1234"):
        with pytest.raises(VaultError, match="HW3010"):
            open_token(wrong, "1234")
    for text in ("pkcs11:token=a", "file:x?module-path=y", "pkcs11:token=a?module-path=/nowhere.so"):
        with pytest.raises(VaultError, match="HW3010"):
            open_token(text, "1")
    assert uri("pkcs11:id=%07%ff;token=a%20b?module-path=/m.so").id == b"\x07\xff"


def test_another_person_does_not_pass_as_one_with_a_token(home: Path, token: str) -> None:
    assert do(home, "checkout", str(home / "case"), "I1", "--purpose", "x", "--key", token, who="张三") != 0
