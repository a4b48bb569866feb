# SPDX-License-Identifier: Apache-2.0
"""Names of the Servlet, Java and .NET libraries by which a page reads a request, runs text, or only looks at it.

https://jakarta.ee/specifications/servlet/6.0/, https://docs.oracle.com/en/java/javase/21/docs/api/,
https://learn.microsoft.com/dotnet/api/. Names are compared in lower case: what differs in case alone is not a library's.
"""

from __future__ import annotations

from headwater.formats.patterns import lazy_regex

# What a servlet request gives of what the client wrote.
ASKS = frozenset(
    {
        "getparameter",
        "getparametervalues",
        "getparametermap",
        "getparameternames",
        "getheader",
        "getheaders",
        "getquerystring",
        "getreader",
        "getinputstream",
        "getcookies",
        "getpart",
        "getparts",
        "getpathinfo",
    }
)
REQUEST_TYPE = lazy_regex(r"\b(?:Multipart)?(?:Http)?(?:Servlet)?Request(?:Base)?\b|MultipartRequest")
# A method's name, or "new " and a class: how a value that reaches it is used.
SINKS = {
    "exec": "exec-of-request", "new processbuilder": "exec-of-request", "command": "exec-of-request",
    "process.start": "exec-of-request", "new processstartinfo": "exec-of-request",
    "standardinput.writeline": "exec-of-request", "standardinput.write": "exec-of-request",
    "eval": "eval-of-request", "defineclass": "eval-of-request", "defineanonymousclass": "eval-of-request",
    "new urlclassloader": "eval-of-request", "new groovyshell": "eval-of-request", "evaluate": "eval-of-request",
    "createvalueexpression": "eval-of-request", "createmethodexpression": "eval-of-request",
    "parseexpression": "eval-of-request", "ognl.getvalue": "eval-of-request",
    "assembly.load": "eval-of-request", "assembly.loadfrom": "eval-of-request", "assembly.loadfile": "eval-of-request",
    "appdomain.currentdomain.load": "eval-of-request", "compileassemblyfromsource": "eval-of-request",
    "csharpscript.evaluateasync": "eval-of-request", "csharpscript.runasync": "eval-of-request",
    "xamlreader.parse": "eval-of-request", "xamlreader.load": "eval-of-request", "vsaengine.execute": "eval-of-request",
    "new objectinputstream": "deserialise-of-request", "new xmldecoder": "deserialise-of-request",
    "formatter.deserialize": "deserialise-of-request", "serializer.readobject": "deserialise-of-request",
    "new fileoutputstream": "upload-write", "new filewriter": "upload-write", "new randomaccessfile": "upload-write",
    "files.write": "upload-write", "file.writealltext": "upload-write", "file.writeallbytes": "upload-write",
    "saveas": "upload-write", "new streamwriter": "upload-write", "file.create": "upload-write",
    "file.appendalltext": "upload-write",
}  # fmt: skip
# ".command(x)" and ".evaluate(x)" are everybody's words: they tell something only beside these.
BESIDE = {
    "command": b"ProcessBuilder", "exec": b"untime", "evaluate": b"Groovy", "eval": b"", "parseexpression": b"xpress",
    "new xmldecoder": b"readObject", "new objectinputstream": b"readObject",
}  # fmt: skip
# .NET: a property that a process is started with
PROPERTIES = frozenset({"arguments", "filename"})
# Reflection: the method that is asked for by name, and what calling it means.
REFLECTED = {
    "exec": "exec-of-request",
    "defineclass": "eval-of-request",
    "eval": "eval-of-request",
    "load": "eval-of-request",
}
# Calls whose result does not hold the words that they were given.
CLOSED = frozenset(
    {
        "equals",
        "equalsignorecase",
        "length",
        "size",
        "contains",
        "containskey",
        "indexof",
        "lastindexof",
        "isempty",
        "compareto",
        "matches",
        "startswith",
        "endswith",
        "hashcode",
        "parseint",
        "parselong",
        "parsedouble",
        "parseboolean",
        "tryparse",
        "toint32",
        "toint64",
        "toboolean",
        "count",
        "any",
        "all",
        "isnullorempty",
        "isnullorwhitespace",
        "getid",
        "exists",
        "isfile",
        "isdirectory",
        "getstatus",
        "available",
        "compare",
        "hasnext",
        "hasmoreelements",
        "getmethod",
        "getattribute",
        "getsession",
        "print",
        "println",
        "write",
        "printf",
        "encodeforhtml",
        "escapehtml",
        "htmlencode",
        "urlencode",
    }
)
DECODES = frozenset(
    {
        "decode",
        "decodebuffer",
        "decodebase64",
        "parsebase64binary",
        "parsehexbinary",
        "frombase64string",
        "dofinal",
        "transformfinalblock",
        "decompress",
        "inflate",
    }
)
FIELDS_CLOSED = frozenset({"length", "count", "contentlength", "httpmethod"})
