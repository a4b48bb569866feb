# SPDX-License-Identifier: Apache-2.0
"""A server's folders in little with an artifact's definition for them, an order to collect them, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server

from headwater.case.authority import Claim
from headwater.formats.collection import CollectionTree
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource
from headwater.procedure.collecting import Collected, CollectOrder
from headwater.procedure.reaching import Reach
from headwater.procedure.scene_errand import Errand
from headwater.vault.ledger import Ledger

NO_AUTHORITY = Claim(None, None, None, None, None, None, "a test")


def ground(tmp_path: Path) -> Path:
    """The folders."""
    top = tmp_path / "ground"
    (top / "log/nginx").mkdir(parents=True)
    (top / "log/auth.log").write_bytes(b"Nov 22 00:00:01 web01 sshd[1]: Accepted password for root\n" * 50)
    (top / "log/nginx/access.log").write_bytes(os.urandom(700_000))
    (top / "log/empty").write_bytes(b"")
    os.truncate(os.open(top / "log/sparse", os.O_CREAT | os.O_WRONLY), 3 << 20)
    (top / "log/current").symlink_to("auth.log")
    (top / "home").symlink_to("log")
    os.mkfifo(top / "log/pipe")
    (top / "log/中文 名.txt").write_bytes(b"x")
    (top / "cut.log").write_bytes(b"y" * 10)
    definitions = tmp_path / "definitions"
    definitions.mkdir()
    paths = [f"{top}/log/**", f"{top}/home/*", f"{top}/*.log", f"{top}/nothing/*"]
    (definitions / "a.yaml").write_text(
        "name: Ground\ndoc: the ground\nsources:\n- type: FILE\n  attributes: {paths: " + json.dumps(paths) + "}\n"
    )
    return top


def order(address: str, ground: Path, server: Server | None = None, name: str = "case", **more: Any) -> CollectOrder:
    """What a person asks for; ``server``: where it is reached over SSH."""
    reach = Reach(known_hosts=server.known_hosts, key_file=server.key) if server is not None else Reach()
    errand = Errand(
        address, ground.parent / name, NO_AUTHORITY, ("甲", "乙"), because="a test", override="a test", no_witness="a test",
        reach=reach,
    )  # fmt: skip
    return CollectOrder(errand, **({"profile": "Ground", "definitions": ground.parent / "definitions"} | more))


def url(server: Server) -> str:
    """The server's address."""
    return f"ssh://{server.user}@127.0.0.1:{server.port}"


def files(done: Collected) -> dict[str, tuple[str, int, str, int | None, str | None]]:
    """Path → kind, size, digest of the content, modification time, target."""
    file = open_readonly(Path(done.evidence.source_path))
    tree = CollectionTree(FileSource(file))
    found = {}
    for entry in tree.entries():
        source = tree.open(entry.key)
        digest = hashlib.sha256(source.pread(0, source.size)).hexdigest() if entry.kind == "file" else ""
        found[entry.path] = (entry.kind, entry.size, digest, entry.modified, entry.target)
    file.close()
    return found


def manifest(done: Collected) -> list[dict[str, Any]]:
    """Its rows, the head first."""
    return [json.loads(line) for line in done.manifest.read_text().splitlines()]


def entries(case: Path, action: str) -> list[dict[str, Any]]:
    """The notes of the entries of one act."""
    with Ledger(case) as ledger:
        return [dict(s.entry.note) for s in ledger.entries() if s.entry.action == action]
