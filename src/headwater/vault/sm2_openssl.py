# SPDX-License-Identifier: Apache-2.0
"""A personal SM2 key in an encrypted PKCS#8 file, made and used by the ``openssl`` program where there is one.

The passphrase goes through a pipe, never through the command line or a file; the private key stays between OpenSSL and
the key file. Checked everywhere by :mod:`headwater.vault.sm2`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headwater.model.errors import VaultError
from headwater.vault.sm2 import IDENTITY

BEGINS = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_SECONDS = 30.0
_ROUNDS = "-iter", "600000"  # of PBKDF2, as OWASP asks for with SHA-256


@dataclass(frozen=True, slots=True)
class Sm2Key:
    """A key that OpenSSL opens for each signature."""

    name: str
    public: str
    path: Path
    passphrase: str = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """The signature, DER."""
        read, write = os.pipe()  # pkeyutl takes the data from a file; a pipe is one
        try:
            os.set_inheritable(read, True)
            os.write(write, data)  # an entry's domain and hash: far less than a pipe holds
            os.close(write)
            write = -1
            words = ["pkeyutl", "-sign", "-inkey", str(self.path), "-rawin", "-digest", "sm3",
                     "-pkeyopt", f"distid:{IDENTITY.decode()}", "-in", f"/dev/fd/{read}"]  # fmt: skip
            return _openssl(words, self.passphrase, str(self.path), "-passin", keep=(read,))
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)


def make_sm2(path: Path, name: str, passphrase: str) -> Sm2Key:
    """A new key, written to ``path`` (mode 0600).

    Raises:
        VaultError: HW3010 where a file stands there already, the passphrase is empty, or OpenSSL cannot.
    """
    if path.exists() or not passphrase:
        raise VaultError(
            "HW3010", str(path), what="a file stands there already" if passphrase else "an empty passphrase"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = _openssl(["genpkey", "-algorithm", "SM2", "-outform", "DER"], None, str(path))
    sealed = _openssl(
        ["pkcs8", "-topk8", "-inform", "DER", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", *_ROUNDS],
        passphrase, str(path), "-passout", feed=plain,
    )  # fmt: skip
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(sealed)
    return open_sm2(path, passphrase, name)


def open_sm2(path: Path, passphrase: str, name: str = "") -> Sm2Key:
    """The key in a file.

    Raises:
        VaultError: HW3010, no SM2 key, another passphrase, or no OpenSSL.
    """
    words = ["pkey", "-in", str(path), "-pubout", "-outform", "DER"]
    der = _openssl(words, passphrase, str(path), "-passin")
    # SubjectPublicKeyInfo: id-ecPublicKey with the curve 1.2.156.10197.1.301, or the key type SM2, and the point at its end
    if bytes.fromhex("06082a811ccf5501822d") not in der or len(der) < 65 or der[-65] != 4:
        raise VaultError("HW3010", str(path), what="not an SM2 key")
    return Sm2Key(name or path.stem, der[-65:].hex(), path, passphrase)


def _openssl(
    words: Sequence[str], passphrase: str | None, where: str, option: str = "", *, feed: bytes | None = None,
    keep: tuple[int, ...] = (),
) -> bytes:  # fmt: skip
    """Run OpenSSL; the passphrase comes through a pipe of its own.

    Raises:
        VaultError: HW3010.
    """
    program = shutil.which("openssl")
    if program is None:
        raise VaultError("HW3010", where, what="SM2 needs the openssl program, which is not here")
    more: list[str] = []
    handles = list(keep)
    try:
        if passphrase is not None:
            read, write = os.pipe()
            handles.append(read)
            with os.fdopen(write, "wb") as pipe:
                pipe.write(passphrase.encode()[:4096] + b"\n")
            more = [option, f"fd:{read}"]
        done = subprocess.run(
            [program, *words, *more], input=feed, stdin=subprocess.DEVNULL if feed is None else None, capture_output=True,
            pass_fds=handles, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise VaultError("HW3010", where, what=error) from error
    finally:
        for handle in handles[len(keep) :]:
            os.close(handle)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise VaultError("HW3010", where, what=f"openssl: {said[0][:200] if said else done.returncode}")
    return done.stdout
