# SPDX-License-Identifier: Apache-2.0
"""Builds the compiled scanner where there is a C compiler; without one the installation goes on, and Python does the same."""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup

FOLDER = "src/headwater/formats/compiled"
HERE = Path(__file__).resolve().parent

setup(
    ext_modules=[
        Extension(
            "headwater.formats.compiled._scanner",
            sources=sorted(str(p.relative_to(HERE)) for p in (HERE / FOLDER).glob("*.c")),
            depends=sorted(str(p.relative_to(HERE)) for p in (HERE / FOLDER).glob("*.h")),
            extra_compile_args=["-O3", "-g0", "-fvisibility=hidden"],
            optional=True,
        )
    ]
)
