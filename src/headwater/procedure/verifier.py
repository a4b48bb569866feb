# SPDX-License-Identifier: Apache-2.0
"""The stand-alone verifier, made of the program's own modules: one .pyz file, the same bytes from the same source.

Usage: ``python -m headwater.procedure.verifier dist/headwater-verify.pyz``

The modules are those that ``headwater.vault.standalone`` reaches by its imports; any import beyond them, the standard
library and ``cryptography`` stops the build. https://docs.python.org/3/library/zipapp.html
"""

from __future__ import annotations

import ast
import io
import sys
import zipfile
from pathlib import Path

from headwater.formats.atomic import write_atomic

ENTRY = "headwater.vault.standalone"
_LAZY = {"argon2", "numpy"}  # within functions that verifying never calls
_MAIN = b"import sys\nfrom headwater.vault.standalone import main\nsys.exit(main())\n"
_BASE = Path(__file__).parents[2]


def _path(module: str) -> Path:
    path = _BASE / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(module: str) -> set[str]:
    """The modules that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_path(module).read_bytes())):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{a.name}" for a in node.names if _path(f"{node.module}.{a.name}").is_file())
    return found


def modules() -> list[str]:
    """The modules of the program that the verifier is made of, in order.

    Raises:
        ValueError: one of them needs more than the standard library and cryptography.
    """
    found, waiting = set(), [ENTRY]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        parts = module.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        for name in _imported(module):
            top = name.split(".")[0]
            if top == "headwater":
                waiting.append(name)
            elif top not in sys.stdlib_module_names | {"cryptography"} | _LAZY:
                raise ValueError(f"{module} imports {name}")
    return sorted(found)


def build() -> bytes:
    """The verifier's bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as book:
        files = [("__main__.py", _MAIN)]
        for module in modules():
            path = _path(module)
            files.append((str(path.relative_to(_BASE)), path.read_bytes()))
        for name, data in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, 0o100644 << 16
            book.writestr(info, data)
    return b"#!/usr/bin/env python3\n" + held.getvalue()


NAME = "headwater-verify.pyz"


def laid_beside(path: Path) -> tuple[Path, str]:
    """Write the verifier into the folder of an exported case; its path and SHA-256."""
    target = path.absolute().with_name(NAME)
    return target, write_atomic(target, build())


if __name__ == "__main__":
    sys.stdout.write(write_atomic(Path(sys.argv[1]), build()) + "\n")
