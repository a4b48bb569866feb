# SPDX-License-Identifier: Apache-2.0
"""Logins over the network, each once, whichever logs tell it."""

from __future__ import annotations

import polars as pl

from headwater.detect.frames import main_feed, take
from headwater.model.kinds import EventKind
from headwater.model.ports import Events, Visit

# One system: the host of an item, or a container on it, whose events have a clock of their own.
SYSTEM = ["source", "clock"]


def network_logins(events: Events, visits: tuple[Visit, ...]) -> pl.DataFrame:
    """Logins with an address, account and time: from the authentication log, else from wtmp, so that none is told twice.

    By source, time and place; those of ``visits`` are our own and left out.
    """
    own = ["method", "port"]
    has_address = pl.col("src_ip").is_not_null() & pl.col("user").is_not_null() & pl.col("ts").is_not_null()
    rows = take(
        events, kinds=[EventKind.AUTH_SUCCESS], header=["src_ip", "user", "host", "clock"], own=own, where=has_address
    )
    rows = main_feed(rows, *SYSTEM)
    origin = pl.concat_str("src_ip", pl.col("port").cast(pl.String), separator=" ")
    for ours in visits:  # the same port another day is somebody else's
        rows = rows.filter(~((origin == ours.origin) & pl.col("ts").is_between(ours.first, ours.last)).fill_null(False))
    sessions = take(
        events,
        kinds=[EventKind.SESSION_OPEN],
        feeds=["linux.wtmp"],
        header=["src_ip", "user", "host", "clock"],
        own=own,
        where=has_address,
    ).join(rows.select(SYSTEM).unique(), on=SYSTEM, how="anti", maintain_order="left")
    return pl.concat([rows, sessions], how="diagonal_relaxed").sort("source", "ts", "offset", "ordinal")
