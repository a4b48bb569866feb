# SPDX-License-Identifier: Apache-2.0
"""System commands in web requests: decoded once, twice or from base64, and where in the request they stand."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from headwater.detect import decoding
from headwater.formats.patterns import lazy_regex

# A cheap first sieve over raw request lines (Rust regex): everything that `command_in` can find passes it.
SIEVE = (
    r"(?i)(?:^|[?&;])(?:cmd|exec|execute|command|shell|c|run|payload|pass|x|z0|arg|vars\[[^=&]{0,12})="
    r"|[;|`]|%3b|%7c|%60|%24|\$[({]|%26|%0a|%25|\.\./\.\.|%2e|etc/passwd|/bin/|invokefunction|php://|auto_prepend"
)
HEADER_SIEVE = r"(?i)\(\)\s*\{|\$\{jndi:"

_WORDS = (
    r"(?:id|whoami|uname|ls|ll|cat|tac|less|head|tail|wget|curl|ping|nc|ncat|bash|sh|dash|zsh|python[\d.]*|perl|php|ruby|echo|printf|ps|"
    r"ifconfig|ip|netstat|ss|pwd|w|who|last|hostname|find|grep|chmod|chown|rm|mkdir|cp|mv|tar|env|printenv|crontab|sudo|su|"
    r"useradd|passwd|base64|touch|kill|pkill|nohup|dd|mysqldump|df|mount|uptime|history|ssh|scp|service|systemctl|cd|"
    r"dir|ipconfig|systeminfo|powershell|tasklist|net)"
)
_PATHED = rf"(?:/(?:usr/)?(?:local/)?s?bin/)?{_WORDS}"
_COMMAND = lazy_regex(rf"^\s*{_PATHED}(?=$|[\s;|&<>'\"$/-])")
_INJECTED = lazy_regex(rf"(?:[;|&`\n]|\$\(|\|\||&&)\s*({_PATHED}(?=$|[\s;|&<>'\")`$])[^\n]*)")
_IFS = lazy_regex(r"\$\{?IFS\b")
_PROBABLE = lazy_regex(r"^(?:cmd|exec|execute|command|shell|c|run)$", re.IGNORECASE)
_ELSEWHERE = (
    ("traversal-to-shell", lazy_regex(r"(?:\.\./|\.%2e/|%2e%2e/|\.\.%2f){2,}.*\bbin/(?:ba)?sh\b", re.IGNORECASE)),
    ("php-injection", lazy_regex(r"auto_prepend_file|allow_url_include|call_user_func_array.*vars\[|invokefunc", re.I)),
    ("jndi", lazy_regex(r"\$\{jndi:(?:ldap|rmi|dns)", re.IGNORECASE)),
    ("shellshock", lazy_regex(r"\(\)\s*\{\s*:?\s*;?\s*\}\s*;")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebCommand:
    """A command found in a request: how it stands there, in which parameter, after how many decodings."""

    sign: str
    parameter: str | None
    command: str
    encoding: str  # plain, encoded, encoded twice, base64, or the layers as detect/decoding.py names them


def _base64(value: str) -> str | None:
    """The text behind a base64 value, where it is printable text of some length."""
    body = value.strip().replace(" ", "+")
    if len(body) < 4 or not re.fullmatch(r"[A-Za-z0-9+/_-]+={0,2}", body):
        return None
    try:
        raw = base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4), validate=True)
        text = raw.decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return text.strip() if text.isprintable() or "\n" in text.strip() else None


def _forms(value: str) -> list[tuple[str, str]]:
    """A raw value as (text, how encoded): as it stands once decoded, twice, and from base64."""
    once = unquote_plus(value)
    twice = unquote_plus(once) if "%" in once else once
    forms = [(once, "plain" if once == value.replace("+", " ") else "encoded")]
    if twice != once:
        forms.append((twice, "encoded twice"))
    plain = _base64(twice)
    if plain is not None:
        forms.append((plain, "base64"))
    deeper = decoding.innermost(twice) if plain is None else decoding.innermost(plain)
    forms += [(f.text, f.how if plain is None else f"base64+{f.how}") for f in deeper if f.how != "url"]
    return forms


def _split(query: str) -> list[tuple[str, str]]:
    pairs = []
    for part in re.split(r"&(?!&)", query)[:64]:
        name, equals, value = part.partition("=")
        pairs.append((unquote_plus(name), value) if equals else ("", part))
    return pairs


@functools.lru_cache(maxsize=16384)
def command_in(stem: str, query: str, header: str = "") -> WebCommand | None:
    """The first system command in a request, or None.

    ``query`` is what follows the question mark, as logged; ``header`` a further text of the request (user agent).
    """
    stem, query, header = stem[:4096], query[:4096], header[:2048]
    for name, pattern in _ELSEWHERE:
        for text in (stem, query, unquote_plus(query), unquote_plus(unquote_plus(stem)), header):
            found = pattern.search(text)
            if found:
                return WebCommand(name, None, text[found.start() : found.start() + 300], "plain")
    for parameter, value in _split(query):
        for text, how in _forms(value):
            if _COMMAND.match(text) and (
                _PROBABLE.match(parameter) or (how.startswith(("base64", "hex")) and " " in text)
            ):
                return WebCommand("command-parameter", parameter, text[:300], how)
            injected = _INJECTED.search(text)
            if injected and (parameter or "=" not in query):
                return WebCommand("injection", parameter or None, injected.group(1).rstrip("`)")[:300], how)
            if _IFS.search(text):
                return WebCommand("injection", parameter or None, text[:300], how)
    return None


def value_of(query: str, parameter: str) -> str | None:
    """The decoded value of one parameter, or None where the request does not have it or it is empty."""
    for name, value in _split(query[:4096]):
        if name == parameter and value:
            return _forms(value)[-1][0] if "%" in value else _forms(value)[0][0]
    return None


_FILE = lazy_regex(
    r"(?:^|[\s>=|;&'\"])((?:/[\w.@+-]+)+|[\w@+-][\w.@+-]*\.(?:php|jsp|sh|py|pl|elf|bin|txt|so|tgz|gz|zip|html?))(?=$|[\s;|&'\"<>)])"
)


def named_files(command: str) -> tuple[str, ...]:
    """Names of files that a command states, without those that every command touches."""
    found = (m.group(1) for m in _FILE.finditer(command))
    return tuple(dict.fromkeys(f for f in found if not re.match(r"/(?:usr/|s?bin/|dev/null|etc/|proc/)|/$", f)))
