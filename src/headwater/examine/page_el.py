# SPDX-License-Identifier: Apache-2.0
"""What a request's words reach within the expressions ``${…}`` and ``#{…}`` of a JSP page.

Language: https://jakarta.ee/specifications/expression-language/5.0/ (implicit objects, method calls, ``+=``). An expression
calls any method of an object that it reaches: by ``forName`` it starts commands without a scriptlet in the page. Names
put together from constant texts are joined first. Flow is followed by names alone: within one expression, and through
``<c:set>`` and ``setAttribute``; order is not weighed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.php_flow import Flow
from headwater.formats.patterns import lazy_regex

MOST = 2_000  # expressions of one page
LONGEST = 8_192
_OPEN = 200  # expressions that do not end: such a page does not compile, so nothing runs that is not looked at here
_COMMENT = lazy_regex(r"<%--.*?(?:--%>|\Z)", re.DOTALL)
_CODE = lazy_regex(r"<%.*?(?:%>|\Z)", re.DOTALL)
_IGNORED = lazy_regex(r"<%@\s*page\b[^>]{0,400}\bisELIgnored\s*=\s*[\"']true", re.IGNORECASE)
_BEGIN = lazy_regex(r"(?<!\\)[$#]\{")
_JOINED = lazy_regex(r"([\"'])\s*(?:\+=?|\.concat\(|\.replace\([^)]{0,80}\)|\)\s*\.concat\()\s*([\"'])")
_ASKS = lazy_regex(
    r"\b(?:paramValues|param|headerValues|header|cookie)\s*(?:\.\s*(\w{1,64})|\[\s*[\"']([\w.-]{1,64}))"
    r"|\b(?:pageContext\s*\.\s*)?request\s*\.\s*(?:get(?:Parameter|Header|QueryString|Reader|InputStream)\w*\s*\(\s*(?:[\"']([\w.-]{1,64}))?"
    r"|(?:queryString|parameterMap|inputStream|reader|pathInfo)\b)"
)
_SET = lazy_regex(r"<c:set\b([^>]{0,2000})>", re.IGNORECASE)
_WORD = lazy_regex(r"(?<![\w.\"'])\w{1,64}\b")
_VAR = lazy_regex(r"\bvar\s*=\s*[\"'](\w{1,64})")
_KEPT = lazy_regex(r"setAttribute\s*\(\s*[\"'](\w{1,64})[\"']\s*,")
_EXEC = lazy_regex(
    r"java\.lang\.(?:Runtime|ProcessBuilder)|\bRuntime\s*\.\s*getRuntime|\bgetRuntime\b|\bProcessBuilder\b"
)
_EVAL = lazy_regex(
    r"javax?\.script\.|ScriptEngine|defineClass|URLClassLoader|GroovyShell|SpelExpressionParser|\bELProcessor\b|jdk\.jshell"
)
_REFLECTS = lazy_regex(r"\.\s*(?:forName|loadClass)\s*\(")
_CALLS = lazy_regex(r"\.\s*(?:invoke|newInstance)\s*\(")
_EVALUATED = lazy_regex(r"<spring:eval\b[^>]{0,400}\bexpression\s*=\s*[\"'][^>]{0,400}[$#]\{", re.IGNORECASE)


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def expressions(text: str) -> Iterator[tuple[int, int]]:
    """Where the expressions of a page stand, from ``${`` to ``}``; quotes hide braces. At most ``MOST``."""
    at = lost = 0
    for _ in range(MOST):
        found = _BEGIN.search(text, at)
        if found is None or lost > _OPEN:
            return
        end = _end(text, found.end())
        if end is not None:
            yield found.start(), end
        lost += end is None
        at = found.end() if end is None else end


def _end(text: str, at: int) -> int | None:
    depth, quote, skip = 1, "", False
    for place in range(at, min(len(text), at + LONGEST)):
        letter = text[place]
        if skip:
            skip = False
        elif quote:
            skip, quote = letter == "\\", "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if not depth:
                return place + 1
    return None


def _plain(code: str) -> str:
    """An expression with its constant texts joined: ``"Run" += "time"`` is ``"Runtime"``."""
    for _ in range(6):
        joined = _JOINED.sub(lambda m: "" if m[1] == m[2] else m[0], code)
        if joined == code:
            break
        code = joined
    return code


def flows(page: str) -> list[Flow]:
    """Where a request's words reach a command or code in the expressions of a page, in order of place."""
    if ("${" not in page and "#{" not in page) or _IGNORED.search(page):
        return []
    text = _CODE.sub(_blank, _COMMENT.sub(_blank, page))
    codes = [(start, end, _plain(text[start:end])) for start, end in expressions(text)]
    held = _held(text, codes)
    found = []
    for start, end, code in codes:
        asks, parameter = _asks(code, held)
        kinds = {held[name][0] for name in _named(code) if name in held}
        starts = bool(_EXEC.search(code)) or "exec" in kinds
        evaluates = bool(_EVAL.search(code)) or "eval" in kinds
        if starts:
            found.append(Flow(start, end, "exec-of-request" if asks else "exec", parameter))
        elif asks and (evaluates or (_REFLECTS.search(code) and _CALLS.search(code))):
            found.append(Flow(start, end, "eval-of-request", parameter))
    for tag in _EVALUATED.finditer(text):
        asks, parameter = _asks(text[tag.start() : tag.end() + 400].partition(">")[0], held)
        if asks:
            found.append(Flow(tag.start(), tag.end(), "eval-of-request", parameter))
    return sorted(set(found))


def _named(code: str) -> list[str]:
    """The names of its own that an expression uses, each once, in order."""
    return list(dict.fromkeys(_WORD.findall(code)))


def _held(text: str, codes: list[tuple[int, int, str]]) -> dict[str, tuple[str, str | None]]:
    """What the page's own names hold: a request's words (with the parameter), or the class that starts commands."""
    given: list[tuple[str, str]] = []
    for tag in _SET.finditer(text):
        if (var := _VAR.search(tag[1])) is not None:
            given.append((var[1], _plain(tag[1])))
    given += [(name, code) for _, _, code in codes for name in _KEPT.findall(code)[:8]]
    held: dict[str, tuple[str, str | None]] = {}
    for _ in range(3):
        for name, code in given[:MOST]:
            asks, parameter = _asks(code, held)
            kind = "asks" if asks else "exec" if _EXEC.search(code) else "eval" if _EVAL.search(code) else None
            if kind and name not in held:
                held[name] = (kind, parameter)
    return held


def _asks(code: str, held: dict[str, tuple[str, str | None]]) -> tuple[bool, str | None]:
    found = _ASKS.search(code)
    if found is not None:
        return True, next((g for g in found.groups() if g), None)
    known = (held[name] for name in _named(code) if name in held)
    return next(((True, parameter) for kind, parameter in known if kind == "asks"), (False, None))
