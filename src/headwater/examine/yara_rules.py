# SPDX-License-Identifier: Apache-2.0
"""YARA rules: source texts become compiled rules; what cannot be compiled, and what may be slow, is named.

Each file is a namespace of its own, so that two files may use one name. A rule that does not compile, and every rule
that depends on it, is left out and named; the others of its file stand. ``include`` is not followed: name the folder.
Where rules ask for ``filename``, ``filepath``, ``extension``, ``filetype`` or ``owner``, as many public ones do, these
are defined; the first three are given for each file, the last two are empty.

Format: https://virustotal.github.io/yara-x/docs/writing_rules/ (YARA-X); its warnings tell which rules may be slow.
"""

from __future__ import annotations

import bisect
import functools
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yara_x

from headwater.examine import yara_plan
from headwater.formats.patterns import lazy_regex

EXTERNAL = ("filename", "filepath", "extension", "filetype", "owner")
FILE_MOST = 32 << 20  # bytes of one rule file
FAULTS_MOST = 500  # told one by one
_SLOW = frozenset({"SlowPattern", "PotentiallySlowLoop"})
_RULE = lazy_regex(r"^\s*(?:(?:private|global)\s+)*rule\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules: its name, which is the namespace of its rules, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is said of a rule: the file, the rule (empty: the file as a whole), the line, and why."""

    file: str
    rule: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """``whole``: all rules, serialised. ``quick``: those that the compiler does not call slow; empty where none is.

    ``sieve``: what tells that none of them can match (:mod:`headwater.examine.yara_sieve`), and ``open``, the rules of
    which it cannot tell; empty where there is none. ``count``: rules by file. ``by_name``: some rule asks for the file's
    name, so that equal contents may differ.
    """

    whole: bytes
    quick: bytes
    count: dict[str, int]
    faults: tuple[Fault, ...]
    slow: tuple[Fault, ...]
    by_name: bool
    sieve: bytes = b""
    open: bytes = b""

    @property
    def parts(self) -> tuple[tuple[str, bytes], ...]:
        """What a child is given, each with its name."""
        named = (("whole", self.whole), ("quick", self.quick), ("sieve", self.sieve), ("open", self.open))
        return tuple((name, data) for name, data in named if data)


def compile_rules(files: Sequence[RuleFile]) -> Compiled:
    """Compile the files in their order; never raises for what stands in them."""
    compiler = _filled(files, external=False)
    by_name = any(
        error.get("type") == "UnknownIdentifier" and any(f"`{n}`" in str(error.get("title")) for n in EXTERNAL)
        for error in compiler.errors()
    )
    if by_name:
        compiler = _filled(files, external=True)
    texts = {f.name: f.text for f in files}
    faults, slow = _told(compiler.errors(), texts), _told((w for w in compiler.warnings() if w["type"] in _SLOW), texts)
    rules = compiler.build()
    count = dict.fromkeys(texts, 0)
    names: dict[str, None] = {}
    for rule in rules:
        count[rule.namespace] += 1
        names[rule.identifier] = None
    sieve, left = _sieve(texts, rules, by_name)
    return Compiled(_bytes(rules), _quick(files, by_name, names, slow), count, faults, slow, by_name, sieve, left)


def _sieve(texts: dict[str, str], rules: yara_x.Rules, by_name: bool) -> tuple[bytes, bytes]:
    plan = yara_plan.plan(texts, rules)
    if plan is None:
        return b"", b""

    def build(parts: Sequence[tuple[str, str]]) -> yara_x.Rules:
        return _filled([RuleFile(n, t) for n, t in parts], external=by_name).build()

    left = yara_plan.compiled(plan, build) if plan.open else None
    return plan.sieve, b"" if left is None else _bytes(left)


def _filled(files: Sequence[RuleFile], *, external: bool, allowed: str = "") -> yara_x.Compiler:
    compiler = yara_x.Compiler(relaxed_re_syntax=True, includes_enabled=False)
    compiler.ignore_invalid_rules(True)
    if external:
        for name in EXTERNAL:
            compiler.define_global(name, "")
    if allowed:
        compiler.allowed_rule_name(allowed, True)
    for file in files:
        compiler.new_namespace(file.name)
        try:
            compiler.add_source(file.text, file.name)
        except yara_x.CompileError:
            continue  # what is wrong stands in compiler.errors(), beside what was left out rule by rule
    return compiler


def _told(messages: Iterable[dict[str, object]], texts: dict[str, str]) -> tuple[Fault, ...]:
    found: dict[Fault, None] = {}
    for message in messages:
        labels = message.get("labels")
        label = labels[0] if isinstance(labels, list) and labels else {}
        file, line = str(label.get("code_origin") or ""), int(label.get("line") or 0)
        title, text = str(message.get("title") or ""), str(label.get("text") or "")
        why = title if not text or text in title else f"{title}: {text}"
        found[Fault(file, _rule_at(texts.get(file, ""), line), line, why[:300])] = None
        if len(found) >= FAULTS_MOST:
            break
    return tuple(found)


@functools.lru_cache(maxsize=8)
def _rules_of(text: str) -> tuple[list[int], list[str]]:
    """The lines on which rules begin, and their names."""
    lines, names, at, line = [], [], 0, 1
    for match in _RULE.finditer(text):
        line += text.count("\n", at, match.start(1))
        at = match.start(1)
        lines.append(line)
        names.append(match.group(1))
    return lines, names


def _rule_at(text: str, line: int) -> str:
    """The last rule that begins on or before this line; empty where none does."""
    lines, names = _rules_of(text)
    at = bisect.bisect_right(lines, line) - 1
    return names[at] if at >= 0 else ""


def _quick(files: Sequence[RuleFile], by_name: bool, names: Iterable[str], slow: Sequence[Fault]) -> bytes:
    without = {f.rule for f in slow}
    if not without:
        return b""
    kept = [n for n in names if n not in without]
    try:
        compiler = _filled(files, external=by_name, allowed=f"^(?:{'|'.join(kept) or '-'})$")
    except ValueError:  # more names than one expression holds
        return b""
    return _bytes(compiler.build())


def _bytes(rules: yara_x.Rules) -> bytes:
    buffer = io.BytesIO()
    rules.serialize_into(buffer)
    return buffer.getvalue()
