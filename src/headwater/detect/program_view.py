# SPDX-License-Identifier: Apache-2.0
"""The Windows programs of each item with what is known of their signatures: embedded, listed in a catalog, or neither.

``neither`` is only said where catalogs of the item were read and none of them was a gap: else it is ``not embedded``.
"""

from __future__ import annotations

import re
from typing import cast

import polars as pl

from headwater.detect.frames import take
from headwater.formats.certificate_chain import BROKEN, SELF
from headwater.formats.patterns import lazy_regex
from headwater.model.ports import Events

OWN = ("machine", "program_kind", "compiled", "authenticode_sha256", "authenticode_sha1", "signature", "signer", "issuer",
       "chain_state", "signature_holds", "digest_holds")  # fmt: skip
CLAIMS = (
    "kind", "file_path", "signature", "signer", "chain_state", "signature_holds", "digest_holds", "authenticode_sha256", "compiled",
    "program_kind",
)  # fmt: skip
# makers whose names a forger would choose: their programs bear certificates of public issuers, never ones of their own making
_MAKERS = (
    r"(?i)\b(?:CN|O)=(?:Microsoft\b|Google\b|Apple Inc|Adobe\b|Oracle\b|VMware|Intel\b|NVIDIA|Mozilla|Symantec|McAfee|Kaspersky|Trend Micro"
    r"|Tencent|Alibaba|Qihoo|Beijing Qihu|Huawei|Kingsoft|Sangfor|腾讯|奇虎|金山)"
)
_WINDOWS = ("windows.service", "windows.autorun", "windows.host", "windows.catalog")
_DRIVE = lazy_regex(r"^(?:\\\?\?\\)?[a-z]:", re.IGNORECASE)
_VARIABLES = (
    ("%systemroot%", "/windows"), ("%windir%", "/windows"), ("\\systemroot", "/windows"), ("%programfiles%", "/program files"),
    ("%programfiles(x86)%", "/program files (x86)"), ("%programdata%", "/programdata"), ("%allusersprofile%", "/programdata"),
    ("%commonprogramfiles%", "/program files/common files"), ("%public%", "/users/public"), ("%systemdrive%", ""),
)  # fmt: skip


def place_of(path: str) -> str:
    """A program as start-up items write it, as the path of its volume: small letters, slashes, no drive."""
    text = path.strip().strip('"').lower()
    for name, value in _VARIABLES:
        if text.startswith(name):
            text = value + text[len(name) :]
    text = _DRIVE.sub("", text).replace("\\", "/")
    if text.startswith(("system32/", "syswow64/")):
        text = "/windows/" + text
    if "/" not in text and text:
        text = f"/windows/system32/{text}" + ("" if "." in text else ".exe")
    return text


def programs(events: Events) -> pl.DataFrame:
    """One row per program of an item that is a Windows system: its columns, ``place`` and ``standing``.

    ``standing``: embedded, altered, borrowed, unreadable, catalog, neither, not embedded. Borrowed: by a certificate that
    bears a known maker's name and signed itself, or was not issued by whom it names.
    """
    rows = take(events, feeds=["windows.pe"], header=["file_path", "host"], own=list(OWN))
    there = [feed for feed in events.feeds() if feed in _WINDOWS]
    if rows.is_empty() or not there:
        return rows.clear().with_columns(pl.lit("").alias("place"), pl.lit("").alias("standing"))
    sources = cast(pl.DataFrame, events.scan(feeds=there).select("source").unique().collect())
    rows = rows.filter(pl.col("source").is_in(sources["source"].to_list()))
    listed, whole = _catalogs(events)
    place = pl.col("file_path").str.to_lowercase()
    digests = rows.select("source", "authenticode_sha256", "authenticode_sha1").with_row_index("row")
    known = pl.concat(
        [
            digests.select("row", "source", pl.col(c).alias("digest"))
            for c in ("authenticode_sha256", "authenticode_sha1")
        ]
    ).join(listed, on=["source", "digest"], how="semi")
    hit = pl.Series(range(rows.height)).is_in(known["row"].unique().to_list())
    told = (pl.col("digest_holds") == False) | (pl.col("signature_holds") == False)  # noqa: E712 – an expression
    unvouched = pl.col("chain_state").cast(pl.String).is_in([SELF, BROKEN])
    maker = pl.col("signer").cast(pl.String).str.contains(_MAKERS)
    standing = (
        pl.when((pl.col("signature") == "embedded") & told.fill_null(False)).then(pl.lit("altered"))
        .when((pl.col("signature") == "embedded") & unvouched.fill_null(False) & maker.fill_null(False)).then(pl.lit("borrowed"))
        .when(pl.col("signature") != "none").then(pl.col("signature"))
        .when(pl.lit(hit)).then(pl.lit("catalog"))
        .when(pl.col("source").is_in(whole) & pl.col("authenticode_sha256").is_not_null()).then(pl.lit("neither"))
        .otherwise(pl.lit("not embedded"))
    )  # fmt: skip
    return rows.with_columns(place.alias("place"), standing.alias("standing"))


def _catalogs(events: Events) -> tuple[pl.DataFrame, list[int]]:
    """The digests (source, digest) that catalogs list whose signature holds, and the items whose catalogs were all read."""
    if "windows.catalog" not in events.feeds():
        return pl.DataFrame(schema={"source": pl.Int64, "digest": pl.String}), []
    held = take(events, feeds=["windows.catalog"], own=["members", "signature_holds"])
    listed = (
        held.filter(pl.col("signature_holds").fill_null(False) & pl.col("members").is_not_null())
        .select("source", pl.col("members").str.split(" ").alias("digest"))
        .explode("digest")
        .unique()
    )
    lost = cast(
        pl.DataFrame, events.gaps().filter(pl.col("feed") == "windows.catalog").select("source").unique().collect()
    )
    return listed, [n for n in held["source"].unique().to_list() if n not in set(lost["source"].to_list())]
