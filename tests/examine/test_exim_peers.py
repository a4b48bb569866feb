# SPDX-License-Identifier: Apache-2.0
"""What a client calls itself in HELO is not taken for its address."""

from __future__ import annotations

from headwater.examine.parsers import mail_exim
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File

AT = "2026-03-02 11:22:33 "


def _event(text: str) -> Event:
    data = (AT + text + "\n").encode()
    file = File("/var/log/exim4/mainlog", len(data), lambda offset, length: data[offset : offset + length])
    (event,) = mail_exim.parse(file)
    assert isinstance(event, Event)
    return event


def test_an_address_in_helo_is_not_the_peer() -> None:
    for text, kind in (
        (
            "1xVI0C-00005o-0i <= a@x.example H=([10.0.0.1]) [203.0.113.9]:4711 P=esmtpa A=plain:bob S=1",
            EventKind.AUTH_SUCCESS,
        ),
        (
            "plain authenticator failed for ([10.0.0.1]) [203.0.113.9]: 535 Incorrect (set_id=bob)",
            EventKind.AUTH_FAILURE,
        ),
        (
            "1xVI0C-00005o-0i <= <> R=1xVI0C-00005o-0h H=mx.x.example ([10.0.0.1]) [203.0.113.9] P=esmtp S=1",
            EventKind.LOG_MESSAGE,
        ),
        (
            "H=mx.x.example ([10.0.0.1]) [203.0.113.9] F=<a@x.example> rejected RCPT <b@y.example>: no",
            EventKind.LOG_MESSAGE,
        ),
        ('SMTP syntax error in "X" H=([10.0.0.1]) [203.0.113.9] unrecognized command', EventKind.LOG_MESSAGE),
    ):
        event = _event(text)
        assert (event.src_ip, event.kind) == ("203.0.113.9", kind), text


def test_who_sent_from_the_host_itself_and_how_exim_was_called_are_named() -> None:
    assert _event("1xVI0C-00005o-0i <= root@x U=root P=local S=255").user == "root"
    assert _event("cwd=/tmp 3 args: exim4 -be ${run{id}}").command_line == "exim4 -be ${run{id}}"
