# SPDX-License-Identifier: Apache-2.0
"""What the host itself says about a web request: the script, a process, a dropped file, an error line, a sudo line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from headwater.detect.frames import MINUTE, SECOND, take
from headwater.detect.web_attempts import SCRIPT
from headwater.detect.web_requests import named_files
from headwater.model.kinds import EventKind
from headwater.model.ports import Events

# Script traits by which a request's value reaches a shell or an interpreter.
RUNS = ("exec-of-request", "eval-of-request", "callback-of-request")
# The accounts under which distributions run web servers, by name and by usual number (Debian 33, RHEL apache 48).
WEB_USERS = frozenset({"www-data", "apache", "nginx", "httpd", "www", "http", "tomcat", "wwwrun", "33", "48"})
AFTER_DROP = 10 * MINUTE
AFTER_UPLOAD = 10 * MINUTE
AROUND = MINUTE
_DATABASE = r"(?i)SQLSTATE|SQL syntax|mysqli?[_:]|\bORA-\d{5}|unterminated quoted|SQLException|PG::|sqlite3?::"
_OPENED = (
    r"(?i)failed to open stream|include\(\)|file_get_contents\(|FileNotFoundException|ObjectInputStream|InvalidClassException"
    r"|NamingException|TemplateError|OgnlException"
)
MOST = 20  # rows of one sort that are cited for one request
_ERROR = r"\bsh: (?:line )?\d+|not found|[Pp]ermission denied|No such file|(?:shell_)?exec\(\)|passthru\(\)|system\(\)"


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
        message = pl.col("message").cast(pl.String)
        self.failures = self.errors.filter(message.str.contains(_DATABASE) | message.str.contains(_OPENED))
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

        created = pl.col("kind") == EventKind.FILE_CREATED.value
        self.made = self.files.filter(created & pl.col("file_path").str.contains(SCRIPT))
        self._ran = _Commands(self.processes, "line")
        self._allowed = _Commands(self.privilege, "command_line")
        self._wrong = _Errors(self.errors)
        self._appeared = _Moments(self.files["ts"], self.files["file_path"].str.extract(r"([^/]*)\z"))

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
        low, high = when - AROUND, when + AROUND
        for at in self._ran.agreeing(low, high, command):
            found.append(Proof("process", self.processes[at : at + 1], ("kind", "user", "CommandLine", "command_line")))
        for at in self._allowed.agreeing(low, high, command):
            found.append(Proof("privilege", self.privilege[at : at + 1], ("kind", "user", "command_line")))
        for at in self._wrong.holding(low, high, command, ("", client, peer)):
            found.append(Proof("error", self.errors[at : at + 1], ("kind", "message")))
        names = {n.rsplit("/", 1)[-1] for n in named_files(command)}
        dropped = self._appeared.within(when - 10 * SECOND, when + AFTER_DROP, names)
        if dropped:
            found.append(Proof("file", self.files[dropped[:20]], ("kind", "file_path", "size", "uid")))
        return found


class _Moments:
    """Rows of a frame in order of time, found by a text and a span of time: a look-up for each request, not a scan."""

    def __init__(self, times: pl.Series, keys: pl.Series) -> None:
        rows = pl.DataFrame({"key": keys, "ts": times}).with_row_index("at").drop_nulls()
        marks = np.fromiter((hash(key) for key in rows["key"]), np.int64, rows.height)
        whens, ats = rows["ts"].to_numpy(), rows["at"].to_numpy()
        order = np.lexsort((ats, whens, marks))
        self._marks, self._times, self._at = marks[order], whens[order], ats[order]
        self._keys = keys

    def within(self, low: int, high: int, keys: Iterable[str]) -> list[int]:
        """The rows with one of these texts from ``low`` to ``high``, both inclusive, in order."""
        found: list[int] = []
        for key in set(keys) if len(self._marks) else ():
            mark = hash(key)
            first, end = self._marks.searchsorted(mark), self._marks.searchsorted(mark, "right")
            times = self._times[first:end]
            near = self._at[first + times.searchsorted(low) : first + times.searchsorted(high, "right")].tolist()
            found += [at for at in near if self._keys[at] == key]  # two texts may share a mark
        return sorted(found)


class _Commands:
    """Command lines that the host recorded, by what a request may have asked for."""

    def __init__(self, rows: pl.DataFrame, column: str) -> None:
        lines = rows[column].fill_null("").map_elements(_one_space, pl.String, skip_nulls=False)
        self._lines = lines
        bare = lines.str.replace_all("[\"']", "")
        self._bare = _Moments(rows["ts"], bare)
        self._short = _Moments(rows["ts"], bare.str.replace(r"^\S*/", "").str.strip_chars())
        shell = pl.select(pl.when(lines.str.contains("-c ", literal=True)).then(pl.lit(""))).to_series()
        self._shells = _Moments(rows["ts"], shell)

    def agreeing(self, low: int, high: int, command: str) -> list[int]:
        """Rows whose command line gives the request's command to a shell, or is one of its simple commands; at most 20."""
        if not command.strip():
            return []
        whole = _one_space(command)
        plain = re.sub(r"\s*\d*[<>]+&?\s*[^\s;|&]+", "", command).replace('"', "").replace("'", "")
        simple = [_one_space(c) for c in re.split(r"[;|&\n]+", plain) if c.strip()]
        found = {*self._bare.within(low, high, simple), *self._short.within(low, high, simple)}
        if len(whole) > 1:
            given = re.compile(rf"-c\s+['\"]?{re.escape(whole)}")
            shells = self._shells.within(low, high, ("",))
            found.update(at for at in shells if given.search(self._lines[at]))
        return sorted(found)[:MOST]


def _one_space(line: str) -> str:
    return " ".join(line.split())


class _Errors:
    """Lines of error logs that a shell or an interpreter wrote, by the client that they state."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._texts = rows["message"].cast(pl.String)
        wrote = self._texts.str.contains(_ERROR)
        client = rows["src_ip"].fill_null("")
        self._moments = _Moments(rows["ts"], pl.select(pl.when(wrote).then(client)).to_series())

    def holding(self, low: int, high: int, command: str, clients: Sequence[str]) -> list[int]:
        """Rows of these clients ("": of a line that states none) that hold the command's first word; at most 20."""
        words = command.split()
        if not words:
            return []
        near = self._moments.within(low, high, clients)
        return [at for at in near if words[0] in self._texts[at]][:MOST]
