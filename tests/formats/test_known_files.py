# SPDX-License-Identifier: Apache-2.0
"""A set of known files must not vouch for what it calls malicious, nor a broken set for anything."""

from __future__ import annotations

import hashlib
import io
import json

import pytest

from headwater.formats.indicator_lists import BadList
from headwater.formats.known_files import KnownFiles, known_files

A, B, C = (hashlib.sha256(t).hexdigest() for t in (b"a", b"b", b"c"))
M = hashlib.md5(b"a", usedforsecurity=False).hexdigest()
S = hashlib.sha1(b"a", usedforsecurity=False).hexdigest()


def _read(text: str) -> KnownFiles:
    return known_files("x", io.BytesIO(text.encode()), {A, B, M})


def test_only_what_is_wanted_is_kept_and_every_line_is_counted() -> None:
    text = f"# made here\n{A}  /bin/ls\n{C} *none\n\nnonsense here\n{M.upper()}\n"
    found = _read(text)
    assert (found.rows, dict(found.unused)) == (3, {"no SHA-256 and no MD5": 1})
    assert found.matched == {A: ("line 2", "/bin/ls"), M: ("line 6", "")}
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_what_nsrl_marks_as_malicious_or_special_is_not_known_good() -> None:
    head = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\n'
    rows = (
        f'"{S}","{M}","0","ls",1,2,"3",""\n"{S}","{M}","0","evil",1,2,"3","M"\n"{S}","","0","only sha-1",1,2,"3",""\n'
    )
    found = _read(head + rows)
    assert found.rows == 1
    assert found.matched == {M: ("line 2", "ls")}
    assert dict(found.unused) == {"marked as malicious in the set": 1, "no SHA-256 and no MD5": 1}
    malicious = f'"SHA-256","FileName","SpecialCode"\n"{B}","x","M"\n"{A}","y",""\n'
    assert set(_read(malicious).matched) == {A}
    assert set(_read(f"{A},ls\n{B},cat\n").matched) == {A, B}


def test_misp_and_stix_are_read_too() -> None:
    event = {
        "Event": {"Attribute": [{"type": "sha256", "value": A, "uuid": "u1"}, {"type": "domain", "value": "a.example"}]}
    }
    found = _read(json.dumps(event))
    assert found.matched[A][0] == "u1"
    assert found.unused["a domain"] == 1


@pytest.mark.parametrize("text", ["", "\n\n", "{", "[]", "no digest\n", "a\0b\n", '"MD5","FileName"\n"zz","ls"\n'])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(BadList):
        _read(text)
