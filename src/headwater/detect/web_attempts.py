# SPDX-License-Identifier: Apache-2.0
"""Marked attempts in web requests, by what stands in the request line, user agent and referrer, letters decoded twice.

POST bodies are not in access logs: they are read where ModSecurity's audit log holds them. Names of attacks: OWASP Web Security Testing
Guide 4.2 (https://owasp.org/www-project-web-security-testing-guide/). Paths: the advisories named beside them.
"""

from __future__ import annotations

import polars as pl

from headwater.model.nouns import Text

# A percent sign, and the letters by which attempts are hidden: two passes read what was encoded twice.
_CODED = {
    "%25": "%", "%2e": ".", "%2f": "/", "%5c": "\\", "%20": " ", "+": " ", "%09": " ", "%0a": " ", "%27": "'", "%22": '"',
    "%28": "(", "%29": ")", "%24": "$", "%7b": "{", "%7d": "}", "%3a": ":", "%3d": "=", "%2a": "*", "%23": "#", "/**/": " ",
    "%c0%ae": ".", "%3b": ";", "%2c": ",", "%5f": "_", "%40": "@",
}  # fmt: skip
_METADATA = (
    r"(?:169\.254\.169\.254|169\.254\.170\.2|100\.100\.100\.200|192\.0\.0\.192|metadata\.google\.internal|metadata\.tencentyun\.com"
    r"|\[fd00:ec2::254\]|\[::ffff:(?:a9fe:a9fe|169\.254\.169\.254)\]|2852039166|0xa9fea9fe|0251\.0?376\.0251\.0?376)"
)
PATTERNS = {
    "sql-injection": r"(?i)\bunion (?:all )?(?:select|distinct)\b|['\")] ?(?:or|and) ['\"(]?\w+['\"]? ?(?:=|like|<|>) ?['\"]?\w"
    r"|\b(?:pg_)?sleep ?\( ?\d|\bbenchmark ?\( ?\d|\bwaitfor delay\b|\binformation_schema\b|\bxp_cmdshell\b|\bupdatexml ?\("
    r"|\bextractvalue ?\(|\bload_file ?\(|\binto (?:out|dump)file\b|\border by \d+ ?(?:--|#)",
    "path-traversal": r"(?i)(?:\.\.(?:;|\\)?[/\\]){2}|[=/\\](?:etc/(?:passwd|shadow)|proc/self/(?:environ|fd)|windows/win\.ini)\b"
    r"|=(?:php://(?:filter|input)|file:///|expect://|phar://)",
    "deserialisation": r"rO0AB|(?i:aced0005)|[=|;]O:\d{1,3}:\"|(?i)/invoker/(?:readonly|jmxinvokerservlet|ejbinvokerservlet)"
    r"|/wls-wsat/|/_async/asyncresponse|@type\"?[:=]\"?com\.sun\.",
    "jndi": r"(?i)\$\{[^}\s]{0,40}(?:jndi|j\}|\$\{(?:lower|upper|env|::-|date|sys))",
    "template-injection": r"(?i)\{\{[^}]{0,60}(?:\d+ ?\* ?\d+|config|self\.|__|request\.|cycler)|\$\{[^}]{0,20}\d+ ?\* ?\d+|__class__"
    r"|freemarker\.template|\bT\(java\.lang|#_memberaccess|@java\.lang\.runtime|\$\{[^}]{0,80}(?:getruntime|class\.forname|java\.lang)|class\.module\.classloader",
    # metadata of clouds (AWS, Azure, GCP, Oracle; Alibaba; Tencent; ECS tasks), also as one number; schemes that speak to other
    # services; ports of services that listen on the loopback. A callback to http://localhost:3000/ is a developer's.
    "ssrf": rf"(?i)(?:^|[=@\"'(])(?:(?:https?:)?//)?(?:[^/\s@=]{{0,40}}@)?{_METADATA}[:/]"
    rf"|[=\"'](?:https?:)?//(?:[^/\s@=]{{0,40}}@)?{_METADATA}(?:[?&\s\"']|$)"
    r"|[=\"'](?:gopher|dict|netdoc)://|[=\"']jar:(?:https?|file):|[=\"']file:/{1,3}[a-z]"
    r"|[=\"'](?:https?:)?//(?:localhost|127(?:\.\d{1,3}){3}|0\.0\.0\.0|\[::1?\]):(?:22|25|2375|2379|3306|5432|6379|8500|9200|10250|11211|27017)(?:\D|$)"
    r"|[=\"'](?:https?:)?//(?:2130706433|0x7f000001|0177\.0+\.0+\.0*1)(?:\D|$)",
    # PHPUnit CVE-2017-9841, Laravel CVE-2021-3129, ThinkPHP, Spring CVE-2022-22947, Confluence CVE-2022-26134,
    # Exchange CVE-2021-34473, Citrix CVE-2019-19781, Zimbra CVE-2022-27925,
    # F5 CVE-2020-5902, GeoServer CVE-2024-36401, Nacos CVE-2021-29441, PHP CVE-2024-4577, and routers' set-up pages
    "known-exploit": r"(?i)/phpunit/(?:src/)?util/php/eval-stdin\.php|/_ignition/execute-solution|invokefunction|/actuator/gateway/routes"
    r"|/tmui/login\.jsp/\.\.;|/weaver/bsh\.servlet|/boaform/|/hnap1|/gponform/|/cgi-bin/luci/;|allow_url_include|auto_prepend_file"
    r"|/geoserver/(?:wfs|ows)\?.*valuereference=exec|/nacos/v1/auth/users\?.*(?:username|pagesize)|/dana-na/auth/url_default"
    r"|\(\) ?\{ ?:? ?;? ?\} ?;|/cgi-bin/(?:\.\.?/|\.%)|/solr/[^?]{1,60}/(?:config|dataimport)\?|/manager/text/deploy"
    r"|/autodiscover/autodiscover\.json\?[^ ]{0,80}@|/vpns?/(?:\.\./vpns/|portal/scripts/)|/service/extension/backup/mboximport",
}  # fmt: skip
NAMES = {
    "sql-injection": Text("SQL 注入", "SQL injection"),
    "path-traversal": Text("路径穿越", "path traversal"),
    "deserialisation": Text("反序列化", "deserialisation"),
    "jndi": Text("JNDI 注入", "JNDI injection"),
    "ssrf": Text("服务端请求伪造", "server-side request forgery"),
    "template-injection": Text("模板/表达式注入", "template injection"),
    "known-exploit": Text("已知漏洞路径", "a known exploit's path"),
    "command": Text("系统命令注入", "system commands"),
}
# Programs that say of themselves that they look for weaknesses.
SCANNERS = (
    r"(?i)sqlmap|nikto|nuclei|masscan|zgrab|gobuster|dirbuster|\bffuf\b|fuzz faster|wfuzz|acunetix|nessus|openvas|wpscan"
    r"|dirsearch|feroxbuster|\bgoby\b|fscan|netsparker|w3af|arachni|jaeles|whatweb|nmap scripting"
)
UPLOAD = r"(?i)(?:upload|ueditor|kindeditor|fckeditor|filemanager|/put\b|import)"
# A script's ending, also before a slash, semicolon or the end: how servers are made to run what they should serve.
SCRIPT = r"(?i)\.(?:php\d?|phtml|phar|jspx?|aspx?|ashx|asmx|asa|cer|cgi|war)(?:$|[/;:. ])"


def text(column: str) -> pl.Expr:
    """A column as text, empty where it says nothing."""
    return pl.col(column).cast(pl.String).fill_null("")


def read() -> pl.Expr:
    """What the client wrote: path, query, user agent, referrer, body, with the letters decoded that hide an attempt."""
    line = text("cs-uri-stem") + pl.lit("?") + text("cs-uri-query") + pl.lit(" ") + text("cs-uri")
    whole = (line + pl.lit(" ") + text("cs-user-agent") + pl.lit(" ") + text("cs-referer")).str.slice(0, 8192)
    whole = whole + pl.lit(" =") + text("body").str.slice(0, 8192)
    for _ in range(2):
        whole = whole.str.replace_many(list(_CODED), list(_CODED.values()), ascii_case_insensitive=True)
    return whole


def marked(line: pl.Expr) -> pl.Expr:
    """Whether a decoded line (:func:`read`) shows any attempt."""
    return pl.any_horizontal([line.str.contains(p) for p in PATTERNS.values()])


def kinds(line: pl.Expr) -> pl.Expr:
    """The names of the attempts that a decoded line shows."""
    shown = [pl.when(line.str.contains(p)).then(pl.lit(n)) for n, p in PATTERNS.items()]
    return pl.concat_list(shown).list.drop_nulls()
