# SPDX-License-Identifier: Apache-2.0
"""What Windows was to fetch or send in the background, for whom, and what to run when it was done (windows.bits).

Reads:  /ProgramData/Microsoft/Network/Downloader/qmgr.db (ESE, Windows 10, Server 2016 and later), qmgr0.dat, qmgr1.dat (before).
Time:   FILETIME in UTC: made, last changed, completed; a file's own time is that of its source's last change.
Format: formats/bits_jobs; a job of qmgr.db names its files by GUID, one of qmgr0.dat holds them.
Limits: a job leaves the queue when it is completed or cancelled: the event log keeps it longer; a file's event bears the time of its
        job, whose place is in ``job_at``; texts of errors and credentials are not read; jobs behind the queue's end in qmgr0.dat
        are those of before (``carved``). No genuine queue was at hand: the forms are as others read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from headwater.examine.parsers._browser import literal
from headwater.examine.parsers._ese import Make, filetime, own, rows_of, time_text
from headwater.examine.parsers._whole import whole
from headwater.formats import bits_jobs
from headwater.formats.bits_jobs import Job, Moved
from headwater.formats.ese_file import Database, Row
from headwater.formats.ese_pages import MAGIC
from headwater.formats.evtx_values import guid_text
from headwater.model.kinds import EventKind, GapReason, Outcome
from headwater.model.records import Count, Event, File, Gap, Record, Value

FEED = "windows.bits"
VERSION = 1
READS = ("/Network/Downloader/qmgr.db", "/Network/Downloader/qmgr?.dat", "/qmgr.db", "/qmgr?.dat")
_MOST = 64 << 20
_JOB = 4 << 20
_JOBS = 10_000
_OUTCOMES = {
    "transferred": Outcome.SUCCESS,
    "acknowledged": Outcome.SUCCESS,
    "error": Outcome.FAILURE,
    "transient error": Outcome.FAILURE,
}
Owned = tuple[Job, str]  # a job and its place


def parse(file: File) -> Iterator[Record]:
    if file.pread(4, 4) == MAGIC:
        yield from rows_of(file, _plan, "BITS")
    else:
        yield from _old(file)


def _plan(database: Database) -> Mapping[str, Make]:
    tables = database.tables()
    owners: dict[bytes, Owned] = {}
    files: dict[bytes, Moved] = {}
    for row in database.rows(tables["Jobs"]) if "Jobs" in tables else ():
        found = _job(row) if isinstance(row, Row) else None
        if isinstance(row, Row) and found is not None:
            owners |= dict.fromkeys(found.files, (found, f"{row.offset}+{row.length}"))
    for row in database.rows(tables["Files"]) if "Files" in tables else ():
        number = row.values.get("Id") if isinstance(row, Row) else None
        moved = _moved(row) if isinstance(row, Row) else None
        if isinstance(number, bytes) and moved is not None:
            files[number] = moved
    database.seen.clear()
    return {"Jobs": partial(_of_job, files), "Files": partial(_of_file, owners)}


def _job(row: Row) -> Job | None:
    """The job of a record: behind one GUID of its form, or two."""
    blob = row.values.get("Blob")
    for at in (16, 32) if isinstance(blob, bytes) else ():
        try:
            return bits_jobs.job(blob, at)  # type: ignore[arg-type]
        except ValueError:
            continue
    return None


def _moved(row: Row) -> Moved | None:
    """The file of a record: behind the GUID of its form, for one to be sent behind a time as well."""
    blob = row.values.get("Blob")
    for at in (16, 24) if isinstance(blob, bytes) else ():
        try:
            return bits_jobs.moved(blob, at)  # type: ignore[arg-type]
        except ValueError:
            continue
    return None


def _of_job(files: Mapping[bytes, Moved], row: Row) -> list[Event]:
    found = _job(row)
    if found is None:
        return []
    named = [files[number] for number in found.files if number in files]
    return _job_events(
        found, row.offset, row.length, named, own("Jobs", row, ("Id", "Blob")) | {"files": len(found.files)}
    )


def _of_file(owners: Mapping[bytes, Owned], row: Row) -> list[Event]:
    found, number = _moved(row), row.values.get("Id")
    if found is None:
        return []
    owner = owners.get(number) if isinstance(number, bytes) else None
    return [_file_event(found, row.offset, row.length, owner, own("Files", row, ("Id", "Blob")))]


def _job_events(job: Job, offset: int, length: int, files: list[Moved], more: dict[str, Value]) -> list[Event]:
    """One event for each time of a job; one without where it has none."""
    fields = _said(job) | more
    if files:
        fields |= {"url": files[0].url, "local": files[0].local}
        fields["urls"] = "\n".join(f.url for f in files[:100])
    times = [(filetime(job.created), "created"), (filetime(job.completed), "completed")]
    if job.modified != job.created:
        times.insert(1, (filetime(job.modified), "modified"))
    told = [(when, said) for when, said in times if when[0] is not None] or times[:1]
    return [
        Event(
            offset, length, EventKind.TRANSFER_JOB, *when, said, outcome=_OUTCOMES.get(job.state), user=job.owner or None,
            dst_ip=literal(files[0].url) if files else None, command_line=_command(job),
            file_path=(files[0].local or None) if files else None, provider="BITS", fields=fields,
        )
        for when, said in told
    ]  # fmt: skip


def _said(job: Job) -> dict[str, Value]:
    said: dict[str, Value] = {
        "job_type": job.kind, "priority": job.priority, "state": job.state, "job_id": guid_text(job.number),
        "job_name": job.name, "description": job.description, "notify_flags": job.notify,
    }  # fmt: skip
    return {name: stated for name, stated in said.items() if stated != ""}


def _command(job: Job) -> str | None:
    """What runs when the job is done or fails; its arguments begin with the program's name where custom is followed."""
    if job.command and job.arguments.strip('"').lower().startswith(job.command.lower()):
        return job.arguments
    return " ".join(part for part in (job.command, job.arguments) if part) or None


def _file_event(found: Moved, offset: int, length: int, owner: Owned | None, fields: dict[str, Value]) -> Event:
    fields |= {"url": found.url, "local": found.local, "temporary": found.temporary, "bytes_done": found.done}
    fields |= {"drive": found.drive, "volume": found.volume}
    if found.size is not None:
        fields["bytes_total"] = found.size
    if found.modified is not None:
        fields["source_modified"] = time_text(found.modified)
    job = owner[0] if owner else None
    if owner is not None:
        fields |= _said(owner[0]) | {"job_at": owner[1]}
    when = filetime(job.created if job else None)
    return Event(
        offset, length, EventKind.TRANSFER_JOB, *when, "created", user=(job.owner or None) if job else None,
        outcome=_OUTCOMES.get(job.state) if job else None, dst_ip=literal(found.url), file_path=found.local or None,
        provider="BITS", fields={name: stated for name, stated in fields.items() if stated != ""},
    )  # fmt: skip


def _old(file: File) -> Iterator[Record]:
    """Jobs between their delimiters, in the queue and behind it, each with the files it holds."""
    read = whole(file, _MOST)
    data = read.data
    queued = data.find(bits_jobs.QUEUE)
    ends = data.find(bits_jobs.QUEUE, queued + 16) if queued >= 0 else -1
    marks = sorted({at for mark in bits_jobs.DELIMITERS for at in _places(data, mark)})
    if data and bits_jobs.OLD_FILE not in data[:64] and not marks:
        yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no queue of the transfer service")
        yield from read.gaps
        yield Count(0, 0, 0)
        return
    declared = used = 0
    for index, mark in enumerate(marks[:_JOBS]):
        start, end = mark + 16, marks[index + 1] if index + 1 < len(marks) else len(data)
        part = data[start : min(end, start + _JOB)]
        try:
            found = bits_jobs.job(part)
        except ValueError:
            continue
        carved: dict[str, Value] = {} if queued < start < ends else {"carved": True}
        moved = [replace(one, offset=one.offset + start) for one in bits_jobs.files(part, found.rest)]
        size = found.rest
        yield from _job_events(found, start, size, moved, {"files": len(moved)} | carved)
        for one in moved:
            yield _file_event(one, one.offset, one.length, (found, f"{start}+{size}"), dict(carved))
        declared += 1 + len(moved)
        used += size + sum(one.length for one in moved)
    if len(marks) > _JOBS:
        yield Gap(marks[_JOBS], 0, GapReason.LIMIT, f"more than {_JOBS} marks of jobs")
    yield from read.gaps
    yield Count(declared, 0, max(0, file.size - used))


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 16)
