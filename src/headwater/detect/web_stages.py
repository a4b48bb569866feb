# SPDX-License-Identifier: Apache-2.0
"""The requests of each client by stage of an attack on a website, and how far each stage came.

A stage is requested, answered (2xx), or confirmed: something on the host agrees. An answer alone proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.detect.addresses import Client, client, networks
from headwater.detect.detectors.web_shell import HARD, PLACE
from headwater.detect.frames import DAY, ORDER, SECOND, take
from headwater.detect.grouped import collected
from headwater.detect.web_attempts import SCANNERS, SCRIPT, UPLOAD, kinds, marked, read, text
from headwater.detect.web_evidence import AFTER_UPLOAD, Host, Proof
from headwater.detect.web_many import Many, beside, strongest, together
from headwater.detect.web_requests import SIEVE, command_in, named_files, value_of
from headwater.model.kinds import EventKind
from headwater.model.ports import Events

STAGES = ("scan", "exploit", "upload", "shell")
OWN = (
    "cs-method",
    "cs-uri-stem",
    "cs-uri-query",
    "cs-uri",
    "sc-status",
    "cs-user-agent",
    "cs-referer",
    "x-forwarded-for",
    "body",
)
LEAST_PATHS = 20  # different paths refused, of a client that looks for what is there
LEAST_ATTEMPTS = 5  # marked requests of a client that shows nothing else
WITHIN = 7 * DAY  # an address is taken for one client no longer than this


@dataclass(slots=True)
class Reached:
    """One stage of one client: its requests in order, and what on the host agrees."""

    rows: pl.DataFrame
    proofs: list[Proof] = field(default_factory=list)
    kinds: tuple[str, ...] = ()
    paths: int = 0

    @property
    def reach(self) -> str:
        if self.proofs:
            return "confirmed"
        status = self.rows["sc-status"].cast(pl.Int64, strict=False)
        return "answered" if bool(status.is_between(200, 299).any()) else "requested"

    @property
    def first(self) -> int:
        return int(self.rows["ts"].min() or 0)  # type: ignore[arg-type]


@dataclass(slots=True)
class Chain:
    """The stages of one client on one item of evidence, in order of stage."""

    who: Client
    source: int
    stages: dict[str, Reached]


def chains(events: Events, proxies: Sequence[str], vain: int) -> Iterator[Chain | Many]:
    """The clients that came through two stages or more, or tried again and again, by first request.

    Of those for which nothing on the host can speak (they asked and were told, no more) the first ``vain``. Of more than
    :data:`headwater.detect.web_many.MOST` others those with the most behind them; then the rest of each item together.
    """
    host = Host(events)
    rows = _candidates(events, host)
    if rows.is_empty():
        return
    rows = _clients(rows, proxies)
    scans = _scans(events, rows, proxies)
    commands = rows.select("cs-uri-stem", "cs-uri-query", "cs-user-agent", "body")
    rows = rows.with_columns(
        pl.Series("command", [_command(r, host) for r in commands.iter_rows()], dtype=pl.String), _shells(rows, host)
    )
    rows, rest = _worth(rows, scans, host, vain)
    found = []
    for (source, address), mine in sorted(
        rows.partition_by("source", "client", as_dict=True, maintain_order=True).items()
    ):
        stages = _stages(mine.drop("line"), scans.get((source, address)), host)
        if len(stages) > 1 or _insists(stages.get("exploit")):
            peer, forwarded = mine["src_ip"][0], mine["x-forwarded-for"].cast(pl.String)[0]
            who = Client(str(address), str(peer), forwarded, str(address) != str(peer))
            found.append(Chain(who, int(source), stages))
    yield from sorted(found, key=lambda c: (min(s.first for s in c.stages.values()), c.source, c.who.address))
    yield from together(rest, host)


def _attempt() -> pl.Expr:
    return ((pl.col("marks").list.len() > 0) | pl.col("command").is_not_null()) & ~pl.col("shell")


def _sends() -> pl.Expr:
    method = text("cs-method")
    some = text("cs-uri-stem").str.contains(UPLOAD) | (method != "POST")
    return method.is_in(["POST", "PUT", "MOVE"]) & ~pl.col("shell") & some


def _worth(
    rows: pl.DataFrame, scans: Mapping[tuple[Any, Any], Reached], host: Host, vain: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of clients that can make a chain: those that the host may confirm, and the first of the others.

    Thousands of addresses with one attempt each are common, and each would be looked at for as long as one that got in.
    Beside these rows those of the clients that the host may confirm and that are too many to be looked at one by one.
    """
    heard = not (host.processes.is_empty() and host.privilege.is_empty() and host.errors.is_empty())
    said = rows["command"].unique().drop_nulls().to_list()
    likely = [c for c in said if heard or named_files(c)]
    erring = host.errors["src_ip"].drop_nulls().unique().to_list()
    clients = rows.group_by("source", "client").agg(
        _attempt().sum().alias("attempts"),
        pl.col("ts").filter(_attempt()).min().alias("first"),
        ((pl.col("marks").list.len() > 0) & ~pl.col("shell")).any().alias("marked"),
        _sends().any().alias("sends"),
        (pl.col("shell") | pl.col("src_ip").is_in(erring) | pl.col("command").is_in(likely)).any().alias("heard"),
    )
    held = [(source, address, s.first) for (source, address), s in scans.items()]
    types: dict[str, Any] = {"source": clients.schema["source"], "client": clients.schema["client"], "scan": pl.Int64}
    clients = clients.join(pl.DataFrame(held, schema=types, orient="row"), on=["source", "client"], how="left")
    scanned, tried = pl.col("scan").is_not_null(), pl.col("attempts") > 0
    hopeful = pl.col("heard").fill_null(False) | (pl.col("sends") & (tried | scanned))
    insists = tried & (scanned | ((pl.col("attempts") >= LEAST_ATTEMPTS) & pl.col("marked")))
    others = clients.filter(~hopeful & insists).sort(pl.min_horizontal("first", "scan"), "source", "client")
    heard_of, rest = strongest(rows, clients.filter(hopeful), host, _attempt(), _sends())
    kept = pl.concat([heard_of.select("source", "client"), others.head(vain).select("source", "client")])
    return rows.join(kept, on=["source", "client"], how="semi", maintain_order="left"), rest


def _insists(exploit: Reached | None) -> bool:
    """Whether attempts stand by themselves: confirmed or repeated, and of other kinds than the commands of web-command."""
    if exploit is None or exploit.kinds == ("command",):
        return False
    return exploit.reach == "confirmed" or exploit.rows.height >= LEAST_ATTEMPTS


def _candidates(events: Events, host: Host) -> pl.DataFrame:
    """Requests that show an attempt, may hold a command, send a file, or go to a script that runs what it is told."""
    line, stem = read(), text("cs-uri-stem")
    sends = text("cs-method").is_in(["POST", "PUT", "MOVE"])
    wanted = (
        marked(line)
        | text("cs-uri-query").str.contains(SIEVE)
        | text("body").str.contains(SIEVE)
        | (sends & stem.str.contains(UPLOAD))
    )
    wanted = wanted | (text("cs-method").is_in(["PUT", "MOVE"]) & stem.str.contains(SCRIPT))
    names = sorted({"/" + p.rsplit("/", 1)[-1] for p in host.scripts["file_path"].drop_nulls().to_list()})
    if names:
        wanted = wanted | stem.str.contains_any(names)
    wanted = wanted & pl.col("src_ip").is_not_null() & pl.col("ts").is_not_null()
    rows = take(events, kinds=[EventKind.WEB_REQUEST], header=["src_ip", "host"], own=OWN, where=wanted)
    return rows.with_columns(read().alias("line")).with_columns(kinds(pl.col("line")).alias("marks"))


def _clients(rows: pl.DataFrame, proxies: Sequence[str]) -> pl.DataFrame:
    """The rows with ``client``: the address behind trusted proxies, else the peer."""
    trusted = networks(proxies)
    if not trusted:
        return rows.with_columns(pl.col("src_ip").alias("client"))
    pairs = rows.select("src_ip", pl.col("x-forwarded-for").cast(pl.String).alias("via")).unique()
    named = pairs.with_columns(
        pl.Series("client", [client(str(p), f, trusted).address for p, f in pairs.iter_rows()], dtype=pl.String)
    )
    joined = rows.with_columns(pl.col("x-forwarded-for").cast(pl.String).alias("via"))
    return joined.join(named, on=["src_ip", "via"], how="left", nulls_equal=True, maintain_order="left").drop("via")


def _scans(events: Events, rows: pl.DataFrame, proxies: Sequence[str]) -> dict[tuple[Any, Any], Reached]:
    """Of these clients those that asked for many paths in vain, or whose program says what it is."""
    status = pl.col("sc-status").cast(pl.Int64, strict=False)
    near = pl.col("src_ip").is_in(rows["src_ip"].unique().to_list()) & pl.col("ts").is_not_null()
    frame = events.scan(kinds=[EventKind.WEB_REQUEST], columns=OWN).filter(near)
    counted = collected(
        frame.filter(status.is_between(400, 499) | text("cs-user-agent").str.contains(SCANNERS))
        .group_by("source", "src_ip", pl.col("x-forwarded-for").cast(pl.String))
        .agg(text("cs-uri-stem").n_unique().alias("paths"), text("cs-user-agent").str.contains(SCANNERS).any().alias("says"),
             pl.struct([*ORDER, "length", "feed", "kind", "host", status.alias("sc-status"),
             *(pl.col(c).cast(pl.String) for c in OWN if c not in ("x-forwarded-for", "sc-status"))])
             .sort_by("ts").head(10).alias("first"))
    )  # fmt: skip
    found: dict[tuple[Any, Any], Reached] = {}
    named = _clients(counted.sort("source", "src_ip", "x-forwarded-for", nulls_last=True), proxies)
    whole = (pl.col("paths").sum() >= LEAST_PATHS) | pl.col("says").any()
    named = named.filter(whole.over("source", "client"))
    for (source, address), part in named.partition_by("source", "client", as_dict=True, maintain_order=True).items():
        picked = part.select("src_ip", "x-forwarded-for", "first").explode("first").unnest("first").sort(ORDER).head(20)
        found[(source, address)] = Reached(picked, paths=int(part["paths"].sum()))
    return found


def _stages(mine: pl.DataFrame, scan: Reached | None, host: Host) -> dict[str, Reached]:
    """What one client did, by stage; a later stage counts from the first earlier one on, and within a week of it."""
    stages: dict[str, Reached] = {} if scan is None else {"scan": scan}
    attempts = mine.filter(_attempt())
    if attempts.height:
        said = sorted(
            {k for ks in attempts["marks"].to_list() for k in ks}
            | ({"command"} if attempts["command"].count() else set())
        )
        stages["exploit"] = Reached(attempts, _errors(attempts, host) + _ran(attempts, host), tuple(said))
    sent = mine.filter(_sends())
    told = attempts.filter(pl.Series([_drops(c) for c in attempts["command"].to_list()], dtype=pl.Boolean))
    sent = _later(pl.concat([sent, told]).sort(ORDER), stages)
    if sent.height:
        dropped = _dropped(sent, host)
        if dropped or sent.height > told.height:
            stages["upload"] = Reached(sent, dropped)
    used = _later(mine.filter("shell"), stages)
    if used.height:
        code = pl.concat([host.script_at(str(s)) for s in used["cs-uri-stem"].unique().sort().to_list()])
        claims = ("kind", "file_path", "trait", "match", "parameter")
        answered = used["sc-status"].cast(pl.Int64, strict=False).is_between(200, 299).any()
        proofs = [Proof("script", code.unique(maintain_order=True), claims)] if answered else []
        stages["shell"] = Reached(used, proofs + _ran(used, host))
    return stages


def _command(row: tuple[Any, ...], host: Host) -> str | None:
    """The command in a request, or what it gives to a parameter that the script of this path runs."""
    stem, query, agent, body = (str(v or "") for v in row)
    found = command_in(stem, "" if query == "-" else query, agent)
    found = found if found is not None or not body else command_in("", body.strip())
    if found is not None:
        return found.command
    return next((v for p in host.parameters(stem) if (v := value_of(query, p)) is not None), None)


def _drops(command: str | None) -> bool:
    """Whether a command names a script, which it may write."""
    return command is not None and any(re.search(SCRIPT, name) for name in named_files(command))


def _shells(mine: pl.DataFrame, host: Host) -> pl.Series:
    """Which requests use a planted script: by its code or its place, with a POST or the parameter that its code reads.

    A page of the site itself that runs what it is told is the way in: requests to it are attempts.
    """
    hit = []
    known: dict[str, bool] = {}
    for stem, query, method in mine.select("cs-uri-stem", "cs-uri-query", "cs-method").iter_rows():
        path = str(stem or "")
        if path not in known:
            code = host.script_at(path)
            placed = any(PLACE.search(p) for p in code["file_path"].unique().to_list())
            known[path] = placed or bool(code["trait"].is_in(list(HARD)).any())
        asks = method == "POST" or any(f"{p}=" in str(query or "") for p in host.parameters(path))
        hit.append(known[path] and asks)
    return pl.Series("shell", hit, dtype=pl.Boolean)


def _later(rows: pl.DataFrame, stages: dict[str, Reached]) -> pl.DataFrame:
    if not stages:
        return rows
    since = min(s.first for s in stages.values())
    return rows.filter(pl.col("ts").is_between(since, since + WITHIN))


def _errors(rows: pl.DataFrame, host: Host) -> list[Proof]:
    """Lines of the error log that show how an attempt reached the database or the program's inside."""
    near = host.failures.filter(beside(rows))
    return [Proof("error", near.head(10), ("kind", "src_ip", "message"))] if near.height else []


def _ran(rows: pl.DataFrame, host: Host) -> list[Proof]:
    """What the host recorded of the commands in these requests."""
    found: list[Proof] = []
    held = rows.drop_nulls("command").select("ts", "command", "client", "src_ip").head(200)
    for when, command, address, peer in held.iter_rows():
        found += host.proofs(int(when), command, address, peer)
        if len(found) > 20:
            break
    return found


def _dropped(rows: pl.DataFrame, host: Host) -> list[Proof]:
    """Scripts that appeared on disk within minutes after a file was sent."""
    made = host.made
    found = []
    for when in rows["ts"].unique().sort().head(200).to_list():
        near = made.filter(pl.col("ts").is_between(when - 10 * SECOND, when + AFTER_UPLOAD))
        if near.height:
            found.append(Proof("file", near.head(10), ("kind", "file_path", "size", "uid")))
    return found[:5]
