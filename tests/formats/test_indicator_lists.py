# SPDX-License-Identifier: Apache-2.0
"""A list that is read wrongly finds nothing, or finds everything; what is not used of it must be said."""

from __future__ import annotations

import json

import pytest

from headwater.formats.indicator_lists import BadList, IndicatorList, read_list


def held(found: IndicatorList) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in found.indicators}


def test_plain_text_with_comments_and_brackets() -> None:
    text = (
        "# made by hand\n203.0.113.7  # first seen in March\n198.51.100.0/24\nevil[.]example.com\nhxxp://evil.example.com/a.sh\n"
        "D41D8CD98F00B204E9800998ECF8427E\n2001:DB8::1\nxmrig.exe\nwhat is this\n\n"
    )
    found = read_list("list.txt", text.encode())
    assert held(found) == {
        ("address", "203.0.113.7"), ("network", "198.51.100.0/24"), ("domain", "evil.example.com"),
        ("url", "http://evil.example.com/a.sh"), ("md5", "d41d8cd98f00b204e9800998ecf8427e"), ("address", "2001:db8::1"),
        ("file", "xmrig.exe"),
    }  # fmt: skip
    assert found.indicators[0].about == "first seen in March"
    assert found.indicators[0].place == "line 2"
    assert found.unused == {"kind not recognised": 1}


def test_csv_by_its_header_and_nsrl() -> None:
    found = read_list("x.csv", b"type,value,comment\nip,203.0.113.7,c2\nuser-agent,sqlmap/1.7,\nmutex,abcd,\n")
    assert held(found) == {("address", "203.0.113.7"), ("agent", "sqlmap/1.7")}
    assert sum(found.unused.values()) == 1
    nsrl = b'"SHA-1","MD5","FileName"\n"' + b"A" * 40 + b'","' + b"B" * 32 + b'","cmd.exe"\n'
    assert held(read_list("n.csv", nsrl)) == {("sha1", "a" * 40), ("md5", "b" * 32)}


def test_stix_pattern_says_what_of_it_was_not_used() -> None:
    patterns = [
        "[ipv4-addr:value = '203.0.113.7']",
        "[file:hashes.'SHA-256' = '" + "ab" * 32 + "' OR file:name = 'Evil.EXE']",
        "[domain-name:value = 'evil.example.com' AND network-traffic:dst_port = '443']",
        "[process:command_line MATCHES '.*mimikatz.*']",
        "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'bad\\'agent']",
    ]
    objects = [
        {"type": "indicator", "id": f"indicator--{n}", "pattern": p, "pattern_type": "stix"}
        for n, p in enumerate(patterns)
    ]
    objects.append({"type": "indicator", "id": "old", "pattern": "[ipv4-addr:value = '8.8.8.8']", "revoked": True})
    found = read_list("b.json", json.dumps({"type": "bundle", "objects": objects}).encode())
    assert held(found) == {
        ("address", "203.0.113.7"), ("sha256", "ab" * 32), ("file", "evil.exe"), ("domain", "evil.example.com"),
        ("agent", "bad'agent"),
    }  # fmt: skip
    about = {i.value: i.about for i in found.indicators}
    assert "one of several" in about["evil.example.com"]
    assert found.unused == {
        "revoked": 1, "process:command_line MATCHES": 1, "network-traffic:dst_port =": 1,
    }  # fmt: skip


def test_misp_attributes_of_events_and_their_objects() -> None:
    event = {
        "Event": {
            "Attribute": [
                {"type": "ip-dst|port", "value": "203.0.113.7|443", "uuid": "u1"},
                {"type": "filename|sha256", "value": "a.exe|" + "cd" * 32, "uuid": "u2"},
            ],
            "Object": [{"Attribute": [{"type": "hostname", "value": "c2.example.net", "uuid": "u3"}]}],
        }
    }
    found = read_list("m.json", json.dumps({"response": [event]}).encode())
    assert held(found) == {
        ("address", "203.0.113.7"), ("file", "a.exe"), ("sha256", "cd" * 32), ("domain", "c2.example.net"),
    }  # fmt: skip
    assert found.unused == {"type port": 1}


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b"{", b"[" * 100_000, b"[1, 2]", b'{"type": "bundle", "objects": 5}'[:-2] + b"[{}]}"]
)
def test_json_that_is_no_list_is_refused_or_empty(data: bytes) -> None:
    try:
        assert not read_list("x.json", data).indicators
    except BadList:
        pass


def test_value_that_would_be_found_everywhere_is_left_out() -> None:
    found = read_list("x.csv", b"type,value\nuser-agent,a\nfilename,/x/..\n")
    assert not found.indicators
    assert sum(found.unused.values()) == 2
