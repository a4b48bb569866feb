# SPDX-License-Identifier: Apache-2.0
"""What a request's words reach within one PHP file, by its syntax tree: through variables, functions and built-up names.

Grammar: https://github.com/tree-sitter/tree-sitter-php (MIT). Functions: https://www.php.net/manual/en/funcref.php.
Order of statements and conditions are not weighed: what can flow is said, not what did.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import tree_sitter_php
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from headwater.examine.php_names import CALLBACKS, CHECKS, DECODES, EVALS, EXECS, PASSING, folded_call, unescaped

MOST_BYTES = 1 << 20  # of a file; a longer one is searched by words alone
MOST_NODES = 600  # looked at below one argument or value
MOST_CALLS = 20_000
MOST_DEPTH = 12  # of nested constant texts
ROUNDS = 4
_LANGUAGE = Language(tree_sitter_php.language_php())
_QUERY = Query(
    _LANGUAGE,
    "[(assignment_expression) (augmented_assignment_expression)] @assign "
    "[(function_call_expression) (object_creation_expression)] @call "
    "[(include_expression) (include_once_expression) (require_expression) (require_once_expression)] @include "
    "(shell_command_expression) @shell (foreach_statement) @foreach "
    "[(function_definition) (method_declaration) (anonymous_function)] @function",
)
_SUPER = frozenset({"$_GET", "$_POST", "$_REQUEST", "$_COOKIE", "$_FILES"})
_INPUTS = frozenset({"getallheaders", "apache_request_headers"})
_JOINS = frozenset({".", "??", "^", "+", "|", "?:"})
_NAMES = frozenset({"name", "qualified_name"})


class Flow(NamedTuple):
    """A stretch of the file (byte offsets), what it does (a trait of ``web.script``), and the request's parameter."""

    start: int
    end: int
    trait: str
    parameter: str | None


class Held(NamedTuple):
    """What a value carries: words of a request (``asked``), or text that was decoded; the parameter where named."""

    asked: bool
    parameter: str | None


@dataclass(slots=True)
class _File:
    """One parsed file: what its variables hold, by scope (the start of the enclosing function, -1 outside)."""

    data: bytes
    starts: list[tuple[int, int]] = field(default_factory=list)
    functions: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    held: dict[tuple[int, str], Held] = field(default_factory=dict)
    texts: dict[tuple[int, str], Node] = field(default_factory=dict)
    checked: set[tuple[int, str]] = field(default_factory=set)

    def text(self, node: Node) -> str:
        return self.data[node.start_byte : node.end_byte].decode("latin-1")

    def scope(self, node: Node) -> int:
        """The innermost function around a node."""
        at = bisect_right(self.starts, (node.start_byte, len(self.data) + 1)) - 1
        for start, end in reversed(self.starts[max(0, at - 64) : at + 1]):
            if start < node.start_byte and node.end_byte <= end:
                return start
        return -1

    def key(self, node: Node) -> tuple[int, str]:
        """The place that a variable, array or property names."""
        while node.type == "subscript_expression" and node.named_children:
            node = node.named_children[0]
        shared = node.type in ("member_access_expression", "scoped_property_access_expression")
        return (-2 if shared else self.scope(node), self.text(node))


def flows(data: bytes) -> list[Flow]:
    """Where a request's words reach a shell, code or a file name, in order of place."""
    if len(data) > MOST_BYTES:
        return []
    tree = Parser(_LANGUAGE).parse(data)
    found = QueryCursor(_QUERY, match_limit=4096).captures(tree.root_node)
    file = _File(data)
    functions = found.get("function", [])[:MOST_CALLS]
    file.starts = sorted((n.start_byte, n.end_byte) for n in functions)
    for node in functions:
        name, given = node.child_by_field_name("name"), node.child_by_field_name("parameters")
        if name is not None and given is not None:
            parts = [p.child_by_field_name("name") for p in given.named_children]
            file.functions[file.text(name).lower()] = (node.start_byte, [file.text(p) for p in parts if p is not None])
    calls = found.get("call", [])[:MOST_CALLS]
    _hold(file, found.get("assign", [])[:MOST_CALLS], found.get("foreach", [])[:MOST_CALLS], calls)
    made = [flow for node in calls for flow in _call(file, node)]
    for node in found.get("shell", [])[:MOST_CALLS]:
        made += _flow(node, "exec-of-request", _carries(file, node))
    for node in found.get("include", [])[:MOST_CALLS]:
        made += _included(file, node)
    return sorted(set(made))


def _hold(file: _File, assigns: list[Node], loops: list[Node], calls: list[Node]) -> None:
    """Follow values through assignments, loops and arguments until nothing new is held."""
    pairs: list[tuple[Node, Node]] = []
    for node in assigns:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            continue
        pairs.append((left, right))
        if left.type == "variable_name" and node.type == "assignment_expression":
            file.texts.setdefault(file.key(left), right)
    pairs += [(n.named_children[1], n.named_children[0]) for n in loops if len(n.named_children) > 1]
    for node in calls:
        if _called(file, node)[0] in CHECKS:
            file.checked.update(file.key(v) for v in _variables(node))
    for _ in range(ROUNDS):
        before = len(file.held)
        for left, right in pairs:
            carried = _carries(file, right)
            if carried is not None:
                for variable in _variables(left):
                    file.held.setdefault(file.key(variable), carried)
        for node in calls:
            _argued(file, node)
        if len(file.held) == before:
            return


def _argued(file: _File, node: Node) -> None:
    """Arguments of a call to a function of this file are held by its parameters."""
    function = file.functions.get(_called(file, node)[0])
    if function is None:
        return
    start, parameters = function
    for name, argument in zip(parameters, _arguments(node), strict=False):
        carried = _carries(file, argument)
        if carried is not None:
            file.held.setdefault((start, name), carried)


def _variables(node: Node) -> list[Node]:
    """The places that stand on the left of an assignment, or in the arguments of a call."""
    if node.type in (
        "variable_name",
        "subscript_expression",
        "member_access_expression",
        "scoped_property_access_expression",
    ):
        return [node]
    return [n for n in _below(node) if n.type == "variable_name"]


def _below(node: Node) -> Iterator[Node]:
    """The nodes below one, nearest first, at most ``MOST_NODES``."""

    def walk() -> Iterator[Node]:
        queue = list(node.named_children)
        while queue:
            head = queue.pop(0)
            yield head
            queue += head.named_children

    return islice(walk(), MOST_NODES)


def _arguments(node: Node) -> list[Node]:
    given = node.child_by_field_name("arguments") or next((c for c in node.children if c.type == "arguments"), None)
    return [] if given is None else [a.named_children[-1] for a in given.named_children if a.named_children]


def _called(file: _File, node: Node) -> tuple[str, bool]:
    """The name of the function that is called, in lower case ("" where not known), and whether it was built up."""
    callee = node.child_by_field_name("function")
    if callee is None:  # new Name(…)
        callee = next((c for c in node.named_children if c.type in _NAMES), None)
        return ("new " + file.text(callee).lstrip("\\").lower(), False) if callee is not None else ("", False)
    if callee.type in _NAMES:
        return file.text(callee).lstrip("\\").lower(), False
    name = _constant(file, callee)
    return (name.lower(), True) if name and len(name) < 64 else ("", False)


def _carries(file: _File, value: Node) -> Held | None:
    """What a value carries; calls that check, count or escape carry nothing on, and neither does an index."""
    queue, found = [value], None
    for _ in range(MOST_NODES):
        if not queue:
            break
        node = queue.pop(0)
        if node.type == "variable_name":
            if file.text(node) in _SUPER:
                return Held(True, None)
            one = file.held.get(file.key(node))
        elif node.type == "subscript_expression":
            one = _subscript(file, node, queue)
        elif node.type == "member_access_expression":
            one = file.held.get(file.key(node))
        elif node.type in ("function_call_expression", "object_creation_expression"):
            one = _passed(file, node, queue)
        else:
            one = None
            queue += _parts(file, node)
        if one is not None and one.asked:
            return one
        found = found or one
    return found


def _subscript(file: _File, node: Node, queue: list[Node]) -> Held | None:
    base = node.named_children[0] if node.named_children else None
    if base is None:
        return None
    index = _constant(file, node.named_children[1]) if len(node.named_children) > 1 else None
    if file.text(base) in _SUPER:
        return Held(True, index[:64] if index else None)
    if file.text(base) == "$_SERVER":
        return Held(True, None) if (index or "").startswith("HTTP_") else None
    queue.append(base)
    return None


def _passed(file: _File, node: Node, queue: list[Node]) -> Held | None:
    """What a call gives back: a request's input, or, of functions that only reshape text, what they are given."""
    name, _ = _called(file, node)
    if name in _INPUTS:
        return Held(True, None)
    arguments = _arguments(node)
    if (
        name in ("file_get_contents", "fopen")
        and arguments
        and (_constant(file, arguments[0]) or "").startswith("php://input")
    ):
        return Held(True, None)
    if name in PASSING or name in DECODES:
        queue += arguments
        return Held(False, None) if name in DECODES else None
    return None


def _parts(file: _File, node: Node) -> list[Node]:
    """The children whose value a node hands on."""
    if node.type == "binary_expression":
        sign = node.child_by_field_name("operator")
        return node.named_children if sign is not None and file.text(sign) in _JOINS else []
    if node.type == "cast_expression":
        return [] if "(int" in file.text(node)[:8].lower() else node.named_children
    if node.type == "conditional_expression":
        return node.named_children[1:] if len(node.named_children) > 2 else node.named_children
    closed = (
        "anonymous_function",
        "arrow_function",
        "unary_op_expression",
        "member_call_expression",
        "scoped_call_expression",
    )
    return [] if node.type in closed else node.named_children


def _flow(node: Node, trait: str, carried: Held | None) -> list[Flow]:
    if carried is None or not carried.asked:
        return []
    return [Flow(node.start_byte, node.end_byte, trait, carried.parameter)]


def _call(file: _File, node: Node) -> list[Flow]:
    """What one call does with a request's words."""
    name, built = _called(file, node)
    arguments = _arguments(node)
    given = [_carries(file, a) for a in arguments]
    asked = next((g for g in given if g is not None and g.asked), None)
    callee = node.child_by_field_name("function")
    if name in EVALS or name in EXECS:
        trait = "eval-of-request" if name in EVALS else "exec-of-request"
        if asked is not None and name not in file.functions:
            return _flow(node, trait, asked)
        decoded = name in EVALS and any(g is not None for g in given)
        if decoded or (built and name not in file.functions and _disguised(file, callee)):
            return [Flow(node.start_byte, node.end_byte, "eval-of-encoded", None)]
        return []
    if name in CALLBACKS and len(arguments) > CALLBACKS[name]:
        function = (_constant(file, arguments[CALLBACKS[name]]) or "").lower()
        if function in EVALS or function in EXECS:
            return _flow(node, "eval-of-request" if function in EVALS else "exec-of-request", asked)
        first = arguments[CALLBACKS[name]]
        return [] if _is_checked(file, first) else _flow(node, "callback-of-request", given[CALLBACKS[name]])
    if (
        name == "preg_replace"
        and len(arguments) > 1
        and "e" in (_constant(file, arguments[0]) or "").rpartition("/")[2]
    ):
        return _flow(node, "eval-of-request", given[1] or asked)
    if not name and callee is not None and callee.type in ("variable_name", "subscript_expression"):
        direct = callee.type == "subscript_expression" and file.text(callee.named_children[0]) in _SUPER
        if (direct or asked is not None) and not _is_checked(file, callee):
            return _flow(node, "callback-of-request", _carries(file, callee))
    return []


def _disguised(file: _File, callee: Node | None) -> bool:
    """Whether a function's name was put together rather than written out."""
    for _ in range(MOST_DEPTH):
        if callee is None or callee.type != "variable_name":
            break
        callee = file.texts.get(file.key(callee))
    return callee is not None and callee.type not in ("string", "encapsed_string")


def _is_checked(file: _File, node: Node) -> bool:
    return any(file.key(v) in file.checked for v in _variables(node))


def _included(file: _File, node: Node) -> list[Flow]:
    """An include whose path begins with a request's words; a fixed beginning bounds it to a folder."""
    first = node.named_children[0] if node.named_children else None
    while (
        first is not None and first.type in ("binary_expression", "parenthesized_expression") and first.named_children
    ):
        first = first.named_children[0]
    if first is None or first.type in ("string", "encapsed_string") or _is_checked(file, first):
        return []
    return _flow(node, "include-of-request", _carries(file, first))


def _constant(file: _File, node: Node, depth: int = 0) -> str | None:
    """The text that an expression of constants makes; None where it is not constant, or nests too deep."""
    if depth > MOST_DEPTH or node.end_byte - node.start_byte > 8192:
        return None
    inner = node.named_children
    if node.type == "string" or (
        node.type == "encapsed_string" and all(c.type in ("string_content", "escape_sequence") for c in inner)
    ):
        return unescaped(file.text(node)[1:-1]) if node.type == "encapsed_string" else file.text(node)[1:-1]
    if node.type in ("integer", "name"):
        return file.text(node)
    if node.type == "parenthesized_expression" and len(inner) == 1:
        return _constant(file, inner[0], depth + 1)
    if node.type == "variable_name":
        value = file.texts.get(file.key(node))
        return None if value is None else _constant(file, value, depth + 1)
    if node.type == "binary_expression" and len(inner) == 2:
        left, right = (_constant(file, c, depth + 1) for c in inner)
        sign = node.child_by_field_name("operator")
        if left is None or right is None or sign is None:
            return None
        if file.text(sign) == "^":
            return "".join(chr((ord(a) ^ ord(b)) & 255) for a, b in zip(left, right, strict=False))
        return left + right if file.text(sign) == "." else None
    if node.type == "subscript_expression" and len(inner) == 2:
        base, index = (_constant(file, c, depth + 1) for c in inner)
        return base[int(index)] if base and index and index.isdecimal() and int(index) < len(base) else None
    if node.type == "function_call_expression":
        callee = node.child_by_field_name("function")
        given = [_constant(file, a, depth + 1) for a in _arguments(node)]
        if callee is None or callee.type not in _NAMES or None in given:
            return None
        return folded_call(file.text(callee).lower(), [g for g in given if g is not None])
    return None
