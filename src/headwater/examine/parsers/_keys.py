# SPDX-License-Identifier: Apache-2.0
"""Public keys of OpenSSH in one line, and their fingerprints, shared by the parsers of the two key files.

sshd(8) AUTHORIZED_KEYS FILE FORMAT, https://man.openbsd.org/sshd.8; a blob begins with its type (RFC 4251).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from headwater.formats.patterns import lazy_regex

KEY_TYPE = lazy_regex(
    r"(?:(?:sk-)?(?:ssh|ecdsa)-[a-z0-9-]+(?:@openssh\.com)?|ssh-[a-z0-9-]+(?:-cert-v0[01]@openssh\.com)?|rsa-sha2-\d+)"
)


def fingerprint(key_type: str, blob: str) -> str | None:
    """``SHA256:`` and the unpadded base64 of the blob's digest; None where the blob is no key of that type."""
    try:
        raw = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    size = int.from_bytes(raw[:4], "big")
    if size > 64 or raw[4 : 4 + size].decode("ascii", "replace") != key_type:
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def split_options(text: str) -> tuple[str | None, str]:
    """The leading options (commas, quoted values) and the rest of a line of authorized_keys."""
    at = 0
    quoted = False
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text) and text[at + 1] == '"':
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char in " \t" and not quoted:
            break
        at += 1
    return text[:at], text[at:].lstrip(" \t")
