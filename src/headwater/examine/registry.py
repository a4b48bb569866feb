# SPDX-License-Identifier: Apache-2.0
"""Finds the parsers by their place: every module in ``examine/parsers`` is one.

A parser module has
- a docstring whose first line ends in its name, ``(linux.wtmp).``, and that has the four words Reads, Time, Format
  and Limits;
- ``FEED``: the closed name of its feed; ``READS``: globs matched at any directory boundary of a path's last file layer;
- ``parse(file) -> Iterator[Record]`` (a record parser), or ``GRAMMAR`` (a line grammar, see ``examine/lines.py``), or,
  for a format of fixed records in bulk, ``batches(file) -> Iterator[Batch]`` as well;
- optionally ``recognise(head: bytes) -> bool``, asked with its first 4096 bytes about a file that no ``READS`` matched;
- optionally ``CONTEXT``: globs, as in ``READS``, of small texts of the same system that it needs beside a file (a server's
  configuration says how its log is written); it finds them in ``file.facts.context``;
- optionally, beside ``CONTEXT``, ``named_by(path, context) -> bool``: whether these texts name this very file as one that it reads,
  wherever it lies;
- optionally ``beside(path) -> tuple[str, ...]``: paths of other files that it needs as bytes (a log's hive); those that are
  there it finds in ``file.beside``, whatever the case of their names;
- optionally, beside ``GRAMMAR``, ``grammar_for(file) -> LineGrammar | None``: the grammar of this very file by that context;
- ``VERSION``: an int that rises with every change of what it yields.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import re2

from headwater.examine import parsers as package
from headwater.formats.patterns import lazy_regex
from headwater.model.errors import ExamineError
from headwater.model.records import File, Record

HEAD_BYTES = 4096
_NAME = lazy_regex(r"\(([a-z0-9]+(?:\.[a-z0-9_]+)+)\)\.$")
_FEED = lazy_regex(r"^[a-z0-9]+(?:[.][a-z0-9_]+)+$")


@dataclass(frozen=True, slots=True)
class Parser:
    name: str
    version: int
    feed: str
    reads: tuple[str, ...]
    parse: Callable[[File], Iterator[Record]] | None
    batches: Callable[[File], Iterator[Any]] | None
    grammar: Any
    recognise: Callable[[bytes], bool] | None
    context: tuple[str, ...]
    grammar_for: Callable[[File], Any] | None
    beside: Callable[[str], tuple[str, ...]] | None
    named_by: Callable[[str, Mapping[str, str]], bool] | None
    doc: str


def _glob(pattern: str) -> str:
    """A glob as a regex: ``*`` stays within a name, ``**`` crosses directories; anchored at a directory boundary."""
    return "(?:.*)" + _names(pattern)


def _names(pattern: str) -> str:
    out = []
    for part in re.split(r"(\*\*|\*|\?)", pattern):
        out.append({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)))
    return "".join(out)


def _load(module: ModuleType) -> Parser:
    doc = module.__doc__ or ""
    match = _NAME.search(doc.partition("\n")[0])
    feed = getattr(module, "FEED", "")
    if not match or not _FEED.match(feed):
        raise ExamineError("HW4002", module.__name__, what="name or FEED")
    return Parser(
        match.group(1),
        int(getattr(module, "VERSION", 1)),
        feed,
        tuple(module.READS),
        getattr(module, "parse", None),
        getattr(module, "batches", None),
        getattr(module, "GRAMMAR", None),
        getattr(module, "recognise", None),
        tuple(getattr(module, "CONTEXT", ())),
        getattr(module, "grammar_for", None),
        getattr(module, "beside", None),
        getattr(module, "named_by", None),
        doc,
    )


@functools.cache
def all_parsers() -> dict[str, Parser]:
    """Every parser by name, in order of name."""
    found = [
        _load(importlib.import_module(f"{package.__name__}.{info.name}"))
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    ]
    return {p.name: p for p in sorted(found, key=lambda p: p.name)}


Names = tuple[tuple[str, str], ...]  # (parser, pattern of a name)

_compiled = functools.cache(re.compile)  # more patterns than re itself remembers, and many of them alike
_ANYTHING = "(?s).*"


@dataclass(frozen=True, slots=True)
class _Globs:
    """Every glob that parsers give: (parser, glob of the name, pattern of the directory, pattern of the name).

    ``folders`` are the patterns of directories, each once, with the places of their globs in ``each``; ``together`` is one
    automaton of them all.
    """

    each: tuple[tuple[str, str, str, str], ...]
    folders: dict[str, list[int]]
    together: Any

    def fitting(self, folder: str) -> list[tuple[str, str, str, str]]:
        """The globs whose pattern of directories fits this one, in order of parser."""
        here: Iterable[str] = (where for where in self.folders if _compiled(where).fullmatch(folder))
        if folder.isascii():
            found = set(self.together.Match(folder))
            if len(self.folders) in found:  # fits always: an automaton that ran out of memory says that nothing does
                here = (where for number, where in enumerate(self.folders) if number in found)
        return [self.each[place] for place in sorted(place for where in here for place in self.folders[where])]


@functools.cache
def _each(what: str) -> tuple[tuple[str, str, str, str], ...]:
    """Every glob that parsers give under ``what``, in order of parser: as :class:`_Globs` has them."""
    found = []
    for parser in all_parsers().values():
        for glob in getattr(parser, what):
            folder, _, name = glob.rpartition("/")
            below = "(?:/.*)?" if "**" in name else ""
            name = name.replace("**", "*")
            found.append((parser.name, name, _glob(folder) + below, _names(name)))
    return tuple(found)


@functools.cache
def _globs(what: str) -> _Globs:
    found = _each(what)
    folders: dict[str, list[int]] = {}
    for place, (_, _, where, _) in enumerate(found):
        folders.setdefault(where, []).append(place)
    together = re2.Set.FullMatchSet()
    for where in (*folders, _ANYTHING):
        together.Add(where)
    together.Compile()
    return _Globs(found, folders, together)


@dataclass(frozen=True, slots=True)
class _Hint:
    """What a name must have to fit any of some globs, told in far less time than asking each: most names have nothing of it.

    Each glob stands in one of the four by the longest part that is fixed in it: all of the name, its end, its beginning, or
    some part of it.
    """

    whole: frozenset[str]
    ends: tuple[str, ...]
    begins: tuple[str, ...]
    parts: tuple[str, ...]

    def __call__(self, name: str) -> bool:
        if name in self.whole or name.endswith(self.ends) or name.startswith(self.begins):
            return True
        for part in self.parts:  # noqa: SIM110 - a generator costs more than the question, which is put for every file
            if part in name:
                return True
        return False


@functools.lru_cache(maxsize=4_096)
def _hint(globs: tuple[str, ...]) -> _Hint:
    whole, ends, begins, parts = [], [], [], []
    for glob in dict.fromkeys(globs):
        fixed = re.split(r"[*?]", glob)
        longest = max(fixed, key=len)
        if len(fixed) == 1:
            whole.append(glob)
        elif fixed[0] and len(fixed[0]) == len(longest):  # before the end: extensions are common, names are not
            begins.append(fixed[0])
        elif fixed[-1] and len(fixed[-1]) == len(longest):
            ends.append(fixed[-1])
        else:
            parts.append(longest)  # empty where nothing is fixed: then every name has it
    return _Hint(frozenset(whole), tuple(set(ends)), tuple(set(begins)), tuple(set(parts)))


@functools.lru_cache(maxsize=4_096)
def _any_of(names: Names) -> Any:
    """One automaton for all of these patterns, for the names that have something of one."""
    return re2.compile("|".join(f"(?:{pattern})" for _, pattern in names)) if names else None


@functools.lru_cache(maxsize=65_536)
def _in_folder(what: str, folder: str) -> tuple[Names, _Hint]:
    """The patterns of names that count in a directory, and what fits any: a listing asks once per directory."""
    fitting = _globs(what).fitting(folder)
    names = tuple((parser, name) for parser, _, _, name in fitting)
    return names, _hint(tuple(glob for _, glob, _, _ in fitting))


def _fitting(what: str, path: str) -> list[str]:
    """The parsers of which a pattern fits the path, in order of name."""
    folder, _, name = path.rpartition("/")
    names, hint = _in_folder(what, folder)
    if not hint(name) or (name.isascii() and _any_of(names).fullmatch(name) is None):
        return []
    return list(dict.fromkeys(parser for parser, pattern in names if _compiled(pattern).fullmatch(name)))


def hint(what: str, folder: str) -> Callable[[str], bool]:
    """Whether a name in this directory can fit a pattern of ``reads`` or ``context`` at all: false is certain, true is not.

    For whoever asks about hundreds of thousands of names, directory by directory. The name is without a compression suffix.
    """
    return _in_folder(what, folder)[1]


_Few = tuple[str, str, str]  # parser, pattern of the name, pattern of the directory


@functools.cache
def _by_fixed_part() -> tuple[dict[str, list[_Few]], list[tuple[str, _Few]]]:
    """The globs of what is read: by the whole name where nothing is open in it, else beside the longest part that is fixed."""
    whole: dict[str, list[_Few]] = {}
    open_: list[tuple[str, _Few]] = []
    for parser, glob, where, name in _each("reads"):
        fixed = re.split(r"[*?]", glob)
        if len(fixed) == 1:
            whole.setdefault(glob, []).append((parser, name, where))
        else:
            open_.append((max(fixed, key=len), (parser, name, where)))
    return whole, open_


def by_path(path: str) -> tuple[Parser, ...]:
    """The parsers that read a file of this path (the last file layer, without a compression suffix), by name.

    For a task's few files: the automata of directories, which a listing needs, take longer to make than these questions.
    """
    folder, _, name = path.rpartition("/")
    whole, open_ = _by_fixed_part()
    some = [*whole.get(name, ()), *(few for part, few in open_ if part in name)]
    fitting = [p for p, its, where in some if _compiled(its).fullmatch(name) and _compiled(where).fullmatch(folder)]
    return tuple(all_parsers()[parser] for parser in sorted(set(fitting)))


def is_read(path: str) -> bool:
    """Whether :func:`by_path` names any parser; for whoever lists, directory by directory."""
    return bool(_fitting("reads", path))


def is_context(path: str) -> bool:
    """Whether a parser wants the text of a file of this path beside the files that it reads."""
    return bool(_fitting("context", path))


def beside(path: str) -> tuple[str, ...]:
    """The paths of the files that the parsers of this one want beside it, in order."""
    wanted = (parser.beside(path) for parser in by_path(path) if parser.beside is not None)
    return tuple(dict.fromkeys(name for names in wanted for name in names))


def by_context(path: str, context: Mapping[str, str]) -> Parser | None:
    """The parser whose texts of this system name this very file (its last file layer), which no pattern matched."""
    if not context:
        return None
    named = (
        parser for parser in all_parsers().values() if parser.named_by is not None and parser.named_by(path, context)
    )
    return next(named, None)


def by_content(head: bytes) -> Parser | None:
    """The first parser, in order of name, that recognises the beginning of a file that no pattern matched."""
    if not head:
        return None
    for parser in all_parsers().values():
        if parser.recognise is not None and parser.recognise(head):
            return parser
    return None
