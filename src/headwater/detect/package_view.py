# SPDX-License-Identifier: Apache-2.0
"""What the package database of a system says of its files, beside what the files hold now.

The database lies on the same disk as the files: it is no independent witness, and every finding that rests on it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from headwater.detect.frames import STAND, take
from headwater.model.kinds import EventKind
from headwater.model.ports import Events

DATABASE = ("/var/lib/dpkg/", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/")
# merged systems keep /bin, /sbin and /lib as links into /usr while older packages still name the old places
_OLD_PLACE = r"^/(bin|sbin|lib|lib32|lib64|libx32)/"
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


def _system(column: str = "path") -> pl.Expr:
    """The view that a database lies in: what stands before its folder."""
    return pl.col(column).str.extract(r"^(.*?)(?:/var/lib/dpkg/|/var/lib/rpm/|/usr/lib/sysimage/rpm/)", 1)


def place(column: str = "file_path") -> pl.Expr:
    """A path with the folders of a merged /usr under their one name."""
    return pl.col(column).str.replace(_OLD_PLACE, "/usr/${1}/")


@dataclass(frozen=True, slots=True)
class Packages:
    """``owned``: files with the digest that the database states; ``held``: what every file of the same systems holds.

    Both have ``system`` (source and view) and ``place`` (the path with /bin and /lib taken to /usr), which join them.
    """

    owned: pl.DataFrame
    held: pl.DataFrame

    def joined(self) -> pl.DataFrame:
        """Each owned file with what it holds now (columns with ``_now``; null where it is not there)."""
        now = self.held.unique(["source", "system", "place"], keep="first", maintain_order=True)
        return self.owned.join(now, on=["source", "system", "place"], how="left", suffix="_now", maintain_order="left")

    def unowned(self) -> pl.DataFrame:
        """The files that no package and no diversion names."""
        return self.held.join(self.owned, on=["source", "system", "place"], how="anti", maintain_order="left")


def packages(events: Events) -> Packages | None:
    """The packages' files and the files of the systems that have a database; None where no system has one."""
    owned = take(
        events, kinds=[EventKind.STATE_PACKAGE_FILE], header=["file_path"],
        own=["md5", "sha256", "package", "conffile", "target", "mode", "capabilities"],
    )  # fmt: skip
    if owned.is_empty():
        return None
    owned = owned.with_columns(_system().alias("system"), place().alias("place")).filter(pl.col("system").is_not_null())
    owned = _diverted(owned)
    held = take(events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["md5", "type"])
    held = held.with_columns(
        pl.col("path").str.strip_suffix(pl.col("file_path")).alias("system"), place().alias("place")
    )
    systems = owned.select("source", "system").unique()
    return Packages(owned, held.join(systems, on=["source", "system"], how="semi", maintain_order="left"))


def _diverted(owned: pl.DataFrame) -> pl.DataFrame:
    """The packages' files where dpkg put them: a diversion moves those of all packages but the one that asked for it."""
    keys = ["source", "system", "place"]
    moved = owned.filter(pl.col("target").is_not_null()).unique(keys, keep="first", maintain_order=True)
    if moved.is_empty():
        return owned
    told = moved.select(*keys, pl.col("target").alias("to"), pl.col("package").alias("asked"))
    owned = owned.join(told, on=keys, how="left", maintain_order="left")
    other = pl.col("to").is_not_null() & pl.col("target").is_null() & pl.col("asked").ne_missing(pl.col("package"))
    now = pl.when(other).then(place("to")).otherwise("place").alias("place")
    return owned.with_columns(now).drop("to", "asked")


def replaced(view: Packages) -> pl.DataFrame:
    """What stands where an administrator, not a package, had dpkg put a package's file elsewhere: the diversions, with it; not
    where it holds the same as that."""
    local = view.owned.filter(pl.col("target").is_not_null() & pl.col("package").is_null())
    now = view.held.unique(["source", "system", "place"], keep="first", maintain_order=True)
    found = local.join(now, on=["source", "system", "place"], how="inner", suffix="_now", maintain_order="left")
    # a copy of what went aside, by the content there or the digest that the package states of it, is no other program
    aside = [
        frame.select("source", "system", pl.col("place").alias("to"), pl.col("md5").alias("md5_now"))
        for frame in (now, view.owned.filter(pl.col("target").is_null()))
    ]
    return found.with_columns(place("target").alias("to")).join(
        pl.concat(aside), on=["source", "system", "to", "md5_now"], how="anti", maintain_order="left"
    )


def differing(joined: pl.DataFrame) -> pl.DataFrame:
    """Owned files that hold something else than the database states; configuration left out, diverted ones where they are."""
    plain = joined.filter(
        pl.col("target").is_null() & ~pl.col("conffile").cast(pl.Boolean, strict=False).fill_null(False)
    )
    other = (pl.col("md5") != pl.col("md5_now")).fill_null(False)
    sha = (pl.col("sha256") != pl.col("hash")).fill_null(False) if "sha256" in plain.columns else pl.lit(False)
    return plain.filter(pl.col("md5_now").is_not_null() & (other | sha))


def absent(joined: pl.DataFrame) -> pl.DataFrame:
    """Owned files that are not there; empty ones and configuration left out."""
    return joined.filter(
        pl.col("md5_now").is_null()
        & (pl.col("md5").fill_null("") != _EMPTY)
        & pl.col("target").is_null()
        & ~pl.col("conffile").cast(pl.Boolean, strict=False).fill_null(False)
    )


def content_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``held`` behind joined rows, in the shape that citations need."""
    shared = [n for n in (*STAND, "md5", "kind", "file_path") if n != "source"]
    return rows.select("source", *(pl.col(f"{n}_now").alias(n) for n in shared), "hash", "type")
