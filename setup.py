# SPDX-License-Identifier: Apache-2.0
"""Builds the compiled scanner where there is a C compiler; without one the installation goes on, and Python does the same.

The stand-alone verifier is made of the program's own modules and ships beside it, under ``share/headwater``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup

FOLDER = "src/headwater/formats/compiled"
HERE = Path(__file__).resolve().parent


def verifier() -> str:
    """Where the stand-alone verifier was written, from this folder."""
    sys.path.insert(0, str(HERE / "src"))
    from headwater.procedure.verifier import build

    place = HERE / "build" / "share" / "headwater-verify.pyz"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(build())
    return str(place.relative_to(HERE))


setup(
    data_files=[("share/headwater", [verifier()])],
    ext_modules=[
        Extension(
            "headwater.formats.compiled._scanner",
            sources=sorted(str(p.relative_to(HERE)) for p in (HERE / FOLDER).glob("*.c")),
            depends=sorted(str(p.relative_to(HERE)) for p in (HERE / FOLDER).glob("*.h")),
            extra_compile_args=["-O3", "-g0", "-fvisibility=hidden"],
            optional=True,
        )
    ],
)
