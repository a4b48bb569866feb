# SPDX-License-Identifier: Apache-2.0
"""Keys that may log in, as they stand (linux.authorized_keys).

Reads:  ~/.ssh/authorized_keys and authorized_keys2, their backups, /etc/ssh/authorized_keys/*.
Time:   none; a key states no time.
Format: sshd(8) AUTHORIZED_KEYS FILE FORMAT, https://man.openbsd.org/sshd.8; fingerprints as ssh-keygen -l prints them.
Limits: which files sshd reads is set in sshd_config; the user is taken from the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._keys import KEY_TYPE, fingerprint, split_options
from headwater.examine.parsers._text import Line, lines, name_of, user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.authorized_keys"
VERSION = 1
READS = ("/.ssh/authorized_keys*", "/etc/ssh/authorized_keys/*", "/etc/ssh/authorized_keys.d/*", "/authorized_keys")
_COMMAND = lazy_regex(r'(?:^|,)command="((?:\\"|[^"])*)"', re.IGNORECASE)


def _owner(path: str) -> str | None:
    where = file_layer(path)
    if re.search(r"/etc/ssh/authorized_keys(?:\.d)?/[^/]+$", where):
        return decode_name(name_of(path)).decode("utf-8", "surrogateescape")
    return user_of(path)


def _event(line: Line, file: File) -> Event | None:
    text = line.text.strip()
    options: str | None = None
    if not KEY_TYPE.match(text.split(None, 1)[0]):
        options, text = split_options(text)
    parts = text.split(None, 2)
    if len(parts) < 2 or not KEY_TYPE.fullmatch(parts[0]):
        return None
    digest = fingerprint(parts[0], parts[1])
    if digest is None:
        return None
    forced = _COMMAND.search(options or "")
    fields: dict[str, Value] = {
        "key_type": parts[0],
        "key_fingerprint": digest,
        "comment": parts[2] if len(parts) > 2 else None,
        "options": options,
    }
    return Event(
        line.offset,
        line.length,
        EventKind.STATE_KEY,
        user=_owner(file.path),
        command_line=forced.group(1).replace('\\"', '"') if forced else None,
        file_path=file_layer(file.path),
        fields=fields,
    )


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif line.raw.lstrip().startswith(b"#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            yield _event(line, file) or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no key of OpenSSH")
