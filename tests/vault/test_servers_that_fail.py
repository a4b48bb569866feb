# SPDX-License-Identifier: Apache-2.0
"""A store or a disk that fails in the middle is an error in words, and never gives other bytes or a broken log."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headwater.model.errors import VaultError
from headwater.vault import witness
from headwater.vault.s3 import LockedStore, Place

SHA = "ab" * 32
_LOCKED = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
_ONE = b"<R><Version><Key>ab/" + SHA.encode() + b"</Key><VersionId>v1</VersionId></Version>"


def _answer(status: int, body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, length or len(body)) + body


@contextmanager
def _server(answers: Callable[[bytes], bytes]) -> Iterator[LockedStore]:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(65536)
                connection.sendall(answers(asked.split(b"\r\n")[0]))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield LockedStore(Place(url, "b", "a", "s"), 1)
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def test_a_server_that_knows_no_ranges_does_not_give_the_beginning_for_the_middle() -> None:
    def answers(asked: bytes) -> bytes:
        if b"object-lock" in asked:
            return _answer(200, _LOCKED)
        return _answer(200, _ONE + b"</R>") if b"versions" in asked else _answer(200, b"0123456789")

    with _server(answers) as store, pytest.raises(VaultError, match="HW3019"):
        store.read_at(SHA, 4, 2)


def test_a_list_that_leads_back_to_its_first_page_comes_to_an_end() -> None:
    more = b"<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker></R>"

    def answers(asked: bytes) -> bytes:
        return _answer(200, _LOCKED) if b"object-lock" in asked else _answer(200, _ONE + more)

    with _server(answers) as store, pytest.raises(VaultError, match="the same page again"):
        store.names()


def test_an_answer_to_an_upload_that_breaks_off_is_an_error_in_words(tmp_path: Path) -> None:
    def answers(asked: bytes) -> bytes:
        if b"object-lock" in asked:
            return _answer(200, _LOCKED)
        return _answer(200, b"<R></R>") if b"versions" in asked else _answer(200, b"half", 4000)

    sent = tmp_path / "sent"
    sent.write_bytes(b"content")
    with _server(answers) as store, sent.open("rb") as source, pytest.raises(VaultError, match="HW3019"):
        store.put(source)


def test_a_full_disk_leaves_no_part_of_a_receipt_in_the_log_of_a_witness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a line would be a broken log for good: the witness would sign nothing any more."""
    log = tmp_path / "log"
    log.write_bytes(b"first\n")
    handle = os.open(log, os.O_RDWR | os.O_APPEND)
    really = os.write
    room = [5]

    def write(to: int, data: bytes | memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        count = really(to, bytes(data)[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        witness._append(handle, b"second line\n")
    assert log.read_bytes() == b"first\n"
    room[0] = 1 << 20
    witness._append(handle, b"second line\n")
    os.close(handle)
    assert log.read_bytes() == b"first\nsecond line\n"
