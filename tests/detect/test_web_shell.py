# SPDX-License-Identifier: Apache-2.0
"""A backdoor is told by code, place and use; a dormant diagnostic page or a package's test file stays low."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import web_shell
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings


def script(path: str, trait: str, parameter: str | None = None) -> MemoryEvents:
    own = {"trait": trait, "match": "…", "parameter": parameter}
    return MemoryEvents().say(
        "web.script", "p1!" + path, (EventKind.STATE_CONTENT, None, {"file_path": path, "fields": own})
    )


def request(events: MemoryEvents, stem: str, query: str | None, status: int, method: str = "GET") -> MemoryEvents:
    own = {"cs-method": method, "cs-uri-stem": stem, "cs-uri-query": query, "sc-status": status}
    return events.say("web.access", "/a", (EventKind.WEB_REQUEST, 100, {"src_ip": "203.0.113.7", "fields": own}))


def run(events: MemoryEvents) -> list:
    return list(registry.run(web_shell, events, Settings()))


@pytest.mark.parametrize(
    ("path", "trait", "severity"),
    [
        ("/var/www/html/a.php", "eval-of-request", Severity.HIGH),
        ("/var/www/html/uploads/a.php", "exec-of-request", Severity.HIGH),
        ("/var/www/html/logo.jpg", "eval-of-encoded", Severity.HIGH),
        ("/var/www/html/cmd.php", "exec-of-request", Severity.LOW),
        ("/var/www/app/vendor/phpunit/eval-stdin.php", "eval-of-request", Severity.LOW),
        ("/usr/share/php/x.php", "eval-of-encoded", Severity.LOW),
        ("/var/www/html/wp-content/scan/list.php", "known-family", Severity.LOW),
    ],
)
def test_code_and_place(path: str, trait: str, severity: Severity) -> None:
    (found,) = run(script(path, trait))
    assert found.severity == severity
    assert found.spans[0].claims["trait"] == trait


def test_use_makes_a_dormant_page_a_finding_and_a_refusal_does_not() -> None:
    (used,) = run(request(script("/var/www/html/cmd.php", "exec-of-request", "cmd"), "/cmd.php", "cmd=id", 200))
    assert used.severity == Severity.HIGH
    assert used.src_ip == "203.0.113.7"
    assert used.ts_first == 100
    (refused,) = run(request(script("/var/www/html/cmd.php", "exec-of-request", "cmd"), "/cmd.php", "cmd=id", 503))
    assert refused.severity == Severity.LOW
    (other,) = run(request(script("/var/www/html/cmd.php", "exec-of-request", "cmd"), "/cmd.php", "page=2", 200))
    assert other.severity == Severity.LOW


def test_a_mere_command_in_a_script_is_nothing() -> None:
    assert run(script("/var/www/html/mail.php", "exec")) == []
    assert run(script("/var/www/html/upload.php", "upload-write")) == []
