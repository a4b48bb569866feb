# SPDX-License-Identifier: Apache-2.0
"""Access lines in a format of the server's own are read by its configuration, not left as gaps or read wrongly."""

from __future__ import annotations

from typing import Any

from headwater.examine import registry
from headwater.examine.reading import Reading, run
from headwater.formats.sources import MemorySource
from headwater.model.records import Facts, File

NGINX = r"""
http {
    # log_format ghost '$remote_addr';
    log_format main '$time_iso8601|$remote_addr|$http_x_forwarded_for|$host|"$request"|$status|$body_bytes_sent'
                    '|$request_time|"$http_user_agent"|$upstream_addr';
    log_format tail '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                    '"$http_user_agent" rt=$request_time xff="$http_x_forwarded_for"';
    log_format js escape=json '{"t":"$msec","peer":"$remote_addr","req":"$request","st":$status,"ua":"$http_user_agent"}';
    access_log /var/log/nginx/access.log main;
    server { access_log /var/log/nginx/tail_access.log tail; access_log /var/log/nginx/js_access.log js; }
}
"""
APACHE = r"""
LogFormat "%{%Y-%m-%d %H:%M:%S}t %a \"%r\" %>s %O %D \"%{User-Agent}i\" %{X-Forwarded-For}i" own
CustomLog ${APACHE_LOG_DIR}/own_access.log own
"""
CONTEXT = {"/etc/nginx/nginx.conf": NGINX, "/etc/apache2/apache2.conf": APACHE}


def read(data: bytes, path: str, context: dict[str, str] | None = None) -> tuple[list[dict[str, Any]], int]:
    parser = registry.all_parsers()["web.access"]
    source = MemorySource(data)
    facts = Facts(context=CONTEXT if context is None else context)
    reading = Reading(path, len(data), (parser,), File(path, len(data), source.pread, None, facts), source)
    rows, gaps = [], 0
    for batch in run(parser, reading):
        rows += [{k: v for k, v in row.items() if v is not None} for row in batch.events.iter_rows(named=True)]
        gaps += sum(g.length for g in batch.gaps)
    return rows, gaps


def test_a_format_of_its_own_is_read_by_the_configuration() -> None:
    line = b'2026-03-02T11:22:33+08:00|203.0.113.7|10.0.0.1, 10.0.0.2|a.example|"GET /u.php?c=id HTTP/1.1"|200|12|0.004|"x \\x22y"|-\n'
    rows, gaps = read(line * 2 + b"garbage\n", "/var/log/nginx/access.log.1")
    assert (len(rows), gaps) == (2, 8)
    row = rows[0]
    assert row["t_recorded"] == 1_772_421_753_000_000_000
    assert (row["t_basis"], row["src_ip"], row["x-forwarded-for"]) == (
        "zone-given",
        "203.0.113.7",
        "10.0.0.1, 10.0.0.2",
    )
    assert (row["cs-method"], row["cs-uri-stem"], row["cs-uri-query"], row["sc-status"]) == (
        "GET",
        "/u.php",
        "c=id",
        200,
    )
    assert (row["cs-host"], row["time-taken"], row["outcome"]) == ("a.example", "0.004", "success")
    assert "upstream_addr" not in row


def test_what_the_configuration_puts_behind_combined_has_its_name() -> None:
    line = b'203.0.113.7 - bob [02/Mar/2026:11:22:33 +0800] "GET / HTTP/1.1" 404 5 "-" "ua" rt=0.1 xff="1.2.3.4"\n'
    rows, gaps = read(line, "/var/log/nginx/tail_access.log")
    assert gaps == 0
    assert (rows[0]["time-taken"], rows[0]["x-forwarded-for"], rows[0]["user"]) == ("0.1", "1.2.3.4", "bob")
    assert rows[0]["outcome"] == "failure"


def test_json_keys_hold_what_the_configuration_says() -> None:
    line = b'{"t":"1772421753.250","peer":"203.0.113.7","req":"POST /x HTTP/1.1","st":500,"ua":"a\\"b"}\n'
    rows, gaps = read(line, "/var/log/nginx/js_access.log")
    assert gaps == 0
    assert rows[0]["t_recorded"] == 1_772_421_753_250_000_000
    assert (rows[0]["src_ip"], rows[0]["cs-uri-stem"], rows[0]["sc-status"], rows[0]["cs-user-agent"]) == (
        "203.0.113.7", "/x", 500, 'a"b',
    )  # fmt: skip


def test_apache_formats_with_their_own_time_say_that_the_zone_is_assumed() -> None:
    line = b'2026-03-02 11:22:33 ::1 "GET /a HTTP/1.0" 403 99 1234 "curl" -\n'
    rows, gaps = read(line, "/var/log/apache2/own_access.log")
    assert gaps == 0
    assert (rows[0]["t_basis"], rows[0]["t_recorded"]) == ("zone-assumed", 1_772_450_553_000_000_000)
    assert (rows[0]["src_ip"], rows[0]["time-taken-us"], rows[0]["bytes_sent"]) == ("::1", "1234", "99")
    assert "x-forwarded-for" not in rows[0]


def test_json_without_any_configuration_is_known_by_its_keys() -> None:
    line = (
        b'{"level":"info","ts":1772421753.5,"logger":"http.log.access","request":{"remote_ip":"203.0.113.9","method":"GET",'
        b'"host":"h","uri":"/.env?x","headers":{"User-Agent":["z"]}},"status":200,"size":7}\n'
    )
    assert registry.by_content(line * 3).name == "web.access"  # type: ignore[union-attr]
    rows, gaps = read(line + b'{"a":1}\n{"request": [[[[\n', "/x", {})
    assert (len(rows), rows[0]["src_ip"], rows[0]["cs-uri-query"], rows[0]["sc-status"]) == (1, "203.0.113.9", "x", 200)
    assert gaps > 0


def test_a_hostile_configuration_is_refused_in_silence() -> None:
    evil = {
        "/etc/nginx/nginx.conf": "log_format a '" + "$x" * 50_000 + "';\nlog_format b '(((';\nlog_format c '$request';"
    }
    rows, gaps = read(b"a b c\n" * 10, "/var/log/nginx/access.log", evil)
    assert (rows, gaps) == ([], 60)


def test_a_time_beyond_what_is_counted_is_no_time() -> None:
    line = b'9026-03-02T11:22:33+08:00|203.0.113.7|-|h|"GET / HTTP/1.1"|200|12|0.004|"x"|-\n'
    rows, gaps = read(line, "/var/log/nginx/access.log")
    assert (gaps, rows[0]["t_basis"], rows[0].get("t_recorded")) == (0, "none", None)
    rows, _ = read(
        b'{"time":"99999999999","remote_addr":"203.0.113.7","request":"GET / HTTP/1.1","status":200}\n', "/x", {}
    )
    assert (rows[0]["t_basis"], rows[0].get("t_recorded")) == ("none", None)


SITES = {
    "/etc/nginx/nginx.conf": r"""
http {
    log_format short escape=json '{"t":"$time_iso8601","ip":"$remote_addr","q":"$request","st":$status}';
    log_format up '$remote_addr [$time_local] "$request" $status $upstream_addr $upstream_response_time';
    access_log logs/site.log;
    # access_log /data/never.log up;
    include vhosts/*;
}""",
    "/etc/nginx/vhosts/a": "server { access_log /data/www/a.log short buffer=4k; location /x { access_log /data/$host.txt up; } }",
    "/etc/apache2/apache2.conf": r"""
LogFormat "%t %a \"%m %U%q\" %s" own
LogFormat "{\"time\":\"%{%Y-%m-%dT%H:%M:%S%z}t\",\"ip\":\"%a\",\"uri\":\"%U\",\"q\":\"%q\",\"status\":\"%>s\"}" js
CustomLog "|/usr/bin/rotatelogs -l /srv/log/b.%Y%m%d.txt 86400" own
CustomLog ${APACHE_LOG_DIR}/js.txt js
""",
}


def _named(path: str) -> bool:
    found = registry.by_context(path, SITES)
    return found is not None and found.name == "web.access"


def test_a_log_that_the_configuration_names_is_read_wherever_it_lies() -> None:
    there = (
        "/data/www/a.log",
        "/data/www/a.log.1",
        "/usr/share/nginx/logs/site.log",
        "/data/h.example.txt",
        "/srv/log/b.20261120.txt",
    )
    assert [path for path in there if not _named(path)] == []
    assert [path for path in ("/data/never.log", "/data/www/b.log", "/srv/log/c.txt", "off") if _named(path)] == []


def test_a_named_log_is_read_by_its_own_format() -> None:
    rows, gaps = read(
        b'{"t":"2026-11-20T10:00:00+08:00","ip":"203.0.113.7","q":"GET /?a=\\"1\\" HTTP/1.1","st":200}\n',
        "/data/www/a.log",
        SITES,
    )
    assert (gaps, rows[0]["src_ip"], rows[0]["cs-uri-query"], rows[0]["sc-status"]) == (0, "203.0.113.7", 'a="1"', 200)
    rows, gaps = read(
        b'203.0.113.7 [20/Nov/2026:10:00:00 +0800] "GET / HTTP/1.1" 502 127.0.0.1:1, unix:/run/x : 127.0.0.1:2 0.1, 0.2 : 0.3\n',
        "/data/h.txt",
        SITES,
    )
    assert gaps == 0
    assert (rows[0]["upstream_addr"], rows[0]["upstream_response_time"]) == (
        "127.0.0.1:1, unix:/run/x : 127.0.0.1:2",
        "0.1, 0.2 : 0.3",
    )
    rows, gaps = read(
        b'[20/Nov/2026:10:00:00 +0800] 203.0.113.7 "GET /a?x=\\"1" 404\n', "/srv/log/b.20261120.txt", SITES
    )
    assert (gaps, rows[0]["cs-uri-stem"], rows[0]["cs-uri-query"], rows[0]["sc-status"]) == (0, "/a", 'x=\\"1', 404)
    rows, gaps = read(
        b'{"time":"2026-11-20T10:00:00+0800","ip":"203.0.113.7","uri":"/a","q":"?x=1","status":"200"}\n',
        "/var/log/apache2/js.txt",
        SITES,
    )
    assert (gaps, rows[0]["cs-uri-stem"], rows[0]["cs-uri-query"]) == (0, "/a", "x=1")


def test_a_configuration_of_many_open_paths_costs_no_more_than_its_length() -> None:
    evil = {"/etc/nginx/nginx.conf": "".join(f"access_log /a{'$b' * 200}/{n};\n" for n in range(2_000))}
    assert registry.by_context("/a" + "c" * 200, evil) is None


def test_a_format_without_a_time_gives_rows_without_one() -> None:
    said = "log_format short '$remote_addr \"$request\" $status';\naccess_log /var/log/nginx/short_access.log short;\n"
    rows, gaps = read(
        b'203.0.113.9 "GET /a?x=1 HTTP/1.1" 404\nno such line\n',
        "/var/log/nginx/short_access.log",
        {"/etc/nginx/nginx.conf": said},
    )
    assert [(r["src_ip"], r.get("t_recorded"), r["t_basis"], r["outcome"]) for r in rows] == [
        ("203.0.113.9", None, "none", "failure")
    ]
    assert gaps == 13
