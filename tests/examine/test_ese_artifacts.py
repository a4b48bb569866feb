# SPDX-License-Identifier: Apache-2.0
"""What Windows counts by program and by client is not lost, misnamed or misdated."""

from __future__ import annotations

import struct

import ese_samples
import pytest
from tiling import batches, hold, run, shared, spoilt

from headwater.examine import registry
from headwater.model.records import File

SRUM, UAL = registry.all_parsers()["windows.srum"], registry.all_parsers()["windows.ual"]
SUM = "/Windows/System32/LogFiles/Sum"


def test_bytes_sent_are_told_with_their_program_and_user() -> None:
    rows, gaps, _ = run(SRUM, ese_samples.srum(), "/Windows/System32/sru/SRUDB.dat")
    (most,) = [r for r in rows if r.get("BytesSent", 0) > 10**10]
    assert (most["process"], most["user"]) == ("rclone.exe", "S-1-5-21-1111-2222-3333-1104")
    assert (most["t_recorded"], most["kind"]) == (ese_samples.AT * 10**9, "network.usage")
    assert [g.reason.value for g in gaps] == ["journal-not-replayed"]


def test_a_record_struck_out_is_told_as_such() -> None:
    rows, _, _ = run(SRUM, ese_samples.srum())
    assert [r["AutoIncId"] for r in rows if r.get("row_deleted")] == [3]


def test_names_of_roles_come_from_the_system_itself() -> None:
    own = ese_samples.identity([(bytes(range(16)), "档案服务")])
    current = ese_samples.ual()
    beside = {f"{SUM}/SystemIdentity.mdb": File.of(own)}
    file = File(f"{SUM}/Current.mdb", len(current), lambda at, n: current[at : at + n], beside=beside)
    assert UAL.beside is not None
    assert UAL.beside(file.path) == (f"{SUM}/SystemIdentity.mdb",)
    roles = {r for batch in batches(UAL, file) for r in batch.events["role"].to_list()}
    assert {"档案服务", "File Server"} <= roles


def test_clients_of_a_real_server_are_told_with_address_user_and_times() -> None:
    name = "{C519A76A-D9B5-4F85-B667-5FAC08E0E1B4}.mdb"
    rows, gaps, _ = run(UAL, shared(f"plaso/test_data/{name}").read_bytes(), f"{SUM}/{name}")
    assert not gaps
    clients = [r for r in rows if r["table"] == "CLIENTS"]
    assert len({r["offset"] for r in clients}) == 14
    # as plaso reads it, and to the 100 ns
    (one,) = [r for r in clients if r["t_kind"] == "first" and (r.get("src_ip"), r.get("user")) == ("::1", "dc-1$")]
    assert (one["domain"], one["role"]) == ("ual", "Active Directory Domain Services")
    assert (one["t_recorded"], one["TotalAccesses"], one["days"]) == (1657983027077345000, 62, "2022-07-16=62")
    assert len([r for r in rows if r["table"] == "DNS"]) == 6


def test_a_database_of_another_program_is_no_empty_success() -> None:
    for parser, data in ((SRUM, ese_samples.ual()), (UAL, ese_samples.srum())):
        rows, gaps, _ = run(parser, data)
        assert not rows
        assert any(g.length == len(data) for g in gaps)


@pytest.mark.parametrize("parser", [SRUM, UAL])
def test_spoilt_databases_are_counted(parser: registry.Parser) -> None:
    data = ese_samples.srum() if parser is SRUM else ese_samples.ual()
    for bent in spoilt(data):
        hold(parser, bent)


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ((12, 14, 15), "3 log files not replayed (generations 12 to 14, with changes up to 15)"),
        ((12, 12, 12), "1 log file not replayed (generation 12)"),
        ((0, 0, 0), "its header names no log files"),
        ((14, 12, 0), "its header names no log files"),  # a header that contradicts itself
    ],
)
def test_a_database_that_was_not_closed_says_how_many_logs_stand_out(logs: tuple[int, int, int], said: str) -> None:
    data = bytearray(ese_samples.srum())
    struct.pack_into("<II", data, 296, *logs[:2])
    struct.pack_into("<I", data, 416, logs[2])
    _, gaps, _ = run(SRUM, bytes(data))
    (gap,) = [g for g in gaps if g.reason.value == "journal-not-replayed"]
    assert (gap.offset, gap.length) == (52, 4)
    assert said in gap.detail
