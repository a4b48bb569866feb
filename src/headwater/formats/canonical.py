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


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and mappings as plain JSON values, in the form that :func:`canonical` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
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
    content = plain(noun)
    content.pop("id", None)
    return dataclasses.replace(noun, id=f"{prefix}-{digest(content)[:16]}")
