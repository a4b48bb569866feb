# SPDX-License-Identifier: Apache-2.0
"""A personal Ed25519 key in a token (smart card, HSM, SoftHSM), named by a PKCS#11 URI; the private key never leaves it.

``pkcs11:token=people;object=zhang?module-path=/usr/lib/softhsm/libsofthsm2.so`` (RFC 7512; ``id``, ``serial`` and
``slot-id`` narrow it further). The PIN is the passphrase; one in the URI is refused, since the ledger keeps command lines.
The module is called through its C interface, PKCS #11 v3.0 (OASIS), CKM_EDDSA. A signature is the same as one from a
key file, so verifying needs nothing of this.
"""

from __future__ import annotations

import ctypes
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from headwater.model.errors import VaultError
from headwater.vault.keys import SCHEME

# where functions stand in CK_FUNCTION_LIST, behind its version
_INITIALIZE, _SLOTS, _TOKEN, _OPEN, _CLOSE, _LOGIN, _ATTRIBUTE, _FIND, _FOUND, _FIND_END, _SIGN_INIT, _SIGN = (
    0, 4, 6, 12, 13, 18, 24, 26, 27, 28, 42, 43,
)  # fmt: skip
_OK, _ALREADY, _LOGGED_IN = 0, 0x191, 0x100
_CLASS, _LABEL, _KEY_TYPE, _ID, _POINT = 0x0, 0x3, 0x100, 0x102, 0x181
_PUBLIC, _PRIVATE, _EDWARDS, _EDDSA = 2, 3, 0x40, 0x1057
_SERIAL_SESSION, _USER = 4, 1
_SLOTS_MOST, _OBJECTS_MOST = 64, 16
_Long = ctypes.c_ulong


class _Attribute(ctypes.Structure):
    _fields_ = (("type", _Long), ("value", ctypes.c_void_p), ("length", _Long))


class _Mechanism(ctypes.Structure):
    _fields_ = (("mechanism", _Long), ("parameter", ctypes.c_void_p), ("length", _Long))


@dataclass(frozen=True, slots=True)
class Uri:
    """What a PKCS#11 URI names; an empty field is not asked for."""

    text: str
    module: str
    token: str = ""
    serial: str = ""
    slot: str = ""
    object: str = ""
    id: bytes = b""


def uri(text: str) -> Uri:
    """The URI in its parts.

    Raises:
        VaultError: HW3010, no URI of this kind, one without a module, or one with a PIN in it.
    """
    path, _, query = text.removeprefix(SCHEME).partition("?")
    said = dict(part.partition("=")[::2] for part in (*path.split(";"), *query.split("&")) if part)
    if not text.startswith(SCHEME) or {"pin-value", "pin-source"} & set(said):
        raise VaultError("HW3010", text.partition("?")[0], what="no PIN in the URI: it is asked for")
    if not said.get("module-path"):
        raise VaultError("HW3010", text, what="?module-path=…")
    one = {name: urllib.parse.unquote(value) for name, value in said.items()}
    return Uri(
        text, one["module-path"], one.get("token", ""), one.get("serial", ""), one.get("slot-id", ""), one.get("object", ""),
        urllib.parse.unquote_to_bytes(said.get("id", "")),
    )  # fmt: skip


class _Module:
    """The functions of a module, called with their return value checked."""

    def __init__(self, path: str) -> None:
        try:
            library = ctypes.CDLL(path)
            table = ctypes.c_void_p()
            library.C_GetFunctionList.restype = _Long
            if library.C_GetFunctionList(ctypes.byref(table)) != _OK or not table.value:
                raise OSError("it gives no functions")
        except (OSError, AttributeError) as error:
            raise VaultError("HW3010", path, what=error) from error
        self._path, self._library = path, library
        first = table.value + ctypes.sizeof(ctypes.c_void_p)  # behind the version, two bytes and padding
        self._functions = (ctypes.c_void_p * (_SIGN + 1)).from_address(first)
        self.call(_INITIALIZE, None, accept=(_OK, _ALREADY))

    def call(self, index: int, *given: Any, accept: Sequence[int] = (_OK,)) -> int:
        """Call a function.

        Raises:
            VaultError: HW3010 with the module's return value.
        """
        address = self._functions[index]
        if address is None:
            raise VaultError("HW3010", self._path, what=f"PKCS#11 function {index} is missing")
        function = ctypes.CFUNCTYPE(_Long, *(_kind(g) for g in given))(address)
        result = int(function(*given))
        if result not in accept:
            raise VaultError("HW3010", self._path, what=f"PKCS#11 function {index}: {_MEANS.get(result, hex(result))}")
        return result


_MEANS = {0xA0: "wrong PIN", 0xA4: "the PIN is locked", 0x70: "the token does not sign with Ed25519 (CKM_EDDSA)"}


def _kind(value: Any) -> Any:
    return _Long if isinstance(value, int) else ctypes.c_void_p


@cache
def _module(path: str) -> _Module:
    return _Module(path)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key that stays in its token; each signature opens a session for itself."""

    name: str
    public: str
    at: Uri
    pin: str = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        module = _module(self.at.module)
        with _session(module, self.at, self.pin) as session:
            key = _one(module, session, self.at, _PRIVATE)
            how = _Mechanism(_EDDSA, None, 0)
            module.call(_SIGN_INIT, session, ctypes.byref(how), key)
            out, length = ctypes.create_string_buffer(128), _Long(128)
            source = ctypes.create_string_buffer(data, len(data))
            module.call(_SIGN, session, source, len(data), out, ctypes.byref(length))
            return out.raw[: length.value]


def open_token(text: str, pin: str) -> TokenKey:
    """The key that a URI names, once the PIN has opened its token.

    Raises:
        VaultError: HW3010, no such token or key, a wrong PIN, or a key that is no Ed25519 key.
    """
    at = uri(text)
    module = _module(at.module)
    with _session(module, at, pin) as session:
        _one(module, session, at, _PRIVATE)
        point = _value(module, session, _one(module, session, at, _PUBLIC), _POINT)
    raw = point[2:] if len(point) == 34 and point[:2] == b"\x04\x20" else point  # an OCTET STRING around it, or not
    if len(raw) != 32:
        raise VaultError("HW3010", text, what="not an Ed25519 key")
    return TokenKey(at.object or at.token, raw.hex(), at, pin)


@contextmanager
def _session(module: _Module, at: Uri, pin: str) -> Iterator[int]:
    handle = _Long()
    module.call(_OPEN, _slot(module, at), _SERIAL_SESSION, None, None, ctypes.byref(handle))
    try:
        secret = pin.encode()
        module.call(_LOGIN, handle.value, _USER, ctypes.create_string_buffer(secret, len(secret)), len(secret),
                    accept=(_OK, _LOGGED_IN))  # fmt: skip
        yield handle.value
    finally:
        module.call(_CLOSE, handle.value)


def _slot(module: _Module, at: Uri) -> int:
    """The slot whose token the URI names.

    Raises:
        VaultError: HW3010, none or several.
    """
    count, slots = _Long(_SLOTS_MOST), (_Long * _SLOTS_MOST)()
    module.call(_SLOTS, 1, slots, ctypes.byref(count))
    found = []
    for slot in slots[: count.value]:
        about = ctypes.create_string_buffer(512)
        module.call(_TOKEN, int(slot), about)
        label, serial = about.raw[:32].rstrip(), about.raw[80:96].rstrip()
        wanted = (not at.token or label == at.token.encode()) and (not at.serial or serial == at.serial.encode())
        if wanted and (not at.slot or str(slot) == at.slot):
            found.append(int(slot))
    if len(found) != 1:
        raise VaultError("HW3010", at.text, what=f"{len(found)} tokens of this name")
    return found[0]


def _one(module: _Module, session: int, at: Uri, kind: int) -> int:
    """The Ed25519 key object of a class (private, public) that the URI names."""
    kept: list[Any] = []
    wanted: list[tuple[int, bytes]] = [(_CLASS, bytes(_Long(kind))), (_KEY_TYPE, bytes(_Long(_EDWARDS)))]
    wanted += [(_LABEL, at.object.encode())] if at.object else []
    wanted += [(_ID, at.id)] if at.id else []
    asked = (_Attribute * len(wanted))()
    for index, (name, value) in enumerate(wanted):
        kept.append(ctypes.create_string_buffer(value, len(value)))
        asked[index] = _Attribute(name, ctypes.cast(kept[-1], ctypes.c_void_p), len(value))
    module.call(_FIND, session, asked, len(wanted))
    count, found = _Long(), (_Long * _OBJECTS_MOST)()
    try:
        module.call(_FOUND, session, found, _OBJECTS_MOST, ctypes.byref(count))
    finally:
        module.call(_FIND_END, session)
    if count.value != 1:
        raise VaultError("HW3010", at.text, what=f"{count.value} Ed25519 keys of this name")
    return int(found[0])


def _value(module: _Module, session: int, key: int, name: int) -> bytes:
    out = ctypes.create_string_buffer(256)
    asked = _Attribute(name, ctypes.cast(out, ctypes.c_void_p), 256)
    module.call(_ATTRIBUTE, session, key, ctypes.byref(asked), 1)
    return out.raw[: asked.length] if asked.length <= 256 else b""
