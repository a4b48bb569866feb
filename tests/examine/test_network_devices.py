# SPDX-License-Identifier: Apache-2.0
"""A firewall's log must not be made to say who began a connection, or that something came through, where it does not."""

from __future__ import annotations

from headwater.examine.parsers import network_asa, network_vrp
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Event, File


def _one(parser: object, line: str) -> Event:
    (found,) = parser.parse(File.of(line.encode() + b"\n"))  # type: ignore[attr-defined]
    assert isinstance(found, Event)
    return found


def test_the_end_of_a_connection_names_no_source_since_the_message_does_not() -> None:
    line = (
        "Nov 22 2026 10:00:10 fw01 : %ASA-6-302014: Teardown TCP connection 17 for outside:192.0.2.53/443 to "
        "inside:10.0.0.5/51000 duration 0:00:10 bytes 1024 TCP FINs"
    )
    found = _one(network_asa, line)
    assert (found.src_ip, found.dst_ip) == (None, None)
    assert (found.fields["foreign_ip"], found.fields["local_ip"], found.fields["bytes"]) == (
        "192.0.2.53",
        "10.0.0.5",
        1024,
    )
    built = _one(network_asa, line.replace("302014: Teardown", "302013: Built outbound").partition(" duration")[0])
    assert (built.src_ip, built.dst_ip) == ("10.0.0.5", "192.0.2.53")


def test_an_attack_that_was_noticed_is_no_connection_that_succeeded() -> None:
    head = "2026-11-22 10:02:00 fw %%01"
    noticed = _one(network_vrp, head + 'SEC/4/ATCKDF(l):AttackType="Port scan attack", src="203.0.113.9:5555 "')
    assert (noticed.kind, noticed.outcome) == (EventKind.LOG_MESSAGE, None)
    permitted = _one(network_vrp, head + "POLICY/6/POLICYPERMIT(l):source-ip=203.0.113.9, destination-ip=10.0.0.5")
    assert (permitted.kind, permitted.outcome) == (EventKind.NETWORK_CONNECTION, Outcome.SUCCESS)
    denied = _one(network_vrp, head + "POLICY/6/POLICYDENY(l):source-ip=203.0.113.9, destination-ip=10.0.0.5")
    assert (denied.kind, denied.outcome) == (EventKind.FIREWALL_BLOCK, Outcome.FAILURE)


def test_a_number_of_another_vendor_is_not_called_h3c() -> None:
    assert _one(network_vrp, "2026-11-22 10:02:00 fw %%77SHELL/5/LOGIN(l): x").provider is None
