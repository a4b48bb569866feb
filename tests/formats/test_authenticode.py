# SPDX-License-Identifier: Apache-2.0
"""Headers and signatures that lie: no exception but ValueError, no digest that is not the program's own."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from headwater.examine.parsers import windows_pe
from headwater.formats import der
from headwater.formats.authenticode import signed
from headwater.formats.pe_header import certificates, digested, header
from headwater.model.records import Event, File

GOLDEN = Path(__file__).parents[1] / "golden"
SIGNED = (GOLDEN / "windows_pe" / "signed.exe").read_bytes()
CATALOG = (GOLDEN / "windows_catalog" / "example.cat").read_bytes()


def told(data: bytes) -> Event:
    (found,) = windows_pe.parse(File.of(data, "/a.exe"))
    assert isinstance(found, Event)
    return found


def test_the_digest_is_the_one_that_was_signed() -> None:
    found = header(lambda at, n: SIGNED[at : at + n], len(SIGNED))
    assert found is not None
    (raw,) = certificates(lambda at, n: SIGNED[at : at + n], found)
    said = signed(raw)
    own = hashlib.sha256(b"".join(SIGNED[at : at + n] for at, n in digested(found, len(SIGNED)))).hexdigest()
    assert (said.algorithm, said.digest, said.holds) == ("sha256", own, True)


def test_bytes_that_authenticode_leaves_out_change_nothing_and_others_do() -> None:
    assert told(SIGNED).fields["digest_holds"] is True
    checksum = bytearray(SIGNED)
    checksum[64 + 24 + 64] ^= 1
    assert told(bytes(checksum)).fields["digest_holds"] is True
    for place in (2, 300, 600, 1023):
        other = bytearray(SIGNED)
        other[place] ^= 1
        assert told(bytes(other)).fields["digest_holds"] is False


def test_hostile_programs_end_in_an_event_or_a_gap() -> None:
    chance = random.Random(7)
    for _ in range(400):
        data = bytearray(SIGNED)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(64 if chance.random() < 0.5 else len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data))]) if chance.random() < 0.3 else bytes(data)
        found = list(windows_pe.parse(File.of(cut, "/a.exe")))
        assert sum(r.length for r in found if hasattr(r, "length")) == len(cut)


def test_hostile_signatures_raise_nothing_but_value_errors() -> None:
    chance = random.Random(8)
    for _ in range(400):
        data = bytearray(CATALOG)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            said = signed(bytes(data))
        except ValueError:
            continue
        assert said.holds is not True or all(len(digest) <= 128 for _, digest in said.members)


def test_a_bad_serial_number_is_a_value_and_no_line_on_stderr(recwarn: pytest.WarningsRecorder) -> None:
    assert "certificate_departures" not in told(SIGNED).fields
    serial = bytes.fromhex(str(told(SIGNED).fields["serial"]).rjust(40, "0"))
    assert SIGNED.count(serial) == 2, "in the certificate and in the signer's words"
    found = told(SIGNED.replace(serial, bytes([serial[0] | 0x80]) + serial[1:]))
    assert found.fields["certificate_departures"] == "serial number not positive"
    assert str(found.fields["serial"]).startswith("-")
    assert found.fields["signer"] == told(SIGNED).fields["signer"]
    assert not recwarn.list


def test_elements_do_not_reach_beyond_what_holds_them() -> None:
    for data in (
        b"",
        b"\x30",
        b"\x30\x05\x02\x01\x01",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80\x00\x00",
        b"\x1f\x81\x00",
    ):
        with pytest.raises(ValueError):
            der.element(data, 0, len(data))
    assert der.oid(b"\x06\x03\x55\x04\x03", der.element(b"\x06\x03\x55\x04\x03", 0, 5)) == "2.5.4.3"


@pytest.mark.skipif(shutil.which("osslsigncode") is None, reason="osslsigncode is not installed")
def test_another_program_takes_the_same_digest() -> None:
    path = GOLDEN / "windows_pe" / "signed.exe"
    run = subprocess.run(["osslsigncode", "verify", "-in", str(path)], capture_output=True, text=True, check=False)
    assert str(told(SIGNED).fields["authenticode_sha256"]).upper() in run.stdout
