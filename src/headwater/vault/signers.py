# SPDX-License-Identifier: Apache-2.0
"""A person's key by what they name: an Ed25519 key file, a token behind a PKCS#11 URI, or an SM2 file of OpenSSL's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from headwater.model.errors import VaultError
from headwater.vault import sm2_openssl
from headwater.vault.keys import SCHEME, make_personal, open_personal

ALGORITHMS = ("ed25519", "sm2")


class Personal(Protocol):
    """A signer with the name that its key bears."""

    @property
    def name(self) -> str: ...

    @property
    def public(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


def is_token(where: Path) -> bool:
    """Whether a key's place is a PKCS#11 URI."""
    return str(where).startswith(SCHEME)


def there(where: Path) -> bool:
    """Whether a key stands there; a token's is looked for when it is opened."""
    return is_token(where) or where.exists()


def open_signer(where: Path, passphrase: str) -> Personal:
    """The key that stands there.

    Raises:
        VaultError: HW3010.
    """
    if is_token(where):
        from headwater.vault.pkcs11 import open_token  # ctypes, and only for tokens

        return open_token(str(where), passphrase)
    try:
        with where.open("rb") as file:
            head = file.read(len(sm2_openssl.BEGINS))
    except OSError as error:
        raise VaultError("HW3010", str(where), what=error) from error
    if head == sm2_openssl.BEGINS:
        return sm2_openssl.open_sm2(where, passphrase)
    return open_personal(where, passphrase)


def make_signer(where: Path, name: str, passphrase: str, algorithm: str = "ed25519") -> Personal:
    """A new key in a file.

    Raises:
        VaultError: HW3010, HW3004.
    """
    if algorithm == "sm2":
        return sm2_openssl.make_sm2(where, name, passphrase)
    return make_personal(where, name, passphrase)
