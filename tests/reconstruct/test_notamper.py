# SPDX-License-Identifier: Apache-2.0
"""A disk that was touched after control was taken and passed as untouched, and ordinary life taken for tampering."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from touched_disks import LOG, SECOND, Disk, MemoryEvents, disk_images, event, moment_of, question, read, syslog

from headwater.model.kinds import EventKind
from headwater.reconstruct.notamper import examined
from headwater.reconstruct.notamper_content import digests_of
from headwater.reconstruct.notamper_terms import Act, Examined, Known, Standing, Volume


def _ext4(path: Path) -> Path:
    return disk_images.ext(path, size="16M")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    made = Disk(tmp_path_factory.mktemp("touched"), _ext4, running=3)
    yield made
    made.close()


def _judge(disk: Disk, image: Path, **more: object) -> Examined:
    events, volumes = read(image)
    return examined(events, question(disk.t0, volumes, **more))  # type: ignore[arg-type]


def _named(found: Examined, standing: Standing = Standing.UNEXPLAINED) -> dict[str, str]:
    return {e.path: e.what for s in found.signs if s.standing is standing for e in s.examples}


def test_untouched_disk_shows_nothing_and_says_what_it_cannot_see(disk: Disk) -> None:
    found = _judge(disk, disk.touched())
    assert found.verdict == "A", found.reasons
    assert any("raw sectors" in limit.en for limit in found.limits)
    assert not any(s.standing in {Standing.UNEXPLAINED, Standing.UNDECIDED} for s in found.signs)


def _touch(root: Path) -> None:
    os.utime(root / "home/u/note-3", (1_500_000_000, 1_500_000_000))


def _chmod(root: Path) -> None:
    (root / "etc/passwd").chmod(0o600)


def _rename(root: Path) -> None:
    (root / "home/u/note-4").rename(root / "home/u/note-x")


def _append(root: Path) -> None:
    with (root / "srv/data/ledger.csv").open("ab") as file:
        file.write(b"2026-03-02,4711,transfer,999999\n")


def _delete(root: Path) -> None:
    (root / "home/u/note-5").unlink()


def _zero_login(root: Path) -> None:
    with (root / "var/log/wtmp").open("r+b") as file:
        file.seek(384)
        file.write(bytes(384))


def _drop_lines(root: Path) -> None:
    kept = [line for line in (root / "var/log/auth.log").read_text().splitlines(True) if "40005" not in line]
    (root / "var/log/auth.new").write_text("".join(kept))
    (root / "var/log/auth.new").rename(root / "var/log/auth.log")


@pytest.mark.parametrize(
    ("act", "path", "what"),
    [
        (_touch, "/home/u/note-3", "metadata"),
        (_chmod, "/etc/passwd", "mode 0o100644 → 0o100600"),
        (_rename, "/home/u/note-x", "metadata"),
        (_append, "/srv/data/ledger.csv", "size 11600 → 11632"),
        (_delete, "/home/u", "content"),
        (_zero_login, "/var/log/wtmp", "zero bytes"),
        (_drop_lines, "/var/log/auth.log", "created"),
    ],
)
def test_touched_disk_is_found_with_what_changed(disk: Disk, act: Callable[[Path], None], path: str, what: str) -> None:
    found = _judge(disk, disk.touched(act))
    assert found.verdict == "D"
    assert not found.operation.running
    named = [e for s in found.signs if s.standing is Standing.UNEXPLAINED for e in s.examples]
    assert any(e.path == path and what in e.what for e in named), named
    assert {"superblock", "journal-commits"} <= {s.rule for s in found.signs if s.standing is Standing.UNEXPLAINED}
    untouched = {f"/home/u/note-{n}" for n in range(10, 24)}
    assert not untouched & {e.path for e in named}


def test_act_in_the_ledger_explains_its_own_time_and_no_other(disk: Disk) -> None:
    image = disk.touched(_append)
    act = Act(disk.t0 + SECOND, time.time_ns() + SECOND, "调取备份", "ledger-9")
    assert _judge(disk, image, acts=(act,)).verdict == "B"
    other = Act(disk.t0 - 90 * SECOND, disk.t0 - 80 * SECOND, "调取备份", "ledger-9")
    assert _judge(disk, image, acts=(other,)).verdict == "D"


def test_change_written_past_the_kernel_is_seen_against_the_journal(disk: Disk) -> None:
    image = disk.touched()
    disk_images.run(disk_images.tool("debugfs"), "-w", "-R", "set_inode_field /home/u/note-6 mtime 20200101", image)
    found = _judge(disk, image)
    assert found.verdict == "C", "when it was done cannot be told"
    assert "/home/u/note-6" in _named(found, Standing.UNDECIDED)
    assert "modified" in _named(found, Standing.UNDECIDED)["/home/u/note-6"]


def test_times_set_back_past_the_kernel_do_not_hide_a_change(disk: Disk) -> None:
    image = disk.touched(_append)
    when = time.strftime("%Y%m%d%H%M%S", time.gmtime(disk.t0 / 1e9 - 30))
    for name in ("mtime", "ctime", "mtime_extra", "ctime_extra"):
        value = when if name in {"mtime", "ctime"} else "0"
        command = f"set_inode_field /srv/data/ledger.csv {name} {value}"
        disk_images.run(disk_images.tool("debugfs"), "-w", "-R", command, image)
    found = _judge(disk, image)
    assert found.verdict == "D"
    hidden = [s for s in found.signs if s.rule == "hidden-change"]
    assert hidden
    assert hidden[0].examples[0].path == "/srv/data/ledger.csv"
    assert "size 11600 → 11632" in hidden[0].examples[0].what


def test_raw_inode_edit_breaks_its_checksum(disk: Disk) -> None:
    image = disk.touched()
    events, _ = read(image)
    frame = events.frames["fs.macb"]
    place = int(frame.filter((frame["file_path"] == "/home/u/note-7") & (frame["t_kind"] == "changed"))["offset"][0])
    with image.open("r+b") as file:
        file.seek(place + 16)
        file.write(bytes(4))
    found = _judge(disk, image)
    assert found.verdict == "C"
    assert {"inode-checksum", "past-the-kernel"} <= {s.rule for s in found.signs if s.standing is Standing.UNDECIDED}


def test_raw_overwrite_of_content_shows_against_a_digest_of_first_control_alone(disk: Disk) -> None:
    before, _ = read(disk.image, contents=True)
    known = {path: digest for path, (digest, _, _) in digests_of(before, 1).items()}
    image = disk.touched()
    data = image.read_bytes()
    at = data.index(b"2026-03-02,4711,transfer,100\n")
    with image.open("r+b") as file:
        file.seek(at)
        file.write(b"2026-03-02,4711,transfer,900\n")
    events, volumes = read(image, contents=True)
    assert examined(events, question(disk.t0, volumes)).verdict == "A", "no metadata was touched"
    first_control = Known("first-control.txt", known, disk.t0, "首次控制时取得")
    found = examined(events, question(disk.t0, volumes, known=(first_control,)))
    assert found.verdict == "D"
    assert list(_named(found)) == ["/srv/data/ledger.csv"]
    earlier = Known("backup.txt", known, disk.t0 - 86_400 * SECOND, "前一日备份")
    found = examined(events, question(disk.t0, volumes, known=(earlier,)))
    assert found.verdict == "A", "its own times place the difference before T0"
    assert "/srv/data/ledger.csv" in _named(found, Standing.BEFORE)


def _busy(root: Path) -> None:
    """What a server does by itself after T0: logs, a rotation, timers, temporary files."""
    now = time.time()
    with (root / LOG[1:]).open("a") as file:
        file.write(syslog(now, "CRON[1200]: (root) CMD (run-parts /etc/cron.hourly)"))
    with (root / "var/log/auth.log").open("a") as file:
        file.write(syslog(now, "sshd[1300]: Failed password for root from 203.0.113.99 port 41999 ssh2"))
    (root / "var/log/daemon.log").write_text(syslog(now, "dhclient[88]: bound to 10.0.0.5"))
    (root / "var/lib/systemd/random-seed").write_bytes(b"other")
    (root / "var/lib/systemd/timers").mkdir()
    (root / "var/lib/logrotate/status").write_text("logrotate state -- version 2\n")
    (root / "tmp/systemd-private-1").mkdir()


def test_running_busy_server_is_no_tampering(disk: Disk) -> None:
    found = _judge(disk, disk.went_on(_busy))
    assert found.operation.running
    assert found.verdict == "B", found.reasons
    assert {"/var/log/syslog", "/var/lib/systemd/random-seed"} <= set(_named(found, Standing.AUTONOMOUS))


def test_hand_behind_a_busy_server_is_found(disk: Disk) -> None:
    def both(root: Path) -> None:
        _busy(root)
        _chmod(root)

    found = _judge(disk, disk.went_on(both))
    assert found.operation.running
    assert found.verdict == "D"
    assert "/etc/passwd" in _named(found)


def test_log_rewritten_on_a_busy_server_is_found(disk: Disk) -> None:
    def both(root: Path) -> None:
        _busy(root)
        log = root / LOG[1:]
        kept = [line for line in log.read_text().splitlines(True) if "job 7" not in line]
        log.unlink()
        log.write_text("".join(kept))

    # the first record is forty seconds older than the file: with the slack of loggers that is nothing, so it is set further
    from headwater.reconstruct import notamper_logs

    kept = notamper_logs.SLACK
    try:
        notamper_logs.SLACK = 5 * SECOND
        found = _judge(disk, disk.went_on(both))
    finally:
        notamper_logs.SLACK = kept
    assert found.verdict == "D"
    assert LOG in _named(found)


def _xfs(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(320 << 20)
    disk_images.run(disk_images.tool("mkfs.xfs"), "-q", path)
    return path


def _ntfs(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(8 << 20)
    disk_images.run(disk_images.tool("mkntfs"), "-q", "-F", "-s", "512", "-p", "0", "-H", "0", "-S", "0", path)
    disk_images.tool("ntfs-3g")
    return path


@pytest.mark.parametrize(
    ("make", "options", "acts"),
    [(_xfs, ("nouuid",), (_touch, _chmod, _rename, _append, _zero_login)), (_ntfs, (), (_touch, _rename, _append))],
    ids=["xfs", "ntfs"],
)
def test_other_file_systems_tell_it_by_their_own_times(
    tmp_path: Path, make: Callable[[Path], Path], options: tuple[str, ...], acts: tuple[Callable[[Path], None], ...]
) -> None:
    disk = Disk(tmp_path, make, *options, running=1)
    try:
        found = _judge(disk, disk.touched())
        assert found.verdict == "A", found.reasons
        for act in acts:
            found = _judge(disk, disk.touched(act))
            assert found.verdict == "D", act
            assert not any("note-1" in path for path in _named(found)), "an untouched file is not named"
        found = _judge(disk, disk.went_on(_busy))
        assert found.verdict in {"B", "C"}, found.reasons
        assert not _named(found)
    finally:
        disk.close()


def test_folder_of_copies_cannot_be_examined(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x\n")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.log", "var/log/a.log")
    events, volumes = read(tmp_path / "a.tar")
    assert examined(events, question(time.time_ns(), volumes)).verdict == "E"


def _ntfs_events(t0: int, changed: int, named: int) -> MemoryEvents:
    """One file of an NTFS volume: its own times, and those beside its name. SOURCE: written here."""
    events = MemoryEvents()
    for at, kind in enumerate((EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED, EventKind.FILE_CREATED)):
        word = ("modified", "changed", "created")[at]
        row = event(kind, changed, 7168, t_kind=word, file_path="/Users/u/ledger.csv", inode=7, mode=0)
        events.put("fs.macb", "p1", [row])
        twin = event(kind, named, 7168, t_kind=word, file_path="/Users/u/ledger.csv", fn="MACB", allocated="true")
        events.put("windows.mft", "p1!/$MFT", [twin])
    return events


def test_ntfs_times_set_back_are_given_away_by_those_beside_the_name() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    volumes = (Volume("p1", "ntfs", "clean"),)
    early, late = t0 - 3600 * SECOND, t0 + 3600 * SECOND
    found = examined(_ntfs_events(t0, early, late), question(t0, volumes))
    assert found.verdict == "D"
    assert _named(found) == {"/Users/u/ledger.csv": "name-times"}
    copied = examined(_ntfs_events(t0, early, early - 86_400 * SECOND), question(t0, volumes))
    assert copied.verdict == "A", "a name older than its file is what copying leaves"


def test_change_journal_after_the_baseline_is_read() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    events = _ntfs_events(t0, t0 - 3600 * SECOND, t0 - 3600 * SECOND)
    noted = event(EventKind.FILE_CHANGED, t0 + 60 * SECOND, 0, file_path="/Users/u/gone.docx", reason="FILE_DELETE")
    events.put("windows.usnjrnl", "p1!/$Extend/$UsnJrnl:$J", [noted])
    found = examined(events, question(t0, (Volume("p1", "ntfs", "clean"),)))
    assert found.verdict == "D"
    assert "/Users/u/gone.docx" in _named(found)


def test_record_numbered_after_the_baseline_whose_times_are_older_is_an_anomaly() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    early, late = t0 - 3600 * SECOND, t0 + 3600 * SECOND
    volumes = (Volume("p1", "ntfs", "clean"),)
    for number, changed, clock, verdict in (
        (900, early, late, "C"), (300, early, late, "A"), (900, early, early, "A"), (900, late, late, "D"),
    ):  # fmt: skip
        events = _ntfs_events(t0, changed, early - SECOND)
        row = event(EventKind.FILE_CHANGED, changed, 40960, file_path="/Users/u/set back.csv", si="MACB", inode=40,
                    lsn=number, allocated="true")  # fmt: skip
        events.put("windows.mft", "p1!/$MFT", [row])
        dated = [event(EventKind.FILE_CHANGED, moment, at, lsn=at, reason="DATA_EXTEND", slack=False)
                 for at, moment in ((400, early), (800, clock))]  # fmt: skip
        events.put("windows.logfile", "p1!/$LogFile", dated)
        found = examined(events, question(t0, volumes))
        assert found.verdict == verdict, (number, found.reasons)
        named = {s.rule: [e.path for e in s.examples] for s in found.signs}
        assert (named.get("log-numbers") == ["/Users/u/set back.csv"]) is (verdict == "C")


def test_exported_event_log_may_lack_numbers_and_a_live_one_may_not() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    for path, verdict in (("p1!/cases/Security.evtx", "A"), ("p1!/Windows/System32/winevt/Logs/Security.evtx", "C")):
        events = _ntfs_events(t0, t0 - 3600 * SECOND, t0 - 3600 * SECOND)
        rows = [event(EventKind.LOG_MESSAGE, t0 - 9000 * SECOND, n * 100, EventRecordID=str(n)) for n in (1, 2, 5, 6)]
        events.put("windows.eventlog", path, rows)
        assert examined(events, question(t0, (Volume("p1", "ntfs", "clean"),))).verdict == verdict


def test_log_cleared_after_the_baseline_is_a_change() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    for when, verdict in ((t0 + 60 * SECOND, "D"), (t0 - 60 * SECOND, "A")):
        events = _ntfs_events(t0, t0 - 3600 * SECOND, t0 - 3600 * SECOND)
        events.put("windows.eventlog", "p1!/Security.evtx", [event(EventKind.LOG_CLEARED, when, 0, event_code="1102")])
        assert examined(events, question(t0, (Volume("p1", "ntfs", "clean"),))).verdict == verdict


def test_numbers_missing_from_the_journal_are_not_those_of_the_journal_beside_it() -> None:
    t0 = moment_of("2026-03-02 12:00:00")
    for other, verdict in (((3, 4), "A"), ((), "C")):
        events = _ntfs_events(t0, t0 - 3600 * SECOND, t0 - 3600 * SECOND)
        for name, numbers in (("system", (1, 2, 5, 6)), ("user-1000", other)):
            rows = [event(EventKind.LOG_MESSAGE, t0 - 9000 * SECOND, n * 100, __SEQNUM=n) for n in numbers]
            if rows:
                events.put("linux.journal", f"/var/log/journal/m/{name}.journal", rows)
        assert examined(events, question(t0, (Volume("p1", "ext4", "clean"),))).verdict == verdict
