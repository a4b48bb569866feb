# SPDX-License-Identifier: Apache-2.0
"""What cloud-init set up at a machine's starts: users, keys, scripts of the user data (linux.cloud_init).

Reads:  /var/log/cloud-init.log and cloud-init-output.log with rotations.
Time:   cloud-init.log in UTC (milliseconds); a stage's banner in cloud-init-output.log states its offset.
Format: ``time - module[LEVEL]: text`` (cloudinit/log); in the output, all that was printed since a stage's banner is one
        record.
Limits: where cloud-init logs through syslog its lines are in that log's form and gaps here; lines of the output bear no
        time of their own, so an event of it has the time of the banner before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from headwater.examine.parsers._stamped import Stamped, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, File, Record, Value
from headwater.model.times import SECOND

FEED = "linux.cloud_init"
VERSION = 1
READS = ("/var/log/cloud-init.log*", "/var/log/cloud-init-output.log*")
_BANNER = r"Cloud-init v\. (?P<version>\S+) (?:running '(?P<stage>[^']*)'|(?P<end>finished)) at (?P<at>[^.]*)\."
_HEAD = lazy_regex(
    rf"(?:(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}}) - (?P<module>[^ \[]{{1,80}})\[(?P<level>[A-Z]+)\]: |(?={_BANNER}))"
)
_COMMAND = lazy_regex(r"Running command (\[.*?\]|.*?) with allowed return codes")
_FILE = lazy_regex(r"(?:Writing to|Wrote to) (\S+) - ")


def parse(file: File) -> Iterator[Record]:
    for record in stamped(file, _HEAD):
        yield _event(record) if isinstance(record, Stamped) else record


def _banner_time(text: str) -> int | None:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return int(when.timestamp()) * SECOND if when.tzinfo else None


def _event(record: Stamped) -> Event:
    said, text = record.head.groupdict(), record.message
    fields: dict[str, Value] = {"message": text, "cut": record.cut}
    if said["time"]:
        time, _ = moment(said["time"])
        basis = TimeBasis.NONE if time is None else TimeBasis.UTC
        fields |= {"module": said["module"], "level": said["level"].lower()}
        fields["time_text"] = said["time"] if time is None else None
    else:
        time = _banner_time(said["at"])
        basis = TimeBasis.NONE if time is None else TimeBasis.ZONE_GIVEN
        fields |= {"stage": said["stage"] or said["end"], "version": said["version"]}
        fields["time_text"] = said["at"] if time is None else None
    command, written = _COMMAND.search(text[:8192]), _FILE.search(text[:8192])
    return Event(
        record.offset, record.length, EventKind.LOG_MESSAGE, time, basis,
        process="cloud-init", command_line=command[1] if command else None, file_path=written[1] if written else None,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
