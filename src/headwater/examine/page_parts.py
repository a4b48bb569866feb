# SPDX-License-Identifier: Apache-2.0
"""The program text of JSP and ASP.NET pages, cut out of the markup so that every place in it leads back to the file.

JSP: https://jakarta.ee/specifications/pages/3.1/ (scriptlets, declarations, expressions, and their XML forms).
ASP.NET: https://learn.microsoft.com/previous-versions/aspnet/fy30at80(v=vs.100) (code blocks, script runat=server).
Markup becomes blanks; ``<%= x %>`` becomes ``_ (x);`` of the same length, so that it parses as a statement.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from headwater.formats.patterns import lazy_regex

_PIECE = lazy_regex(
    rb"(?P<comment><%--.*?(?:--%>|\Z))"
    rb"|<%@(?P<directive>.*?)(?:%>|\Z)"
    rb"|<%!(?P<members>.*?)(?:%>|\Z)"
    rb"|<%[=:#](?P<value>.*?)(?:%>|\Z)"
    rb"|<%(?P<code>.*?)(?:%>|\Z)"
    rb"|<jsp:(?:scriptlet|declaration)\s*>(?P<xml>.*?)(?:</jsp:|\Z)"
    rb"|<jsp:expression\s*>(?P<xmlvalue>.*?)(?:</jsp:|\Z)"
    rb"|<script\b(?P<tag>[^>]{0,300})>(?P<script>.*?)(?:</script\s*>|\Z)"
    rb"|@(?:functions\s*)?\{(?P<razor>)",
    re.DOTALL | re.IGNORECASE,
)
_SERVER = lazy_regex(rb"runat\s*=\s*[\"']?server", re.IGNORECASE)
_LANGUAGE = lazy_regex(rb"language\s*=\s*[\"']?([\w#.]{1,20})", re.IGNORECASE)
_WHOLE = lazy_regex(rb"^\s*(?:webhandler|webservice|application|servicehost)\b", re.IGNORECASE)
_JAVA_ESCAPE = lazy_regex(rb"\\u+([0-9a-fA-F]{4})")
_XML_ENTITY = lazy_regex(rb"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(lt|gt|amp|quot|apos));")
_ENTITIES = {b"lt": b"<", b"gt": b">", b"amp": b"&", b"quot": b'"', b"apos": b"'"}
_CONTROL = lazy_regex(rb"<(?:asp:(?:TextBox|HiddenField|FileUpload)|input|textarea)\b([^>]{0,500})>", re.IGNORECASE)
_ID = lazy_regex(rb"\bid\s*=\s*[\"']?(\w{1,64})", re.IGNORECASE)
_JAVA = lazy_regex(rb"<jsp:|<%@\s*page\s[^%]*\bimport\s*=|\bjava\.|getParameter\s*\(|HttpServletRe|\bgetRuntime\b")
MOST_PIECES = 20_000


@dataclass(frozen=True, slots=True)
class Page:
    """The program text of one page: its language, the text, and the ids of its input fields (ASP.NET).

    ``places``: (position in the text, position in the file) where escapes made the text shorter than the file.
    """

    language: str  # java, csharp, basic, or "" where no program text stands in the file
    text: bytes
    controls: frozenset[str] = frozenset()
    places: tuple[tuple[int, int], ...] = field(default=((0, 0),))

    def place(self, at: int) -> int:
        """The byte of the file at which this byte of the text stands."""
        text, file = self.places[bisect_right(self.places, (at, 1 << 62)) - 1]
        return file + at - text


def page(data: bytes, path: str) -> Page:
    """The program text of a page; ``path`` decides between the two families where its ending is one of theirs."""
    ending = path.rpartition(".")[2].lower()
    java = ending.startswith("jsp") or (
        not (ending.startswith("as") or ending == "cshtml") and bool(_JAVA.search(data))
    )
    razor = ending == "cshtml"
    text = bytearray(re.sub(rb"[^\r\n]", b" ", data)) if len(data) < 1 << 24 else bytearray()
    stated: list[bytes] = []
    found = whole = False
    at = 0
    for _ in range(MOST_PIECES):
        match = _PIECE.search(data, at)
        if match is None:
            break
        at = max(match.end(), at + 1)
        if match["directive"] is not None:
            stated += _LANGUAGE.findall(match["directive"])
            whole = whole or (not java and bool(_WHOLE.match(match["directive"])))
            continue
        if match["tag"] is not None and not _SERVER.search(match["tag"]):
            at = match.start("script")  # a script of the browser's: its text may still hold code blocks
            continue
        if match["tag"] is not None:
            stated += _LANGUAGE.findall(match["tag"])
        if match["razor"] is not None:
            if razor:
                at = _block(data, text, match.start(), match.end())
                found = True
            continue
        found |= _copied(data, text, match)
    if whole and not found:
        start = data.find(b"%>") + 2
        text[start:] = data[start:]
        found = True
    if not found:
        return Page("", b"")
    if java:
        return _plain(bytes(text), _XML_ENTITY if b"jsp:root" in data or ending == "jspx" else _JAVA_ESCAPE)
    basic = any(s.lower().startswith(b"vb") for s in stated) or (ending in ("asp", "asa") and not stated)
    controls = (_ID.search(m[1]) for m in _CONTROL.finditer(data) if _SERVER.search(m[1]))
    named = frozenset(m[1].decode("latin-1") for m in controls if m is not None)
    return Page("basic" if basic else "csharp", bytes(text), named)


def _copied(data: bytes, text: bytearray, match: re.Match[bytes]) -> bool:
    """Put one piece of program text where it stands; False for what is none."""
    name = next((n for n in ("members", "code", "value", "xml", "xmlvalue", "script") if match[n] is not None), None)
    if name is None:
        return False
    start, end = match.span(name)
    text[start:end] = data[start:end].replace(b"<![CDATA[", b"         ").replace(b"]]>", b"   ")
    if name in ("value", "xmlvalue") and end + 2 <= len(data):
        text[start - 3 : start] = b"_ ("
        text[end : end + 2] = b");"
    elif name == "script":
        text[start - 8 : start] = b"class _{"  # the tag is longer than that
        text[end : end + 1] = b"}"
    return True


def _block(data: bytes, text: bytearray, start: int, opened: int) -> int:
    """Copy a Razor block up to its closing bracket; brackets within texts are not told apart."""
    depth, at = 1, opened
    while at < len(data) and depth:
        depth += {123: 1, 125: -1}.get(data[at], 0)
        at += 1
    text[opened - 1 : at] = data[opened - 1 : at]
    if data[start : start + 10].lower() == b"@functions":
        text[start : start + 8] = b"class _ "
    return at


def _plain(text: bytes, pattern: re.Pattern[bytes]) -> Page:
    """Java text with its escapes read: letters written as numbers hide a word from whoever searches for it."""
    places, made, at = [(0, 0)], bytearray(), 0
    for match in pattern.finditer(text):
        groups = match.groups()
        if len(groups) == 1:
            letter = chr(int(groups[0], 16)).encode("utf-8", "replace")
        elif groups[2] is not None:
            letter = _ENTITIES[groups[2]]
        else:
            number = int(groups[0]) if groups[0] is not None else int(groups[1], 16)
            letter = chr(number).encode("utf-8", "replace") if number < 0x110000 else b"?"
        made += text[at : match.start()] + letter
        at = match.end()
        places.append((len(made), at))
    return Page("java", bytes(made + text[at:]), places=tuple(places))
