# SPDX-License-Identifier: Apache-2.0
"""Traits of scripts that a web server runs: commands, code or files taken from a request (web.script).

Reads:  *.php, *.jsp(x), *.asp(x), *.ashx, *.asmx, *.cshtml anywhere; cgi, py, pl, sh under cgi-bin or www; pictures
        that contain PHP code.
Time:   none: a file's content states no time (its times are in fs.macb).
Format: https://www.php.net/manual/en/language.variables.superglobals.php; the Servlet, ASP.NET and CGI counterparts.
Limits: follows a request value within one file only, in PHP, Java and C# of at most 1 MiB by its syntax tree (variables,
        functions of the file, names put together), else (Visual Basic, CGI, code that no grammar reads) by words and plain
        assignments; expressions (``${…}``) by words and names; pages in UTF-16 (with or without a mark) and EBCDIC 037 are
        read; the first 8 MiB; says what the code can do, never that it ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from headwater.examine import page_basic, page_el, page_flow
from headwater.examine.page_letters import letters
from headwater.examine.page_parts import page
from headwater.examine.php_flow import flows
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip

FEED = "web.script"
VERSION = 4
READS = (
    "*.php",
    "*.php?",
    "*.phtml",
    "*.phar",
    "*.jsp",
    "*.jsp?",
    "*.asp",
    "*.as?x",
    "*.asa",
    "*.cshtml",
    "/cgi-bin/**",
    "/www/**.cgi",
    "/www/**.py",
    "/www/**.pl",
    "/www/**.sh",
)
MOST_BYTES = 8 << 20
MOST_EVENTS = 200
MOST_ASSIGNS = 5000
_PICTURES = (b"GIF8", b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF")

_REQUEST = r"\$_(?:GET|POST|REQUEST|COOKIE|FILES|SERVER\s*\[\s*['\"]HTTP_|HEADERS)|php://input|getallheaders\s*\("
_EXEC = r"(?<![\w>:$\\])(?<!function )(?:system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|ssh2_exec)\s*\("
_EVAL = r"(?<![\w>:$\\])(?<!function )(?:eval|assert|create_function)\s*\("
_DECODE = r"base64_decode|gzinflate|gzuncompress|gzdecode|str_rot13|hex2bin|strrev|convert_uudecode|openssl_decrypt"
_CALLBACK = (
    r"(?<![\w>:$\\])(?:call_user_func(?:_array)?|array_map|array_filter|array_walk|usort|uasort"
    r"|register_shutdown_function|ob_start)\s*\("
)
_DYNAMIC = (
    r"\$_(?:GET|POST|REQUEST|COOKIE)\s*\[[^\]]{1,40}\]\s*\("
    r"|preg_replace\s*\(\s*(['\"])(\W)[^'\"\n]{0,100}\2\w{0,8}e\w{0,8}\1"
)
_INCLUDE = r"(?<![\w>:$])(?:include|require)(?:_once)?\s*\(?\s*\$_(?:GET|POST|REQUEST|COOKIE)[^;\n]{0,80}"
_ASSIGN = lazy_regex(r"\$(\w{1,64})\s*(?:\[[^\]\n]{0,64}\]\s*)?\.?=(?![=>])([^;]{1,400})")
_ESCAPED = lazy_regex(r"escapeshell(?:arg|cmd)\s*\(|\(int\)|intval\s*\(")
_PARAMETER = lazy_regex(
    r"\$_(?:GET|POST|REQUEST|COOKIE)\s*\[\s*['\"]?([\w.-]{1,64})|getParameter\s*\(\s*\"([\w.-]{1,64})"
    r"|[Rr]equest(?:\.\w+)?\s*[\[(]\s*\"([\w.-]{1,64})|(?:getvalue|args\.get|form\.get|param)\s*\(\s*['\"]([\w.-]{1,64})"
)
_FAMILIES = (
    r"FilesMan|WSO\s?[24]\.|b374k|c99sh|r57shell|\bweevely\b|e45e329feb5d925b|antsword|AntSword|Godzilla|"
    r"phpspy|China\s?Chopper|P0wny|IndoXploit|\balfa(?:shell|team)\b"
)
# trait, pattern: outside PHP a trait needs a second pattern somewhere in the same file (where the request is read)
_SERVLET = r"request\s*\.\s*get(?:Parameter|Header|Reader|InputStream)"
_CGI = r"FieldStorage|QUERY_STRING|request\.(?:args|form|values|GET|POST)"
_OTHER: tuple[tuple[str, str, str], ...] = (
    ("exec-of-request", r"getRuntime\s*\(\s*\)\s*\.\s*exec\s*\(|new\s+ProcessBuilder\s*\(", _SERVLET),
    ("eval-of-request", r"\bdefineClass\b|ScriptEngineManager", _SERVLET),
    ("eval-of-request", r"\b(?:eval|execute|executeglobal)\s*\(?\s*request\b", ""),
    ("exec-of-request", r"ProcessStartInfo|Process\s*\.\s*Start\s*\(|WScript\.Shell", r"\bRequest\s*[.\[(]"),
    ("exec-of-request", r"\bos\.(?:system|popen)\s*\(|\bsubprocess\.\w+\s*\(", _CGI),
    ("exec-of-request", r"\beval\b[^\n]{0,300}QUERY_STRING|\b(?:ba|da)?sh\s+-c\s[^\n]{0,300}QUERY_STRING", ""),
    ("exec-of-request", r"\b(?:system|exec)\s*\(?[^;\n]{0,300}\bparam\s*\(", r"\bparam\s*\("),
)
_PAGE = lazy_regex(r"<%|<jsp:|runat\s*=\s*[\"']?server|@(?:functions\s*)?\{")
_PAGED = lazy_regex(r"\.(?:jsp.?|as[acmhp]x?|cshtml)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Trait:
    start: int
    end: int
    name: str
    parameter: str | None


def _matches(pattern: str, text: str) -> Iterator[re.Match[str]]:
    """The first matches, ignoring case: a hostile file can repeat a word a million times."""
    return islice(re.finditer(pattern, text, re.IGNORECASE), MOST_EVENTS)


def recognise(head: bytes) -> bool:
    """A picture that contains PHP code."""
    return head.startswith(_PICTURES) and b"<?php" in head.lower()


def _tainted(text: str) -> dict[str, str | None]:
    """Variables that hold a request value, with the parameter's name; followed through two further assignments."""
    held: dict[str, str | None] = {}
    assigns = [(m.group(1), m.group(2)) for m in islice(_ASSIGN.finditer(text), MOST_ASSIGNS)]
    for _ in range(3):
        for name, value in assigns:
            if name in held or name.startswith("_"):
                continue
            if re.search(_REQUEST, value):
                held[name] = _parameter(value)
            else:
                source = next((v for v in re.findall(r"\$(\w{1,64})", value) if v in held), None)
                if source is not None and not re.match(r"\s*(?:new|isset|count|strlen|empty)\b", value):
                    held[name] = held[source]
    return held


def _parameter(code: str) -> str | None:
    match = _PARAMETER.search(code)
    return next((g for g in match.groups() if g), None) if match else None


def _argument(text: str, at: int) -> str:
    """What stands between the bracket before ``at`` and its partner, at most 600 characters."""
    depth = 1
    for i in range(at, min(len(text), at + 600)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[at:i]
    return text[at : at + 600]


def _php(text: str) -> Iterator[_Trait]:
    held = _tainted(text)

    def asks(code: str) -> tuple[bool, str | None]:
        if re.search(_REQUEST, code):
            return True, _parameter(code)
        for name in re.findall(r"\$\{?(\w{1,64})", code):
            if name in held:
                return True, held[name]
        return False, None

    for m in _matches(_EXEC, text):
        code = _argument(text, m.end())
        found, parameter = asks(code)
        strong = found and not _ESCAPED.search(code)
        yield _Trait(m.start(), m.end() + len(code), "exec-of-request" if strong else "exec", parameter)
    for m in _matches(r"(?:=|\becho|\bprint|\breturn|\()\s*`([^`]{1,300})`", text):
        found, parameter = asks(m.group(1))
        if found:
            yield _Trait(m.start(1) - 1, m.end(), "exec-of-request", parameter)
    for m in _matches(_EVAL, text):
        code = _argument(text, m.end())
        found, parameter = asks(code)
        if found or re.search(_DECODE, code):
            yield _Trait(m.start(), m.end() + len(code), "eval-of-request" if found else "eval-of-encoded", parameter)
    for m in _matches(_CALLBACK, text):
        first = _argument(text, m.end()).split(",")[0]
        if re.search(_REQUEST, first):
            yield _Trait(m.start(), m.end() + len(first), "callback-of-request", _parameter(first))
    for m in _matches(_DYNAMIC, text):
        yield _Trait(m.start(), m.end(), "callback-of-request", _parameter(m.group()))
    for m in _matches(_INCLUDE, text):
        yield _Trait(m.start(), m.end(), "include-of-request", _parameter(m.group()))
    for m in _matches(r"(?<![\w>:$])(move_uploaded_file|file_put_contents|fwrite|fputs)\s*\(", text):
        code = _argument(text, m.end())
        if m.group(1) == "move_uploaded_file" or asks(code)[0]:
            yield _Trait(m.start(), m.end() + len(code), "upload-write", asks(code)[1])


def _by_tree(text: str, known: list[_Trait]) -> Iterator[_Trait]:
    """What the syntax tree adds to what words showed; a file without a request's input or a decoder has no tree made."""
    if not re.search(f"{_REQUEST}|{_DECODE}", text, re.IGNORECASE):
        return
    for flow in flows(text.encode("latin-1")):
        if not any(k.name == flow.trait and k.start < flow.end and flow.start < k.end for k in known):
            yield _Trait(flow.start, flow.end, flow.trait, flow.parameter)


def _page(text: str, path: str) -> tuple[list[_Trait], list[tuple[int, int]]]:
    """What the syntax tree of a JSP or ASP.NET page says, and the stretches that it understood: words need not guess there."""
    found = page(text.encode("latin-1"), path)
    read, understood = page_flow.read(found)
    if found.language == "basic" or (found.language == "csharp" and understood != [(0, len(text))]):
        read += [
            f
            for f in page_basic.flows(text)
            if not any(f.trait == r.trait and f.start < r.end and r.start < f.end for r in read)
        ]
    if not found.language or found.language == "java":
        read += page_el.flows(text)
    # a page without program text runs nothing: what stands in its comments and examples is no code
    return [_Trait(f.start, f.end, f.trait, f.parameter) for f in read], understood if found.language else [
        (0, len(text))
    ]


def _other(text: str, known: list[_Trait], understood: list[tuple[int, int]]) -> Iterator[_Trait]:
    """What words alone say; where a syntax tree was read and shows no way from the request, a command is only a command."""
    for name, pattern, reads in _OTHER:
        if reads and not re.search(reads, text, re.IGNORECASE):
            continue
        for m in _matches(pattern, text):
            if any(k.name == name or (k.start < m.end() and m.start() < k.end) for k in known):
                continue
            if not any(start < m.end() and m.start() < end for start, end in understood):
                yield _Trait(m.start(), m.end(), name, _parameter(text))
            elif name == "exec-of-request":
                yield _Trait(m.start(), m.end(), "exec", None)


def _found(text: str, path: str) -> list[_Trait]:
    traits: list[_Trait] = []
    php = "<?" in text and ("<?php" in text.lower() or "<?=" in text or "$_" in text)
    if php:
        traits = list(_php(text))
        traits += _by_tree(text, traits)
    paged, understood = _page(text, path) if not php and (_PAGE.search(text) or _PAGED.search(path)) else ([], [])
    traits += paged
    traits += list(_other(text, paged, understood))
    traits += [_Trait(m.start(), m.end(), "known-family", None) for m in _matches(_FAMILIES, text)]
    return sorted(set(traits), key=lambda t: (t.start, t.end, t.name))[:MOST_EVENTS]


def _lines(text: str, traits: list[_Trait]) -> list[tuple[int, int, list[_Trait]]]:
    """The whole lines on which traits stand; traits whose lines overlap share one stretch."""
    stretches: list[tuple[int, int, list[_Trait]]] = []
    for trait in traits:
        start = text.rfind("\n", 0, trait.start) + 1
        stop = text.find("\n", max(trait.end - 1, trait.start))
        end = len(text) if stop < 0 else stop + 1
        if stretches and start < stretches[-1][1]:
            first, last, held = stretches[-1]
            stretches[-1] = (first, max(last, end), [*held, trait])
        else:
            stretches.append((start, end, [trait]))
    return stretches


def parse(file: File) -> Iterator[Record]:
    """One event per trait over the lines that it stands on; the other lines are passed over."""
    size = min(file.size, MOST_BYTES)
    data = file.pread(0, size)
    read = letters(data)  # one character for each byte or pair, so that positions lead back to bytes
    path = file_layer(file.path)
    at = 0
    for first, last, held in _lines(read.text, _found(read.text, path)):
        start, end = read.place(first), read.place(last)
        if start > at:
            yield Skip(at, start - at, "lines without a trait")
        for trait in held:
            said = data[read.place(trait.start) : read.place(trait.end)].decode(read.encoding or "utf-8", "replace")
            words = " ".join(said.split())[:200]
            yield Event(
                start,
                end - start,
                EventKind.STATE_CONTENT,
                t_kind="state",
                host=file.facts.host,
                file_path=path,
                fields={"trait": trait.name, "match": words, "parameter": trait.parameter},
            )
        at = end
    if at < len(data):
        yield Skip(at, len(data) - at, "lines without a trait")
    if file.size > len(data):
        yield Gap(len(data), file.size - len(data), GapReason.LIMIT, "only the first 8 MiB of a script are searched")
