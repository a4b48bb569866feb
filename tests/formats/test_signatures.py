# SPDX-License-Identifier: Apache-2.0
"""A file is judged by its bytes: text in any script stays text, two letters are no picture, an ending promises one form."""

from __future__ import annotations

import random

import pytest

from headwater.formats.signatures import disguised, type_of


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (bytes(100), "zeros"),
        (b"\x7fELF\x02\x01", "elf"),
        (b"BM is how this sentence begins", "text"),
        (b"MZ\x90\0\3\0\0\0", "pe"),
        ("登录失败的用户".encode(), "text"),
        ("登录失败的用户 root 来自 10.0.0.5 的第一行日志".encode("gb18030"), "text"),
        ("登录".encode() * 1365 + "登".encode()[:1], "text"),  # cut inside a character
        (b"\xff\xfea\0b\0", "text"),
        (b"#!/bin/sh\n", "script"),
        (b"<?php eval($_POST[1]);", "php"),
        (b"<!DOCTYPE html><p>", "html"),
        (b"type=X msg=a\x1dUID=0\n", "text"),
        (random.Random(3).randbytes(4096), "data"),
    ],
)
def test_type(head: bytes, kind: str) -> None:
    assert type_of(head) == kind


def test_noise_never_raises_and_is_rarely_text() -> None:
    seed = random.Random(7)
    found = [type_of(seed.randbytes(seed.randrange(1, 400))) for _ in range(500)]
    assert found.count("text") < 40


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.jpg", "jpeg", False),
        ("a.JPG", "elf", True),
        ("a.txt", "data", True),
        ("README", "elf", False),
        (".jpg", "text", False),
        ("a.log", "zeros", False),
        ("x.unknown", "elf", False),
    ],
)
def test_disguised(name: str, kind: str, expected: bool) -> None:
    assert disguised(name, kind) is expected
