# SPDX-License-Identifier: Apache-2.0
"""A finding in a container names that container and no other; its clock is its own."""

from __future__ import annotations

from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Span, Text
from headwater.procedure.contained import named
from headwater.procedure.corridor import container_zone

ID = "0123456789ab" + "c" * 52
SAID = {
    "container": ID, "container_engine": "docker", "container_name": "shop", "container_hostname": "web9", "clock": "1.c1",
}  # fmt: skip
FACTS = {1: {"p2": {"hostname": "host1"}, f"p2!container.shop.{ID[:12]}": SAID}}
INSIDE = f"p2!container.shop.{ID[:12]}!/var/log/auth.log"


def _finding(*paths: str, host: str | None = None) -> Finding:
    rule = Rule("x", "1", "", Text("一", "one"), next(iter(Stage)), ("T1059",), Severity.LOW)
    spans = tuple(Citation(Span(1, path, 0, 1), None, {}) for path in paths)
    return Finding(rule, Text("一", "one"), spans, next(iter(Confidence)), Severity.LOW, host=host, id="F-0")


def _host(finding: Finding) -> str | None:
    return next(named([finding], FACTS)).host


def test_what_is_seen_in_one_container_alone_is_its_own() -> None:
    assert _host(_finding(INSIDE, INSIDE + "!gz")) == "shop (docker 0123456789ab)"
    assert _host(_finding(INSIDE, host="web9")) == "shop (docker 0123456789ab)"
    assert _host(_finding(INSIDE, host="relay")) == "shop (docker 0123456789ab): relay"
    assert _host(_finding(f"p2!/var/lib/docker/containers/{ID}/{ID}-json.log")) == "shop (docker 0123456789ab)"
    changed = next(named([_finding(INSIDE)], FACTS))
    assert changed.id.startswith("F-")
    assert changed.id != "F-0"


def test_the_hosts_own_and_what_spans_both_keep_their_host() -> None:
    assert _host(_finding("p2!/var/log/auth.log", host="host1")) == "host1"
    assert _host(_finding(INSIDE, "p2!/var/log/auth.log")) is None
    assert _host(_finding("p2!container.other.ffffffffffff!/etc/passwd")) is None
    assert _host(_finding(f"p2!/var/lib/docker/containers/{'d' * 64}/{'d' * 64}-json.log")) is None


def test_what_a_pod_printed_is_of_the_container_whose_attempt_it_was() -> None:
    place = "/var/log/pods/prod_shop-0_1b2c/web/{}.log"
    said = {name: SAID | {"container": number * 64, "container_name": f"web{number}", "container_log": place.format(number)}
            for name, number in (("p2!container.a", "0"), ("p2!container.b", "1"))}  # fmt: skip
    for path, host in (("1.log", "web1 (docker 111111111111)"), ("0.log.20260302-010203!gz", "web0 (docker 000000000000)"),
                       ("2.log", None)):  # fmt: skip
        finding = _finding(f"p2!/log/pods/prod_shop-0_1b2c/web/{path}")
        assert next(named([finding], {1: said})).host == host


def test_a_container_without_a_zone_runs_in_utc() -> None:
    assert container_zone(SAID, {})[0] == "UTC"
    assert container_zone(SAID | {"container_zone": "Asia/Shanghai", "container_zone_from": "TZ"}, {}) == (
        "Asia/Shanghai",
        "TZ",
    )
    assert container_zone(SAID | {"container_zone": "../etc/passwd"}, {})[0] == "UTC"
    assert container_zone(SAID, {"1": "Asia/Tokyo"})[0] == "UTC"
    assert container_zone(SAID, {"1.c1": "Asia/Tokyo"}) == ("Asia/Tokyo", "case file")
