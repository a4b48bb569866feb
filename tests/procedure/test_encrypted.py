# SPDX-License-Identifier: Apache-2.0
"""A LUKS disk is said to be closed without its key, and is examined, traced and rebuilt with it; the key is kept nowhere."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.formats.keys import Key, with_headers
from headwater.procedure.corridor import facts_of, open_case
from headwater.procedure.investigate import investigate
from headwater.procedure.verification import verify
from small_case import make_evidence, order

SECRET = "correct horse battery"


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A LUKS image over an ext4 with two logs, as qemu-img and mkfs write them."""
    if shutil.which("qemu-img") is None or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs qemu-img and mkfs.ext4")
    source = make_evidence(tmp_path / "tree")
    plain, image = tmp_path / "plain.raw", tmp_path / "disk.luks"
    subprocess.run(["mkfs.ext4", "-q", "-d", str(source), str(plain), "4M"], check=True)
    made = subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "luks", "--object", f"secret,id=s,data={SECRET}", "-o",
         "key-secret=s,iter-time=10", str(plain), str(image)], capture_output=True,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("this qemu-img writes no LUKS")
    return image


def test_the_same_command_with_the_key_opens_what_was_closed(locked: Path, tmp_path: Path) -> None:
    case, key = tmp_path / "case", Key("note.txt", SECRET.encode() + b"\n")
    closed = investigate(order(locked, case))
    assert not closed.judged.findings
    assert "encrypted" in {reason for reason, _, _ in closed.gaps}
    opened = investigate(replace(order(locked, case), keys=(key,)))
    assert "ssh-guessing-success" in {f.rule.id for f in opened.judged.findings}
    corridor = open_case(case)
    with corridor.ledger:
        corridor.keys = (key,)
        told = json.dumps(facts_of(corridor.ledger, 1))
        assert "note.txt" in told
        assert {c.result for c in verify(corridor, rebuild=True)} == {"ok"}
    kept = b"".join(p.read_bytes() for p in case.rglob("*") if p.is_file())
    assert SECRET.encode() not in kept
    assert SECRET.encode().hex().encode() not in kept


def test_open_reads_behind_the_lock_and_a_wrong_key_is_said(
    locked: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "right").write_text(SECRET)
    (tmp_path / "wrong").write_text("incorrect donkey")
    path = "luks!/var/log/auth.log.1"
    assert main(["open", str(locked), "cat", path, "--key-file", str(tmp_path / "right")]) == 0
    assert b"Accepted publickey for alice" in capsysbinary.readouterr().out
    assert main(["open", str(locked), "cat", path, "--key-file", str(tmp_path / "wrong")]) != 0
    assert b"donkey" not in capsysbinary.readouterr().err


def test_a_header_kept_apart_opens_the_disk_it_was_taken_from(
    locked: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What luksHeaderBackup keeps and luksErase leaves: the disk itself then looks like noise."""
    header, phrase, path = tmp_path / "header.img", tmp_path / "phrase", "luks!/var/log/auth.log.1"
    phrase.write_text(SECRET)
    whole = locked.read_bytes()
    payload = int.from_bytes(whole[104:108], "big") * 512
    header.write_bytes(whole[:payload])
    bare = tmp_path / "bare.raw"
    bare.write_bytes(random.Random(1).randbytes(payload) + whole[payload:])
    words = ["open", str(bare), "cat", path, "--key-file", str(phrase)]
    assert main(words) != 0
    capsysbinary.readouterr()
    assert main([*words, "--luks-header", str(header)]) == 0
    assert b"Accepted publickey for alice" in capsysbinary.readouterr().out
    assert main([*words, "--luks-header", f"p3={header}"]) != 0, "it is the header of another volume"
    header.write_bytes(bytes(payload))
    capsysbinary.readouterr()
    assert main([*words, "--luks-header", str(header)]) != 0, "a header that is none is said, not raised"
    assert main([*words[:4], "--luks-header", str(header)]) == 2, "a header without a key opens nothing"


def test_a_header_kept_apart_reaches_the_report_by_its_digest(locked: Path, tmp_path: Path) -> None:
    whole = locked.read_bytes()
    payload = int.from_bytes(whole[104:108], "big") * 512
    bare = tmp_path / "disk.raw"
    bare.write_bytes(bytes(payload) + whole[payload:])
    keys = with_headers([Key("note.txt", SECRET.encode())], {"": whole[:payload]})
    case = tmp_path / "case"
    opened = investigate(replace(order(bare, case), keys=keys))
    assert "ssh-guessing-success" in {f.rule.id for f in opened.judged.findings}
    corridor = open_case(case)
    with corridor.ledger:
        told = json.dumps(facts_of(corridor.ledger, 1))
    assert hashlib.sha256(whole[:payload]).hexdigest() in told
