# SPDX-License-Identifier: Apache-2.0
"""What a request's words reach within one JSP or ASP.NET page, by its syntax tree.

Grammars: https://github.com/tree-sitter/tree-sitter-java, https://github.com/tree-sitter/tree-sitter-c-sharp (MIT).
Order of statements and conditions are not weighed: what can flow is said, not what did. Pages in Visual Basic have no
grammar here (:mod:`headwater.examine.page_basic` reads them by words).
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tree_sitter import Language, Node, Parser, Query, QueryCursor

from headwater.examine.page_names import (
    ASKS,
    BESIDE,
    CLOSED,
    DECODES,
    FIELDS_CLOSED,
    PROPERTIES,
    REFLECTED,
    REQUEST_TYPE,
    SINKS,
)  # fmt: skip
from headwater.examine.page_parts import Page
from headwater.examine.page_texts import constant
from headwater.examine.php_flow import Flow, Held
from headwater.formats.patterns import lazy_regex

MOST_BYTES = 1 << 20
MOST_NODES = 400  # looked at below one value
MOST_CALLS = 10_000
ROUNDS = 4
_JAVA = (
    "[(variable_declarator) (assignment_expression) (enhanced_for_statement)] @assign "
    "[(method_invocation) (object_creation_expression) (explicit_constructor_invocation)] @call "
    "[(method_declaration) (constructor_declaration)] @function (return_statement) @return "
    "[(local_variable_declaration) (formal_parameter) (field_declaration)] @typed"
)
_CSHARP = (
    "[(variable_declarator) (assignment_expression) (foreach_statement)] @assign "
    "[(invocation_expression) (object_creation_expression)] @call "
    "[(method_declaration) (constructor_declaration) (local_function_statement)] @function (return_statement) @return "
    "[(variable_declaration) (parameter)] @typed"
)
_REQUEST = lazy_regex(r"(?:^|\.)(?:request|req)$", re.IGNORECASE)
_REQUEST_PART = lazy_regex(
    r"(?:^|\.)Request(?:\.(?:Form|QueryString|Headers|Cookies|Params|ServerVariables|Item|Files|InputStream|RawUrl|Body|"
    r"BinaryRead|Query))?$",
    re.IGNORECASE,
)
_CALLS = ("method_invocation", "invocation_expression", "object_creation_expression", "explicit_constructor_invocation")
_MEMBERS = ("field_access", "member_access_expression")
_INDEXED = ("element_access_expression", "array_access")


@functools.cache
def _grammar(language: str) -> tuple[Language, Query]:
    if language == "java":
        import tree_sitter_java

        made = Language(tree_sitter_java.language())
        return made, Query(made, _JAVA)
    import tree_sitter_c_sharp

    made = Language(tree_sitter_c_sharp.language())
    return made, Query(made, _CSHARP)


class _Function(NamedTuple):
    start: int
    parameters: tuple[str, ...]


@dataclass(slots=True)
class _File:
    """One parsed page: what its variables hold, by scope (the start of the enclosing method, -1 outside any)."""

    page: Page
    bounds: list[tuple[int, int]] = field(default_factory=list)
    functions: dict[str, list[_Function]] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    held: dict[tuple[int, str], Held] = field(default_factory=dict)
    values: dict[str, Node] = field(default_factory=dict)
    returns: dict[str, Held] = field(default_factory=dict)

    def text(self, node: Node | None) -> str:
        return "" if node is None else self.page.text[node.start_byte : node.end_byte].decode("latin-1")

    def scopes(self, node: Node) -> list[int]:
        """The methods around a node, innermost first, then -1 for the page itself."""
        at = bisect_right(self.bounds, (node.start_byte, 1 << 62))
        near = self.bounds[max(0, at - 64) : at]
        return [start for start, end in reversed(near) if node.end_byte <= end] + [-1]

    def known(self, node: Node) -> Held | None:
        """What the variable of this name holds: the method's own first, then the page's."""
        name = self.text(node)
        return next((h for s in self.scopes(node) if (h := self.held.get((s, name)))), None)


def flows(page: Page) -> list[Flow]:
    """Where a request's words reach a command, code or a file, in order of place; offsets are the file's."""
    return read(page)[0]


def read(page: Page) -> tuple[list[Flow], list[tuple[int, int]]]:
    """The flows of a page, and the stretches of the file that were understood: all of it, else the calls in it."""
    if page.language not in ("java", "csharp") or len(page.text) > MOST_BYTES:
        return [], []
    language, query = _grammar(page.language)
    tree = Parser(language).parse(page.text)
    found = QueryCursor(query, match_limit=4096).captures(tree.root_node)
    file = _File(page)
    for node in found.get("function", [])[:MOST_CALLS]:
        _declare(file, node)
    file.bounds.sort()
    for node in found.get("typed", [])[:MOST_CALLS]:
        if REQUEST_TYPE.search(file.text(node.child_by_field_name("type"))):
            file.requests.update(file.text(n) for n in _names(node))
    calls = found.get("call", [])[:MOST_CALLS]
    pairs = [p for n in found.get("assign", [])[:MOST_CALLS] if (p := _pair(n))]
    _hold(file, pairs, found.get("return", [])[:MOST_CALLS], calls)
    made = [flow for node in calls for flow in _call(file, node)]
    made += [flow for left, right in pairs for flow in _property(file, left, right)]
    told = sorted({f._replace(start=page.place(f.start), end=page.place(f.end)) for f in made})
    if not tree.root_node.has_error:
        return told, [(0, page.place(len(page.text)))]
    return told, [(page.place(n.start_byte), page.place(n.end_byte)) for n in calls]


def _declare(file: _File, node: Node) -> None:
    given = node.child_by_field_name("parameters")
    file.bounds.append((node.start_byte, node.end_byte))
    names = [n.child_by_field_name("name") for n in given.named_children] if given is not None else []
    function = _Function(node.start_byte, tuple(file.text(n) for n in names if n is not None))
    file.functions.setdefault(file.text(node.child_by_field_name("name")), []).append(function)


def _names(node: Node) -> Iterator[Node]:
    """The variables that a declaration names."""
    name = node.child_by_field_name("name")
    if name is not None:
        yield name
    for child in node.named_children:
        if child.type == "variable_declarator" and (one := child.child_by_field_name("name")) is not None:
            yield one


def _pair(node: Node) -> tuple[Node, Node] | None:
    """What is assigned to, and the value."""
    left = node.child_by_field_name("left") or node.child_by_field_name("name")
    right = node.child_by_field_name("right") or node.child_by_field_name("value")
    if right is None and node.type == "variable_declarator" and len(node.named_children) > 1:
        right = node.named_children[-1]
    return (left, right) if left is not None and right is not None else None


def _hold(file: _File, pairs: list[tuple[Node, Node]], returns: list[Node], calls: list[Node]) -> None:
    """Follow values through assignments, arguments and results until nothing new is held."""
    for left, right in pairs:
        if left.type == "identifier":
            file.values.setdefault(file.text(left), right)
    named = {f.start: name for name, fs in file.functions.items() for f in fs}
    for _ in range(ROUNDS):
        before = len(file.held) + len(file.returns)
        for left, right in pairs:
            carried = _carries(file, right)
            if carried is not None:
                _assign(file, left, carried)
        for node in calls:
            for function in file.functions.get(_method(file, node), ()):
                for name, argument in zip(function.parameters, _arguments(node), strict=False):
                    carried = _carries(file, argument)
                    if carried is not None:
                        file.held.setdefault((function.start, name), carried)
            _filled(file, node)
        for node in returns:
            carried = next((c for n in node.named_children if (c := _carries(file, n))), None)
            method = named.get(file.scopes(node)[0])
            if carried is not None and method is not None:
                file.returns.setdefault(method, carried)
        if len(file.held) + len(file.returns) == before:
            return


def _assign(file: _File, left: Node, carried: Held) -> None:
    while left.type in _INDEXED and left.named_children:
        left = left.named_children[0]
    if left.type in _MEMBERS:
        file.held.setdefault((-1, file.text(left).rpartition(".")[2]), carried)
        return
    for scope in (
        file.scopes(left)[0],
        -1 if left.parent is not None and left.parent.type != "variable_declarator" else -2,
    ):
        file.held.setdefault((scope, file.text(left)), carried)


def _filled(file: _File, node: Node) -> None:
    """A builder, list or buffer holds what is put into it: ``sb.append(x)``, ``list.add(x)``, ``in.read(buffer)``."""
    receiver, name = _receiver(node), _method(file, node).lower()
    if receiver is None or receiver.type != "identifier":
        return
    if name in ("append", "add", "put", "insert", "write"):
        carried = next((c for a in _arguments(node) if (c := _carries(file, a))), None)
        if carried is not None and not _REQUEST.search(file.text(receiver)):
            file.held.setdefault((file.scopes(receiver)[0], file.text(receiver)), carried)
    elif name in ("read", "readfully", "copyto"):
        carried = file.known(receiver)
        for argument in _arguments(node) if carried is not None else ():
            if argument.type == "identifier" and carried is not None:
                _assign(file, argument, carried)


def _arguments(node: Node) -> list[Node]:
    given = node.child_by_field_name("arguments") or node.child_by_field_name("subscript")
    if given is None:
        return []
    return [a.named_children[-1] if a.type == "argument" and a.named_children else a for a in given.named_children]


def _receiver(node: Node) -> Node | None:
    """On what a method is called."""
    callee = node.child_by_field_name("function")
    if callee is not None:
        return callee.child_by_field_name("expression")
    return node.child_by_field_name("object")


def _method(file: _File, node: Node) -> str:
    """The name of the method, or of the class that is made."""
    callee = node.child_by_field_name("function")
    if callee is not None:
        return file.text(callee.child_by_field_name("name") or callee).rpartition(".")[2].strip()
    name = node.child_by_field_name("name") or node.child_by_field_name("type")
    return re.sub(r"\s|<.*", "", file.text(name)).rpartition(".")[2]


def _carries(file: _File, value: Node) -> Held | None:
    """What a value carries; calls that compare, count or escape carry nothing on, and neither does an index."""
    queue, found = [value], None
    for _ in range(MOST_NODES):
        if not queue:
            break
        node = queue.pop(0)
        if node.type == "identifier":
            one = file.known(node)
        elif node.type in _CALLS:
            one = _result(file, node, queue)
        elif node.type in _INDEXED or node.type in _MEMBERS:
            one = _member(file, node, queue)
        else:
            one = None
            queue += _parts(node)
        if one is not None and one.asked:
            return one
        found = found or one
    return found


def _parts(node: Node) -> list[Node]:
    """The children whose value a node hands on."""
    if node.type == "binary_expression":
        sign = node.child_by_field_name("operator")
        return node.named_children if sign is not None and sign.type in ("+", "??", "^", "|") else []
    if node.type in ("ternary_expression", "conditional_expression"):
        return node.named_children[1:]
    if node.type in ("cast_expression", "assignment_expression"):
        last = node.child_by_field_name("value") or node.child_by_field_name("right")
        return [last] if last is not None else []
    closed = ("lambda_expression", "instanceof_expression", "is_expression", "unary_expression", "class_body")
    return [] if node.type in closed else node.named_children


def _asked(file: _File, node: Node) -> Held:
    """Words of a request, with the parameter where it is constant."""
    given = _arguments(node)
    name = constant(file.page.text, given[0], file.values) if given else None
    return Held(True, name[:64] if name else None)


def _is_request(file: _File, node: Node | None) -> bool:
    if node is None:
        return False
    text = re.sub(r"\s", "", file.text(node)[-200:])
    return bool(_REQUEST.search(text)) or text in file.requests or bool(re.search(r"getRequest\(\)\)*$", text))


def _member(file: _File, node: Node, queue: list[Node]) -> Held | None:
    base = node.named_children[0] if node.named_children else None
    if base is None:
        return None
    if file.page.language == "csharp":
        if _REQUEST_PART.search(re.sub(r"\s", "", file.text(base if node.type in _INDEXED else node)[-200:])):
            whole = node.type in _MEMBERS and _REQUEST.search(file.text(node))
            return None if whole else _asked(file, node)
        named = file.text(base)
        if node.type in _MEMBERS and named in file.page.controls:
            return Held(True, named)
    if node.type in _MEMBERS:
        name = file.text(node).rpartition(".")[2].strip()
        if name.lower() in FIELDS_CLOSED:
            return None
        if file.text(base) == "this" or base is node.child_by_field_name("name"):
            return file.held.get((-1, name))
    queue.append(base)
    return None


def _result(file: _File, node: Node, queue: list[Node]) -> Held | None:
    """What a call gives back: a request's words, a method's own result, or what it was given."""
    method, receiver = _method(file, node), _receiver(node)
    name = method.lower()
    if name in ASKS and file.page.language == "java" and _is_request(file, receiver):
        return _asked(file, node)
    callee = node.child_by_field_name("function")
    if file.page.language == "csharp" and callee is not None:
        if _REQUEST_PART.search(re.sub(r"\s", "", file.text(callee)[-200:])):
            return _asked(file, node)
        if receiver is not None and name in ("get", "getvalues") and _REQUEST_PART.search(file.text(receiver)):
            return _asked(file, node)
    if name == "parserequest" or (node.type == "object_creation_expression" and name == "multipartrequest"):
        return Held(True, None)
    if method in file.functions and node.type != "object_creation_expression":
        return file.returns.get(method)
    if name in CLOSED:
        return None
    queue += [receiver, *_arguments(node)] if receiver is not None else _arguments(node)
    return Held(False, None) if name in DECODES else None


def _call(file: _File, node: Node) -> list[Flow]:
    """What one call does with a request's words."""
    method, receiver = _method(file, node), _receiver(node)
    name = method.lower()
    if node.type == "object_creation_expression":
        name = "new " + name
    elif method in file.functions and (receiver is None or not file.text(receiver).endswith("super")):
        return []
    whole = re.sub(r"\s", "", file.text(receiver)[-100:]).lower() + "." + name if receiver is not None else name
    trait = SINKS.get(name) or next((t for n, t in SINKS.items() if "." in n and whole.endswith(n)), None)
    given = [c for a in [*_arguments(node), *_set(node)] if (c := _carries(file, a))]
    if trait is not None and not (name in BESIDE and BESIDE[name] not in file.page.text):
        return _told(node, trait, given)
    if name in ("invoke", "invokemember", "newinstance"):
        return _reflected(file, node, given)
    return []


def _set(node: Node) -> list[Node]:
    """The values with which ``new X { A = b }`` begins."""
    first = node.child_by_field_name("initializer")
    return [] if first is None else [v for n in first.named_children if (v := n.child_by_field_name("right"))]


def _told(node: Node, trait: str, given: list[Held]) -> list[Flow]:
    asked = next((g for g in given if g.asked), None)
    if asked is not None:
        return [Flow(node.start_byte, node.end_byte, trait, asked.parameter)]
    if given and trait == "eval-of-request":
        return [Flow(node.start_byte, node.end_byte, "eval-of-encoded", None)]
    return []


def _reflected(file: _File, node: Node, given: list[Held]) -> list[Flow]:
    """A method found by its name at run time: what it is called with, and who chose the name."""
    queue = [n for n in (_receiver(node),) if n is not None]
    trait, seen = None, 0
    while queue and seen < MOST_NODES:
        one, seen = queue.pop(0), seen + 1
        text = constant(file.page.text, one, file.values) if one.type != "identifier" else None
        trait = trait or REFLECTED.get((text or "").lower())
        if one.type in _CALLS and _method(file, one).lower() in ("forname", "gettype", "loadclass"):
            asked = next((c for a in _arguments(one) if (c := _carries(file, a)) and c.asked), None)
            if asked is not None and given and _method(file, node).lower() != "newinstance":
                return _told(node, "callback-of-request", [asked])
        if one.type == "identifier" and file.text(one) in file.values:
            queue.append(file.values[file.text(one)])
        else:
            queue += one.named_children
    return _told(node, trait, given) if trait is not None else []


def _property(file: _File, left: Node, right: Node) -> list[Flow]:
    """``process.StartInfo.Arguments = x``."""
    if left.type != "member_access_expression" or b"Process" not in file.page.text:
        return []
    if file.text(left).rpartition(".")[2].strip().lower() not in PROPERTIES:
        return []
    carried = _carries(file, right)
    whole = left.parent if left.parent is not None else left
    return _told(whole, "exec-of-request", [carried] if carried else [])
