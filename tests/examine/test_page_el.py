# SPDX-License-Identifier: Apache-2.0
"""Web shells written in expressions or hidden by an encoding are read; honest expressions and honest UTF-16 pages say nothing."""

from __future__ import annotations

import random

import pytest

from headwater.examine.page_el import flows
from headwater.examine.page_letters import letters
from headwater.examine.parsers import web_script
from headwater.model.records import Event, File

# SOURCE: written here after the documented abilities of the Jakarta Expression Language; they run nowhere but in a container.
REFLECTED = """${"".getClass().forName("java.lang.Runtime").getMethod("exec","".getClass()).invoke("".getClass().forName("java.lang.Runtime").getMethod("getRuntime").invoke(null),param.cmd)}"""
JOINED = """${"".getClass().forName("java.la" += "ng.Run".concat("time")).getMethod("exec","".getClass()).invoke(x, paramValues["q"][0])}"""
KEPT = """${pageContext.setAttribute("c", "".getClass().forName("java.lang.Runtime"))} ${c.getMethod("getRuntime").invoke(null).exec(header["X-Run"])}"""
SHELL = b'<% Runtime.getRuntime().exec(request.getParameter("c")); %>'


def said(code: bytes, path: str = "a.jsp") -> list[tuple[str, str | None]]:
    records = list(web_script.parse(File.of(code, f"p1!/var/www/{path}")))
    assert sum(r.length for r in {(r.offset, r.length): r for r in records}.values()) == len(code)
    return [(str(r.fields["trait"]), r.fields["parameter"]) for r in records if isinstance(r, Event)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (REFLECTED, ("exec-of-request", "cmd")),
        (JOINED, ("exec-of-request", "q")),
        (KEPT, ("exec-of-request", "X-Run")),
        ("${Runtime.getRuntime().exec(param.c)}", ("exec-of-request", "c")),
        ('<c:set var="k" value="${param.z}"/> ${Runtime.getRuntime().exec(k)}', ("exec-of-request", "z")),
        ('${"".getClass().forName("javax.script.ScriptEngineManager").newInstance().getEngineByName("js").eval(param.e)}', ("eval-of-request", "e")),
        ('#{"".getClass().forName(param.n).newInstance()}', ("eval-of-request", "n")),
        ('<%@ taglib prefix="spring" uri="x"%><spring:eval expression="${param.x}" var="r"/>', ("eval-of-request", "x")),
    ],
)  # fmt: skip
def test_what_a_request_reaches_in_an_expression(code: str, expected: tuple[str, str | None]) -> None:
    assert said(f"<html>\n<p>\n{code}\n</p>".encode()) == [expected] or expected in said(code.encode())


@pytest.mark.parametrize(
    "code",
    [
        "<p>${param.name} ${fn:escapeXml(param.q)} ${header['User-Agent']}</p><a href='${pageContext.request.contextPath}/x'>x</a>",
        "<c:forEach items='${users}' var='u'>${u.name} ${u.exec(param.id)} ${u.eval}</c:forEach>",
        "<c:if test='${param.page == null}'><c:set var='page' value='${param.page}'/></c:if>${page}",
        "<p>\\${Runtime.getRuntime().exec(param.c)}</p>",
        "<%-- ${Runtime.getRuntime().exec(param.c)} --%><p>help</p>",
        '<%@ page isELIgnored="true" %>${Runtime.getRuntime().exec(param.c)}',
        "<script>const s = `${window.location} ${a.invoke(param.x)}`;</script>",
        "${messages.runtime} ${param.runtime} ${process.builder}",
        "${Runtime.version()} memory ${Runtime.getRuntime().freeMemory()}",
    ],
)
def test_honest_expressions_say_nothing(code: str) -> None:
    assert [t for t, _ in said(code.encode()) if t != "exec"] == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp037"])
@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("a.jsp", '<%@ page import="java.io.*" %>\n' + SHELL.decode(), ("exec-of-request", "c")),
        ("a.aspx", '<%@ Page Language="C#"%><% System.Diagnostics.Process.Start("cmd.exe", "/c " + Request["c"]); %>', ("exec-of-request", "c")),
        ("a.php", "<%?><?php /* abcdefgh */ system($_GET['c']); ?>", ("exec-of-request", "c")),
        ("b.php", "<%?><?php\n@eval($_POST['z']);\n", ("eval-of-request", "z")),
    ],
)  # fmt: skip
def test_a_page_in_another_encoding_is_read(
    encoding: str, path: str, code: str, expected: tuple[str, str | None]
) -> None:
    data = code.encode(encoding)
    assert said(data, path) == [expected]
    events = [r for r in web_script.parse(File.of(data, f"p1!/var/www/{path}")) if isinstance(r, Event)]
    assert expected[1] is not None
    assert str(events[0].fields["match"]).isascii()
    cited = data[events[0].offset : events[0].offset + events[0].length].decode(
        encoding.replace("utf-16", "utf-16-le") if encoding == "utf-16" else encoding
    )
    assert ("Request" in cited) or ("request" in cited) or ("$_" in cited)


@pytest.mark.parametrize(
    "data",
    [
        "﻿<p>欢迎访问本站，${param.q} 今日公告</p>".encode("utf-16-le"),
        "<p>welcome to the site, please log in</p>".encode("utf-16-be"),
        b"GIF89a" + bytes(range(256)) * 8,
        bytes(4096),
        b"\xff\xfe",
        b"\xfe\xff\x00",
        "中文页面没有代码".encode("utf-16") * 40,
    ],
)
def test_honest_or_odd_bytes_say_nothing(data: bytes) -> None:
    assert said(data) == []


def test_letters_lead_back_to_bytes() -> None:
    text = "<%\n 中 request %>" * 4
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        data = mark + text.encode(encoding)
        read = letters(data)
        at = read.place(read.text.index("request"))
        assert data[at : at + 14].decode(encoding) == "request"


def test_hostile_expressions_stay_bounded() -> None:
    assert flows("${" * 50_000) == []
    assert flows("${" + "{" * 20_000 + "}" * 20_000) == []
    rng = random.Random(5)
    pieces = [
        "${",
        "}",
        "#{",
        '"',
        "'",
        "\\",
        "param.",
        ".invoke(",
        "forName(",
        "java.lang.Runtime",
        "<c:set ",
        "var='x'",
        ">",
        "<%--",
        "--%>",
    ]
    for _ in range(300):
        text = "".join(rng.choices(pieces, k=rng.randrange(60)))
        assert all(0 <= f.start < f.end <= len(text) + 1 for f in flows(text))
