# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP035
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 1: patterns of paths, pure; the same on a running server and on an image of it.

A pattern is a path whose parts may hold ``*``, ``?``, ``[…]``; ``**`` as a part stands for any number of folders, and as
the last part for the folder itself and everything below. Links are recorded and not followed, but for the fixed part
before a pattern's first wildcard: where ``/bin`` is a link to ``usr/bin``, ``/bin/**`` is looked for there as well.
``{home}`` stands for each user's home, ``{webroot}`` for each folder that a web server's configuration names.
"""

import posixpath
import re

MYPY = False
if MYPY:
    from typing import Callable, Iterable, List, Optional, Pattern, Tuple

LINKS_MOST = 40
WILD = re.compile(rb"[*?\[]")
# where a web server's configuration stands: (folder, longest file that is believed, how many files)
WEB_CONFIG = (
    b"/etc/nginx", b"/etc/apache2", b"/etc/httpd", b"/www/server/panel/vhost", b"/usr/local/nginx/conf", b"/etc/lighttpd",
)  # fmt: skip
WEB_CONFIG_BYTES, WEB_CONFIG_FILES = 256 << 10, 2000
_ROOTS = re.compile(
    rb"""(?im)(?:^|[{;])[ \t]*(?:root|alias|DocumentRoot|server\.document-root\s*=)\s+["']?(/[^\s;"'$]+)"""
)
_NOT_HOMES = (b"/proc", b"/dev", b"/sys", b"/nonexistent", b"/run", b"/var/run")
_NOT_ROOTS = frozenset(
    (b"", b"/etc", b"/usr", b"/var", b"/home", b"/root", b"/bin", b"/sbin", b"/lib", b"/opt", b"/srv", b"/data", b"/usr/share",
     b"/usr/local", b"/var/lib", b"/var/log", b"/proc", b"/sys", b"/dev", b"/run", b"/tmp", b"/mnt", b"/media")
)  # fmt: skip


def parts_of(pattern):
    # type: (bytes) -> List[bytes]
    """The parts of a pattern, empty ones left out."""
    return [p for p in pattern.split(b"/") if p]


def fixed(pattern):
    # type: (bytes) -> Tuple[bytes, List[bytes]]
    """(folder before the first wildcard or before the last part, the parts that are left)."""
    parts = parts_of(pattern)
    at = 0
    while at < len(parts) - 1 and not WILD.search(parts[at]):
        at += 1
    return b"/" + b"/".join(parts[:at]), parts[at:]


def part_expression(part):
    # type: (bytes) -> bytes
    """One part as a regular expression; no wildcard crosses a slash."""
    made, at = b"", 0
    while at < len(part):
        letter = part[at : at + 1]
        end = part.find(b"]", at + 2) if letter == b"[" else -1
        if letter == b"*":
            made += b"[^/]*"
        elif letter == b"?":
            made += b"[^/]"
        elif end > 0:
            inside = part[at + 1 : end]
            no = inside[:1] in (b"!", b"^")
            letters = (inside[1:] if no else inside).replace(b"\\", b"\\\\").replace(b"[", b"\\[").replace(b"^", b"\\^")
            made += b"[^/" + letters + b"]" if no else b"[" + letters + b"]"
            at = end
        else:
            made += re.escape(letter)
        at += 1
    return made


def expression(pattern):
    # type: (bytes) -> bytes
    """A pattern as a regular expression over whole paths."""
    made = b""
    parts = parts_of(pattern)
    for number, part in enumerate(parts):
        if part != b"**":
            made += b"/" + part_expression(part)
        elif number == len(parts) - 1:
            made += b"/.*" if number == 0 else b"(?:/.*)?"
        else:
            made += b"(?:/[^/]+)*"
    return made or b"/"


def compiled(patterns, ignore_case=False):
    # type: (Iterable[bytes], bool) -> Optional[Pattern[bytes]]
    """One expression that matches a path in full where any of the patterns does; None for no pattern."""
    made = [expression(p) for p in patterns]
    flags = re.S | (re.I if ignore_case else 0)
    return re.compile(b"(?:" + b"|".join(made) + b")\\Z", flags) if made else None


def step(states, name):
    # type: (List[List[bytes]], bytes) -> Tuple[bool, List[List[bytes]]]
    """(whether a name in a folder is meant, what is still to be matched below it) by what was left at the folder."""
    meant, below = False, []  # type: bool, List[List[bytes]]
    for state in states:
        first, rest = state[0], state[1:]
        if first == b"**":
            below.append(state)
            if not rest:
                meant = True
                continue
            also, more = step([rest], name)
            meant = meant or also
            below.extend(m for m in more if m not in below)
        elif part_match(first, name):
            if not rest or rest == [b"**"]:
                meant = True
            if rest:
                below.append(rest)
    return meant, below


_PARTS = {}  # type: dict[bytes, Pattern[bytes]]


def part_match(part, name):
    # type: (bytes, bytes) -> bool
    """Whether a name fits one part of a pattern."""
    if part not in _PARTS:
        _PARTS[part] = re.compile(part_expression(part) + b"\\Z", re.S)
    return _PARTS[part].match(name) is not None


def resolved(pattern, readlink):
    # type: (bytes, Callable[[bytes], Optional[bytes]]) -> Tuple[List[bytes], List[bytes]]
    """(the patterns to look for, links in the fixed part of the pattern): links of the fixed part are gone through.

    ``readlink`` gives a link's target, None where the path is none.
    """
    found, links, waiting = [], [], [b"/" + b"/".join(parts_of(pattern))]  # type: List[bytes], List[bytes], List[bytes]
    for _ in range(LINKS_MOST):
        if not waiting:
            break
        here = waiting.pop()
        parts = parts_of(here)
        wild = next((n for n, p in enumerate(parts) if WILD.search(p)), len(parts))
        for count in range(1, wild + 1):
            path = b"/" + b"/".join(parts[:count])
            target = readlink(path)
            if target is None:
                continue
            if path not in links:
                links.append(path)
            to = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            waiting.append(b"/" + b"/".join(parts_of(to) + parts[count:]))
            break
        else:
            found.append(here)
    return found, links


def homes(passwd):
    # type: (bytes) -> List[bytes]
    """Where users live, by an account file; ``/root`` and ``/home/*`` whatever it says."""
    found = [b"/root", b"/home/*"]
    for line in passwd.split(b"\n")[:5000]:
        fields = line.split(b":")
        home = posixpath.normpath(fields[5]) if len(fields) > 6 and fields[5].startswith(b"/") else b""
        home = b"/" + home.lstrip(b"/")
        if home == b"/" or home.startswith(_NOT_HOMES) or posixpath.dirname(home) == b"/home" or home in found:
            continue
        found.append(home)
    return found


def users(passwd):
    # type: (bytes) -> List[bytes]
    """The names in an account file."""
    names = [line.split(b":")[0] for line in passwd.split(b"\n")[:5000] if line.count(b":") >= 6]
    return [n for n in dict.fromkeys(names) if re.match(rb"[A-Za-z0-9_][A-Za-z0-9._@$-]{0,63}\Z", n)]


def web_roots(text):
    # type: (bytes) -> List[bytes]
    """Folders that a web server's configuration serves; none so wide that it would be the whole system."""
    found = [
        b"/" + posixpath.normpath(m.group(1)).lstrip(b"/") for m in _ROOTS.finditer(re.sub(rb"(?m)#.*$", b"", text))
    ]
    return [f for f in dict.fromkeys(found) if f.rstrip(b"/") not in _NOT_ROOTS and b".." not in f]


def expanded(pattern, home, root):
    # type: (bytes, List[bytes], List[bytes]) -> List[bytes]
    """The patterns that one with ``{home}`` or ``{webroot}`` stands for."""
    for word, places in ((b"{home}", home), (b"{webroot}", root)):
        if pattern.startswith(word):
            return [p.rstrip(b"/") + pattern[len(word) :] for p in places]
    return [pattern]
