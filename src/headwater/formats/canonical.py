# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON (RFC 8785) and the content-hash ids of the low-volume nouns.

Integers outside ±(2^53−1) stand as strings, because RFC 8785 numbers are IEEE doubles; floats are refused, so that no
id ever depends on how a number is printed. https://www.rfc-editor.org/rfc/rfc8785
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

_SAFE = 2**53 - 1
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


class _Names(dict[type, tuple[str, ...] | None]):
    """The names of a dataclass's fields in order, by the class; None of another type."""

    def __missing__(self, kind: type) -> tuple[str, ...] | None:
        names = tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None
        self[kind] = names
        return names


class _InOrder(dict[type, tuple[str, ...] | None]):
    """The names as RFC 8785 orders them, where all of them are ASCII; else None."""

    def __missing__(self, kind: type) -> tuple[str, ...] | None:
        names = _NAMES[kind]
        self[kind] = None if names is None or not "".join(names).isascii() else tuple(sorted(names))
        return self[kind]


_NAMES, _IN_ORDER = _Names(), _InOrder()


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and mappings as plain JSON values, in the form that :func:`canonical` takes."""
    if (names := _NAMES[type(value)]) is not None:
        return {n: plain(getattr(value, n)) for n in names}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -_SAFE <= value <= _SAFE else str(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) <= _SAFE:
            return int(value)
        raise TypeError("canonical JSON here holds no fractions; state them as text")
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        # RFC 8785 sorts by UTF-16 code units
        keys = sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))
        return {k: _sorted(value[k]) for k in keys}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    return value


def _form(value: Any) -> Any:
    """``_sorted(plain(value))`` in one pass over what most values are made of."""
    kind = type(value)
    if kind is str or value is None or kind is bool or (kind is int and -_SAFE <= value <= _SAFE):
        return value
    if kind is dict and set(map(type, value)) == {str} and "".join(value).isascii():
        return {k: _form(value[k]) for k in sorted(value)}  # ASCII sorts alike by code points and by code units
    if kind is list or kind is tuple:
        return [_form(v) for v in value]
    if (names := _IN_ORDER[kind]) is not None:
        return {n: _form(getattr(value, n)) for n in names}
    return _sorted(plain(value))


def canonical(value: Any) -> bytes:
    """The one byte form of a value.

    Raises:
        TypeError: a value that JSON here does not hold.
        UnicodeEncodeError: text with lone surrogates, which RFC 8785 refuses.
    """
    return _ENCODER.encode(_form(value)).encode("utf-8")


def digest(value: Any) -> str:
    """SHA-256 in hex over the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def identify(prefix: str, noun: Any) -> Any:
    """The same noun with its ``id``: the prefix, a dash, and 16 hex digits over its content without the id."""
    content = {n: getattr(noun, n) for n in _NAMES[type(noun)] or () if n != "id"}
    return dataclasses.replace(noun, id=f"{prefix}-{digest(content)[:16]}")
