# SPDX-License-Identifier: Apache-2.0
"""What only somebody outside can show: an old copy put back, a fork, history signed anew, a clock set wrong."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from small_vault import opened
from stamping import Authority
from test_ledger_attacks import _case_key, _resign

from headwater.cli.main import main
from headwater.model.errors import VaultError
from headwater.procedure import anchoring
from headwater.vault import anchors, tokens, witness
from headwater.vault.witness import Witness


def _stamped(case: Path, authority: Authority) -> Path:
    """The case with one token; returns the anchor's file, kept outside."""
    corridor = opened(case)
    with corridor.ledger, authority.serving() as url:
        found = anchoring.stamp(corridor, url, anchoring.chain_of(case, authority.chain))
    kept = case.with_name("kept.json")
    shutil.copy(case / "anchors" / found[0].name, kept)
    return kept


def _verdicts(case: Path, *given: str) -> list[str]:
    corridor = opened(case)
    with corridor.ledger:
        return [v.words.en for v in anchoring.against(corridor, given) if v.result == "mismatch"]


def _paper(case: Path) -> str:
    corridor = opened(case)
    with corridor.ledger:
        made = corridor.ledger.checkpoint()
        assert made is not None
        return anchors.printed(made)


def _grow(case: Path, words: str = "more") -> None:
    corridor = opened(case)
    with corridor.ledger:
        corridor.record("act", note={"words": words})


def test_token_verifies_and_the_case_matches_it(tmp_path: Path, authority: Authority) -> None:
    case = tmp_path / "case"
    kept = _stamped(case, authority)
    _grow(case)
    assert _verdicts(case, str(kept)) == []
    anchor = anchors.load(kept)
    assert anchor.kind == "token"
    assert anchor.size == 5
    assert anchor.accuracy_ns == 1_000_000_000
    root = hashlib.sha256(tokens.certificates_of(authority.chain.read_bytes())[0]).hexdigest()
    assert root in anchor.who


def test_odd_certificate_of_the_operator_is_no_noise_on_the_screen(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    odd = Authority(tmp_path / "odd", serial="0")
    x509.load_pem_x509_certificate(odd.chain.read_bytes())
    assert recwarn, "the library says nothing of such a serial number any more"
    recwarn.clear()
    assert _verdicts(tmp_path / "case", str(_stamped(tmp_path / "case", odd))) == []
    assert not [str(w.message) for w in recwarn]


def test_old_copy_put_back_shows(tmp_path: Path, authority: Authority) -> None:
    case, old = tmp_path / "case", tmp_path / "old"
    opened(case).ledger.__exit__(None)
    shutil.copytree(case, old)
    _grow(case)
    head = _paper(case)
    kept = _stamped(case, authority)
    shutil.rmtree(case)
    shutil.copytree(old, case)
    assert _verdicts(case) == []  # the folder alone says nothing
    assert "an older copy was put back" in _verdicts(case, str(kept))[0]
    assert "an older copy was put back" in _verdicts(case, head)[0]


def test_fork_and_history_signed_anew_show(tmp_path: Path, authority: Authority) -> None:
    case, fork = tmp_path / "case", tmp_path / "fork"
    opened(case).ledger.__exit__(None)
    shutil.copytree(case, fork)
    _grow(case)
    kept = _stamped(case, authority)
    _grow(fork, "other")
    _grow(fork, "words")
    assert "a fork, or signed anew" in _verdicts(fork, str(kept))[0]
    again = tmp_path / "again"
    shutil.copytree(case, again)
    _resign(again, _case_key(again), (b'"n":2', b'"n":7'))
    shutil.rmtree(again / "anchors")
    assert _verdicts(again) == []
    corridor = opened(again)
    with corridor.ledger:
        assert corridor.ledger.check()  # nothing within shows it
        found = anchoring.against(corridor, [str(kept)])
    assert found[0].result == "mismatch"


def test_ledger_begun_anew_is_another_ledger(tmp_path: Path) -> None:
    head = _paper(tmp_path / "a")
    opened(tmp_path / "b").ledger.__exit__(None)
    assert "another ledger" in _verdicts(tmp_path / "b", head)[0]


def test_clock_ahead_and_clock_behind_show_against_the_token(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headwater.procedure import corridor as corridor_module

    case = tmp_path / "case"
    opened(case).ledger.__exit__(None)
    real = corridor_module.utc_now
    monkeypatch.setattr(corridor_module, "utc_now", lambda: "2099-01-01T00:00:00.000000000Z")
    _grow(case)
    monkeypatch.setattr(corridor_module, "utc_now", real)
    kept = _stamped(case, authority)
    assert "the clock was ahead" in _verdicts(case, str(kept))[0]
    other = tmp_path / "other" / "case"
    kept = _stamped(other, authority)
    monkeypatch.setattr(corridor_module, "utc_now", lambda: "2001-01-01T00:00:00.000000000Z")
    _grow(other)
    assert any("the clock was behind" in w for w in _verdicts(other, str(kept)))


def test_air_gapped_machine_exchanges_files(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / "case"
    opened(case).ledger.__exit__(None)
    assert main(["anchor", str(case), "--request"]) == 0
    request = next((case / "anchors" / "queue").glob("*.tsq"))
    (tmp_path / "back.tsr").write_bytes(authority.answer(request.read_bytes()))
    assert main(["anchor", str(case), "--response", str(tmp_path / "back.tsr")]) == 2  # no chain, no anchor
    done = main(["anchor", str(case), "--response", str(tmp_path / "back.tsr"), "--chain", str(authority.chain)])
    assert done == 0
    assert not list((case / "anchors" / "queue").iterdir())
    capsys.readouterr()
    assert main(["anchor", str(case)]) == 0
    assert "attests the first 5 entries" in capsys.readouterr().out


def test_unreachable_authority_leaves_the_request_queued(tmp_path: Path, authority: Authority) -> None:
    case = tmp_path / "case"
    opened(case).ledger.__exit__(None)
    chain = ["--chain", str(authority.chain)]
    assert main(["anchor", str(case), "--tsa", "http://127.0.0.1:9/", *chain]) == 5
    assert len(list((case / "anchors" / "queue").glob("*.tsq"))) == 1
    _grow(case)
    with authority.serving() as url:
        assert main(["anchor", str(case), "--tsa", url]) == 0
    assert len(list((case / "anchors").glob("*.token.json"))) == 2


def test_openssl_agrees_with_our_reading(tmp_path: Path, authority: Authority) -> None:
    case = tmp_path / "case"
    kept = _stamped(case, authority)
    import base64

    raw = json.loads(kept.read_bytes())
    (tmp_path / "t.tsr").write_bytes(base64.b64decode(raw["token"]))
    (tmp_path / "data").write_bytes(base64.b64decode(raw["checkpoint"]))
    words = ["openssl", "ts", "-verify", "-in", str(tmp_path / "t.tsr"), "-data", str(tmp_path / "data"),
             "-CAfile", str(authority.chain), "-untrusted", str(authority.folder / "tsa.pem")]  # fmt: skip
    assert b"Verification: OK" in subprocess.run(words, capture_output=True, timeout=30).stdout


def test_token_that_was_altered_or_is_for_other_bytes_is_refused(tmp_path: Path, authority: Authority) -> None:
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    body = b"the head"
    request = TimestampRequestBuilder(data=body, hash_algorithm=HashAlgorithm.SHA256, nonce=True).build()
    response = authority.answer(request.as_bytes())
    chain = tokens.certificates_of(authority.chain.read_bytes())
    digest = hashlib.sha256(body).digest()
    assert tokens.check(response, digest, chain, request.nonce).policy == "1.2.3.4.1"
    for wrong in (
        lambda: tokens.check(response, hashlib.sha256(b"other").digest(), chain),
        lambda: tokens.check(response, digest, chain, 1),
        lambda: tokens.check(response, digest, []),
        lambda: tokens.check(b"", digest, chain),
    ):
        with pytest.raises(tokens.BadTokenError):
            wrong()
    other = Authority(tmp_path / "other")
    with pytest.raises(tokens.BadTokenError):
        tokens.check(response, digest, tokens.certificates_of(other.chain.read_bytes()))
    rng = random.Random(5)
    kept = 0
    for _ in range(300):
        spoilt = bytearray(response)
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        try:
            said = tokens.check(bytes(spoilt), digest, chain, request.nonce)
        except tokens.BadTokenError:
            continue
        kept += 1  # a bit that nothing rests on, such as the embedded certificate's tag for a copy that is archived
        assert (said.time_ns, said.imprint) == (tokens.check(response, digest, chain).time_ns, digest)
    assert kept < 60


def test_certificate_that_is_not_for_time_is_refused(tmp_path: Path) -> None:
    """openssl itself refuses to stamp with such a certificate, so it is swapped in afterwards for the check alone."""
    authority = Authority(tmp_path / "t", ess="sha1")
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder(data=b"x", hash_algorithm=HashAlgorithm.SHA256, nonce=False).build()
    response = authority.answer(request.as_bytes())
    chain = tokens.certificates_of(authority.chain.read_bytes())
    digest = hashlib.sha256(b"x").digest()
    assert tokens.check(response, digest, chain).signer == "CN=Test TSA"  # ESSCertID with SHA-1 is read too
    from cryptography import x509

    root = x509.load_der_x509_certificate(chain[0])
    with pytest.raises((tokens.BadTokenError, x509.ExtensionNotFound)):
        tokens._chain(root, chain, chain, 0)


def _asked(case: Path, since: int | None = None) -> dict[str, object]:
    corridor = opened(case)
    with corridor.ledger:
        return anchoring.ask_witness(corridor, since)


def test_witness_refuses_rollback_and_fork(tmp_path: Path) -> None:
    case, old = tmp_path / "case", tmp_path / "old"
    here = Witness.make(tmp_path / "witness", "另一台主机")
    opened(case).ledger.__exit__(None)
    shutil.copytree(case, old)
    _grow(case)
    receipt = here.sign(_asked(case))
    corridor = opened(case)
    with corridor.ledger:
        assert anchoring.keep_receipt(corridor, receipt, "r").kind == "witness"
    assert here.sign(_asked(case))["size"] == 7  # goes on from the receipt that the case keeps
    with pytest.raises(VaultError, match="rollback"):
        here.sign(_asked(old))
    for words in ("a", "b", "c", "d"):
        _grow(old, words)
    with pytest.raises(VaultError, match="fork"):
        here.sign(_asked(old, 7))
    with pytest.raises(VaultError, match="proof is needed"):
        here.sign(_asked(old, 0))
    for proof in ([], ["zz"], ["00" * 32] * 3):
        with pytest.raises(VaultError, match="fork"):
            here.sign(_asked(old, 7) | {"proof": proof})


def _kept(case: Path, base: Path) -> Path:
    path = next((case / "anchors").glob("*.witness.json"))
    return Path(shutil.copy(path, base / "receipt.json"))


def test_old_copy_shows_against_a_receipt(tmp_path: Path) -> None:
    case, old = tmp_path / "case", tmp_path / "old"
    here = Witness.make(tmp_path / "witness", "w")
    opened(case).ledger.__exit__(None)
    shutil.copytree(case, old)
    _grow(case)
    receipt = here.sign(_asked(case))
    corridor = opened(case)
    with corridor.ledger:
        anchoring.keep_receipt(corridor, receipt, "r")
    assert "an older copy was put back" in _verdicts(old, str(_kept(case, tmp_path)))[0]


def test_receipt_forged_or_witness_log_cut_is_refused(tmp_path: Path) -> None:
    here = Witness.make(tmp_path / "witness", "w")
    receipt = here.sign(_asked(tmp_path / "case"))
    with pytest.raises(ValueError, match="signature"):
        witness.receipt_of(receipt | {"size": 99})
    _grow(tmp_path / "case")
    here.sign(_asked(tmp_path / "case", 5))
    log = tmp_path / "witness" / "witness.log"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(VaultError, match="its own log is broken"):
        here.sign(_asked(tmp_path / "case", 6))


def test_anchor_that_is_no_anchor_is_refused(tmp_path: Path) -> None:
    for text in ("", "{}", '{"format":"headwater anchor v1"}', "[" * 5000):
        with pytest.raises(VaultError):
            anchors.read(text.encode(), "x")
    for text in ("HW1 x 1 y", "HW1", "HW1 " + "0" * 64 + " n " + "0" * 64):
        with pytest.raises(VaultError):
            anchors.from_paper(text)
