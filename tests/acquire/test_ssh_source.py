# SPDX-License-Identifier: Apache-2.0
"""Imaging over SSH: no wrong server, no byte lost or doubled when the line is cut, no word of a path obeyed."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import mmap
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_sshd import Server, sshd_or_skip

from headwater.acquire import ssh_session, ssh_stream
from headwater.acquire.clock_reference import ClockReading
from headwater.acquire.ports import UnreadableError
from headwater.acquire.ssh_login import Access, Doorkeeper
from headwater.acquire.ssh_scripts import environment_of_answer, holders_script, is_gone, probe_of, quoted, read_script
from headwater.acquire.ssh_session import target_of
from headwater.acquire.ssh_source import SshSource
from headwater.model.errors import AcquireError, UsageError

MIB = 1 << 20
SIZE = 12 * MIB + 512 * 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("sshd"), sshd_or_skip())
    made.make()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 MiB and an odd few sectors of noise, each sector different."""
    path = tmp_path_factory.mktemp("disk") / "disk.img"
    path.write_bytes(random.Random(7).randbytes(SIZE))
    return path


def _access(server: Server, **changes: object) -> Access:
    said = {"known_hosts": server.known_hosts, "key_file": server.key, "stall_seconds": 30.0} | changes
    return Access(**said)  # type: ignore[arg-type]


@pytest.fixture
def opened(server: Server, disk: Path) -> Iterator[Callable[..., SshSource]]:
    sources: list[SshSource] = []

    def make(path: str | Path = disk, **more: object) -> SshSource:
        sources.append(SshSource(server.url(path), _access(server), sleep=lambda s: None, **more))  # type: ignore[arg-type]
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def _whole(source: SshSource, block: int = MIB, *, at: Callable[[int], None] = lambda offset: None) -> bytes:
    found, buffer, offset = bytearray(), memoryview(bytearray(block)), 0
    while offset < source.size:
        count = source.read_into(offset, buffer)
        assert count == min(block, source.size - offset)
        found += buffer[:count]
        offset += count
        at(offset)
    return bytes(found)


def _until_it_fails(source: SshSource, offset: int, buffer: memoryview) -> int:
    """What was read ahead is still good; then the source raises."""
    while offset < source.size:
        offset += source.read_into(offset, buffer)
    return offset


# ------------------------------------------------------------------ the bytes


def test_every_byte_comes_once_and_in_order(opened: Callable[..., SshSource], disk: Path) -> None:
    source = opened()
    assert (source.size, source.sector_size, source.live) == (SIZE, 512, True)
    assert hashlib.sha256(_whole(source)).digest() == hashlib.sha256(disk.read_bytes()).digest()
    assert source.read_into(SIZE, memoryview(bytearray(512))) == 0


def test_reader_slower_than_the_wire_is_waited_for(
    opened: Callable[..., SshSource], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read-ahead fills, the server is held back, and goes on when there is room again: no stall, no loss."""
    monkeypatch.setattr(ssh_stream, "READ_AHEAD", MIB)
    source, held = opened(), []

    def wait(offset: int) -> None:
        for _ in range(100):
            stream = source._stream
            if stream is None or stream._paused or stream._ended:
                break
            time.sleep(0.01)
        held.append(bool(source._stream and source._stream._paused))

    assert _whole(source, at=wait) == disk.read_bytes()
    assert any(held)
    assert not [e for e in source.journal.entries if e["what"] == "lost"]


def test_scattered_ranges_are_the_same_bytes(opened: Callable[..., SshSource], disk: Path) -> None:
    source, held, seeded = opened(), disk.read_bytes(), random.Random(11)
    for _ in range(5):
        offset = seeded.randrange(SIZE // 512) * 512
        buffer = memoryview(bytearray(512 * seeded.choice((1, 8, 64, 4096))))
        count = source.read_into(offset, buffer)
        assert bytes(buffer[:count]) == held[offset : offset + len(buffer)]


def test_dd_that_counts_blocks_only_gives_the_same_bytes(opened: Callable[..., SshSource], disk: Path) -> None:
    """busybox without its options, coreutils before 8.16: no skip_bytes, no count_bytes, no fullblock."""
    from dataclasses import replace

    source, held = opened(), disk.read_bytes()
    source._probe = replace(source._probe, byte_flags=False)
    assert _whole(source, 3 * MIB + 512) == held
    for offset, length in ((512 * 3, 512), (MIB + 512, 5 * MIB), (SIZE - 512, 512), (4096 * 5, 8192)):
        buffer = memoryview(bytearray(length))
        source._stream, source._next = None, -1
        count = source.read_into(offset, buffer)
        assert bytes(buffer[:count]) == held[offset : offset + length]


@pytest.mark.parametrize("byte_flags", [True, False])
@pytest.mark.parametrize(
    ("offset", "length"), [(0, 512), (512, 512), (1536, 1 << 30), (1 << 40, 4096), (3 << 20, 7 << 20)]
)
def test_dd_command_covers_what_is_wanted(offset: int, length: int, byte_flags: bool) -> None:
    read = read_script("/dev/sda", offset, length, byte_flags)
    words = dict(w.split("=", 1) for w in read.script.decode().split() if "=" in w)
    block, skip, count = int(words["bs"]), int(words["skip"]), int(words["count"])
    if byte_flags:
        assert (skip, count, read.before) == (offset, length, 0)
    else:
        assert skip * block + read.before == offset
        assert (skip + count) * block >= offset + length
        assert read.before < block <= MIB


# ------------------------------------------------------------------ the line


def test_cut_line_is_made_anew_and_no_byte_is_lost(
    server: Server, opened: Callable[..., SshSource], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the disk is smaller than what is read ahead: on a quick machine all of it was here before the first cut
    monkeypatch.setattr(ssh_stream, "READ_AHEAD", MIB)
    monkeypatch.setattr(ssh_session, "_WINDOW", MIB)
    source = opened()
    cuts: list[int] = []

    def cut(offset: int) -> None:
        if offset // (3 * MIB) > len(cuts) and offset < SIZE:
            cuts.append(server.cut())

    found = _whole(source, at=cut)
    assert hashlib.sha256(found).digest() == hashlib.sha256(disk.read_bytes()).digest()
    assert len(cuts) >= 3
    said = [e["what"] for e in source.journal.entries]
    assert said.count("lost") >= 1
    assert said.count("lost") <= said.count("reconnected") + said.count("attempt failed")
    again = next(e for e in source.journal.entries if e["what"] == "reconnected")
    assert float(again["gap_seconds"]) >= 0
    assert int(again["offset"]) % 512 == 0


def test_server_that_stays_away_is_told_as_vanished_at_the_exact_offset(tmp_path: Path, disk: Path) -> None:
    own = Server(tmp_path / "sshd", sshd_or_skip())
    own.make()
    own.start()
    waits: list[float] = []
    source = SshSource(own.url(disk), _access(own), attempts=3, sleep=waits.append)
    try:
        buffer = memoryview(bytearray(MIB))
        assert source.read_into(0, buffer) == MIB
        own.stop()
        offset = MIB
        with pytest.raises(UnreadableError) as caught:
            offset = _until_it_fails(source, offset, buffer)
        assert caught.value.vanished
        assert MIB <= caught.value.offset < SIZE
        assert caught.value.offset % 512 == 0
        assert waits == [1.0, 2.0, 4.0]
        own.start()
        offset = caught.value.offset
        assert source.read_into(offset, buffer)  # resumed on the same source
        assert bytes(buffer[: min(MIB, SIZE - offset)]) == disk.read_bytes()[offset : offset + MIB]
    finally:
        source.close()
        own.stop()


def test_another_medium_under_the_same_name_is_not_read_on(
    server: Server, opened: Callable[..., SshSource], tmp_path: Path
) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(40 * MIB))
    source = opened(path)
    buffer = memoryview(bytearray(MIB))
    source.read_into(0, buffer)
    path.unlink()
    path.write_bytes(b"x" * 39 * MIB)
    source._forget()
    server.cut()
    with pytest.raises(UnreadableError, match="another medium") as caught:
        source.read_into(MIB, buffer)
    assert caught.value.vanished


def test_source_that_shrank_is_not_taken_for_whole(opened: Callable[..., SshSource], tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4 * MIB))
    source = opened(path)
    os.truncate(path, MIB)
    with pytest.raises(UnreadableError, match="ends at") as caught:
        _whole(source)
    assert caught.value.vanished


# ------------------------------------------------------------------ what cannot be read


def test_bad_range_is_told_and_halving_finds_the_good_parts(opened: Callable[..., SshSource]) -> None:
    """A real dd meets a real EIO: the memory of this process, with a hole, read through /proc/PID/mem."""
    page, pages = mmap.PAGESIZE, 16
    held = mmap.mmap(-1, pages * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(held))
    held[:] = random.Random(3).randbytes(len(held))
    assert ctypes.CDLL(None).munmap(ctypes.c_void_p(base + 5 * page), ctypes.c_size_t(3 * page)) == 0
    source = opened(f"/proc/{os.getpid()}/mem", size=base + pages * page)
    source._next = base  # as if all before had been read
    good: dict[int, bytes] = {}
    bad: list[int] = []

    def read(offset: int, length: int) -> None:
        buffer = memoryview(bytearray(length))
        try:
            good[offset] = bytes(buffer[: source.read_into(offset, buffer)])
            return
        except UnreadableError as error:
            told = error
        assert (told.offset, told.length, told.vanished) == (offset, length, False)
        assert "Input/output error" in str(told)
        if length == page:
            bad.append((offset - base) // page)
        else:
            read(offset, length // 2)
            read(offset + length // 2, length // 2)

    read(base, pages * page)
    ctypes.CDLL(None).mmap.restype = ctypes.c_void_p
    again = ctypes.CDLL(None).mmap  # put the hole back before the object is let go
    again.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    again(base + 5 * page, 3 * page, 3, 0x32, -1, 0)
    assert sorted(bad) == [5, 6, 7]
    held.seek(0)
    expected = random.Random(3).randbytes(pages * page)
    for offset, data in good.items():
        assert data == expected[offset - base : offset - base + len(data)]
    assert sum(len(d) for d in good.values()) == (pages - 3) * page


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("dd: error reading '/dev/sdb': Input/output error", False),
        ("dd: /dev/sdb: I/O error", False),
        ("dd: error reading '/dev/nvme0n1': No data available", False),
        ("dd: failed to open '/dev/sdb': No such file or directory", True),
        ("dd: error reading '/dev/sdb': No such device or address", True),
        ("sh: dd: not found", True),
    ],
)
def test_bad_sector_is_told_from_a_vanished_disk(said: str, gone: bool) -> None:
    assert is_gone(said) is gone


# ------------------------------------------------------------------ the path


NAMES = [
    "with space", "it's", 'a"b', "$(touch pwned)", "`touch pwned`", "a\nb; touch pwned", "-if", "%41", "a\\b", "*",
    "#x?y=1", "溯源", b"\xff\xfe".decode("utf-8", "surrogateescape"),
]  # fmt: skip


def test_path_is_read_and_never_obeyed(server: Server, opened: Callable[..., SshSource], tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode("utf-8", "surrogateescape").ljust(2048, b"."))
    before = sorted(os.listdir(tmp_path))
    source = opened(tmp_path / NAMES[5])
    assert _whole(source, 512) == (tmp_path / NAMES[5]).read_bytes()
    assert source.name.isprintable()
    for name in NAMES:
        path = str(tmp_path / name)
        assert target_of(server.url(path)).path == path
        done = source._session.run(read_script(path, 0, 2048, True).script)
        assert (done.status, done.output) == (0, (tmp_path / name).read_bytes())
    assert sorted(os.listdir(tmp_path)) == before
    assert not Path("pwned").exists()


def test_quoting_survives_a_shell(tmp_path: Path) -> None:
    import subprocess

    word = "".join(map(chr, range(1, 128))) * 2
    done = subprocess.run(["sh"], input=b"printf %s " + quoted(word) + b"\n", capture_output=True, check=True)
    assert done.stdout == word.encode()


@pytest.mark.parametrize(
    "url",
    [
        "ssh://host/dev/sda", "ssh://u:secret@host/dev/sda", "http://u@h/x", "ssh://u@h", "ssh://u@h/", "ssh://-o@h/x",
        "ssh://u@-oProxyCommand=x/y", "ssh://u@h:99999/x", "ssh://u@h/a%00b", "/dev/sda", "ssh://u@h;id/x", "ssh://u v@h/x",
    ],
)  # fmt: skip
def test_address_that_is_none_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        target_of(url)
    assert caught.value.code == "HW2063"
    assert "secret" not in caught.value.text("zh")


def test_address_is_taken_apart() -> None:
    found = target_of("ssh://root@[2001:db8::1]:2222/dev/disk/by-id/a%20b")
    assert (found.user, found.host, found.port, found.path) == ("root", "2001:db8::1", 2222, "/dev/disk/by-id/a b")
    assert str(found) == "ssh://root@[2001:db8::1]:2222/dev/disk/by-id/a b"


# ------------------------------------------------------------------ the door


def test_unknown_server_is_refused_with_its_fingerprint(server: Server, disk: Path, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.write_text("")
    for known in (empty, tmp_path / "absent"):
        with pytest.raises(AcquireError) as caught:
            SshSource(server.url(disk), _access(server, known_hosts=known))
        assert caught.value.code == "HW2065"
        assert server.fingerprint in caught.value.text("zh")
    assert empty.read_text() == ""


def test_changed_server_key_is_refused(server: Server, disk: Path, tmp_path: Path) -> None:
    changed = tmp_path / "known_hosts"
    kind, key, _ = (server.folder / "other.pub").read_text().split(" ", 2)
    changed.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    with pytest.raises(AcquireError, match="HW2065"):
        SshSource(server.url(disk), _access(server, known_hosts=changed))


def test_stated_fingerprint_alone_decides(server: Server, disk: Path) -> None:
    SshSource(server.url(disk), _access(server, known_hosts=None, host_key=server.fingerprint)).close()
    with pytest.raises(AcquireError, match="HW2065"):
        SshSource(server.url(disk), _access(server, host_key="SHA256:" + "A" * 43))


def test_wrong_key_is_refused_and_offered_once(server: Server, disk: Path) -> None:
    with pytest.raises(AcquireError, match="HW2066"):
        SshSource(server.url(disk), _access(server, key_file=server.folder / "other"))


def test_password_is_asked_for_once_and_again_only_when_refused() -> None:
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return f"secret-{len(asked)}"

    async def login(keeper: Doorkeeper, refusals: int) -> list[str | None]:
        keeper.begin()
        return [await keeper.password() for _ in range(refusals + 1)]

    keeper = Doorkeeper(Access(ask=ask), "root@web01")
    assert asyncio.run(login(keeper, 0)) == ["secret-1"]
    assert asyncio.run(login(keeper, 0)) == ["secret-1"]  # a reconnection in the night asks nobody
    assert asyncio.run(login(keeper, 1)) == ["secret-1", "secret-2"]
    assert asyncio.run(login(keeper, 2)) == ["secret-2", "secret-3", None]  # never without end
    assert len(asked) == 3
    assert asyncio.run(login(Doorkeeper(Access(), "x"), 0)) == [None]


def test_nobody_listening_is_told(server: Server, disk: Path) -> None:
    url = server.url(disk).replace(f":{server.port}/", ":9/")
    with pytest.raises(AcquireError, match="HW2064"):
        SshSource(url, _access(server))


def test_missing_and_unfit_sources_are_told(server: Server, tmp_path: Path) -> None:
    for path, code in ((tmp_path / "absent", "HW2001"), (tmp_path, "HW2007"), (Path("/dev/null"), "HW2007")):
        with pytest.raises(AcquireError) as caught:
            SshSource(server.url(path), _access(server))
        assert caught.value.code == code


# ------------------------------------------------------------------ the record


def test_noise_of_a_login_shell_is_not_taken_for_the_disk(tmp_path: Path, disk: Path) -> None:
    """A .bashrc that prints something would otherwise stand at the head of the image."""
    noisy = Server(
        tmp_path / "sshd", sshd_or_skip(), extra=['ForceCommand echo "Welcome to web01"; echo oops >&2; exec sh']
    )
    noisy.make()
    noisy.start()
    source = None
    try:
        source = SshSource(noisy.url(disk), _access(noisy))
        assert hashlib.sha256(_whole(source)).digest() == hashlib.sha256(disk.read_bytes()).digest()
    finally:
        if source is not None:
            source.close()
        noisy.stop()


def test_process_that_holds_the_source_open_is_named(opened: Callable[..., SshSource], disk: Path) -> None:
    with disk.open("rb"):
        links = opened()._asked(*holders_script(str(disk)), 30.0)[1]
    assert f"/proc/{os.getpid()}/fd/" in " ".join(links)


def test_server_that_tells_nothing_of_itself_is_imaged_all_the_same(opened: Callable[..., SshSource]) -> None:
    source = opened()
    assert source._asked(b"sleep 5\n", b"MARK", 0.2) == ({}, {}, (), "no: nothing came for 0.2 s")
    assert source._asked(b"exit 3\n", b"MARK", 5.0)[3].startswith("no")
    assert source.read_into(0, memoryview(bytearray(512))) == 512


def test_account_without_a_shell_is_told(tmp_path: Path, disk: Path) -> None:
    barred = Server(tmp_path / "sshd", sshd_or_skip(), extra=['ForceCommand echo "This account is not available."'])
    barred.make()
    barred.start()
    try:
        with pytest.raises(AcquireError) as caught:
            SshSource(barred.url(disk), _access(barred))
        assert caught.value.code in {"HW2064", "HW2067"}
    finally:
        barred.stop()


def test_nothing_is_written_on_the_server(opened: Callable[..., SshSource], tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(MIB))
    seen = {p: os.stat(p) for p in (path, tmp_path, Path.home())}
    _whole(opened(path))
    for place, was in seen.items():
        now = os.stat(place)
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_size) == (was.st_mtime_ns, was.st_ctime_ns, was.st_size)


def test_record_tells_server_clock_and_the_traces_of_the_login(
    opened: Callable[..., SshSource], server: Server
) -> None:
    source = opened()
    assert isinstance(source.clock, ClockReading)
    assert abs(source.clock.ahead_ns) <= source.clock.uncertainty_ns  # the same machine
    facts = source.facts
    assert facts["ssh_host_key"] == server.fingerprint
    assert facts["ssh_host_key_known_by"] == "known_hosts"
    assert facts["system_hostname"] == os.uname().nodename
    assert "/bin/sh" in facts["login_traces"]
    assert all(isinstance(v, str) for v in facts.values())
    record = source.record()
    assert record["journal"]["entries"][0]["what"] == "environment"
    assert [e["complete"] for e in record["journal"]["entries"][:2]] == ["yes", "yes"]
    assert {t["path"] for t in record["login_traces"]} >= {"/bin/sh"}


def test_block_device_of_the_server_is_described(server: Server) -> None:
    names = [n for n in os.listdir("/sys/class/block") if Path(f"/dev/{n}").is_block_device()]
    sized = [n for n in names if int(Path(f"/sys/class/block/{n}/size").read_text())]
    if not sized or os.geteuid() != 0:
        pytest.skip("no block device with a size here")
    name = sorted(sized)[-1]
    source = SshSource(server.url(f"/dev/{name}"), _access(server))
    try:
        assert source.size == int(Path(f"/sys/class/block/{name}/size").read_text()) * 512
        assert source.environment.device is not None
        assert source.environment.device.name == name
        assert source.facts["kind"] == "block device over SSH"
    finally:
        source.close()


def test_hostile_answers_are_bounded_and_inert() -> None:
    assert probe_of(b"") is None
    assert probe_of(b"\x1b[2Jkind=block\n") is None
    found = probe_of(b"kind=block\nreadable=yes\nsize=9999999999999999999999\nsector=3\nflags=no\nname=../../etc\n")
    assert found is not None
    assert (found.size, found.sector, found.name) == (-1, 512, "")
    answer = b"x\nMM F /sys/a\nv\nMM L /l\nt\nMM X /bin/sh\n\nMM X /etc/shadow\n\nMM E end\n"
    assert environment_of_answer(answer, b"MM") == ({"/sys/a": b"v"}, {"/l": "t"}, ["/bin/sh"], True)
    assert environment_of_answer(b"\nMM F " * 10, b"MM")[3] is False
