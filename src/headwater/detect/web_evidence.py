# SPDX-License-Identifier: Apache-2.0
"""What the host itself says about a web request: the script, a process, a dropped file, an error line, a sudo line."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from headwater.detect.frames import MINUTE, SECOND, take
from headwater.detect.web_requests import named_files
from headwater.model.kinds import EventKind
from headwater.model.ports import Events

# Script traits by which a request's value reaches a shell or an interpreter.
RUNS = ("exec-of-request", "eval-of-request", "callback-of-request")
# The accounts under which distributions run web servers, by name and by usual number (Debian 33, RHEL apache 48).
WEB_USERS = frozenset({"www-data", "apache", "nginx", "httpd", "www", "http", "tomcat", "wwwrun", "33", "48"})
AFTER_DROP = 10 * MINUTE
AROUND = MINUTE
_ERROR = re.compile(
    r"\bsh: (?:line )?\d+|not found|[Pp]ermission denied|No such file|(?:shell_)?exec\(\)|passthru\(\)|system\(\)"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Rows on the host that agree with a request; ``kind`` names the sort of evidence."""

    kind: str
    rows: pl.DataFrame
    claims: tuple[str, ...]


class Host:
    """The rows of the host that can confirm requests, taken once."""

    def __init__(self, events: Events) -> None:
        self.scripts = take(
            events,
            kinds=[EventKind.STATE_CONTENT],
            feeds=["web.script"],
            header=["file_path"],
            own=["trait", "match", "parameter"],
            where=pl.col("trait").is_in(list(RUNS)),
        )
        self._parameters: dict[str, set[str]] = {}
        for path, parameter in self.scripts.select("file_path", "parameter").iter_rows():
            if path and parameter:
                self._parameters.setdefault(str(path), set()).add(str(parameter))
        self.processes = take(
            events,
            kinds=[EventKind.PROCESS_CREATE],
            header=["user", "command_line", "host"],
            own=["CommandLine", "uid", "key"],
            where=pl.col("user").is_in(list(WEB_USERS))
            | pl.col("uid").cast(pl.String).is_in(list(WEB_USERS))
            | (pl.col("key").cast(pl.String) == "web-exec"),
        ).with_columns(pl.coalesce(pl.col("CommandLine").cast(pl.String), "command_line").alias("line"))
        self.errors = take(events, kinds=[EventKind.WEB_ERROR], header=["src_ip"], own=["message"])
        self.privilege = take(
            events,
            kinds=[EventKind.PRIVILEGE_USE, EventKind.PRIVILEGE_DENIED],
            header=["user", "command_line"],
            where=pl.col("user").is_in(list(WEB_USERS)),
        )
        self.files = take(
            events,
            kinds=[EventKind.FILE_CREATED, EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED],
            header=["file_path"],
            own=["uid", "size"],
            where=pl.col("file_path").str.contains(
                r"^/(?:tmp|var/tmp|dev/shm|var/www|srv|www|home|usr/share/nginx|opt|inetpub)/"
            ),
        )

    def script(self, stem: str, parameter: str | None) -> pl.DataFrame:
        """Rows of the script that a path names and whose code takes this parameter (or any, where it names none)."""
        if len(stem) < 2 or stem.endswith("/"):
            return self.scripts.head(0)
        found = self.scripts.filter(pl.col("file_path").str.ends_with(stem))
        known = pl.col("parameter").is_null()
        return found.filter(known if parameter is None else known | (pl.col("parameter") == parameter))

    def script_at(self, stem: str) -> pl.DataFrame:
        """Rows of the script that a path names, whatever its code reads."""
        if len(stem) < 2 or stem.endswith("/"):
            return self.scripts.head(0)
        return self.scripts.filter(pl.col("file_path").str.ends_with(stem))

    def parameters(self, stem: str) -> tuple[str, ...]:
        """The parameters that the script of this path passes to a shell, in order of name."""
        if len(stem) < 2 or stem.endswith("/"):
            return ()
        return tuple(sorted({p for path, ps in self._parameters.items() if path.endswith(stem) for p in ps}))

    def proofs(self, when: int, command: str, client: str, peer: str) -> list[Proof]:
        """What the host recorded around one request (UTC ns) that agrees with its command."""
        found = []
        near = pl.col("ts").is_between(when - AROUND, when + AROUND)
        for line in self._agreeing(self.processes.filter(near), "line", command):
            found.append(Proof("process", line, ("kind", "user", "CommandLine", "command_line")))
        for line in self._agreeing(self.privilege.filter(near), "command_line", command):
            found.append(Proof("privilege", line, ("kind", "user", "command_line")))
        words = command.split()
        if words:
            errors = self.errors.filter(near & (pl.col("src_ip").is_null() | pl.col("src_ip").is_in([client, peer])))
            for row in errors.filter(pl.col("message").str.contains(words[0], literal=True)).iter_slices(1):
                if _ERROR.search(row["message"][0] or ""):
                    found.append(Proof("error", row, ("kind", "message")))
        names = [n.rsplit("/", 1)[-1] for n in named_files(command)]
        if names:
            ends = pl.any_horizontal([pl.col("file_path").str.ends_with("/" + n) for n in names])
            dropped = self.files.filter(pl.col("ts").is_between(when - 10 * SECOND, when + AFTER_DROP) & ends)
            if dropped.height:
                found.append(Proof("file", dropped.head(20), ("kind", "file_path", "size", "uid")))
        return found

    @staticmethod
    def _agreeing(rows: pl.DataFrame, column: str, command: str) -> list[pl.DataFrame]:
        """Rows whose command line contains the request's command, or is one of its simple commands."""
        if rows.is_empty() or not command.strip():
            return []
        whole = " ".join(command.split())
        simple = [" ".join(c.split()) for c in re.split(r"[;|&\n]+", command) if c.strip()]
        simple = [re.sub(r"\s*\d*[<>]+&?\s*\S+", "", c).replace('"', "").replace("'", "") for c in simple]
        found = []
        for row in rows.iter_slices(1):
            line = " ".join((row[column][0] or "").split())
            bare = line.replace('"', "").replace("'", "")
            name, _, rest = bare.partition(" ")
            short = f"{name.rsplit('/', 1)[-1]} {rest}".strip()
            if (
                (len(whole) > 1 and re.search(rf"-c\s+['\"]?{re.escape(whole)}", line))
                or bare in simple
                or short in simple
            ):
                found.append(row)
        return found[:20]
