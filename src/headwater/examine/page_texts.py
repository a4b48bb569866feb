# SPDX-License-Identifier: Apache-2.0
"""The text that an expression of constants makes in Java or C#: joined, from numbers, decoded, reversed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from tree_sitter import Node

from headwater.formats.patterns import lazy_regex

MOST_DEPTH = 12
MOST_LENGTH = 8192
_ESCAPE = lazy_regex(r"\\(?:u+([0-9a-fA-F]{4})|x([0-9a-fA-F]{1,4})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_LITERALS = ("string_literal", "verbatim_string_literal", "character_literal")


def unescaped(text: str) -> str:
    """A quoted text with its escapes read (JLS 3.10.7; C# specification 6.4.5)."""

    def one(match: re.Match[str]) -> str:
        wide, narrow, octal, letter = match.groups()
        if wide or narrow:
            return chr(int(wide or narrow, 16))
        return chr(int(octal, 8) & 255) if octal else _LETTERS.get(letter, letter)

    return _ESCAPE.sub(one, text)


def constant(data: bytes, node: Node, values: Mapping[str, Node], depth: int = 0) -> str | None:
    """The text of an expression; None where it is not constant, nests too deep or is too long.

    ``values``: what was first assigned to each name.
    """
    if depth > MOST_DEPTH or node.end_byte - node.start_byte > MOST_LENGTH:
        return None
    text = data[node.start_byte : node.end_byte].decode("latin-1")
    if node.type in _LITERALS:
        return text[2:-1] if text.startswith('@"') else unescaped(text[1:-1])
    if node.type == "identifier" and text in values:
        return constant(data, values[text], values, depth + 1)
    inner = node.named_children
    if node.type == "parenthesized_expression" and len(inner) == 1:
        return constant(data, inner[0], values, depth + 1)
    if node.type == "binary_expression" and len(inner) == 2:
        parts = [constant(data, n, values, depth + 1) for n in inner]
        return None if None in parts else "".join(str(p) for p in parts)[:MOST_LENGTH]
    if node.type == "object_creation_expression":
        return _made(data, node, values, depth)
    if node.type in ("method_invocation", "invocation_expression"):
        return _called(data, node, text, values, depth)
    return None


def _made(data: bytes, node: Node, values: Mapping[str, Node], depth: int) -> str | None:
    """``new String(new byte[]{101, 120})``, ``new String(decoder.decode("…"))``, ``new StringBuilder("…")``."""
    given = node.child_by_field_name("arguments")
    if given is None or not given.named_children:
        return None
    first = given.named_children[0]
    if first.type == "argument" and first.named_children:
        first = first.named_children[-1]
    if first.type == "array_creation_expression":
        array = data[first.start_byte : first.end_byte].decode("latin-1").partition("{")[2]
        numbers = re.findall(r"\b(?:0x([0-9a-fA-F]{1,2})|(\d{1,3}))\b", array)[:1024]
        return "".join(chr(int(h, 16) if h else int(d) & 255) for h, d in numbers) or None
    return constant(data, first, values, depth + 1)


def _called(data: bytes, node: Node, text: str, values: Mapping[str, Node], depth: int) -> str | None:
    given = node.child_by_field_name("arguments")
    arguments = [] if given is None else given.named_children
    first = arguments[0] if arguments else None
    if first is not None and first.type == "argument" and first.named_children:
        first = first.named_children[-1]
    called = re.sub(r"\s", "", text[: len(text) - (0 if given is None else given.end_byte - given.start_byte)])
    name = called.rpartition(".")[2].lower()
    if name in ("decode", "decodebuffer", "frombase64string", "parsebase64binary") and first is not None:
        inner = constant(data, first, values, depth + 1)
        try:
            return None if inner is None else base64.b64decode(inner + "=" * (-len(inner) % 4)).decode("latin-1")
        except (ValueError, binascii.Error):
            return None
    receiver = node.child_by_field_name("object")
    if receiver is None and (callee := node.child_by_field_name("function")) is not None:
        receiver = callee.child_by_field_name("expression")
    if name == "getstring" and first is not None:
        return constant(data, first, values, depth + 1)
    if receiver is None or name not in ("reverse", "tostring", "tolowercase", "tolower", "trim", "getbytes", "concat"):
        return None
    inner = constant(data, receiver, values, depth + 1)
    if inner is None:
        return None
    return inner[::-1] if name == "reverse" else inner
