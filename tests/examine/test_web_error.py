# SPDX-License-Identifier: Apache-2.0
"""Error logs of web servers: a client that imitates the server's own words does not become another client."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from tiling import GOLDEN, shared

from headwater.examine.lines import line_batches
from headwater.examine.parsers import web_error
from headwater.model.records import File


def _run(data: bytes, block: int = 1 << 20) -> tuple[pl.DataFrame, list[tuple[int, int]], int]:
    done = list(line_batches(web_error.GRAMMAR, File.of(data), block))
    events = pl.concat([b.events for b in done], how="diagonal_relaxed")
    gaps = [(g.offset, g.length) for b in done for g in b.gaps]
    return events, gaps, sum(s.size for b in done for s in b.skipped)


def _rows(name: str) -> list[dict[str, Any]]:
    events, _, _ = _run((GOLDEN / "web_error" / name).read_bytes())
    return [{k: v for k, v in row.items() if v is not None} for row in events.iter_rows(named=True)]


@pytest.mark.parametrize(
    ("name", "records", "gaps"),
    [
        ("nginx.log", 8, 4),
        ("apache.log", 10, 3),
        ("real-nginx.log", 12, 0),
        ("real-apache.log", 27, 0),
        ("lighttpd.log", 5, 1),
    ],
)
def test_web_error_counts(name: str, records: int, gaps: int) -> None:
    data = (GOLDEN / "web_error" / name).read_bytes()
    events, found, skipped = _run(data)
    assert events.height == records
    lost = b"".join(data[at : at + length] for at, length in found)
    assert len([line for line in lost.split(b"\n") if line]) == gaps
    assert int(events["length"].sum()) + len(lost) + skipped == len(data)


def test_nginx_fields() -> None:
    row = _rows("nginx.log")[1]
    assert (row["src_ip"], row["pid"], row["connection"], row["severity"]) == ("203.0.113.7", 812, 56, "error")
    assert (row["cs-method"], row["cs-uri-stem"], row["cs-uri-query"]) == ("GET", "/wp-login.php", "a=1&b=%2F")
    assert (row["file_path"], row["errno"], row["cs-host"]) == ("/var/www/html/wp-login.php", 2, "www.example.com")
    assert (row["kind"], row["t_basis"], row["t_recorded"]) == ("web.error", "zone-assumed", 1772450553 * 10**9)


def test_nginx_php_warning_names_script_and_upstream() -> None:
    row = _rows("nginx.log")[2]
    assert (row["file_path"], row["line_number"]) == ("/var/www/html/up/cmd.php", 3)
    assert row["upstream"] == "fastcgi://unix:/run/php/php8.2-fpm.sock:"
    assert row["cs-referer"] == "http://203.0.113.80/a, b"
    assert row["cs-uri-stem"] == "/up/cmd.php"


def test_client_forged_in_a_path_is_not_believed() -> None:
    row = _rows("nginx.log")[3]
    assert "src_ip" not in row
    assert row["clients_named"] == 2


def test_apache_fields() -> None:
    rows = _rows("apache.log")
    assert [r["kind"] for r in rows[:3]] == ["service.start", "log.message", "web.error"]
    assert (rows[2]["src_ip"], rows[2]["port"], rows[2]["error_code"]) == ("203.0.113.7", 54321, "AH00126")
    assert (rows[2]["cs-uri-stem"], rows[2]["t_recorded"]) == ("/cgi-bin/.%2e/.%2e/bin/sh", 1772450553_000_001_000)
    assert (rows[3]["errno"], rows[3]["os_error"], rows[3]["src_ip"]) == (13, "Permission denied", "203.0.113.7")
    assert (rows[4]["src_ip"], rows[4]["port"], rows[4]["file_path"]) == ("2001:db8::7", 54323, "/var/www/html/s.php")
    assert rows[5]["file_path"] == "/var/www/html/server-status"
    assert rows[6]["kind"] == "service.stop"
    assert (rows[7]["src_ip"], rows[7]["cs-referer"]) == ("127.0.0.1", "http://h/")
    assert rows[9]["message"].endswith("/srv/\\xff\\xfe")


def test_every_line_of_a_real_apache_log_is_an_event() -> None:
    data = shared("loghub/Apache/Apache_2k.log").read_bytes()
    events, gaps, _ = _run(data, 20_000)
    assert (events.height, gaps) == (2000, [])
    assert events["src_ip"].drop_nulls().len() == data.count(b"[client ") == 32
    assert events.filter(pl.col("severity") == "error").height == data.count(b"] [error] ")


def test_lighttpd_refused_login_names_who_and_from_where() -> None:
    rows = _rows("lighttpd.log")
    assert [r["kind"] for r in rows] == ["service.start", "service.start", "web.error", "log.message", "log.message"]
    assert (rows[2]["user"], rows[2]["src_ip"], rows[2]["module"]) == ("bob", "203.0.113.9", "mod_auth")
    assert (rows[3]["file_path"], rows[3]["line_number"], rows[3]["provider"]) == ("/var/www/html/i.php", 3, "lighttpd")
