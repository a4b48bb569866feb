# SPDX-License-Identifier: Apache-2.0
"""Keys: one Ed25519 key per person, sealed under a passphrase, and the case's own key, which signs checkpoints.

A personal key file is JSON: the person's name and public key in the clear, the private key sealed by AES-256-GCM under
a key that Argon2id (RFC 9106) draws from the passphrase; what stands in the clear is bound as associated data. The
file belongs to the person, not to the case (Electronic Signature Law: the signatory alone controls the key).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.errors import VaultError
from headwater.vault import sm2

ENTRY_DOMAIN = b"headwater ledger entry v1\x00"
CHECKPOINT_DOMAIN = b"headwater ledger checkpoint v1\x00"
ENROL_DOMAIN = b"headwater enrolment v1\x00"
FORMAT = "headwater personal key v1"
SCHEME = "pkcs11:"  # what a key in a token is named by begins so (RFC 7512)
_KIB, _PASSES, _LANES = 64 * 1024, 3, 1
_POINT_DIGITS = 130
_PEM = (b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----")
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410 section 7: what stands before the key's 32 bytes
_MOST_KIB = 1024 * 1024  # a key file is a stranger's file too: it may not ask for more than 1 GiB


class Signer(Protocol):
    """Somebody who signs: the public key in hex, and raw Ed25519 or DER SM2 signatures."""

    @property
    def public(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A private key that is open in this process."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public(self) -> str:
        return public_hex(self.key)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


def public_hex(key: Ed25519PrivateKey) -> str:
    """The raw public key in hex."""
    return key.public_key().public_bytes_raw().hex()


def verifies(public: str, signature: bytes, data: bytes) -> bool:
    """Whether the signature is by this key; a key that is none verifies nothing.

    64 hex digits are an Ed25519 key, 130 an uncompressed point on the curve of SM2.
    """
    try:
        if len(public) == _POINT_DIGITS:
            return sm2.verifies(bytes.fromhex(public), signature, data)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _stretch(passphrase: str, kdf: dict[str, Any]) -> bytes:
    from argon2.low_level import Type, hash_secret_raw

    kib, passes, lanes = int(kdf["memory_kib"]), int(kdf["passes"]), int(kdf["lanes"])
    if kdf["name"] != "argon2id" or not (8 <= kib <= _MOST_KIB and 1 <= passes <= 64 and 1 <= lanes <= 16):
        raise ValueError("these Argon2id parameters are refused")
    return hash_secret_raw(passphrase.encode(), bytes.fromhex(kdf["salt"]), passes, kib, lanes, 32, Type.ID)


def make_personal(path: Path, name: str, passphrase: str, *, memory_kib: int = _KIB) -> KeyHolder:
    """A new personal key, written to ``path`` (mode 0600) and opened.

    Raises:
        VaultError: HW3010 where a file stands there already or the passphrase is empty; HW3004 unwritable.
    """
    if path.exists():
        raise VaultError("HW3010", str(path), what="a file stands there already")
    if not passphrase:
        raise VaultError("HW3010", str(path), what="an empty passphrase protects nothing")
    holder = KeyHolder(name, Ed25519PrivateKey.generate())
    kdf: dict[str, Any] = {"name": "argon2id", "memory_kib": memory_kib, "passes": _PASSES, "lanes": _LANES}
    kdf["salt"] = os.urandom(16).hex()
    clear = {"format": FORMAT, "name": name, "public_key": holder.public, "kdf": kdf}
    raw = holder.key.private_bytes_raw()
    nonce = os.urandom(12)
    box = AESGCM(_stretch(passphrase, kdf)).encrypt(nonce, raw, canonical(clear))
    text = json.dumps(clear | {"nonce": nonce.hex(), "sealed": box.hex()}, ensure_ascii=False, indent=1) + "\n"
    _write_private(path, text.encode())
    return holder


def open_personal(path: Path, passphrase: str) -> KeyHolder:
    """The key in a personal key file.

    Raises:
        VaultError: HW3010, unreadable, not a key file, or not this passphrase.
    """
    try:
        raw = json.loads(path.read_bytes()[:65_536])
        clear = {name: raw[name] for name in ("format", "name", "public_key", "kdf")}
        if clear["format"] != FORMAT:
            raise ValueError("not a personal key of this format")
        box = AESGCM(_stretch(passphrase, clear["kdf"]))
        private = box.decrypt(bytes.fromhex(raw["nonce"]), bytes.fromhex(raw["sealed"]), canonical(clear))
        holder = KeyHolder(str(clear["name"]), Ed25519PrivateKey.from_private_bytes(private))
    except InvalidTag as error:
        raise VaultError("HW3010", str(path), what="wrong passphrase, or the file was altered") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VaultError("HW3010", str(path), what=error) from error
    if holder.public != clear["public_key"]:
        raise VaultError("HW3010", str(path), what="its public key is not that of its private key")
    return holder


def make_case_key(path: Path) -> None:
    """The case's key: unsealed, because every command signs with it; it attests order, not persons."""
    key = Ed25519PrivateKey.generate()
    pem = b"\n".join((_PEM[0], base64.b64encode(_PKCS8 + key.private_bytes_raw()), _PEM[1], b""))
    path.parent.mkdir(parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    _write_private(path, pem)


def open_case_key(path: Path) -> KeyHolder:
    """The case's key.

    Raises:
        VaultError: HW3001 where it is not there or is none.
    """
    try:
        key = _private(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise VaultError("HW3001", str(path), what=error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise VaultError("HW3001", str(path), what="not an Ed25519 key")
    return KeyHolder("case", key)


def _private(pem: bytes) -> object:
    """The key in a PEM file. In the one form that is written here it needs no library that knows all others.

    Raises:
        ValueError, TypeError: it is none, or is sealed.
    """
    lines = pem.split(b"\n")
    if len(lines) == 4 and (lines[0], lines[2], lines[3]) == (*_PEM, b""):
        try:
            der = base64.b64decode(lines[1], validate=True)
        except binascii.Error:
            der = b""
        if len(der) == len(_PKCS8) + 32 and der.startswith(_PKCS8):
            return Ed25519PrivateKey.from_private_bytes(der[len(_PKCS8) :])
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem, password=None)


def _write_private(path: Path, data: bytes) -> None:
    old = os.umask(0o177)  # the key is never readable by others, not even between write and chmod
    try:
        write_atomic(path, data)
    finally:
        os.umask(old)
    os.chmod(path, 0o600)
