# SPDX-License-Identifier: Apache-2.0
"""Programs that the maintainer scripts of Debian packages run by their path (linux.package_script).

Reads:  /var/lib/dpkg/info/*.{preinst,postinst,prerm,postrm,config}.
Time:   none; the scripts state no time.
Format: deb-postinst(5) and its kin; each line of a shell's script that runs a program by its whole path is one event.
Limits: words of a shell, not a shell's own reading: programs behind variables and in scripts of other languages are not found,
        and lines of a text that a script writes may look like commands; rpm's scriptlets stand in its database and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, line_records
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Skip, Value

FEED = "linux.package_script"
VERSION = 1
_ACTS = ("preinst", "postinst", "prerm", "postrm", "config")
READS = tuple(f"/var/lib/dpkg/info/*.{act}" for act in _ACTS)
_LINE = 8192  # bytes of a line that are looked at
_RUN = lazy_regex(
    r"(?:^|[;&|({`]|(?<![\w/.-])(?:(?:then|do|else|if|elif|while|until|!|exec|nohup|setsid|eval|time|command|(?P<sourced>\.|source)) "
    r"|(?:sudo|env|nice|ionice|(?:ba|da|z|k)?sh|python[0-9.]*|perl|php) (?:-[A-Za-z]+ )?))"
    r" *(?:[A-Za-z_]\w{0,63}=\S{0,200} +)?[\"']?(?P<program>/[^\s\"';&|()<>`$*?]{1,1024})"
)


def parse(file: File) -> Iterator[Record]:
    name = file_layer(file.path).rpartition("/")[2]
    package, _, act = name.rpartition(".")
    fixed: dict[str, Value] = {"mechanism": "package-script", "package": package.partition(":")[0], "act": act}

    goes_on = False

    def read(line: Line) -> Record:
        nonlocal goes_on
        said = line.raw[:_LINE].decode("utf-8", "surrogateescape").strip()
        runs = [] if said.startswith("#") else [m for m in _RUN.finditer(said) if m["program"].count("/") > 1]
        if goes_on:  # what begins such a line is a word of the line above
            runs = [m for m in runs if m.start()]
        goes_on = said.endswith("\\") and not said.startswith("#")
        if not runs:
            return Skip(line.offset, line.length, "a line that runs no program by its whole path")
        programs = " ".join(dict.fromkeys(run["program"] for run in runs))
        own = {**fixed, "programs": programs, "sourced": all(run["sourced"] for run in runs)}
        return Event(
            line.offset, line.length, EventKind.STATE_SETTING, user="root", command_line=said, file_path=runs[0]["program"], fields=own,
        )  # fmt: skip

    return line_records(file, read)
