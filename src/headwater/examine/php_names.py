# SPDX-License-Identifier: Apache-2.0
"""PHP functions by what they do with text: run it, reshape it, decode it, check it (https://www.php.net/manual/en/funcref.php)."""

from __future__ import annotations

import base64
import binascii
import codecs
import re

from headwater.formats.patterns import lazy_regex

EXECS = frozenset({"system", "exec", "shell_exec", "passthru", "popen", "proc_open", "pcntl_exec", "ssh2_exec"})
EVALS = frozenset({"eval", "assert", "create_function"})
# function → which of its arguments is called
CALLBACKS = {
    "call_user_func": 0, "call_user_func_array": 0, "array_map": 0, "array_filter": 1, "array_walk": 1, "usort": 1,
    "uasort": 1, "uksort": 1, "array_reduce": 1, "array_walk_recursive": 1, "register_shutdown_function": 0, "ob_start": 0,
    "preg_replace_callback": 1, "forward_static_call": 0, "forward_static_call_array": 0, "iterator_apply": 1,
    "new reflectionfunction": 0,
}  # fmt: skip
DECODES = frozenset({
    "base64_decode", "gzinflate", "gzuncompress", "gzdecode", "str_rot13", "hex2bin", "strrev", "convert_uudecode",
    "openssl_decrypt", "mcrypt_decrypt",
})  # fmt: skip
# what comes out is still the words that went in
PASSING = frozenset({
    "trim", "rtrim", "ltrim", "urldecode", "rawurldecode", "stripslashes", "addslashes", "str_replace", "substr", "implode",
    "join", "explode", "json_decode", "unserialize", "sprintf", "strtr", "pack", "array_merge", "array_values", "array_keys",
    "array_pop", "array_shift", "end", "current", "reset", "key", "strtolower", "strtoupper", "html_entity_decode",
    "htmlspecialchars_decode", "stripcslashes", "mb_convert_encoding", "iconv", "strval", "nl2br", "array", "list",
})  # fmt: skip
# a value that is looked up in a list is one of the list's
CHECKS = frozenset(
    {"in_array", "array_key_exists", "array_search", "basename", "preg_match", "ctype_alnum", "ctype_alpha"}
)
_ESCAPES = lazy_regex(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "e": "\x1b", "f": "\f"}


def unescaped(text: str) -> str:
    """A double-quoted text with its escapes read (https://www.php.net/manual/en/language.types.string.php)."""

    def one(match: re.Match[str]) -> str:
        high, octal, letter = match.groups()
        if high:
            return chr(int(high, 16))
        if octal:
            return chr(int(octal, 8) & 255)
        return _LETTERS.get(letter, letter if letter in '\\$"' else "\\" + letter)

    return _ESCAPES.sub(one, text)


def folded_call(name: str, given: list[str]) -> str | None:
    """What a function that only reshapes constant text gives back; None for others and for what it would refuse."""
    first = given[0] if given else ""
    try:
        if name == "base64_decode" and len(given) <= 2 and first:
            return base64.b64decode(first + "=" * (-len(first) % 4)).decode("latin-1")
        if name == "hex2bin" and len(given) == 1:
            return bytes.fromhex(first).decode("latin-1")
        if name == "chr" and len(given) == 1 and first.isdecimal() and len(first) < 6:
            return chr(int(first) % 256)
    except (ValueError, binascii.Error):
        return None
    if name == "str_rot13" and len(given) == 1:
        return codecs.encode(first, "rot13")
    if name == "strrev" and len(given) == 1:
        return first[::-1]
    if name == "strtolower" and len(given) == 1:
        return first.lower()
    if name == "str_replace" and len(given) == 3 and first:
        return given[2].replace(first, given[1])[:8192]
    return None
