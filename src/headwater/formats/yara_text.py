# SPDX-License-Identifier: Apache-2.0
"""YARA rules as text: which rules a file holds, what their patterns and conditions say, and where each rule stands.

It reads what it needs to tell when a rule cannot match (:mod:`headwater.formats.yara_conditions`) and nothing more; the
engine stays the judge of what a rule means. What it does not know is refused: a file with :class:`NotRead`, a condition as
one of which nothing is known.

Format: https://virustotal.github.io/yara-x/docs/writing_rules/ and https://yara.readthedocs.io/en/stable/writingrules.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from headwater.formats.patterns import lazy_regex

RULES_MOST = 50_000  # in one file

_TOKEN = lazy_regex(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<regex>/(?![/*])(?:\\[^\n]|[^/\\\n])+/[a-z]*)
    |(?P<number>0x[0-9a-fA-F]+(?!\w)|0o[0-7]+(?!\w)|\d+\.\d+(?!\w)|\d+(?:KB|MB)?(?!\w))
    |(?P<pattern>\$\w*\*?|[#@]\w*|!(?!=)\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>\.\.|==|!=|<=|>=|<<|>>|[-+*\\%&|^~<>=()\[\]{}.,:])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_HEX = lazy_regex(r"\{(?:[^{}/]|//[^\n]*\n|/\*.*?\*/)*\}", re.DOTALL)

Token = tuple[str, str, int]  # kind, text, where it begins


class NotRead(Exception):
    """A text that this reader does not understand."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: its name with the dollar sign, its kind (text, regex, hex), its source, its modifiers."""

    name: str
    kind: str
    source: str
    modifiers: tuple[str, ...]  # names alone; arguments in brackets are left out


@dataclass(slots=True)
class ReadRule:
    """One rule: ``start`` and ``end`` are places in the text, ``condition`` its tokens."""

    name: str
    start: int
    end: int = 0
    private: bool = False
    whole: bool = False  # a global rule
    patterns: list[Pattern] = field(default_factory=list)
    condition: list[Token] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The modules that a file imports, in order, and its rules."""

    imports: tuple[str, ...]
    rules: tuple[ReadRule, ...]


def read(text: str) -> ReadFile:
    """Read a file of rules.

    Raises:
        NotRead: something stands there that is no rule as this reader knows it.
    """
    stream = _Stream(_tokens(text))
    imports: list[str] = []
    rules: list[ReadRule] = []
    while not stream.done:
        if stream.takes("import"):
            imports.append(stream.kind("text")[1:-1])
            continue
        rules.append(_rule(stream))
        if len(rules) > RULES_MOST:
            raise NotRead
    return ReadFile(tuple(dict.fromkeys(imports)), tuple(rules))


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        hexadecimal = text[at] == "{" and found and found[-1][1] == "=" and _HEX.match(text, at)
        match = hexadecimal or _TOKEN.match(text, at)
        if not match or match.end() == at:
            raise NotRead
        kind = "hex" if hexadecimal else str(match.lastgroup)
        if kind != "blank":
            found.append((kind, match.group(), at))
        at = match.end()
    return found


class _Stream:
    """Tokens, taken one by one."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self) -> Token:
        if self.done:
            raise NotRead
        return self._tokens[self._at]

    def next(self) -> Token:
        token = self.peek()
        self._at += 1
        return token

    def takes(self, text: str) -> bool:
        """Take the next token if it is this."""
        if not self.done and self._tokens[self._at][1] == text:
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> int:
        _, found, at = self.next()
        if found != text:
            raise NotRead
        return at

    def kind(self, kind: str) -> str:
        found, text, _ = self.next()
        if found != kind:
            raise NotRead
        return text


def _rule(stream: _Stream) -> ReadRule:
    start = stream.peek()[2]
    flags = set()
    while stream.peek()[1] in ("private", "global"):
        flags.add(stream.next()[1])
    stream.expect("rule")
    rule = ReadRule(stream.kind("word"), start, private="private" in flags, whole="global" in flags)
    if stream.takes(":"):
        while stream.peek()[1] != "{":
            stream.kind("word")
    stream.expect("{")
    if stream.takes("meta"):
        stream.expect(":")
        while stream.peek()[1] not in ("strings", "condition", "variables"):
            stream.kind("word")
            stream.expect("=")
            stream.takes("-")
            if stream.next()[0] not in ("text", "number", "word"):
                raise NotRead
    if stream.takes("strings"):
        stream.expect(":")
        while stream.peek()[0] == "pattern":
            rule.patterns.append(_pattern(stream))
    stream.expect("condition")
    stream.expect(":")
    while stream.peek()[1] != "}":
        rule.condition.append(stream.next())
        if rule.condition[-1][1] == "{":
            raise NotRead
    rule.end = stream.next()[2] + 1
    return rule


def _pattern(stream: _Stream) -> Pattern:
    name = stream.next()[1]
    if name[0] != "$" or name.endswith("*"):
        raise NotRead
    stream.expect("=")
    kind, source, _ = stream.next()
    if kind not in ("text", "regex", "hex"):
        raise NotRead
    modifiers = []
    while stream.peek()[0] == "word" and stream.peek()[1] != "condition":
        modifiers.append(stream.next()[1])
        if stream.takes("("):
            while not stream.takes(")"):
                stream.next()
    return Pattern(name, kind, source, tuple(modifiers))
