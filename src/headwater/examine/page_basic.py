# SPDX-License-Identifier: Apache-2.0
"""What a request's words reach in a page written in VBScript or Visual Basic, by words: no grammar is at hand for them.

https://learn.microsoft.com/previous-versions/iis/6.0-sdk/ms524664(v=vs.90) (Request). Followed through plain assignments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from headwater.examine.php_flow import Flow
from headwater.formats.patterns import lazy_regex

MOST = 5000
_REQUEST = lazy_regex(r"\brequest(?:\.\w{1,20})?\s*\(\s*(?:\"([^\"\n]{1,64})\")?", re.IGNORECASE)
_ASSIGN = lazy_regex(
    r"(?:^|<%|:)[ \t]*(?:dim[ \t]+)?(?:set[ \t]+)?(\w{1,64})(?:[ \t]+as[ \t]+\w{1,40})?[ \t]*=([^\n]{1,400})",
    re.I | re.M,
)
_EVALS = lazy_regex(
    r"(?<![\w.])(?:eval|execute|executeglobal)\b[ \t]*\(?([^\n]{1,300})|\.addcode\b[ \t]*\(?([^\n]{1,300})", re.I
)
_EXECS = lazy_regex(r"\.(?:exec|run|shellexecute)\b[ \t]*\(?([^\n]{1,300})|\bprocess\.start[ \t]*\(([^\n]{1,300})"
                    r"|\.(?:arguments|filename)[ \t]*=([^\n]{1,300})|\bshell[ \t]*\(([^\n]{1,300})", re.I)  # fmt: skip
_RUNS = lazy_regex(r"wscript\.shell|shell\.application|processstartinfo|process\.start|\bshell\s*\(", re.IGNORECASE)
_HIDDEN = lazy_regex(r"(?:\bchrw?\s*\([^)]{1,20}\)\s*&\s*){4}|\bstrreverse\s*\(", re.IGNORECASE)
_SAFE = lazy_regex(r"^\s*(?:cint|clng|cbool|cdbl|len|isnumeric|server\.htmlencode|int)\s*\(", re.IGNORECASE)


def flows(text: str) -> list[Flow]:
    """Where a request's words reach a command or code, in order of place (one character is one byte)."""
    held: dict[str, str | None] = {}
    assigns = [(m[1].lower(), m[2]) for m in islice(_ASSIGN.finditer(text), MOST)]
    for _ in range(3):
        for name, value in assigns:
            found = _asked(value, held)
            if found is not None and not _SAFE.match(value):
                held.setdefault(name, found or None)
    return sorted(set(_told(text, held)))


def _asked(code: str, held: dict[str, str | None]) -> str | None:
    """The parameter ("" where it has no name) that a piece of code takes from the request, None where it takes none."""
    match = _REQUEST.search(code)
    if match:
        return match[1] or ""
    bare = re.sub(r"\"[^\"]*\"", "", code)
    name = next((w for w in re.findall(r"\w{1,64}", bare.lower()) if w in held), None)
    return None if name is None else held[name] or ""


def _told(text: str, held: dict[str, str | None]) -> Iterator[Flow]:
    runs = bool(_RUNS.search(text))
    for trait, pattern in (("eval-of-request", _EVALS), ("exec-of-request", _EXECS)):
        for match in islice(pattern.finditer(text), MOST):
            code = next(g for g in match.groups() if g is not None)
            asked = _asked(code, held)
            if asked is not None and (trait == "eval-of-request" or runs):
                yield Flow(match.start(), match.end(), trait, asked or None)
            elif trait == "eval-of-request" and _HIDDEN.search(code):
                yield Flow(match.start(), match.end(), "eval-of-encoded", None)
