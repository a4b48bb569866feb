# SPDX-License-Identifier: Apache-2.0
"""Law 7: the shape of the house. What import-linter cannot see is read from the syntax trees."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "headwater"
MODULES = sorted(SRC.rglob("*.py"))
ROOMS = {
    "case",
    "scene",
    "acquire",
    "vault",
    "examine",
    "store",
    "detect",
    "correlate",
    "reconstruct",
    "report",
    "cloud",
}
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
ENGINES = {"duckdb": "store"}
IMPURE = {
    "os",
    "io",
    "socket",
    "subprocess",
    "time",
    "tempfile",
    "shutil",
    "pathlib",
    "multiprocessing",
    "urllib.request",
}
PURE = ("examine/parsers", "examine/artifacts", "detect/detectors")
OPENS = {"open", "exec", "eval", "compile", "__import__", "input", "print"}
LOOKS = {"now", "utcnow", "today", "environ", "getenv", "read_csv", "scan_csv", "read_parquet"}


def _name(path: Path) -> str:
    return str(path.relative_to(SRC))


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(path)))


@functools.cache
def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            found.add(node.module or "")
            found.update(f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            found.add("__import__")
    return found


def test_module_is_short_and_says_what_it_is() -> None:
    for path in MODULES:
        name, text = _name(path), path.read_text()
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), name
        assert text.count("\n") <= 400, f"{name} is over 400 lines"
        assert path.stem not in BANNED, name
        doc = ast.get_docstring(_tree(path))
        assert doc, f"{name} has no first sentence"
        assert doc.splitlines()[0].rstrip().endswith((".", "。", ":")) or "\n" in doc, name
        for node in _nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{name}: {node.name} is over 60 lines"


def test_room_imports_no_other_room() -> None:
    for path in MODULES:
        room = path.relative_to(SRC).parts[0]
        imported = {i.split(".")[1] for i in _imports(path) if i.startswith("headwater.") and i.count(".")}
        if room == "model":
            assert imported <= {"model"}, _name(path)
        elif room in {"formats", "confine"}:
            assert imported <= {"model", room}, _name(path)
        elif room in ROOMS:
            assert imported <= {"model", "formats", "confine", room}, _name(path)
        elif room == "procedure":
            assert "cli" not in imported, _name(path)


def test_engine_is_known_to_one_room() -> None:
    for path in MODULES:
        room = path.relative_to(SRC).parts[0]
        for engine, owner in ENGINES.items():
            if room != owner:
                assert not any(i == engine or i.startswith(engine + ".") for i in _imports(path)), _name(path)


def test_model_needs_the_standard_library_alone() -> None:
    import sys

    for path in (SRC / "model").glob("*.py"):
        for name in _imports(path):
            assert name.split(".")[0] in sys.stdlib_module_names | {"headwater"}, f"{path.name} imports {name}"


def test_parser_and_detector_open_nothing() -> None:
    for path in (p for part in PURE for p in (SRC / part).glob("*.py")):
        name = _name(path)
        assert not {i for i in _imports(path) if i in IMPURE or i.split(".")[0] in {"socket", "subprocess"}}, name
        for node in _nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in OPENS, name
            if isinstance(node, ast.Attribute):
                assert node.attr not in LOOKS, name


def test_bare_except_swallows_nothing() -> None:
    for path in MODULES:
        for node in _nodes(path):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{_name(path)}:{node.lineno} catches everything, even an interrupt"


def test_two_sources_share_no_feed_by_accident() -> None:
    """An artifact of the registry that took a parser's feed made a detector read rows of another kind."""
    from headwater.examine.hive_artifacts import all_artifacts
    from headwater.examine.registry import all_parsers

    parsers = {p.feed for p in all_parsers().values()}
    artifacts = {a.feed for a in all_artifacts()}
    assert parsers
    assert artifacts
    assert not parsers & artifacts


def test_child_that_reads_evidence_holds_nothing_of_the_vault_or_the_report() -> None:
    code = (
        "import sys, headwater.procedure.child, headwater.examine.registry as r; r.all_parsers(); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("headwater.") and name.count(".") > 1}
    assert "examine" in rooms
    assert not rooms & (ROOMS - {"examine", "store"}), rooms
