# SPDX-License-Identifier: Apache-2.0
"""The compiled scanner: what is done to every line or value, in C where a compiler was at hand when this was installed.

It gives the same results as the Python beside it, which is always there and is what the tests compare it with; so whether
it was built changes only the time. ``setup.py`` builds it as an extension that may fail; it is plain C, loaded with ctypes.

``HEADWATER_PURE=1`` in the environment, or :func:`forbid`, leaves it out.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only asks which way it is need not wait for numpy
    from numpy.typing import NDArray

VERSION = 7  # as HW_VERSION in lines.c
_HERE = Path(__file__).resolve().parent
_I64, _AT = ctypes.c_int64, ctypes.c_void_p
# name of the function: its arguments ("p" a place in memory, "i" a number); all give back a number
_FUNCTIONS = {
    "hw_count": "pii",
    "hw_lines": "piippp",
    "hw_find": "pippiip",
    "hw_find_back": "pippiip",
    "hw_views": "pipppipp",
    "hw_clear": "ppii",
    "hw_access": "pippippppppp",
    "hw_bsd": "pipipppp",
    "hw_heads": "pippippppppp",
    "hw_names": "pippipp",
    "hw_phrases": "pippippppppiiippppp",
    "hw_logins": "pipipiippppppp",
    "hw_audit_heads": "pippipppp",
    "hw_audit_words": "pippiipippp",
    "hw_audit_room": "i",
    "hw_audit_join": "piiiiiii",
    "hw_audit_move": "piip",
    "hw_audit_copy": "piippipi",
    "hw_programs_name": "ppiii",
    "hw_programs_texts": "pp",
    "hw_encode": "pp",
    "hw_codes": "pppi",
    "hw_twin_there": "",
    "hw_twin_leaves": "piiip",
    "hw_twin_rows": "pipipp",
    "hw_twin_nodes": "pip",
    "hw_histogram": "pip",
    "hw_joint_room": "",
    "hw_joint_begin": "pi",
    "hw_joint_update": "ppi",
    "hw_joint_end": "pp",
    "hw_wide_there": "",
    "hw_wide_leaves": "piip",
}
_forbidden = False


def forbid(args: object = None) -> None:
    """Go without it from now on, as where it was never built; takes what a child's preparation is given."""
    global _forbidden
    _forbidden = True
    library.cache_clear()


def allow() -> None:
    """Take :func:`forbid` back."""
    global _forbidden
    _forbidden = False
    library.cache_clear()


@functools.cache
def library() -> Any:
    """The loaded library; None where it was not built, is of another version, or was left out."""
    if _forbidden or os.environ.get("HEADWATER_PURE") or sys.byteorder != "little":
        return None
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = _HERE / f"_scanner{suffix}"
        try:
            found = ctypes.CDLL(str(path))
            found.hw_version.restype = _I64
            if found.hw_version() == VERSION:
                return _declared(found)
        except (OSError, AttributeError):
            continue  # not built, or built for another machine: the other path does the same
    return None


def _declared(found: ctypes.CDLL) -> ctypes.CDLL:
    for name, arguments in _FUNCTIONS.items():
        function = getattr(found, name)
        function.restype = _I64
        function.argtypes = [_AT if a == "p" else _I64 for a in arguments]
    for name in ("hw_free", "hw_programs_free"):
        getattr(found, name).restype = None
        getattr(found, name).argtypes = [_AT]
    found.hw_programs_new.restype = _AT
    found.hw_programs_new.argtypes = []
    return found


def which() -> str:
    """How evidence is read here, for the record: ``compiled`` with its version, or ``pure``."""
    return "pure" if library() is None else f"compiled {VERSION}"


def at(array: NDArray[Any] | None) -> int | None:
    """Where an array's values begin in memory; it must be contiguous."""
    if array is None:
        return None
    address: int = array.__array_interface__["data"][0]
    return address


def whole(array: NDArray[Any], dtype: str = "i8") -> NDArray[Any]:
    """The array as C reads it: contiguous and of the type."""
    import numpy as np

    return np.ascontiguousarray(array, dtype=dtype)


def checked(result: int) -> int:
    """What a function gave back.

    Raises:
        IndexError: it was given a place outside its block.
    """
    if result < 0:
        raise IndexError("a place outside the block")
    return result
