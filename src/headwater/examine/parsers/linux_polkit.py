# SPDX-License-Identifier: Apache-2.0
"""Rules by which polkit grants rights, as they stand: JavaScript rules and local authority files (linux.polkit).

Reads:  *.rules of /etc, /run, /usr/local/share and /usr/share/polkit-1/rules.d; *.pkla of /etc and /var/lib/polkit-1/localauthority.
Time:   none; the files state no time.
Format: polkit(8) AUTHORIZATION RULES; pklocalauthority(8): one section of an .ini file is one entry.
Limits: a rule is cut out by its brackets and not run: ``condition`` is the text of its ``if``s, ``unconditional`` says that a grant
        stands behind none; what functions of the file beside it do is not followed; the first 4 MiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from headwater.examine.parsers._settings import Joined, joined
from headwater.examine.parsers._whole import whole
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.polkit"
VERSION = 2
READS = (
    "/etc/polkit-1/rules.d/*.rules", "/run/polkit-1/rules.d/*.rules", "/usr/share/polkit-1/rules.d/*.rules",
    "/usr/local/share/polkit-1/rules.d/*.rules", "/etc/polkit-1/localauthority/*/*.pkla", "/var/lib/polkit-1/localauthority/*/*.pkla",
)  # fmt: skip
_MOST = 4 << 20
_SHOWN = 16_384
_CONDITIONS = 50
_PAUSE = 1000  # comments and blank lines within one entry
_BRACKET = lazy_regex(rb"[(){}\[\]]")
_COMMENT = lazy_regex(rb"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|//[^\n]*|/\*.*?\*/", re.DOTALL)
_RULE = lazy_regex(rb"polkit\s*\.\s*add(Admin)?Rule\s*\(")
# What brackets do not count in: comments, texts. A regular expression of JavaScript is not told apart from a division.
_QUIET = lazy_regex(
    rb"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|`(?:[^`\\]|\\.)*`?", re.DOTALL
)
_RESULT = lazy_regex(r"polkit\s*\.\s*Result\s*\.\s*(\w+)|return\s*\(?\s*[\"'](yes|no|auth_\w+)[\"']")
_GRANT = lazy_regex(r"return\s*\(?\s*(?:polkit\s*\.\s*Result\s*\.\s*YES\b|[\"']yes[\"'])")
_ACTION = lazy_regex(r"[\"']((?:org|com|net|io|fi|de|cn)\.[\w.-]+)[\"']")
_USER = lazy_regex(r"subject\s*\.\s*user\s*={2,3}\s*[\"']([^\"']{1,64})[\"']")
_SPAWN = lazy_regex(r"polkit\s*\.\s*spawn\s*\(\s*\[([^\]]{1,2000})\]")
_REST = lazy_regex(rb"[ \t]*;?[ \t]*\r?\n?")
_IF = lazy_regex(r"\b(?:if|while|for|switch)\s*\(|\?|&&|\|\||\bcase\b")


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    if path.endswith(".pkla"):
        yield from _entries(file, path)
        return
    found = whole(file, _MOST)
    yield from _rules(found.data, path)
    yield from found.gaps


def _rules(data: bytes, path: str) -> Iterator[Record]:
    """Each call of addRule or addAdminRule up to its closing bracket."""
    bare = _QUIET.sub(lambda m: b" " * (m.end() - m.start()), data)
    at = 0
    for match in _RULE.finditer(bare):
        if match.start() < at:
            continue
        end = _closed(bare, match.end())
        if match.start() > at:
            yield _between(data, at, match.start())
        if end is None:
            yield Gap(match.start(), len(data) - match.start(), GapReason.TRUNCATED, "a rule that is not closed")
            return
        yield _rule(data, match.start(), end, path, admin=match[1] is not None)
        at = end
    if at < len(data):
        yield _between(data, at, len(data))


def _between(data: bytes, at: int, end: int) -> Record:
    if not data[at:end].strip(b"\0"):
        return Gap(at, end - at, GapReason.OVERWRITTEN, "overwritten with zeros")
    return Skip(at, end - at, "outside of a rule")


def _closed(bare: bytes, at: int) -> int | None:
    """Behind the bracket that closes the call whose opening one stands before ``at``, and behind its semicolon."""
    depth = 1
    for match in _BRACKET.finditer(bare, at):
        depth += 1 if match[0] in b"({[" else -1
        if depth == 0:
            rest = _REST.match(bare, match.end())
            return rest.end() if rest else match.end()
    return None


def _rule(data: bytes, at: int, end: int, path: str, admin: bool) -> Event:
    raw = data[at:end]
    code = _COMMENT.sub(lambda m: m[1] or b" ", raw).decode("utf-8", "surrogateescape")
    spawned = [" ".join(re.findall(r"[\"']([^\"']*)[\"']", m)) for m in _SPAWN.findall(code)]
    ifs = islice(re.finditer(r"\bif\s*\(", code), _CONDITIONS)
    fields: dict[str, Value] = {
        "mechanism": "polkit",
        "setting": "addAdminRule" if admin else "addRule",
        "value": raw[:_SHOWN].decode("utf-8", "surrogateescape").strip(),
        "result": " ".join(dict.fromkeys((a or b).lower() for a, b in _RESULT.findall(code))) or None,
        "action": " ".join(list(dict.fromkeys(_ACTION.findall(code)))[:50]) or None,
        "identity": " ".join(f"unix-user:{u}" for u in dict.fromkeys(_USER.findall(code))) or None,
        "condition": "\n".join(_condition(code, m.end()) for m in ifs)[:_SHOWN] or None,
        "unconditional": not admin and _unconditional(code),
    }
    return Event(
        at, end - at, EventKind.STATE_SETTING, command_line="\n".join(spawned) or None, file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _condition(code: str, at: int) -> str:
    depth = 1
    for match in re.finditer(r"[()]", code[at : at + 4096]):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return " ".join(code[at : at + match.start()].split())
    return " ".join(code[at : at + 4096].split())


def _unconditional(code: str) -> bool:
    """Whether the first grant stands before any condition of the rule."""
    grant = _GRANT.search(code)
    return grant is not None and _IF.search(code, 0, grant.start()) is None


def _entries(file: File, path: str) -> Iterator[Record]:
    """The sections of an .ini file, each from its name to its last key; what stands between two is passed over."""
    name, first, end = "", -1, 0
    held: dict[str, str] = {}
    between: list[Record] = []
    for line in joined(file, b"#;", join=False):
        text = line.text.strip() if isinstance(line, Joined) else ""
        if isinstance(line, Joined) and first >= 0 and "=" in text and not text.startswith("["):
            key, _, value = text.partition("=")
            held[key.strip().lower()] = value.strip()
            end, between = line.offset + line.length, []
            continue
        if not isinstance(line, Joined) and first >= 0 and len(between) < _PAUSE:
            between.append(line)
            continue
        if first >= 0:
            yield _entry(first, end, path, name, held)
            yield from between
            first, between = -1, []
        if not isinstance(line, Joined):
            yield line
        elif text.startswith("["):
            name, first, end, held = text.strip("[]"), line.offset, line.offset + line.length, {}
        else:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "a line outside of an entry")
    if first >= 0:
        yield _entry(first, end, path, name, held)
        yield from between


def _entry(first: int, end: int, path: str, name: str, held: dict[str, str]) -> Event:
    results = {k: held[k].lower() for k in ("resultany", "resultinactive", "resultactive") if k in held}
    fields: dict[str, Value] = {
        "mechanism": "polkit",
        "setting": name,
        "identity": held.get("identity"),
        "action": held.get("action"),
        "result": " ".join(f"{k}={v}" for k, v in results.items()) or None,
        "value": " ".join(f"{k}={v}" for k, v in held.items()) or None,
    }
    return Event(
        first, end - first, EventKind.STATE_SETTING, file_path=path, fields={k: v for k, v in fields.items() if v is not None}
    )  # fmt: skip
