# SPDX-License-Identifier: Apache-2.0
"""The packages that dpkg -l or rpm -qa told of (live.packages).

Reads:  /@command/dpkg-l*.stdout and /@command/rpm-qa*.stdout of a live collection.
Time:   the start of the command, UTC, where its .json states it.
Format: dpkg(1) -l: state letters, name, version, architecture, description; rpm(8) -qa: name-version-release.arch.
Limits: the server's own tool over its own database; compare with the database itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, row, rows
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record

FEED = "live.packages"
VERSION = 1
READS = ("/@command/dpkg-l*.stdout", "/@command/rpm-qa*.stdout")
_HEAD = lazy_regex(r"Desired=|\| Status=|\|/ Err\?=|\|\|/ Name|\+\+\+-")
_DPKG = lazy_regex(
    r"(?P<state>[uirph][ncHUFWti][R ]?)\s+(?P<package>[a-z0-9][^\s:]*)(?::\S+)?\s+(?P<version>\S+)\s+(?P<arch>\S+)"
    r"(?:\s+(?P<description>.*?))?\s*"
)
_RPM = lazy_regex(
    r"(?P<package>[A-Za-z0-9_][A-Za-z0-9_.+-]*)-(?P<version>[^\s-]+-[^\s-]+?)(?:\.(?P<arch>[a-z][a-z0-9_]+))?(?:\s+(?P<installed_text>\S.*?))?\s*"
)
# --queryformat "%{NAME} %{EPOCH} %{VERSION} %{RELEASE} %{ARCH} %{INSTALLTIME}"
_QUERIED = lazy_regex(
    r"(?P<package>\S+) (?P<epoch>\d+|\(none\)) (?P<version>\S+) (?P<release>\S+) (?P<arch>\S+) (?P<installed_text>\d+)"
)


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    form = _DPKG if artifact(file).startswith("dpkg") else _RPM

    def make(line: Line, text: str) -> Event | str | None:
        if _HEAD.match(text):
            return "header line"
        match = (_QUERIED.fullmatch(text) if form is _RPM else None) or form.fullmatch(text)
        return row(line, when, EventKind.STATE_PACKAGE, match.groupdict()) if match else None

    yield from rows(file, make)
